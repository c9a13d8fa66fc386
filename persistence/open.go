package persistence

import (
	"bytes"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"
)

// Initial sizes of the memory maps: address space only, so that a reader need not make a commit wait for a larger map.
const (
	logMmap   = 1 << 30
	roomsMmap = 8 << 30
)

// open opens both files, makes what is missing and reads the log.
func (s *Store) open() error {
	var err error
	if s.rooms, err = openBolt(filePath(s.dir, roomsFile), min(roomsMmap, math.MaxInt)); err != nil {
		return err
	}
	if s.log, err = openBolt(filePath(s.dir, logFile), logMmap); err != nil {
		return err
	}
	if err := s.prepare(); err != nil {
		return err
	}
	if err := s.recoverLog(); err != nil {
		return err
	}
	return s.resumeJobs()
}

// prepare makes the buckets of new files and checks the schema and id of old ones.
func (s *Store) prepare() error {
	s.id = make([]byte, 16)
	rand.Read(s.id)
	if err := s.prepareFile(s.rooms, roomsFile, bucketRooms, bucketChunks, bucketGarbage, bucketQuarantine); err != nil {
		return err
	}
	if err := s.prepareFile(s.log, logFile, bucketBatches, bucketDirectories); err != nil {
		return err
	}
	return syncDir(s.dir)
}

func (s *Store) prepareFile(db *bolt.DB, name string, buckets ...[]byte) error {
	var version uint32
	var id []byte
	err := guard(func() error {
		return db.View(func(tx *bolt.Tx) error {
			if n := tx.Bucket(bucketNode); n != nil {
				if v := n.Get(keySchema); len(v) == 4 {
					version = binary.BigEndian.Uint32(v)
				}
				id = bytes.Clone(n.Get(keyID))
			}
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if version > schemaVersion {
		return fmt.Errorf("%s: schema %d, this version knows %d: %w", name, version, schemaVersion, ErrNewer)
	}
	if version == schemaVersion {
		if name == roomsFile {
			s.id = id
		} else if !bytes.Equal(s.id, id) {
			return fmt.Errorf("%s and %s do not belong together", roomsFile, logFile)
		}
		return nil
	}
	return guard(func() error {
		return db.Update(func(tx *bolt.Tx) error {
			for _, b := range append(buckets, bucketNode) {
				if _, err := tx.CreateBucketIfNotExists(b); err != nil {
					return err
				}
			}
			n := tx.Bucket(bucketNode)
			return errors.Join(
				n.Put(keySchema, binary.BigEndian.AppendUint32(nil, schemaVersion)),
				n.Put(keyID, s.id),
				n.Put(keyFloor, binary.BigEndian.AppendUint64(nil, 1)),
			)
		})
	})
}

// recoverLog reads the log once and builds the index of what rooms.db does not have yet.
func (s *Store) recoverLog() error {
	s.pardoned = make(map[string]uint64)
	s.logFirst = 1
	err := guard(func() error {
		return s.log.View(func(tx *bolt.Tx) error {
			s.idx.last = tx.Bucket(bucketBatches).Sequence()
			if v := tx.Bucket(bucketNode).Get(keyFloor); len(v) == 8 {
				s.logFirst = binary.BigEndian.Uint64(v)
			}
			c := tx.Bucket(bucketBatches).Cursor()
			for k, v := c.First(); k != nil; k, v = c.Next() {
				lsn := binary.BigEndian.Uint64(k)
				runs, err := decodeBatch(nil, v, lsn)
				if err != nil {
					return err
				}
				for _, r := range runs {
					s.idx.add(r)
				}
				s.sizes.add(lsn, len(v))
			}
			return nil
		})
	})
	if err != nil {
		return err
	}
	s.safeFloor.Store(s.logFirst)
	return s.dropCovered()
}

// dropCovered takes out of the index what snapshots already have.
func (s *Store) dropCovered() error {
	return guard(func() error {
		return s.rooms.View(func(tx *bolt.Tx) error {
			rooms := tx.Bucket(bucketRooms)
			for room, l := range s.idx.rooms {
				v := rooms.Get([]byte(room))
				if v == nil {
					if l.tomb != 0 {
						continue
					}
					continue
				}
				m, err := decodeMeta([]byte(room), v)
				if err != nil {
					continue // Load names it
				}
				if m.dirty > l.tomb {
					s.idx.buried(room, l.tomb)
					s.idx.covered(room, m.pos)
				}
			}
			return nil
		})
	})
}

// resumeJobs continues what a stop has interrupted in rooms.db.
func (s *Store) resumeJobs() error {
	for room, l := range s.idx.rooms {
		if l.tomb != 0 {
			if err := s.saver.put(s.buryJob(room, l.tomb)); err != nil {
				return err
			}
		}
	}
	return guard(func() error {
		return s.rooms.View(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketGarbage).ForEach(func(k, _ []byte) error {
				if room, gen, _, err := decodeChunkKey(k); err == nil {
					s.saver.sweep(generation{room: room, gen: gen})
				}
				return nil
			})
		})
	})
}
