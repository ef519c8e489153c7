package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/ostiary-go/ostiary/storage"
)

// memory keeps all promises in the plainest way: whoever has the turn works on the data alone.
type memory struct {
	*data
	closed bool
}

// data is what a Close leaves. Grants and clients are never altered once they are in it.
type data struct {
	turn      chan struct{}
	abandoned chan struct{} // closed when a test gives up: whoever waits for a turn then ends
	grants    map[storage.ID]*storage.Grant
	registry  map[string]*storage.Client
	secrets   map[string][]byte

	watching sync.Mutex
	watchers map[int]func(storage.Changes) func()
	last     int
}

func newData() *data {
	return &data{
		turn:      make(chan struct{}, 1),
		abandoned: make(chan struct{}),
		grants:    map[storage.ID]*storage.Grant{},
		registry:  map[string]*storage.Client{},
		secrets:   map[string][]byte{},
		watchers:  map[int]func(storage.Changes) func(){},
	}
}

func (m *memory) begin(ctx context.Context) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	select {
	case m.turn <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	case <-m.abandoned:
		runtime.Goexit()
	}
	err := ctx.Err()
	if m.closed {
		err = storage.ErrClosed
	}
	if err != nil {
		m.end()
	}
	return err
}

func (m *memory) end() { <-m.turn }

// kept is a copy of g as its encoding keeps it.
func kept(g *storage.Grant) *storage.Grant {
	b, err := g.MarshalBinary()
	if err != nil {
		panic(err)
	}
	var c storage.Grant
	if err := c.UnmarshalBinary(b); err != nil {
		panic(err)
	}
	return &c
}

func (m *memory) Insert(ctx context.Context, g *storage.Grant) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.end()
	if m.grants[g.ID] != nil {
		return storage.ErrExists
	}
	defer m.changing(storage.Changes{Grants: []storage.ID{g.ID}})()
	m.grants[g.ID] = kept(g)
	return nil
}

func (m *memory) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	if g := m.grants[id]; g != nil {
		return g, nil
	}
	return nil, storage.ErrNotFound
}

func (m *memory) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.end()
	if m.grants[id] == nil {
		return storage.ErrNotFound
	}
	own := m.grants[id].Clone()
	if err := change(own); err != nil {
		return err
	}
	defer m.changing(storage.Changes{Grants: []storage.ID{id}})()
	m.grants[id] = kept(own)
	return nil
}

func (m *memory) Grants(ctx context.Context, f storage.Filter) iter.Seq2[*storage.Grant, error] {
	return func(yield func(*storage.Grant, error) bool) {
		for {
			page, err := m.page(ctx, f.Matches, 500)
			if err != nil {
				yield(nil, err)
				return
			}
			for _, g := range page {
				if !yield(g, nil) {
					return
				}
				f.After = g.ID
			}
			if len(page) < 500 {
				return
			}
		}
	}
}

// page returns up to n grants that are wanted, in order.
func (m *memory) page(ctx context.Context, wanted func(*storage.Grant) bool, n int) ([]*storage.Grant, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	var page []*storage.Grant
	for _, g := range m.grants {
		if wanted(g) {
			page = append(page, g)
		}
	}
	slices.SortFunc(page, byID)
	return page[:min(n, len(page))], nil
}

func expired(before time.Time) func(*storage.Grant) bool {
	return func(g *storage.Grant) bool { return !g.Expires.IsZero() && g.Expires.Before(before) }
}

func (m *memory) Prune(ctx context.Context, before time.Time) (int, error) {
	for removed := 0; ; {
		n, err := m.pruneSome(ctx, before)
		removed += n
		if n == 0 || err != nil {
			return removed, err
		}
	}
}

func (m *memory) pruneSome(ctx context.Context, before time.Time) (removed int, err error) {
	if err := m.begin(ctx); err != nil {
		return 0, err
	}
	defer m.end()
	for id, g := range m.grants {
		if removed < 500 && expired(before)(g) {
			defer m.changing(storage.Changes{Grants: []storage.ID{id}})()
			delete(m.grants, id)
			removed++
		}
	}
	return removed, nil
}

func (m *memory) Close() error {
	if err := m.begin(context.Background()); err != nil {
		return nil
	}
	defer m.end()
	m.closed = true
	return nil
}

func (m *memory) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	if c := m.registry[id]; c != nil {
		return c.Clone(), nil
	}
	return nil, storage.ErrNotFound
}

func (m *memory) PutClient(ctx context.Context, c *storage.Client) error {
	if err := c.Validate(); err != nil {
		return err
	}
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.end()
	put := c.Clone()
	put.Generation = rand.Uint64()
	if old := m.registry[c.ID]; old != nil {
		put.Generation = old.Generation
	}
	defer m.changing(storage.Changes{Clients: []string{c.ID}})()
	m.registry[c.ID] = put
	return nil
}

func (m *memory) EndClient(ctx context.Context, id string) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.end()
	if m.registry[id] == nil {
		return storage.ErrNotFound
	}
	ended := m.registry[id].Clone()
	ended.Generation = rand.Uint64()
	defer m.changing(storage.Changes{Clients: []string{id}})()
	m.registry[id] = ended
	return nil
}

func (m *memory) DeleteClient(ctx context.Context, id string) error {
	if err := m.begin(ctx); err != nil {
		return err
	}
	defer m.end()
	if m.registry[id] == nil {
		return storage.ErrNotFound
	}
	defer m.changing(storage.Changes{Clients: []string{id}})()
	delete(m.registry, id)
	return nil
}

