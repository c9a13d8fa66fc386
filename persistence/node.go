package persistence

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	bolt "go.etcd.io/bbolt"
)

// node is what bucket "n" of a file says about the file.
type node struct {
	schema uint32
	id     []byte
	floor  uint64
	last   uint64
	lost   []byte
	bad    error // an entry that should be there is damaged
}

func appendLSN(s seal, key []byte, lsn uint64) []byte {
	return s.stamp(binary.BigEndian.AppendUint64(nil, lsn), 0, key)
}

func (n *node) readSchema(key, value []byte) {
	if !bytes.Equal(key, keySchema) {
		return
	}
	v, err := seal(0).check(value, key)
	if err != nil || len(v) != 4 {
		n.bad = errors.Join(err, errLayout)
		return
	}
	n.schema = binary.BigEndian.Uint32(v)
}

func (n *node) readID(key, value []byte) {
	if !bytes.Equal(key, keyID) {
		return
	}
	id, err := seal(0).check(value, key)
	if err == nil && len(id) != idBytes {
		err = errLayout
	}
	if err != nil {
		n.bad = err
		return
	}
	n.id = bytes.Clone(id)
}

// readSealed reads the entries that are sealed with the id.
func (n *node) readSealed(s seal, key, value []byte) {
	var dst *uint64
	switch {
	case bytes.Equal(key, keyFloor):
		dst = &n.floor
	case bytes.Equal(key, keyLast):
		dst = &n.last
	case bytes.Equal(key, keyLost):
	case bytes.Equal(key, keySchema), bytes.Equal(key, keyID):
		return
	default:
		n.bad = errors.New("unknown entry")
		return
	}
	v, err := s.check(value, key)
	if err != nil {
		n.bad = err
		return
	}
	if dst == nil {
		n.lost = bytes.Clone(v)
		return
	}
	if len(v) != 8 {
		n.bad = errLayout
		return
	}
	*dst = binary.BigEndian.Uint64(v)
}

const idBytes = 16

// putNode writes the entries that every file has.
func putNode(tx *bolt.Tx, id []byte, floor uint64) error {
	n, err := tx.CreateBucketIfNotExists(bucketNode)
	if err != nil {
		return err
	}
	return errors.Join(
		putSchema(tx, schemaPlain),
		n.Put(keyID, seal(0).stamp(bytes.Clone(id), 0, keyID)),
		n.Put(keyFloor, appendLSN(newSeal(id), keyFloor, floor)),
	)
}

func schemaValue(schema uint32) []byte {
	return seal(0).stamp(binary.BigEndian.AppendUint32(nil, schema), 0, keySchema)
}

func putSchema(tx *bolt.Tx, schema uint32) error {
	return tx.Bucket(bucketNode).Put(keySchema, schemaValue(schema))
}

// createBolt makes a file that is whole as soon as it has its name: fill writes it in one transaction.
func createBolt(path string, fill func(*bolt.Tx) error) error {
	b, err := newBuilder(path)
	if err != nil {
		return err
	}
	if err := b.commit(fill); err != nil {
		return errors.Join(err, b.abandon())
	}
	return b.finish()
}

// builder writes a file under another name in several transactions, which are synced only once, by close.
type builder struct {
	path string
	db   *boltFile
}

const newSuffix = ".new"

func newBuilder(path string) (*builder, error) {
	tmp := path + newSuffix
	if err := os.Remove(tmp); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	db, err := openBolt(tmp, 0)
	if err != nil {
		return nil, err
	}
	db.NoSync = true
	return &builder{path, db}, nil
}

func (b *builder) commit(fill func(*bolt.Tx) error) error {
	return b.db.Update(fill)
}

// close makes the file durable, still under its other name.
func (b *builder) close() error { return errors.Join(b.db.Sync(), b.db.Close()) }

// rename gives the file, which is durable, its name. When renamed is true together with an error, the name belongs to the new file
// and may, after a power cut, belong to the old one again.
func (b *builder) rename() (renamed bool, err error) {
	dir, err := os.Open(filepath.Dir(b.path)) // first, so that a lack of file descriptors shows while nothing has happened
	if err != nil {
		return false, err
	}
	defer dir.Close()
	if err := os.Rename(b.path+newSuffix, b.path); err != nil {
		return false, err
	}
	return true, dir.Sync()
}

// finish closes the file and gives it its name.
func (b *builder) finish() error {
	if err := b.close(); err != nil {
		return err
	}
	_, err := b.rename()
	return err
}

// abandon removes the file, which may be closed.
func (b *builder) abandon() error {
	return errors.Join(b.db.Close(), os.Remove(b.path+newSuffix))
}
