package bolt

import (
	"errors"
	"sync"

	"go.etcd.io/bbolt"
)

// committers are those of the databases that are in use.
var committers = struct {
	sync.Mutex
	of map[*bbolt.DB]*committer
}{of: make(map[*bbolt.DB]*committer)}

var errTwice = errors.New("has a store of that namespace open already, and neither would know of the other's writes")

// join finds the committer of a database, or makes it.
func join(db *bbolt.DB, namespace string, l *layout) (*committer, *share, error) {
	committers.Lock()
	defer committers.Unlock()
	c := committers.of[db]
	if c == nil {
		c = newCommitter(db)
		committers.of[db] = c
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.shares[namespace] != nil {
		return nil, nil, errTwice
	}
	of := &share{layout: l, closing: make(chan struct{})}
	c.shares[namespace] = of
	return c, of, nil
}

// leave takes a store's share back. The last one stops the committer.
func (c *committer) leave(namespace string) {
	committers.Lock()
	c.mu.Lock()
	delete(c.shares, namespace)
	last := len(c.shares) == 0
	c.mu.Unlock()
	if last {
		delete(committers.of, c.db)
	}
	committers.Unlock()
	if last {
		close(c.ending)
		c.close()
	}
}
