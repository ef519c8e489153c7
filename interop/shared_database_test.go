package interop_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestSharedDatabaseOnFailingDisk has two stores on one database, while every other commit fails in its
// last step. Whatever is known of one commit is known to both: bbolt takes the pages that it replaced for
// free, whoever reads them, and a write of the other store would make it durable or not.
func TestSharedDatabaseOnFailingDisk(t *testing.T) {
	d := onFailingDisk(t)
	if d == nil {
		return
	}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "app.db"), 0o600, &bbolt.Options{NoFreelistSync: true, InitialMmapSize: 1 << 30})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var stores []*bolt.Store
	for _, namespace := range []string{"a", "b"} {
		store, err := bolt.New(db, bolt.Namespace(namespace), bolt.PruneEvery(0))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		stores = append(stores, store)
	}
	insert := func(s *bolt.Store) (storage.ID, error) {
		g := &storage.Grant{ID: storage.NewID(), Client: "app", User: "alice", Created: time.Now()}
		return g.ID, s.Insert(t.Context(), g)
	}
	const before = 30 * 64
	var all sync.WaitGroup
	for range 64 {
		all.Go(func() {
			for range before / 64 {
				for _, store := range stores {
					if _, err := insert(store); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	all.Wait()

	d.set(func() { d.chance, d.steps = 0.5, []string{syncMeta} })
	var stop atomic.Bool
	var lists atomic.Int64
	var mu sync.Mutex
	acknowledged := make([]map[storage.ID]bool, len(stores)) // false: refused
	for i, store := range stores {
		acknowledged[i] = make(map[storage.ID]bool)
		for range 6 {
			all.Go(func() {
				for !stop.Load() {
					id, err := insert(store)
					if err != nil && !errors.Is(err, storage.ErrUnavailable) {
						t.Errorf("an insert: %v", err)
						return
					}
					mu.Lock()
					acknowledged[i][id] = err == nil
					mu.Unlock()
				}
			})
		}
		all.Go(func() {
			for !stop.Load() {
				n, last := 0, storage.ID{}
				for g, err := range store.Grants(t.Context(), storage.Filter{}) {
					if err != nil || bytes.Compare(g.ID[:], last[:]) <= 0 {
						t.Errorf("a list has %v, %v after %s", g, err, last)
						return
					}
					last = g.ID
					n++
				}
				if n < before {
					t.Errorf("a list has %d grants", n)
					return
				}
				lists.Add(1)
			}
		})
	}
	for range 100 {
		time.Sleep(20 * time.Millisecond)
		enough := false
		d.set(func() { enough = d.failed[syncMeta] > 25 })
		if enough || t.Failed() {
			break
		}
	}
	stop.Store(true)
	all.Wait()
	d.set(func() { d.chance = 0 })
	if d.failed[syncMeta] == 0 || lists.Load() == 0 {
		t.Errorf("%d commits failed, %d lists were read", d.failed[syncMeta], lists.Load())
	}
	for i, store := range stores {
		for id, done := range acknowledged[i] {
			_, err := store.Grant(t.Context(), id)
			if there := err == nil; there != done {
				t.Errorf("store %d: a grant that was acknowledged %t is there %t (%v)", i, done, there, err)
			}
		}
	}
	t.Logf("%d commits failed, %d lists, %d and %d writes", d.failed[syncMeta], lists.Load(), len(acknowledged[0]), len(acknowledged[1]))
}

// TestCachesWhileInDoubt holds that everything is locked out of caches, in all stores of a database, before
// anybody hears of a commit that failed, and until it is settled.
func TestCachesWhileInDoubt(t *testing.T) {
	d := onFailingDisk(t)
	if d == nil {
		return
	}
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "app.db"), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var mu sync.Mutex
	shut := make(map[string]int)
	var stores []*bolt.Store
	for _, namespace := range []string{"a", "b"} {
		store, err := bolt.New(db, bolt.Namespace(namespace), bolt.PruneEvery(0))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		defer store.Watch(func(c storage.Changes) func() {
			if !c.All {
				return func() {}
			}
			mu.Lock()
			defer mu.Unlock()
			shut[namespace]++
			return func() { mu.Lock(); defer mu.Unlock(); shut[namespace]-- }
		})()
		stores = append(stores, store)
	}
	is := func(want int) bool {
		mu.Lock()
		defer mu.Unlock()
		return shut["a"] == want && shut["b"] == want
	}
	g := &storage.Grant{ID: storage.NewID(), Client: "app", Created: time.Now()}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	d.set(func() { d.outage = syncMeta })
	if err := stores[0].Insert(ctx, g); !errors.Is(err, storage.ErrUnavailable) || !is(1) {
		t.Errorf("%v, locked out %v", err, shut)
	}
	if err := stores[1].Insert(t.Context(), g); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("the other store writes while the outcome is not known: %v", err)
	}
	if _, err := bolt.New(db, bolt.Namespace("c"), bolt.PruneEvery(0)); !errors.Is(err, storage.ErrUnavailable) {
		t.Errorf("a third store is laid out meanwhile: %v", err)
	}
	if !is(1) {
		t.Errorf("locked out %v", shut)
	}
	waits := make(chan error)
	go func() { waits <- stores[1].Close() }()
	select {
	case err := <-waits:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("a store can not be closed during an outage")
	}
	if stores[1], err = bolt.New(db, bolt.Namespace("b"), bolt.PruneEvery(0)); err != nil {
		t.Errorf("laid out before, it can not be opened: %v", err)
	}
	d.set(func() { d.outage = "" })
	for range 500 {
		if is(0) {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	if !is(0) {
		t.Errorf("settled, yet locked out %v", shut)
	}
	if err := stores[1].Insert(t.Context(), g); err != nil {
		t.Error(err)
	}
}
