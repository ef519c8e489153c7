// Package storagetest tries the promises of the storage contract on an implementation of it.
//
// A store's own tests hand Run a function that makes an empty set of data and returns how it is opened:
//
//	func TestStore(t *testing.T) {
//		storagetest.Run(t, func(t *testing.T) func() storage.Store {
//			path := filepath.Join(t.TempDir(), "test.db")
//			return func() storage.Store {
//				store, err := bolt.Open(path)
//				if err != nil {
//					t.Fatal(err)
//				}
//				return store
//			}
//		})
//	}
//
// Each promise is a subtest; a failure prints its words and what happened. Those of interfaces that a store
// need not have, [storage.Clients], [storage.Watcher] and [storage.Keys], are skipped where it has not. Run it
// with -race as well. What can't be tried from outside is left to tests of the store's own: that what was acknowledged
// survives a killed process and is synced to the disk, that a write whose outcome is unknown was stored in
// full or not at all, that it prunes by itself and in bites.
// Only tests may import this package.
package storagetest

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// promise is a row of the suite.
type promise struct {
	name  string
	quote string // from the doc comments of package storage
	try   func(*probe) error
}

var promises = slices.Concat(
	everyMethod, inserting, reading, updating, listing, listingMeanwhile, pruning, closing, // of storage.Store
	registering, clientEnding, clientListing, // of storage.Clients
	watching,              // of storage.Watcher
	keeping, keepingWhole) // of storage.Keys

// patience is how long a promise may take before the store counts as stuck.
const patience = time.Minute

// Run tries the promises of [storage.Store], and those of [storage.Clients], [storage.Watcher] and
// [storage.Keys] as far as the store has them.
//
// newStore is called once for each promise and makes a data set of its own, empty. Each call of open
// opens that data; Run closes the store before it opens it again, and at the end.
func Run(t *testing.T, newStore func(t *testing.T) (open func() storage.Store)) {
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			if err := p.hold(newStore(t)); slices.ContainsFunc(without, func(none error) bool { return errors.Is(err, none) }) {
				t.Skip(err)
			} else if err != nil {
				t.Errorf("The contract says: %q\nbut: %v", p.quote, err)
			}
		})
	}
}

// without are what a store need not have.
var without = []error{errNoClients, errNoWatcher, errNoKeys}

// hold returns what happened instead of the promise, or nil.
func (p promise) hold(open func() storage.Store) error {
	result := async(func() error {
		probe := newProbe(open)
		defer probe.end()
		return p.try(probe)
	})
	select {
	case err := <-result:
		return err
	case <-time.After(patience):
		stacks := make([]byte, 1<<20)
		return fmt.Errorf("it is stuck: no end after %v\n%s", patience, stacks[:runtime.Stack(stacks, true)])
	}
}
