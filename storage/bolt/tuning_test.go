package bolt

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// The settings that decide whether a write is on the disk, and how much it costs.
func TestTuning(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, err := Open(path, PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	switch {
	case s.db.NoSync || s.db.NoGrowSync:
		t.Error("commits are not synced")
	case !s.db.NoFreelistSync || s.db.FreelistType != bbolt.FreelistMapType:
		t.Error("the list of free pages is written at each commit, or kept as an array")
	case s.db.AllocSize != growBy:
		t.Errorf("the file grows by %d", s.db.AllocSize)
	}
	if initialMap() > 0 {
		if s.db.Info().Data == 0 || !mapped(mapSize) {
			t.Error("the map has to be made anew as the file grows")
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	h, err := hold(path)
	if err != nil {
		t.Fatal(err)
	}
	defer h.db.Close()
	if h.meta.freelist == noFreelist {
		t.Error("a clean close leaves no list of free pages")
	}
	if info, _ := os.Stat(path); info.Size() > 2*growBy {
		t.Errorf("an empty file has %d bytes", info.Size())
	}
}

// mapped tells whether this process has a map so large. Where nobody can tell, it has.
func mapped(size int64) bool {
	maps, err := os.ReadFile("/proc/self/maps")
	if err != nil {
		return true
	}
	return hasRange(string(maps), size)
}

// Ordered records fill their pages.
func TestFullPages(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	s, err := Open(path, PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	const grants = 20_000
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			for range grants / 100 {
				at := time.Now()
				g := &storage.Grant{ID: storage.NewID(), Client: "app", Scope: "read", Created: at, Expires: at.Add(time.Hour), Access: []storage.Access{{Digest: storage.Digest{1}, Created: at, Expires: at.Add(time.Hour)}}}
				if err := s.Insert(context.Background(), g); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	used := 0
	s.db.View(func(tx *bbolt.Tx) error {
		for _, b := range []bucket{grantsBucket, expiresBucket} {
			used += s.layout.in(tx, b).Stats().LeafAlloc
		}
		return nil
	})
	if each := used / grants; each > 300 {
		t.Errorf("%d bytes a grant", each)
	}
	s.Close()
}

// Others write between the bites of the pruner.
func TestPruneInBites(t *testing.T) {
	s, err := Open(filepath.Join(t.TempDir(), "auth.db"), PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	const bites = 4
	var wg sync.WaitGroup
	for range bites * pruneBite {
		wg.Go(func() {
			at := time.Now().Add(-time.Hour)
			if err := s.Insert(context.Background(), &storage.Grant{ID: storage.NewID(), Client: "app", Created: at, Expires: at}); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	before := s.share.counters.batches.Load()
	if n, err := s.Prune(context.Background(), time.Now()); n != bites*pruneBite || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if n := s.share.counters.batches.Load() - before; n < bites {
		t.Errorf("in %d transactions", n)
	}
}

// hasRange tells whether one of the address ranges is of that size or larger.
func hasRange(maps string, size int64) bool {
	for line := range strings.Lines(maps) {
		var from, to int64
		if _, err := fmt.Sscanf(line, "%x-%x", &from, &to); err == nil && to-from >= size && strings.Contains(line, "auth.db") {
			return true
		}
	}
	return false
}
