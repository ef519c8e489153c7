package testbed

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/storage"
)

// Store is what a server needs: grants, clients and its own secrets.
type Store interface {
	storage.Store
	storage.Clients
	storage.Keys
}

// Faulty is a store that can be made to fail or hang, in its grants or in its clients.
type Faulty struct {
	Store
	mu                        sync.Mutex
	grants, writes, clientele Fault
	reads                     int
	watchers                  []func(storage.Changes) func()
}

// Fault is how a store is broken: what it does before it does its work. nil is sound.
type Fault func(ctx context.Context) error

// ErrBroken is what a store that is broken says.
var ErrBroken = errors.New("disk on fire")

// Fail fails at once.
func Fail(context.Context) error { return ErrBroken }

// Hang waits until the context ends, as a store that is out of reach does.
func Hang(ctx context.Context) error {
	<-ctx.Done()
	return ctx.Err()
}

// Break breaks grants (reads and writes), writes alone, or clients; nil heals. Secrets break with either of
// the first two. It empties caches, so that the store is asked.
func (f *Faulty) Break(grants, writes, clientele Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.grants, f.writes, f.clientele = grants, writes, clientele
	for _, changing := range f.watchers {
		changing(storage.Changes{All: true})()
	}
}

// Watch implements [storage.Watcher] where the store that is not broken does.
func (f *Faulty) Watch(changing func(storage.Changes) (changed func())) (stop func()) {
	w, ok := f.Store.(storage.Watcher)
	if !ok {
		panic("testbed: the store is no Watcher")
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.watchers = append(f.watchers, changing)
	return w.Watch(changing)
}

// Reads is how often a grant has been asked for, to be read or changed.
func (f *Faulty) Reads() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.reads
}

func (f *Faulty) fault(ctx context.Context, which func(*Faulty) Fault) error {
	f.mu.Lock()
	fault := which(f)
	f.mu.Unlock()
	if fault == nil {
		return nil
	}
	return fault(ctx)
}

func (f *Faulty) read(ctx context.Context) error {
	return f.fault(ctx, func(f *Faulty) Fault { f.reads++; return f.grants })
}

func (f *Faulty) write(ctx context.Context) error {
	if err := f.read(ctx); err != nil {
		return err
	}
	return f.fault(ctx, func(f *Faulty) Fault { return f.writes })
}

// Insert implements [storage.Store].
func (f *Faulty) Insert(ctx context.Context, g *storage.Grant) error {
	if err := f.write(ctx); err != nil {
		return err
	}
	return f.Store.Insert(ctx, g)
}

// Update implements [storage.Store].
func (f *Faulty) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	if err := f.write(ctx); err != nil {
		return err
	}
	return f.Store.Update(ctx, id, change)
}

// Grant implements [storage.Store].
func (f *Faulty) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	if err := f.read(ctx); err != nil {
		return nil, err
	}
	return f.Store.Grant(ctx, id)
}

// Grants implements [storage.Store].
func (f *Faulty) Grants(ctx context.Context, filter storage.Filter) iter.Seq2[*storage.Grant, error] {
	if err := f.read(ctx); err != nil {
		return func(yield func(*storage.Grant, error) bool) { yield(nil, err) }
	}
	return f.Store.Grants(ctx, filter)
}

// Secret implements [storage.Keys].
func (f *Faulty) Secret(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
	err := f.fault(ctx, func(f *Faulty) Fault {
		if f.grants != nil {
			return f.grants
		}
		return f.writes
	})
	if err != nil {
		return nil, err
	}
	return f.Store.Secret(ctx, name, change)
}

// GetByID implements [oauth2.ClientStore].
func (f *Faulty) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	if err := f.fault(ctx, func(f *Faulty) Fault { return f.clientele }); err != nil {
		return nil, err
	}
	return f.Store.GetByID(ctx, id)
}

// Dump is everything that is stored, to compare before and after.
func Dump(t *testing.T, store Store) string {
	t.Helper()
	var b strings.Builder
	for g, err := range store.Grants(context.Background(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		record, err := g.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%x\n", record)
	}
	for c, err := range store.Clients(context.Background()) {
		if err != nil {
			t.Fatal(err)
		}
		fmt.Fprintf(&b, "%#v\n", *c)
	}
	return b.String()
}
