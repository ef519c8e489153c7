package storagetest_test

import (
	"path/filepath"
	"testing"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
	"github.com/ostiary-go/ostiary/storage/storagetest"
)

// The test of a store is one call: newStore makes a place for data, empty and of its own, and returns
// the function that opens it.
func ExampleRun() {
	_ = func(t *testing.T) { // func TestStore(t *testing.T)
		storagetest.Run(t, func(t *testing.T) (open func() storage.Store) {
			path := filepath.Join(t.TempDir(), "grants.db")
			return func() storage.Store {
				store, err := bolt.Open(path, bolt.PruneEvery(0))
				if err != nil {
					t.Fatal(err)
				}
				return store
			}
		})
	}
	// Output:
}
