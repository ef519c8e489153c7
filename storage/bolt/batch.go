package bolt

import (
	"bytes"
	"maps"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// batch is what one transaction is about to put: an overlay of the file, in which only operations that
// went well leave something. What is put at the end needs no undoing.
type batch struct {
	tx     *bbolt.Tx
	staged map[place][]byte // nil: to be deleted
	bytes  int              // of keys and values staged, at least
}

// place is where a value stands.
type place struct {
	of     *share
	bucket bucket
	key    string
}

func newBatch(tx *bbolt.Tx) *batch {
	return &batch{tx: tx, staged: make(map[place][]byte)}
}

// staging is what one operation sees and does: the batch, and its own changes over it.
type staging struct {
	*batch
	*share
	own map[place][]byte
}

func (b *batch) stage(of *share) *staging { return &staging{batch: b, share: of} }

// merge makes what an operation did part of the batch.
func (b *batch) merge(s *staging) {
	for at, value := range s.own {
		b.staged[at] = value
		b.bytes += len(at.key) + len(value)
	}
}

// get returns a value, which must not be altered, or nil. It panics with a fault where the file is damaged.
func (s *staging) get(bucket bucket, key []byte) (value []byte) {
	at := place{s.share, bucket, string(key)}
	if value, ok := s.own[at]; ok {
		return value
	}
	if value, ok := s.staged[at]; ok {
		return value
	}
	if err := guard(func() error {
		value = s.layout.in(s.tx, bucket).Get(key)
		return nil
	}); err != nil {
		panic(err)
	}
	return value
}

func (s *staging) put(bucket bucket, key, value []byte) {
	if value == nil {
		value = []byte{}
	}
	s.set(bucket, key, value)
}

func (s *staging) delete(bucket bucket, key []byte) { s.set(bucket, key, nil) }

func (s *staging) set(bucket bucket, key, value []byte) {
	if s.own == nil {
		s.own = make(map[place][]byte, 4)
	}
	s.own[place{s.share, bucket, string(key)}] = value
}

// flush puts everything, bucket by bucket and in the order of the keys, which touches each page once.
func (b *batch) flush() error {
	places := slices.SortedFunc(maps.Keys(b.staged), func(a, b place) int {
		if a.of != b.of {
			return bytes.Compare(a.of.layout[metaBucket], b.of.layout[metaBucket])
		}
		if a.bucket != b.bucket {
			return int(a.bucket) - int(b.bucket)
		}
		return strings.Compare(a.key, b.key)
	})
	for _, at := range places {
		into, key, value := at.of.layout.in(b.tx, at.bucket), []byte(at.key), b.staged[at]
		var err error
		if value == nil {
			err = into.Delete(key)
		} else {
			err = into.Put(key, value)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// standsIn tells whether the file has what the batch was to put. It is all or nothing.
func (b *batch) standsIn(tx *bbolt.Tx) bool {
	for at, value := range b.staged {
		stored := at.of.layout.in(tx, at.bucket).Get([]byte(at.key))
		if (stored == nil) != (value == nil) || !bytes.Equal(stored, value) {
			return false
		}
	}
	return true
}

// changes names the grants and clients that the batch alters, of each store.
func (b *batch) changes() map[*share]storage.Changes {
	all := make(map[*share]storage.Changes, 1)
	for at := range b.staged {
		c := all[at.of]
		switch at.bucket {
		case grantsBucket:
			c.Grants = append(c.Grants, storage.ID([]byte(at.key)))
		case clientsBucket:
			c.Clients = append(c.Clients, at.key)
		}
		all[at.of] = c
	}
	return all
}

// shares are the stores that the batch writes for.
func (b *batch) shares() map[*share]int {
	shares := make(map[*share]int, 1)
	for at := range b.staged {
		shares[at.of]++
	}
	return shares
}
