package conformance

import (
	"path/filepath"
	"testing"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func TestConformance(t *testing.T) {
	Run(t, func(t *testing.T) testbed.Store {
		store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
		if err != nil {
			t.Fatal(err)
		}
		return store
	})
}
