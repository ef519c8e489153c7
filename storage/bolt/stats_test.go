package bolt_test

import (
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func TestStats(t *testing.T) {
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"), bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fill(t, store, 200) // of which a fifth had expired and two fifths have a user
	refused := errors.New("refused")
	for g, err := range store.Grants(t.Context(), storage.Filter{User: "user-1"}) {
		if err != nil {
			t.Fatal(err)
		}
		if err := store.Update(t.Context(), g.ID, func(*storage.Grant) error { return refused }); err != refused {
			t.Fatal(err)
		}
		break
	}
	var got bolt.Stats
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); { // a slow machine counts less often
		if got, err = store.Stats(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got.Grants == 160 {
			break
		}
	}
	if got.Grants != 160 || got.UserGrants != 80 || got.Clients != 3 || got.Counted.IsZero() {
		t.Errorf("records: %+v", got)
	}
	if got.FileBytes < 100<<10 || got.FreeBytes <= 0 || got.FreeBytes >= got.FileBytes {
		t.Errorf("bytes: %+v", got)
	}
	if got.Pruned != 40 || got.FailedCommits != 0 || got.CommitTime <= 0 {
		t.Errorf("events: %+v", got)
	}
	// Clients, inserts, updates, prunings and the refused one.
	if want := int64(3 + 200 + 20 + 1 + 1); got.Operations != want {
		t.Errorf("%d operations, want %d", got.Operations, want)
	}
	if got.Commits == 0 || got.Commits >= got.Operations || got.Batches < got.Commits || got.MeanBatch() <= 1 {
		t.Errorf("batches: %+v, mean %v", got, got.MeanBatch())
	}
	if m := (bolt.Stats{}).MeanBatch(); m != 0 {
		t.Errorf("mean of nothing: %v", m)
	}
	store.Close()
	if _, err := store.Stats(t.Context()); err != storage.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}
