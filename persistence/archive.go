package persistence

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
)

// Archive reads a data directory that nobody has open, without changing anything in it: a stopped server's, or a copy. It reads
// damaged directories too, and copies that were made of the files of a running server without its help, where it says what does
// not fit. It holds the whole log in memory. It is not safe for concurrent use.
type Archive struct {
	dir      string
	lock     *os.File
	file     *os.File // rooms.db
	seal     seal
	node     node
	img      *image
	metas    map[string]meta
	bad      map[string]*DamageError
	tails    map[string][]Record
	tombs    map[string]uint64
	parked   map[string][]segment
	losses   losses
	problems []*DamageError
	log      *logScan
	files    []FileInfo
}

// FileInfo describes one of the two files.
type FileInfo struct {
	Name string
	Size int64
	Free int64 // bytes in pages that are not in use
}

// ErrNoStore says that a directory is not a data directory.
var ErrNoStore = errors.New("no data directory")

// OpenArchive opens dir. Errors: ErrLocked with the process that has it, ErrNewer, ErrNoStore, and a *DamageError when not even
// the id of the directory can be read.
func OpenArchive(dir string) (*Archive, error) {
	for _, name := range []string{roomsFile, logFile} {
		if _, err := os.Stat(filePath(dir, name)); err != nil {
			return nil, fmt.Errorf("%s: %w: %w", dir, ErrNoStore, err)
		}
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, err
	}
	a := &Archive{
		dir: dir, lock: lock,
		metas: make(map[string]meta), bad: make(map[string]*DamageError),
		tails: make(map[string][]Record), tombs: make(map[string]uint64), parked: make(map[string][]segment),
	}
	if err := a.read(); err != nil {
		return nil, errors.Join(err, a.Close())
	}
	return a, nil
}

// Close gives the directory back.
func (a *Archive) Close() error {
	if a.file != nil {
		return errors.Join(a.file.Close(), a.lock.Close())
	}
	return a.lock.Close()
}

func (a *Archive) read() error {
	s := &Store{dir: a.dir} // for its way to look at the files; it opens nothing
	rooms, log, err := s.scanNodes()
	if err != nil {
		return err
	}
	a.seal, a.node = s.seal, rooms.node
	a.problem(roomsFile, rooms.node.bad)
	a.problem(logFile, log.node.bad)
	if a.losses, err = decodeLosses(rooms.node.lost); err != nil {
		a.problem(roomsFile, err)
	}
	if err := a.readRooms(); err != nil {
		return err
	}
	if err := a.readLog(log, rooms.node); err != nil {
		return err
	}
	for room, list := range a.parked {
		a.takeParked(room, list)
	}
	return nil
}

func (a *Archive) problem(file string, err error) {
	if err != nil {
		a.problems = append(a.problems, &DamageError{File: file, What: err.Error()})
	}
}

func (a *Archive) setAside(d *DamageError) {
	if a.bad[d.Room] == nil {
		a.bad[d.Room] = d
	}
}

// readRooms walks all of rooms.db and collects what it says of rooms; chunks are read when they are asked for.
func (a *Archive) readRooms() (err error) {
	path := filePath(a.dir, roomsFile)
	sc, err := scanFile(path, walker{element: a.visit})
	if err != nil {
		return err
	}
	for _, p := range sc.problems {
		a.problem(roomsFile, errors.New(p.String()))
	}
	verdicts := lostVerdicts(sc.problems)
	a.losses.Rooms = append(append(a.losses.Rooms, lostNames(sc.problems)...), verdicts...)
	for room := range a.metas {
		if inRanges(verdicts, room) {
			a.setAside(verdictLost(room))
		}
	}
	a.files = append(a.files, FileInfo{Name: roomsFile, Size: sc.img.size, Free: sc.free})
	if a.file, err = os.Open(path); err != nil {
		return err
	}
	if a.img, err = openImage(a.file); err != nil && !errors.Is(err, errNoMeta) {
		return err
	}
	a.findLostLists(rangesOf(sc.problems, bucketParked))
	return nil
}

// visit takes an element of rooms.db.
func (a *Archive) visit(bucket string, key, value []byte) {
	switch bucket {
	case string(bucketRooms):
		m, err := a.seal.decodeMeta(key, value)
		if err != nil {
			for _, d := range metaDamage(a.seal, key, value, err) {
				a.setAside(d)
			}
			return
		}
		a.metas[string(key)] = m
	case string(bucketQuarantine):
		if d, _ := readVerdict(a.seal, key, value); d != nil {
			a.setAside(d)
		}
	case string(bucketParked):
		list, err := a.seal.decodeList(key, value)
		if err != nil {
			a.setAside(listDamage(string(key), err))
		}
		a.parked[string(key)] = list
	}
}

