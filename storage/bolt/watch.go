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
	w := &s.committer.watchers
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
