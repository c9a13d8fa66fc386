package model

// set is a set of updates, bit i for update i, or of nodes.
type set uint8

func (s set) has(all set) bool { return s&all == all }

const (
	maxNodes = 3
	nobody   = maxNodes // as the number of a node
)

// role is what a node does with the room.
type role uint8

const (
	dead    role = iota
	none         // has perhaps a copy on disk
	peeked       // has read the log too early
	warm         // was given everything for a planned move, and remembers it
	sealing      // has claimed, asks its peers
	loading      // has read the log
	stored       // has what it found on its disk
	serving
	degraded // serves without Redis
	handing  // closed its intake for a planned move
	handed   // gave the target everything
	moved    // has transferred the record, has to tell the target
)

var roleNames = []string{"dead", "none", "peeked", "warm", "sealing", "loading", "stored", "SERVING", "DEGRADED", "handing", "handed", "moved"}

// record is what Redis has of the room.
type record struct {
	epoch, owner uint8
	log, trimmed set
	// Who served last: the owner whose append after loading was the last such one, and its standby. A claim leaves it alone.
	servedBy, servedStandby uint8
}

// node is what one node knows of the room.
type node struct {
	role  role
	epoch uint8 // of its claim; 0 unless it has one
	high  uint8 // highest epoch it has promised to, on disk
	mem   set   // applied
	disk  set   // synced to its disk
	app   set   // appended to Redis as far as it knows
	cov   set   // synced to its standby's disk as far as it knows

	answered set  // nodes that answered its SEAL
	needed   set  // nodes that must answer, or be out of reach
	strict   bool // out of reach is not enough
	quorum   set  // policy two: nodes of which one must have answered
	outlived bool // Redis has restarted since the claim
	target   uint8
}

// state is one state of everything.
type state struct {
	now, saved record // of Redis; saved is what tail loss goes back to
	up         bool   // Redis can be reached
	restarted  bool   // Redis has restarted since somebody finished loading
	links      bool
	paused     uint8 // a node, or nobody
	faults     uint8 // still to come
	claims     uint8 // made
	submitted  uint8 // number of updates that clients have thought of
	acked      set
	stale      set // what a destroyed disk had: coverage in Redis still says so
	nodes      [maxNodes]node
}

// initial is a room that its first owner has just opened.
func initial(c *Config) state {
	s := state{up: true, links: true, paused: nobody, faults: uint8(c.Faults)}
	s.now = record{epoch: 1, owner: 0, servedBy: 0, servedStandby: 1}
	s.saved = s.now
	for i := range c.Nodes {
		s.nodes[i] = node{role: none, target: nobody}
	}
	s.nodes[0] = node{role: serving, epoch: 1, high: 1, target: nobody}
	return s
}

// key is a state packed into bits.
type key [3]uint64

// coder packs a state into a key or unpacks it, so that the order of fields is written down once.
type coder struct {
	key  key
	at   uint
	read bool
}

func code[T ~uint8](c *coder, v *T, bits uint) {
	if c.at%64+bits > 64 {
		c.at += 64 - c.at%64
	}
	word, shift := c.at/64, c.at%64
	if c.read {
		*v = T(c.key[word] >> shift & (1<<bits - 1))
	} else {
		c.key[word] |= uint64(*v) << shift
	}
	c.at += bits
}

func codeBool(c *coder, v *bool) {
	var b uint8
	if *v {
		b = 1
	}
	code(c, &b, 1)
	*v = b == 1
}

func (r *record) code(c *coder) {
	code(c, &r.epoch, 3)
	code(c, &r.owner, 2)
	code(c, &r.log, 2)
	code(c, &r.trimmed, 2)
	code(c, &r.servedBy, 2)
	code(c, &r.servedStandby, 2)
}

func (n *node) code(c *coder) {
	code(c, &n.role, 4)
	code(c, &n.epoch, 3)
	code(c, &n.high, 3)
	code(c, &n.mem, 2)
	code(c, &n.disk, 2)
	code(c, &n.app, 2)
	code(c, &n.cov, 2)
	code(c, &n.answered, 3)
	code(c, &n.needed, 3)
	codeBool(c, &n.strict)
	code(c, &n.quorum, 3)
	codeBool(c, &n.outlived)
	code(c, &n.target, 2)
}

func (s *state) code(c *coder) {
	s.now.code(c)
	s.saved.code(c)
	codeBool(c, &s.up)
	codeBool(c, &s.restarted)
	codeBool(c, &s.links)
	code(c, &s.paused, 2)
	code(c, &s.faults, 2)
	code(c, &s.claims, 3)
	code(c, &s.submitted, 2)
	code(c, &s.acked, 2)
	code(c, &s.stale, 2)
	for i := range s.nodes {
		s.nodes[i].code(c)
	}
}

// pack returns the key of s after making states equal that differ in nothing that matters any more.
func (s *state) pack(c *Config) key {
	s.canonical(c)
	var coder coder
	s.code(&coder)
	return coder.key
}

func unpack(k key) state {
	var s state
	s.code(&coder{key: k, read: true})
	return s
}

func (s *state) canonical(c *Config) {
	if s.faults == 0 || !c.faulty(TailLoss) {
		s.saved = record{}
	}
	for i := range s.nodes {
		n := &s.nodes[i]
		switch n.role {
		case dead, none:
			*n = node{role: n.role, high: n.high, disk: n.disk, target: nobody}
		case warm:
			*n = node{role: warm, epoch: n.epoch, high: n.high, disk: n.disk, target: nobody}
		case sealing, loading:
			n.app, n.cov, n.target = 0, 0, nobody
		default:
			n.answered, n.needed, n.strict, n.quorum = 0, 0, false, 0
			n.outlived = n.outlived && (n.role == stored || n.role == moved)
			if n.role != handing && n.role != handed && n.role != moved {
				n.target = nobody
			}
			if c.Policy == Both {
				n.cov = 0
			}
		}
	}
}

// standby is who keeps the second copy for an owner: the next one.
func (c *Config) standby(owner int) int { return (owner + 1) % c.Nodes }

// runs reports whether node i does anything now.
func (s *state) runs(i int) bool { return s.nodes[i].role != dead && int(s.paused) != i }

// reaches reports whether a message of node i gets to node j.
func (s *state) reaches(j int) bool { return s.links && s.runs(j) }

// current reports whether Redis takes node i for the owner, in i's own epoch.
func (s *state) current(i int) bool {
	return int(s.now.owner) == i && s.now.epoch == s.nodes[i].epoch
}

// copies counts the disks that have u.
func (s *state) copies(c *Config, u set) int {
	n := 0
	for i := range c.Nodes {
		if s.nodes[i].disk.has(u) {
			n++
		}
	}
	return n
}