// findLostLists sets aside the rooms named in the ranges that have chunks to which nothing refers any more.
func (a *Archive) findLostLists(ranges []nameRange) {
	if len(ranges) == 0 || a.img.badMetas == 2 {
		return
	}
	r := newReferences()
	for room, m := range a.metas {
		r.refer(room, m.gen)
	}
	for room, list := range a.parked {
		for _, g := range list {
			r.refer(room, g.gen)
		}
	}
	w := walker{img: a.img, element: func(bucket string, key, _ []byte) {
		room, gen, _, err := decodeChunkKey(key)
		switch {
		case err != nil:
		case bucket == string(bucketGarbage):
			r.refer(room, gen)
		case bucket == string(bucketChunks):
			r.find(room, gen)
		}
	}}
	w.walk()
	for room := range r.found {
		if inRanges(ranges, room) && r.orphaned(room) {
			a.setAside(listDamage(room, errLost))
		}
	}
}

// readLog takes all records of the log.
func (a *Archive) readLog(node *scan, rooms node) error {
	path := filePath(a.dir, logFile)
	var err error
	if a.log, err = scanLog(path, a.seal, node.node, func(uint64, int, []roomRun) {}); err != nil {
		return err
	}
	if a.log.sound() && a.log.last < rooms.last {
		a.log.problems = append(a.log.problems, problem{err: fmt.Errorf("the log ends at %d, it was at %d", a.log.last, rooms.last)})
	}
	for _, p := range a.log.problems {
		a.problem(logFile, errors.New(p.String()))
	}
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	tx := uint64(0)
	if a.log.img.badMetas < 2 {
		tx = a.log.img.tx
	}
	a.files = append(a.files, FileInfo{Name: logFile, Size: a.log.img.size, Free: a.log.free})
	v := salvageLog(raw, a.seal, max(node.node.floor, rooms.floor), tx, max(rooms.last, a.log.last))
	if a.log.sound() {
		v.lost = nil
	}
	a.losses.Log = append(a.losses.Log, v.losses()...)
	for lsn := v.first; lsn <= v.last; lsn++ {
		a.take(lsn, v.groups[lsn])
	}
	for _, d := range v.damages(func(room string) uint64 { return a.metas[room].dirty }) {
		a.setAside(d)
	}
	return nil
}

func (a *Archive) take(lsn uint64, g *group) {
	for _, r := range g.refs {
		if r.kind == kindTombstone {
			delete(a.tails, r.room)
			a.tombs[r.room] = lsn
			continue
		}
		rec, err := decodeRecord(g.buf[r.off : r.off+r.n])
		if err != nil {
			panic(err) // it was encoded a moment ago
		}
		a.tails[r.room] = append(a.tails[r.room], Record{Room: r.room, Pos: r.pos, Update: bytes.Clone(rec.data)})
	}
}

// takeParked puts the parked records of a room before those that the log has.
func (a *Archive) takeParked(room string, list []segment) {
	var recs []Record
	for _, g := range list {
		if g.to < a.tombs[room] {
			continue
		}
		chunks := a.chunks(room, g.gen)
		var err error
		recs, err = a.seal.segmentRecords(recs, room, g, func(key []byte) []byte { return chunks[string(key)] })
		if d, ok := errors.AsType[*DamageError](err); ok {
			a.setAside(d)
		}
	}
	inLog := make(map[Position]bool) // what was parked a moment before the copy is in both places
	for _, r := range a.tails[room] {
		inLog[r.Pos] = true
	}
	recs = slices.DeleteFunc(recs, func(r Record) bool { return inLog[r.Pos] })
	a.tails[room] = append(recs, a.tails[room]...)
}

// meta returns the room's meta unless a tombstone has made it void.
func (a *Archive) meta(room string) (meta, bool) {
	m, ok := a.metas[room]
	if ok && a.tombs[room] != 0 && m.dirty <= a.tombs[room] {
		return meta{}, false
	}
	return m, ok
}

// Files describes the files.
func (a *Archive) Files() []FileInfo { return slices.Clone(a.files) }

// Problems returns what is wrong in the files apart from single rooms.
func (a *Archive) Problems() []*DamageError {
	return append(slices.Clone(a.problems), a.losses.list()...)
}

// Rooms returns all rooms by name, those that are damaged with Damage; whether a snapshot is whole shows only in Load.
func (a *Archive) Rooms() []Info {
	names := make(map[string]bool)
	for room := range a.metas {
		names[room] = true
	}
	for room := range a.tails {
		names[room] = true
	}
	for room := range a.bad {
		names[room] = true
	}
	var infos []Info
	for _, room := range slices.Sorted(maps.Keys(names)) {
		if i, ok := a.info(room); ok {
			infos = append(infos, i)
		}
	}
	return infos
}

