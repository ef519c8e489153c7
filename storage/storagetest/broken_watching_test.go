package storagetest

import (
	"context"
	"sync"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

type watch = func(storage.Changes) (changed func())

// telling are stores whose watchers are told otherwise.
func telling(promise, how string, otherwise func(changing watch) watch) brokenStore {
	return brokenStore{promise, how, func(a *altered) {
		a.watch = func(changing func(storage.Changes) func()) func() { return a.memory.Watch(otherwise(changing)) }
	}}
}

var brokenWatch = []brokenStore{
	telling("Watch/names", "names no clients", func(changing watch) watch {
		return func(c storage.Changes) func() { c.Clients = nil; return changing(c) }
	}),
	telling("Watch/names", "names other grants", func(changing watch) watch {
		return func(c storage.Changes) func() {
			return changing(storage.Changes{Grants: []storage.ID{storage.NewID()}, Clients: c.Clients})
		}
	}),
	telling("Watch/names", "does not say that it is through", func(changing watch) watch {
		return func(c storage.Changes) func() { changing(c); return func() {} }
	}),
	{"Watch/before", "tells after readers have seen it", func(a *altered) {
		tellAll := a.tellItself()
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			time.Sleep(time.Millisecond)
			tellAll(id)
			return err
		}
	}},
	{"Watch/through", "says that it is through before it is", func(a *altered) {
		tellAll := a.tellItself()
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			tellAll(id)
			time.Sleep(time.Millisecond)
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Watch/stop", "goes on", func(a *altered) {
		a.watch = func(changing func(storage.Changes) func()) func() { a.memory.Watch(changing); return func() {} }
	}},
	{"Watch/stop", "stops everybody", func(a *altered) {
		var stops []func()
		a.watch = func(changing func(storage.Changes) func()) func() {
			stops = append(stops, a.memory.Watch(changing))
			return func() {
				for _, stop := range stops {
					stop()
				}
			}
		}
	}},
	{"Watch/concurrent", "knows the last one alone", func(a *altered) {
		var mu sync.Mutex
		stop := func() {}
		a.watch = func(changing func(storage.Changes) func()) func() {
			mu.Lock()
			defer mu.Unlock()
			stop()
			stop = a.memory.Watch(changing)
			return stop
		}
	}},
}

// tellItself keeps the watchers from the memory store; what it returns tells them of a grant.
func (a *altered) tellItself() (tellAll func(storage.ID)) {
	var mu sync.Mutex
	var all []watch
	a.watch = func(changing func(storage.Changes) func()) func() {
		mu.Lock()
		defer mu.Unlock()
		all = append(all, changing)
		return func() {}
	}
	return func(id storage.ID) {
		mu.Lock()
		defer mu.Unlock()
		for _, changing := range all {
			changing(storage.Changes{Grants: []storage.ID{id}})()
		}
	}
}