func (m *memory) Clients(ctx context.Context) iter.Seq2[*storage.Client, error] {
	return func(yield func(*storage.Client, error) bool) {
		clients, err := m.allClients(ctx)
		if err != nil {
			yield(nil, err)
			return
		}
		for _, c := range clients {
			if !yield(c, nil) {
				return
			}
		}
	}
}

func (m *memory) allClients(ctx context.Context) ([]*storage.Client, error) {
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	return slices.SortedFunc(maps.Values(m.registry), func(a, b *storage.Client) int { return cmp.Compare(a.ID, b.ID) }), nil
}

// changing tells the watchers.
func (m *memory) changing(c storage.Changes) (changed func()) {
	m.watching.Lock()
	all := slices.Collect(maps.Values(m.watchers))
	m.watching.Unlock()
	var through []func()
	for _, changing := range all {
		through = append(through, changing(c))
	}
	return func() {
		for _, changed := range through {
			changed()
		}
	}
}

func (m *memory) Watch(changing func(storage.Changes) (changed func())) (stop func()) {
	m.watching.Lock()
	defer m.watching.Unlock()
	m.last++
	n := m.last
	m.watchers[n] = changing
	return func() {
		m.watching.Lock()
		defer m.watching.Unlock()
		delete(m.watchers, n)
	}
}

func (m *memory) Secret(ctx context.Context, name string, change secretChange) ([]byte, error) {
	if name == "" || len(name) > longestName || !utf8.ValidString(name) {
		return nil, errors.New("not a name")
	}
	if err := m.begin(ctx); err != nil {
		return nil, err
	}
	defer m.end()
	value, err := change(bytes.Clone(m.secrets[name]))
	switch {
	case err != nil:
		return nil, err
	case len(value) > largestSecret:
		return nil, errors.New("too large")
	case len(value) == 0:
		delete(m.secrets, name)
		return nil, nil
	}
	m.secrets[name] = bytes.Clone(value)
	return bytes.Clone(value), nil
}

// altered is a memory store some of whose methods are others.
type altered struct {
	*memory
	insert       func(context.Context, *storage.Grant) error
	grant        func(context.Context, storage.ID) (*storage.Grant, error)
	update       func(context.Context, storage.ID, func(*storage.Grant) error) error
	list         func(context.Context, storage.Filter) iter.Seq2[*storage.Grant, error]
	prune        func(context.Context, time.Time) (int, error)
	close        func() error
	getByID      func(context.Context, string) (oauth2.ClientInfo, error)
	putClient    func(context.Context, *storage.Client) error
	endClient    func(context.Context, string) error
	deleteClient func(context.Context, string) error
	listClients  func(context.Context) iter.Seq2[*storage.Client, error]
	watch        func(func(storage.Changes) func()) func()
	secret       func(ctx context.Context, name string, do secretChange) ([]byte, error)
}

// alter opens the data with some methods replaced.
func alter(d *data, how func(*altered)) *altered {
	m := &memory{data: d}
	a := &altered{
		memory: m, insert: m.Insert, grant: m.Grant, update: m.Update, list: m.Grants, prune: m.Prune, close: m.Close,
		getByID: m.GetByID, putClient: m.PutClient, endClient: m.EndClient, deleteClient: m.DeleteClient, listClients: m.Clients,
		watch: m.Watch, secret: m.Secret,
	}
	how(a)
	return a
}

func (a *altered) Watch(changing func(storage.Changes) func()) func() { return a.watch(changing) }

func (a *altered) Secret(ctx context.Context, name string, change secretChange) ([]byte, error) {
	return a.secret(ctx, name, change)
}

func (a *altered) Insert(ctx context.Context, g *storage.Grant) error { return a.insert(ctx, g) }

func (a *altered) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	return a.grant(ctx, id)
}

func (a *altered) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	return a.update(ctx, id, change)
}

func (a *altered) Grants(ctx context.Context, f storage.Filter) iter.Seq2[*storage.Grant, error] {
	return a.list(ctx, f)
}

func (a *altered) Prune(ctx context.Context, before time.Time) (int, error) {
	return a.prune(ctx, before)
}

func (a *altered) Close() error { return a.close() }

func (a *altered) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	return a.getByID(ctx, id)
}

func (a *altered) PutClient(ctx context.Context, c *storage.Client) error { return a.putClient(ctx, c) }

func (a *altered) EndClient(ctx context.Context, id string) error { return a.endClient(ctx, id) }

func (a *altered) DeleteClient(ctx context.Context, id string) error { return a.deleteClient(ctx, id) }

func (a *altered) Clients(ctx context.Context) iter.Seq2[*storage.Client, error] {
	return a.listClients(ctx)
}

// exclusively runs do while nobody else works on the data.
func (a *altered) exclusively(do func()) {
	if err := a.begin(context.Background()); err != nil {
		return
	}
	defer a.end()
	do()
}

// wait lets everybody else go on until each of them waits too, five times over: see pace.
func wait() { time.Sleep(5 * time.Microsecond) }

// rest waits a second, unless the test has given up.
func (a *altered) rest() {
	select {
	case <-time.After(time.Second):
	case <-a.abandoned:
		runtime.Goexit()
	}
}

func hasPrefixFold(s, prefix string) bool {
	return len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix)
}
