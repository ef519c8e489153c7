package interop_test

import (
	"bytes"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ostiary-go/ostiary/storage"
)

// TestReadersOnFailingDisk lists grants while every other commit fails in its last step. bbolt then takes
// the pages that the commit replaced for free, whoever still reads them.
func TestReadersOnFailingDisk(t *testing.T) {
	d := onFailingDisk(t)
	if d == nil {
		return
	}
	s := newStorm(t)
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range 20 {
				s.insert(t)
			}
		})
	}
	all.Wait()
	var stop atomic.Bool
	var lists atomic.Int64
	for range 4 {
		all.Go(func() {
			for !stop.Load() {
				n, last := 0, storage.ID{}
				for g, err := range s.store.Grants(t.Context(), storage.Filter{User: "alice"}) {
					if err != nil || bytes.Compare(g.ID[:], last[:]) <= 0 {
						t.Errorf("a list has %v, %v after %s", g, err, last)
						return
					}
					last = g.ID
					n++
				}
				if n < 64*20 {
					t.Errorf("a list has %d grants", n)
				}
				lists.Add(1)
			}
		})
	}
	d.set(func() { d.chance, d.steps = 0.5, []string{syncMeta} })
	s.run(t, func() bool { return d.failed[syncMeta] > 25 }, d)
	stop.Store(true)
	all.Wait()
	s.verify(t, d)
	t.Logf("%d lists read meanwhile", lists.Load())
}
