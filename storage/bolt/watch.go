package bolt

import (
	"slices"
	"sync"

	"github.com/ostiary-go/ostiary/storage"
)

// watchers are those who keep copies of what is stored.
type watchers struct {
	mu  sync.Mutex
	all []*func(storage.Changes) (changed func())
}

// Watch implements [storage.Watcher].
func (s *Store) Watch(changing func(storage.Changes) (changed func())) (stop func()) {
	if s.committer == nil { // nothing ever changes
		return func() {}
	}
	w := &s.share.watchers
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, &changing)
	return func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.all = slices.DeleteFunc(slices.Clone(w.all), func(f *func(storage.Changes) func()) bool { return f == &changing })
	}
}

// changing tells everybody what is about to change. What it returns tells them that it is through.
func (w *watchers) changing(c storage.Changes) (changed func()) {
	w.mu.Lock()
	all := w.all
	w.mu.Unlock()
	told := make([]func(), 0, len(all))
	for _, changing := range all {
		told = append(told, (*changing)(c))
	}
	return func() {
		for _, changed := range told {
			changed()
		}
	}
}

// changing tells the watchers of each store what is about to change there.
func changing(all map[*share]storage.Changes) (changed func()) {
	told := make([]func(), 0, len(all))
	for of, c := range all {
		told = append(told, of.watchers.changing(c))
	}
	return func() {
		for _, changed := range told {
			changed()
		}
	}
}

// everything is a change that may be one of any record of any store.
func (c *committer) everything() map[*share]storage.Changes {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make(map[*share]storage.Changes, len(c.shares))
	for _, of := range c.shares {
		all[of] = storage.Changes{All: true}
	}
	return all
}