func (a *Archive) info(room string) (Info, bool) {
	m, ok := a.meta(room)
	i := Info{Room: room}
	if ok {
		i = metaInfo(room, m)
	}
	for _, r := range orderTail(slices.Clone(a.tails[room]), m.pos, ok) {
		i.LogRecords++
		i.LogBytes += int64(recordHead + len(room) + len(r.Update) + recordTail)
		i.Pos = r.Pos
	}
	if d := a.damage(room, m, ok); d != nil {
		i.Damage = d.Error()
	}
	return i, ok || i.LogRecords > 0 || i.Damage != ""
}

func (a *Archive) damage(room string, m meta, stored bool) *DamageError {
	if d := a.bad[room]; d != nil {
		return d
	}
	return a.losses.of(room, stored, m.dirty, 0)
}

// Load returns what can be read of the room. Together with a *DamageError it is what is left: Stored.Gen is 0 when the snapshot is
// not whole, and Tail has the records that are right, perhaps with gaps. ErrNotFound says that nothing is known of the room.
func (a *Archive) Load(room string) (Stored, error) {
	m, ok := a.meta(room)
	st := Stored{}
	var bad error
	if d := a.damage(room, m, ok); d != nil {
		bad = d
	}
	if ok {
		chunks := a.chunks(room, m.gen)
		sv, state, err := a.seal.joinChunks(room, m, func(key []byte) []byte { return chunks[string(key)] })
		if err == nil {
			st = Stored{Snapshot: Snapshot{Pos: m.pos, State: state, StateVector: sv}, Pos: m.pos, Gen: m.gen}
		} else {
			bad = cmp.Or(bad, error(&DamageError{Room: room, File: roomsFile, What: "snapshot", Err: err}))
		}
	}
	st.Tail = orderTail(cloneTail(a.tails[room]), m.pos, ok)
	if len(st.Tail) > 0 {
		st.Pos = st.Tail[len(st.Tail)-1].Pos
	}
	if bad == nil && !ok && len(st.Tail) == 0 {
		return Stored{}, fmt.Errorf("load %q: %w", room, ErrNotFound)
	}
	return st, bad
}

func cloneTail(tail []Record) []Record {
	out := make([]Record, len(tail))
	for i, r := range tail {
		out[i] = Record{Room: r.Room, Pos: r.Pos, Update: bytes.Clone(r.Update)}
	}
	return out
}

// Chunk is one stored piece of a snapshot, for a look at the bytes.
type Chunk struct {
	Gen    uint64
	Number uint32
	Data   []byte // without its checksum; as stored when Err is not nil
	Err    error
}

// Chunks returns the stored chunks of a room, also of generations that are about to be removed, and those of parked records.
func (a *Archive) Chunks(room string) []Chunk {
	var out []Chunk
	a.eachChunk(appendChunkPrefix(nil, room), func(key, value []byte) {
		_, gen, number, err := decodeChunkKey(key)
		if err != nil {
			return
		}
		c := Chunk{Gen: gen, Number: number}
		if c.Data, c.Err = a.seal.decodeChunk(key, value); c.Err != nil {
			c.Data = value
		}
		c.Data = bytes.Clone(c.Data)
		out = append(out, c)
	})
	return out
}

// Records returns all records of a room that are still there, in the log or parked, including those that the snapshot covers.
func (a *Archive) Records(room string) []Record { return cloneTail(a.tails[room]) }

func (a *Archive) chunks(room string, gen uint64) map[string][]byte {
	prefix := appendChunkKey(nil, room, gen, 0)
	out := make(map[string][]byte)
	a.eachChunk(prefix[:len(prefix)-4], func(key, value []byte) { out[string(key)] = bytes.Clone(value) })
	return out
}

// eachChunk visits the chunks whose keys start with prefix.
func (a *Archive) eachChunk(prefix []byte, visit func(key, value []byte)) {
	if a.img.badMetas == 2 {
		return
	}
	w := walker{img: a.img, only: string(bucketChunks), from: prefix, to: after(prefix)}
	w.element = func(_ string, key, value []byte) {
		if bytes.HasPrefix(key, prefix) {
			visit(key, value)
		}
	}
	w.walk()
}

// after returns the first key after all that start with prefix, or nil.
func after(prefix []byte) []byte {
	for i := len(prefix) - 1; i >= 0; i-- {
		if prefix[i] != 0xff {
			out := bytes.Clone(prefix[:i+1])
			out[i]++
			return out
		}
	}
	return nil
}
