package storagetest

import (
	"bytes"
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

type secretOf = func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error)

func keepingOtherwise(promise, how string, otherwise func(m *memory) secretOf) brokenStore {
	return brokenStore{promise, how, func(a *altered) { a.secret = otherwise(a.memory) }}
}

var brokenSecret = []brokenStore{
	keepingOtherwise("Secret/replaces", "keeps the first value", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return m.Secret(ctx, name, func(old []byte) ([]byte, error) {
				value, err := change(old)
				if old != nil {
					return old, err
				}
				return value, err
			})
		}
	}),
	keepingOtherwise("Secret/replaces", "folds case", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return m.Secret(ctx, string(bytes.ToLower([]byte(name))), change)
		}
	}),
	keepingOtherwise("Secret/exactly_once", "gets, then puts", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			old, err := m.Secret(ctx, name, func(old []byte) ([]byte, error) { return old, nil })
			if err != nil {
				return nil, err
			}
			time.Sleep(time.Millisecond)
			value, err := change(old)
			if err != nil {
				return nil, err
			}
			return m.Secret(ctx, name, func([]byte) ([]byte, error) { return value, nil })
		}
	}),
	{"Secret/durable", "forgets at Close", func(a *altered) {
		a.close = func() error { clear(a.memory.secrets); return a.memory.Close() }
	}},
	keepingOtherwise("Secret/none", "gives an empty value", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return m.Secret(ctx, name, func(old []byte) ([]byte, error) { return change(append([]byte{}, old...)) })
		}
	}),
	keepingOtherwise("Secret/error_as_it_is", "stores nevertheless", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			var failed error
			value, err := m.Secret(ctx, name, func(old []byte) (value []byte, _ error) { value, failed = change(old); return value, nil })
			if failed != nil {
				return nil, failed
			}
			return value, err
		}
	}),
	keepingOtherwise("Secret/error_as_it_is", "wraps it", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			value, err := m.Secret(ctx, name, change)
			return value, wrapped(err)
		}
	}),
	keepingOtherwise("Secret/bounds", "cuts long names", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return m.Secret(ctx, name[:min(len(name), 255)], change)
		}
	}),
	keepingOtherwise("Secret/copies", "keeps what it was given", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			if err := m.begin(ctx); err != nil {
				return nil, err
			}
			defer m.end()
			value, err := change(m.secrets[name])
			if err == nil {
				m.secrets[name] = value
			}
			return value, err
		}
	}),
	keepingOtherwise("Secret/ended", "does not look at it", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return m.Secret(context.WithoutCancel(ctx), name, change)
		}
	}),
	keepingOtherwise("Secret/closed", "goes on", func(m *memory) secretOf {
		return func(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
			return (&memory{data: m.data}).Secret(ctx, name, change)
		}
	}),
}
