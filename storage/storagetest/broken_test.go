package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"math/rand/v2"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/ostiary-go/ostiary/storage"
)

type (
	change  = func(*storage.Grant) error
	grants  = iter.Seq2[*storage.Grant, error]
	clients = iter.Seq2[*storage.Client, error]

	secretChange = func(old []byte) ([]byte, error)
)

// broken are stores that break one promise each.
var broken = slices.Concat(
	brokenEverywhere, brokenInsert, brokenGrant, brokenUpdate, brokenGrants, brokenPrune, brokenClose, brokenClients, brokenWatch, brokenKeys,
	withContext("does not look at it", context.WithoutCancel),
	withContext("returns its cause", func(ctx context.Context) context.Context { return causal{ctx} }),
	openAfterClose)

type brokenStore struct {
	promise, how string
	alter        func(*altered)
}

// withContext are stores one method of which works with another context than it was given.
func withContext(how string, other func(context.Context) context.Context) []brokenStore {
	stores := []brokenStore{
		{"Every/ended_context", "Insert", func(a *altered) {
			a.insert = func(ctx context.Context, g *storage.Grant) error { return a.memory.Insert(other(ctx), g) }
		}},
		{"Every/ended_context", "Grant", func(a *altered) {
			a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
				return a.memory.Grant(other(ctx), id)
			}
		}},
		{"Every/ended_context", "Update", func(a *altered) {
			a.update = func(ctx context.Context, id storage.ID, do change) error {
				return a.memory.Update(other(ctx), id, do)
			}
		}},
		{"Every/ended_context", "Grants", func(a *altered) {
			a.list = func(ctx context.Context, f storage.Filter) grants { return a.memory.Grants(other(ctx), f) }
		}},
		{"Every/ended_context", "Prune", func(a *altered) {
			a.prune = func(ctx context.Context, before time.Time) (int, error) {
				return a.memory.Prune(other(ctx), before)
			}
		}},
		{"Every/ended_context", "GetByID", func(a *altered) {
			a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
				return a.memory.GetByID(other(ctx), id)
			}
		}},
		{"Every/ended_context", "PutClient", func(a *altered) {
			a.putClient = func(ctx context.Context, c *storage.Client) error { return a.memory.PutClient(other(ctx), c) }
		}},
		{"Every/ended_context", "EndClient", func(a *altered) {
			a.endClient = func(ctx context.Context, id string) error { return a.memory.EndClient(other(ctx), id) }
		}},
		{"Every/ended_context", "DeleteClient", func(a *altered) {
			a.deleteClient = func(ctx context.Context, id string) error { return a.memory.DeleteClient(other(ctx), id) }
		}},
		{"Every/ended_context", "Clients", func(a *altered) {
			a.listClients = func(ctx context.Context) clients { return a.memory.Clients(other(ctx)) }
		}},
		{"Every/ended_context", "Secret", func(a *altered) {
			a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
				return a.memory.Secret(other(ctx), name, do)
			}
		}},
	}
	for i := range stores {
		stores[i].how += " " + how
	}
	return stores
}

// causal is a context whose error is its cause.
type causal struct{ context.Context }

func (c causal) Err() error { return context.Cause(c.Context) }

// openAfterClose are stores one method of which works on after Close.
var openAfterClose = []brokenStore{
	{"Every/closed", "Insert works on", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error { return a.stillOpen().Insert(ctx, g) }
	}},
	{"Every/closed", "Grant works on", func(a *altered) {
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) { return a.stillOpen().Grant(ctx, id) }
	}},
	{"Every/closed", "Update works on", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error { return a.stillOpen().Update(ctx, id, do) }
	}},
	{"Every/closed", "Grants works on", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants { return a.stillOpen().Grants(ctx, f) }
	}},
	{"Every/closed", "Prune works on", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) { return a.stillOpen().Prune(ctx, before) }
	}},
	{"Every/closed", "GetByID works on", func(a *altered) {
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) { return a.stillOpen().GetByID(ctx, id) }
	}},
	{"Every/closed", "PutClient works on", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error { return a.stillOpen().PutClient(ctx, c) }
	}},
	{"Every/closed", "EndClient works on", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error { return a.stillOpen().EndClient(ctx, id) }
	}},
	{"Every/closed", "DeleteClient works on", func(a *altered) {
		a.deleteClient = func(ctx context.Context, id string) error { return a.stillOpen().DeleteClient(ctx, id) }
	}},
	{"Every/closed", "Clients works on", func(a *altered) {
		a.listClients = func(ctx context.Context) clients { return a.stillOpen().Clients(ctx) }
	}},
	{"Every/closed", "Secret works on", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.stillOpen().Secret(ctx, name, do)
		}
	}},
	{"Every/closed", "refuses, and stores", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if err == storage.ErrClosed {
				a.stillOpen().Update(ctx, id, do)
			}
			return err
		}
	}},
}

func (a *altered) stillOpen() *memory { return &memory{data: a.data} }

var brokenEverywhere = []brokenStore{
	{"Every/concurrent", "concurrent Inserts lose grants", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			var all map[storage.ID]*storage.Grant
			a.exclusively(func() { all = maps.Clone(a.grants) })
			wait()
			all[g.ID] = kept(g)
			a.exclusively(func() { a.grants = all })
			return nil
		}
	}},
	{"Every/concurrent", "concurrent PutClients lose clients", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			var all map[string]*storage.Client
			a.exclusively(func() { all = maps.Clone(a.registry) })
			wait()
			a.exclusively(func() { a.registry = all })
			return a.memory.PutClient(ctx, c)
		}
	}},
	{"Every/durable", "what was changed last is not written", func(a *altered) {
		old := map[storage.ID]*storage.Grant{}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			a.exclusively(func() { old[id] = a.grants[id] })
			return a.memory.Update(ctx, id, do)
		}
		a.close = func() error {
			a.exclusively(func() { maps.Copy(a.grants, old) })
			return a.memory.Close()
		}
	}},
	{"Every/durable", "what was pruned comes back", func(a *altered) {
		old := map[storage.ID]*storage.Grant{}
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			a.exclusively(func() { maps.Copy(old, a.grants) })
			return a.memory.Prune(ctx, before)
		}
		a.close = func() error {
			a.exclusively(func() {
				for id, g := range old {
					if a.grants[id] == nil {
						a.grants[id] = g
					}
				}
			})
			return a.memory.Close()
		}
	}},
	{"Every/durable", "generations are drawn anew when the store is opened", func(a *altered) {
		a.exclusively(func() {
			for id, c := range a.registry {
				again := c.Clone()
				again.Generation = rand.Uint64()
				a.registry[id] = again
			}
		})
	}},
	{"Every/seen", "Grant is served from a cache that updates pass by", func(a *altered) {
		var cache sync.Map
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			if g, ok := cache.Load(id); ok {
				return g.(*storage.Grant), nil
			}
			g, err := a.memory.Grant(ctx, id)
			if err == nil {
				cache.Store(id, g)
			}
			return g, err
		}
	}},
	{"Every/seen", "absence is cached", func(a *altered) {
		var absent sync.Map
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			if _, ok := absent.Load(id); ok {
				return nil, storage.ErrNotFound
			}
			g, err := a.memory.Grant(ctx, id)
			if err == storage.ErrNotFound {
				absent.Store(id, true)
			}
			return g, err
		}
	}},
	{"Every/seen", "EndClient leaves the cache as it is", func(a *altered) {
		var cache sync.Map
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
			if c, ok := cache.Load(id); ok {
				return c.(*storage.Client).Clone(), nil
			}
			c, err := a.memory.GetByID(ctx, id)
			if err == nil {
				cache.Store(id, c.(*storage.Client).Clone())
			}
			return c, err
		}
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			cache.Delete(c.ID)
			return a.memory.PutClient(ctx, c)
		}
		a.deleteClient = func(ctx context.Context, id string) error {
			cache.Delete(id)
			return a.memory.DeleteClient(ctx, id)
		}
	}},
	{"Every/never_stale", "a slow reader fills the cache with what an update has replaced", func(a *altered) {
		var cache sync.Map
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			if g, ok := cache.Load(id); ok {
				return g.(*storage.Grant), nil
			}
			g, err := a.memory.Grant(ctx, id)
			wait()
			if err == nil {
				cache.Store(id, g)
			}
			return g, err
		}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			cache.Delete(id)
			defer cache.Delete(id)
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Every/ended_stores_nothing", "Insert looks at the context when it has stored", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			return cmp.Or(a.memory.Insert(context.WithoutCancel(ctx), g), ctx.Err())
		}
	}},
	{"Every/ended_stores_nothing", "Update looks at the context again when it has stored", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return cmp.Or(a.memory.Update(ctx, id, do), ctx.Err())
		}
	}},
	{"Every/ended_stores_nothing", "EndClient looks at the context again when it has stored", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			return cmp.Or(a.memory.EndClient(ctx, id), ctx.Err())
		}
	}},
	{"Every/ended_stores_nothing", "Prune with an ended context prunes", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n, err := a.memory.Prune(context.WithoutCancel(ctx), before)
			return n, cmp.Or(err, ctx.Err())
		}
	}},
	{"Every/ended_stores_nothing", "nil, and nothing stored", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if hasEnded(err) {
				err = nil
			}
			return err
		}
	}},
	{"Every/ended_while_waiting", "the caller goes and the work is done all the same", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			result := async(func() error { return a.memory.Update(context.WithoutCancel(ctx), id, do) })
			select {
			case err := <-result:
				return err
			case <-ctx.Done():
				return ctx.Err()
			}
		}
	}},
	{"Every/ended_while_waiting", "what was queued can't be called back", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			return cmp.Or(a.memory.PutClient(context.WithoutCancel(ctx), c), ctx.Err())
		}
	}},
	{"Every/absent", "the engine's own error", func(a *altered) {
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			g, err := a.memory.Grant(ctx, id)
			if err != nil {
				err = errors.New("no rows in result set")
			}
			return g, err
		}
	}},
	{"Every/absent", "neither a client nor an error", func(a *altered) {
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
			c, err := a.memory.GetByID(ctx, id)
			if errors.Is(err, storage.ErrNotFound) {
				return nil, nil
			}
			return c, err
		}
	}},
	{"Every/copies_in", "Insert keeps its argument", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { a.grants[g.ID] = g })
			return nil
		}
	}},
	{"Every/copies_in", "Insert keeps the salt", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			c := g.Clone()
			if c.Refresh != nil {
				c.Refresh.Salt = g.Refresh.Salt
			}
			a.exclusively(func() { a.grants[g.ID] = c })
			return nil
		}
	}},
	{"Every/copies_in", "Update keeps what change assigned", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			var own *storage.Grant
			err := a.memory.Update(ctx, id, func(g *storage.Grant) error { own = g; return do(g) })
			if err == nil {
				a.exclusively(func() { a.grants[id] = own })
			}
			return err
		}
	}},
	{"Every/copies_in", "PutClient keeps slices", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			a.exclusively(func() { a.registry[c.ID].RedirectURIs = c.RedirectURIs })
			return err
		}
	}},
	{"Every/copies_out", "Update alters what Grant has returned", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			g, err := a.memory.Grant(ctx, id)
			if err == nil {
				a.exclusively(func() { err = do(g) })
			}
			return err
		}
	}},
	{"Every/copies_out", "a slice points into memory that Close releases", func(a *altered) {
		var released []byte
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			g, err := a.memory.Grant(ctx, id)
			if err == nil {
				g = g.Clone()
				released = g.Refresh.Salt
			}
			return g, err
		}
		a.close = func() error {
			clear(released)
			return a.memory.Close()
		}
	}},
	{"Every/copies_out", "EndClient alters what Clients has yielded", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			a.exclusively(func() { a.registry[id].Generation++ })
			return nil
		}
	}},
	{"Every/copies_out", "GetByID gives away the store's own", func(a *altered) {
		a.getByID = liveClient(a)
	}},
	{"Every/milliseconds", "seconds", recoded(func(t time.Time) time.Time { return t.Truncate(time.Second) })},
	{"Every/milliseconds", "the epoch means never", recoded(func(t time.Time) time.Time {
		if t.UnixMilli() == 0 {
			return time.Time{}
		}
		return t
	})},
	{"Every/milliseconds", "the year has two digits", recoded(func(t time.Time) time.Time {
		if t.Year() == 9999 {
			return t.AddDate(-9900, 0, 0)
		}
		return t
	})},
}

func liveClient(a *altered) func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	return func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
		if _, err := a.memory.GetByID(ctx, id); err != nil {
			return nil, err
		}
		return a.registry[id], nil
	}
}

// inserted is a store that alters what it stores first.
func inserted(alter func(*storage.Grant)) func(*altered) {
	return func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			g = g.Clone()
			alter(g)
			return a.memory.Insert(ctx, g)
		}
	}
}

func recoded(time func(time.Time) time.Time) func(*altered) {
	return inserted(func(g *storage.Grant) {
		g.Created, g.Expires = time(g.Created), time(g.Expires)
		if g.Code != nil {
			g.Code.Expires, g.Code.Redeemed = time(g.Code.Expires), time(g.Code.Redeemed)
		}
		for i := range g.Access {
			g.Access[i].Created = time(g.Access[i].Created)
		}
	})
}

var brokenInsert = []brokenStore{
	{"Insert/round_trip", "the salt is lost", inserted(func(g *storage.Grant) {
		if g.Refresh != nil {
			g.Refresh.Salt = nil
		}
	})},
	{"Insert/round_trip", "an empty part is lost", inserted(func(g *storage.Grant) {
		if g.Code != nil && *g.Code == (storage.Code{}) {
			g.Code = nil
		}
	})},
	{"Insert/round_trip", "the last access token is lost", inserted(func(g *storage.Grant) {
		g.Access = g.Access[:max(len(g.Access), 1)-1]
	})},
	{"Insert/round_trip", "strings end at NUL", inserted(func(g *storage.Grant) { g.Scope, _, _ = strings.Cut(g.Scope, "\x00") })},
	{"Insert/megabyte", "64 KiB at most", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			if len(g.Scope) > 1<<16 {
				return errors.New("value too large")
			}
			return a.memory.Insert(ctx, g)
		}
	}},
	{"Insert/megabyte", "cut at 64 KiB", inserted(func(g *storage.Grant) { g.Scope = g.Scope[:min(len(g.Scope), 1<<16)] })},
	{"Insert/taken", "overwrites", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { delete(a.grants, g.ID) })
			return a.memory.Insert(ctx, g)
		}
	}},
	{"Insert/taken", "overwrites and says so", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			err := a.memory.Insert(ctx, g)
			if err == storage.ErrExists {
				a.exclusively(func() { a.grants[g.ID] = kept(g) })
			}
			return err
		}
	}},
	{"Insert/taken", "the same grant again is welcome", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			if old, err := a.memory.Grant(ctx, g.ID); err == nil && encoded(old) == encoded(g) {
				return nil
			}
			return a.memory.Insert(ctx, g)
		}
	}},
	{"Insert/one_of_many", "looks first, then puts", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			if _, err := a.memory.Grant(ctx, g.ID); err == nil {
				return storage.ErrExists
			}
			wait()
			a.exclusively(func() { a.grants[g.ID] = kept(g) })
			return nil
		}
	}},
}

var brokenGrant = []brokenStore{
	{"Grant/of_that_id", "the last byte is not looked at", func(a *altered) {
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			var found *storage.Grant
			a.exclusively(func() {
				for _, g := range a.grants {
					if bytes.Equal(g.ID[:15], id[:15]) {
						found = g
					}
				}
			})
			if found == nil {
				return nil, storage.ErrNotFound
			}
			return found, nil
		}
	}},
	{"Grant/of_that_id", "the version of the UUID is taken for granted", func(a *altered) {
		a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
			id[6] = id[6]&^1 | 0x2f&1
			return a.memory.Grant(ctx, id)
		}
	}},
}

// afterChange is a store whose Update does something about what change returned.
func afterChange(then func(g *storage.Grant, err error) error) func(*altered) {
	return func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error { return then(g, do(g)) })
		}
	}
}

// calls is a store whose Update calls change in another way.
func calls(how func(g *storage.Grant, do change) error) func(*altered) {
	return func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error { return how(g, do) })
		}
	}
}

var brokenUpdate = []brokenStore{
	{"Update/stores", "the user can't be changed", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				user := g.User
				err := do(g)
				g.User = user
				return err
			})
		}
	}},
	{"Update/stores", "what is emptied stays", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				refresh := g.Refresh
				err := do(g)
				g.Refresh = cmp.Or(g.Refresh, refresh)
				return err
			})
		}
	}},
	{"Update/stores", "ErrNotFound for what is there", func(a *altered) {
		a.update = func(context.Context, storage.ID, change) error { return storage.ErrNotFound }
	}},
	{"Update/neighbours", "what a failed change spoiled is stored with the next", func(a *altered) {
		spoiled := map[storage.ID]*storage.Grant{}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				if spoiled[id] != nil {
					*g = *spoiled[id]
				}
				spoiled[id] = g
				err := do(g)
				if err == nil {
					delete(spoiled, id)
				}
				return err
			})
		}
	}},
	{"Update/neighbours", "what fails at the same time fails together", func(a *altered) {
		var failed atomic.Pointer[error]
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if err != nil {
				failed.Store(&err)
			}
			wait()
			if err := failed.Load(); err != nil {
				return *err
			}
			return nil
		}
	}},
	{"Update/one_step", "in two steps", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, func(g *storage.Grant) error {
				whole := g.Clone()
				err := do(whole)
				g.User = whole.User
				return err
			})
			wait()
			return cmp.Or(err, a.memory.Update(ctx, id, do))
		}
	}},
	{"Update/exactly_once", "get, then put", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			g, err := a.memory.Grant(ctx, id)
			if err != nil {
				return err
			}
			own := g.Clone()
			wait()
			if err := do(own); err != nil {
				return err
			}
			a.exclusively(func() { a.grants[id] = kept(own) })
			return nil
		}
	}},
	{"Update/exactly_once", "stored twice", calls(func(g *storage.Grant, do change) error {
		return cmp.Or(do(g), do(g))
	})},
	{"Update/exactly_once", "acknowledged and forgotten", func(a *altered) {
		var n atomic.Int64
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			if n.Add(1) == 20 {
				return nil
			}
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Update/not_found", "change makes a new grant", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Insert(ctx, &storage.Grant{ID: id})
			if err == nil || err == storage.ErrExists {
				err = a.memory.Update(ctx, id, do)
			}
			return err
		}
	}},
	{"Update/not_found", "change is called", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if err == storage.ErrNotFound {
				do(&storage.Grant{ID: id})
			}
			return err
		}
	}},
	{"Update/not_found", "nil", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if err == storage.ErrNotFound {
				err = nil
			}
			return err
		}
	}},
	{"Update/own_grant", "change gets the grant that all readers share", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			g, err := a.memory.Grant(ctx, id)
			if err == nil {
				a.exclusively(func() { err = do(g) })
			}
			return err
		}
	}},
	{"Update/own_grant", "change gets a copy that shares its slices", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			g, err := a.memory.Grant(ctx, id)
			if err != nil {
				return err
			}
			shallow := *g
			return a.memory.Update(ctx, id, func(own *storage.Grant) error {
				*own = shallow
				return do(own)
			})
		}
	}},
	{"Update/fresh_grant", "change is called again with the same grant", calls(func(g *storage.Grant, do change) error {
		do(g)
		return do(g)
	})},
	{"Update/fresh_grant", "change is called again with a copy that shares its slices", calls(func(g *storage.Grant, do change) error {
		again := *g
		do(g)
		*g = again
		return do(g)
	})},
	{"Update/fresh_grant", "change is called again with how it stood", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			g, err := a.memory.Grant(ctx, id)
			if err != nil {
				return err
			}
			wait()
			return a.memory.Update(ctx, id, func(own *storage.Grant) error {
				*own = *g.Clone()
				return do(own)
			})
		}
	}},
	{"Update/error_as_it_is", "wrapped", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return wrapped(a.memory.Update(ctx, id, do))
		}
	}},
	{"Update/error_as_it_is", "swallowed", afterChange(func(g *storage.Grant, err error) error { return nil })},
	{"Update/error_as_it_is", "stored all the same", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			var failed error
			err := a.memory.Update(ctx, id, func(g *storage.Grant) error {
				failed = do(g)
				return nil
			})
			return cmp.Or(err, failed)
		}
	}},
	{"Update/error_as_it_is", "an error that has a name is taken for the store's", afterChange(func(g *storage.Grant, err error) error {
		if errors.Is(err, storage.ErrNotFound) {
			err = storage.ErrNotFound
		}
		return err
	})},
	{"Update/error_as_it_is", "errors are compared that can't be", afterChange(func(g *storage.Grant, err error) error {
		if errors.As(err, new(changeError)) && any(err) == any(err) {
			return nil
		}
		return err
	})},
	{"Update/error_as_it_is", "change is called until it succeeds", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			for err == storage.ErrUnavailable {
				a.rest()
				err = a.memory.Update(ctx, id, do)
			}
			return err
		}
	}},
	{"Update/panic", "swallowed", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) (err error) {
			defer func() { recover() }()
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Update/panic", "an error instead", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) (err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v", v)
				}
			}()
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Update/panic", "another value", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			defer func() {
				if v := recover(); v != nil {
					panic(fmt.Sprint("change panicked: ", v))
				}
			}()
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Update/panic", "stored all the same", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			var panicked any
			err := a.memory.Update(ctx, id, func(g *storage.Grant) (err error) {
				defer func() { panicked = recover() }()
				return do(g)
			})
			if panicked != nil {
				panic(panicked)
			}
			return err
		}
	}},
	{"Update/panic", "the turn is never given back", keepsTurn(func(do func()) {
		v := recovered(do)
		if v != nil {
			panic(v)
		}
	})},
	{"Update/goexit", "the turn is never given back", keepsTurn(func(do func()) { do() })},
	{"Update/goexit", "taken for success", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				done := make(chan error)
				go func() {
					defer close(done)
					done <- do(g)
				}()
				return <-done
			})
		}
	}},
	{"Update/goexit", "the committer is gone", func(a *altered) {
		type job struct {
			id   storage.ID
			do   change
			done chan error
		}
		jobs := make(chan job)
		committer := sync.OnceFunc(func() {
			go func() {
				for j := range jobs {
					func() {
						err := errGone
						defer func() { j.done <- err }()
						err = a.memory.Update(context.Background(), j.id, j.do)
					}()
				}
			}()
		})
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			committer()
			j := job{id, do, make(chan error, 1)}
			select {
			case jobs <- j:
				return <-j.done
			case <-a.abandoned:
				runtime.Goexit()
				return nil
			}
		}
		a.close = sync.OnceValue(func() error {
			close(jobs)
			return a.memory.Close()
		})
	}},
	{"Update/no_change", "no row was affected", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				before := encoded(g)
				err := do(g)
				if err == nil && encoded(g) == before {
					err = storage.ErrNotFound
				}
				return err
			})
		}
	}},
	{"Update/no_change", "what was not changed is removed", func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			a.exclusively(func() { delete(a.grants, id) })
			return err
		}
	}},
}

// keepsTurn is a store that gives the turn back only where change returns.
func keepsTurn(run func(func())) func(*altered) {
	return func(a *altered) {
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			if err := a.begin(ctx); err != nil {
				return err
			}
			own := a.grants[id].Clone()
			var err error
			run(func() { err = do(own) })
			if err == nil {
				a.grants[id] = kept(own)
			}
			a.end()
			return err
		}
	}
}

// choosing is a store that chooses grants in another way, and beside that lists them well.
func choosing(chosen func(f storage.Filter, g *storage.Grant) bool) func(*altered) {
	return func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				all, err := a.page(ctx, func(g *storage.Grant) bool { return chosen(f, g) }, 1<<30)
				if err != nil {
					yield(nil, err)
				}
				for _, g := range all {
					if !yield(g, nil) {
						return
					}
				}
			}
		}
	}
}

// yielding is a store whose sequences are altered on their way.
func yielding(alter func(a *altered, f storage.Filter, in grants) grants) func(*altered) {
	return func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants { return alter(a, f, a.memory.Grants(ctx, f)) }
	}
}

var brokenGrants = []brokenStore{
	{"Grants/chosen", "user or client", choosing(func(f storage.Filter, g *storage.Grant) bool {
		if f.User != "" {
			f.Client = ""
		}
		return f.Matches(g)
	})},
	{"Grants/chosen", "an ID is enough", choosing(func(f storage.Filter, g *storage.Grant) bool {
		if !f.Grant.IsZero() {
			f.User, f.Client = "", ""
		}
		return f.Matches(g)
	})},
	{"Grants/chosen", "by the beginning of the name", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return strings.HasPrefix(g.User, f.User) && strings.HasPrefix(g.Client, f.Client) && storage.Filter{Grant: f.Grant, After: f.After}.Matches(g)
	})},
	{"Grants/chosen", "without a user only grants without a user", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return f.Matches(g) && f.User == g.User
	})},
	{"Grants/odd_names", "keys of user, NUL and ID", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return f.User == "" && f.Matches(g) || f.User != "" && strings.HasPrefix(g.User+"\x00", f.User+"\x00") && (f.Client == "" || f.Client == g.Client)
	})},
	{"Grants/odd_names", "a collation without case", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return (f.User == "" || hasPrefixFold(g.User, f.User) && len(g.User) == len(f.User)) && (f.Client == "" || f.Client == g.Client)
	})},
	{"Grants/odd_names", "spaces at the end don't count", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return (f.User == "" || strings.TrimRight(f.User, " ") == strings.TrimRight(g.User, " ")) && (f.Client == "" || f.Client == g.Client)
	})},
	{"Grants/odd_names", "keys are cut at 4 KiB", choosing(func(f storage.Filter, g *storage.Grant) bool {
		return (f.User == "" || f.User[:min(len(f.User), 4096)] == g.User[:min(len(g.User), 4096)]) && (f.Client == "" || f.Client == g.Client)
	})},
	{"Grants/moved", "the index knows the first user", func(a *altered) {
		first := map[storage.ID]string{}
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { first[g.ID] = g.User })
			return a.memory.Insert(ctx, g)
		}
		choosing(func(f storage.Filter, g *storage.Grant) bool {
			user := f.User
			f.User = ""
			return f.Matches(g) && (user == "" || first[g.ID] == user)
		})(a)
	}},
	{"Grants/moved", "the index knows all users there were", func(a *altered) {
		users := map[storage.ID][]string{}
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { users[g.ID] = append(users[g.ID], g.User) })
			return a.memory.Insert(ctx, g)
		}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				err := do(g)
				users[id] = append(users[id], g.User)
				return err
			})
		}
		choosing(func(f storage.Filter, g *storage.Grant) bool {
			user := f.User
			f.User = ""
			return f.Matches(g) && (user == "" || slices.Contains(users[g.ID], user))
		})(a)
	}},
	{"Grants/order", "in the order of insertion", func(a *altered) {
		var order []storage.ID
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			order = append(order, g.ID)
			return a.memory.Insert(ctx, g)
		}
		a.list = sorted(a, func(x, y *storage.Grant) int {
			return cmp.Compare(slices.Index(order, x.ID), slices.Index(order, y.ID))
		})
	}},
	{"Grants/order", "in the order of Created", func(a *altered) {
		a.list = sorted(a, func(x, y *storage.Grant) int { return x.Created.Compare(y.Created) })
	}},
	{"Grants/order", "bytes have a sign", func(a *altered) {
		a.list = sorted(a, func(x, y *storage.Grant) int {
			return cmp.Or(cmp.Compare(int8(x.ID[0]), int8(y.ID[0])), byID(x, y))
		})
	}},
	{"Grants/order", "newest first", func(a *altered) {
		a.list = sorted(a, func(x, y *storage.Grant) int { return byID(y, x) })
	}},
	{"Grants/many", "only one page", func(a *altered) {
		a.list = pages(a, func(f storage.Filter, n int) ([]*storage.Grant, bool) { return nil, true })
	}},
	{"Grants/many", "the first of each page is skipped", func(a *altered) {
		a.list = pages(a, func(f storage.Filter, n int) ([]*storage.Grant, bool) {
			page, _ := a.page(context.Background(), f.Matches, 101)
			return page[min(len(page), 1):], len(page) == 0
		})
	}},
	{"Grants/many", "a page without a match is the last", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				for matches := true; matches; {
					page, _ := a.page(ctx, storage.Filter{After: f.After}.Matches, 100)
					matches = false
					for _, g := range page {
						if f.Matches(g) {
							matches = true
							if !yield(g, nil) {
								return
							}
						}
					}
					if len(page) > 0 {
						f.After = page[len(page)-1].ID
					}
				}
			}
		}
	}},
	{"Grants/meanwhile", "pages are counted off", func(a *altered) {
		a.list = pages(a, func(f storage.Filter, n int) ([]*storage.Grant, bool) {
			f.After = storage.ID{}
			page, _ := a.page(context.Background(), f.Matches, n+100)
			page = page[min(n, len(page)):]
			return page, len(page) == 0
		})
	}},
	{"Grants/meanwhile", "what is gone is an error", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				all, _ := a.page(ctx, f.Matches, 1<<30)
				for _, g := range all {
					g, err := a.memory.Grant(ctx, g.ID)
					if !yield(g, err) || err != nil {
						return
					}
				}
			}
		}
	}},
	{"Grants/meanwhile", "a write begins the listing anew", func(a *altered) {
		var writes atomic.Int64
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			writes.Add(1)
			return a.memory.Insert(ctx, g)
		}
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				for {
					began := writes.Load()
					all, _ := a.page(ctx, f.Matches, 1<<30)
					for _, g := range all {
						if !yield(g, nil) {
							return
						}
						if writes.Load() != began {
							break
						}
					}
					if writes.Load() == began || began > 1<<14 {
						return
					}
				}
			}
		}
	}},
	{"Grants/at_the_same_time", "the index is read first and the records later", readsLater(func(f storage.Filter, g *storage.Grant, err error) (*storage.Grant, error) {
		return g, err
	})},
	{"Grants/at_the_same_time", "what no longer matches is yielded", readsLater(func(f storage.Filter, g *storage.Grant, err error) (*storage.Grant, error) {
		return g, nil
	})},
	{"Grants/at_the_same_time", "a write ends the listing", func(a *altered) {
		var writes atomic.Int64
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			writes.Add(1)
			return a.memory.Insert(ctx, g)
		}
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				all, _ := a.page(ctx, f.Matches, 1<<30)
				began := writes.Load()
				wait()
				for _, g := range all {
					if writes.Load() != began || !yield(g, nil) {
						return
					}
				}
			}
		}
	}},
	{"Grants/loop_body", "the turn is held while the loop runs", func(a *altered) { a.list = holding(a) }},
	{"Grants/loop_body", "only readers get in", func(a *altered) {
		var listing atomic.Bool
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				listing.Store(true)
				defer listing.Store(false)
				a.memory.Grants(ctx, f)(yield)
			}
		}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			if listing.Load() {
				return storage.ErrUnavailable
			}
			return a.memory.Update(ctx, id, do)
		}
	}},
	{"Grants/break", "the turn is held after a break", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				for g, err := range a.memory.Grants(ctx, f) {
					if !yield(g, err) {
						a.begin(context.Background())
						return
					}
				}
			}
		}
	}},
	{"Grants/break", "a break is not noticed", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				for g, err := range a.memory.Grants(ctx, f) {
					yield(g, err)
				}
			}
		}
	}},
	{"Grants/break", "Close waits for the rest of the loop", func(a *altered) {
		var loops atomic.Int64
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				loops.Add(1)
				for g, err := range a.memory.Grants(ctx, f) {
					if !yield(g, err) {
						return
					}
				}
				loops.Add(-1)
			}
		}
		a.close = func() error {
			for loops.Load() > 0 {
				a.rest()
			}
			return a.memory.Close()
		}
	}},
	{"Grants/error_ends", "the error comes twice", yielding(func(a *altered, f storage.Filter, in grants) grants {
		return func(yield func(*storage.Grant, error) bool) {
			for g, err := range in {
				if !yield(g, err) || err != nil && !yield(nil, err) {
					return
				}
			}
		}
	})},
	{"Grants/error_ends", "a grant comes with the error", yielding(func(a *altered, f storage.Filter, in grants) grants {
		return func(yield func(*storage.Grant, error) bool) {
			for g, err := range in {
				if err != nil {
					g = &storage.Grant{}
				}
				if !yield(g, err) {
					return
				}
			}
		}
	})},
	{"Grants/error_ends", "the error is kept back", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				if err := ctx.Err(); err != nil {
					yield(nil, err)
					return
				}
				for g, err := range a.memory.Grants(ctx, f) {
					if ctx.Err() != nil || !yield(g, err) {
						return
					}
				}
			}
		}
	}},
	{"Grants/error_ends", "an ended context chooses nothing", yielding(func(a *altered, f storage.Filter, in grants) grants {
		return func(yield func(*storage.Grant, error) bool) {
			for g, err := range in {
				if err != nil || !yield(g, err) {
					return
				}
			}
		}
	})},
	{"Grants/resumed", "from the grant itself", func(a *altered) {
		choosing(func(f storage.Filter, g *storage.Grant) bool {
			after := f.After
			f.After = storage.ID{}
			return f.Matches(g) && bytes.Compare(g.ID[:], after[:]) >= 0
		})(a)
	}},
	{"Grants/resumed", "the grant has to be there", func(a *altered) {
		choosing(func(f storage.Filter, g *storage.Grant) bool {
			return f.Matches(g) && (f.After.IsZero() || a.grants[f.After] != nil)
		})(a)
	}},
	{"Grants/resumed", "not in a user's list", choosing(func(f storage.Filter, g *storage.Grant) bool {
		if f.User != "" {
			f.After = storage.ID{}
		}
		return f.Matches(g)
	})},
	{"Grants/resumed", "not for a single grant", choosing(func(f storage.Filter, g *storage.Grant) bool {
		if !f.Grant.IsZero() {
			f.After = storage.ID{}
		}
		return f.Matches(g)
	})},
}

func sorted(a *altered, order func(x, y *storage.Grant) int) func(context.Context, storage.Filter) grants {
	return func(ctx context.Context, f storage.Filter) grants {
		return func(yield func(*storage.Grant, error) bool) {
			all, _ := a.page(ctx, f.Matches, 1<<30)
			slices.SortFunc(all, order)
			for _, g := range all {
				if !yield(g, nil) {
					return
				}
			}
		}
	}
}

// pages lists the first hundred well and goes on with what next says.
func pages(a *altered, next func(f storage.Filter, n int) (page []*storage.Grant, last bool)) func(context.Context, storage.Filter) grants {
	return func(ctx context.Context, f storage.Filter) grants {
		return func(yield func(*storage.Grant, error) bool) {
			page, err := a.page(ctx, f.Matches, 100)
			if err != nil {
				yield(nil, err)
				return
			}
			for n, last := 0, false; ; page, last = next(f, n) {
				for _, g := range page {
					if !yield(g, nil) {
						return
					}
					f.After = g.ID
					n++
				}
				if last {
					return
				}
			}
		}
	}
}

// readsLater lists IDs, waits and reads the grants.
func readsLater(read func(f storage.Filter, g *storage.Grant, err error) (*storage.Grant, error)) func(*altered) {
	return func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				all, _ := a.page(ctx, f.Matches, 1<<30)
				wait()
				for _, g := range all {
					g, err := a.memory.Grant(ctx, g.ID)
					if g, err = read(f, g, err); (g != nil || err != nil) && !yield(g, err) {
						return
					}
				}
			}
		}
	}
}

// holding lists while it has the turn.
func holding(a *altered) func(context.Context, storage.Filter) grants {
	return func(ctx context.Context, f storage.Filter) grants {
		return func(yield func(*storage.Grant, error) bool) {
			all, err := a.page(ctx, f.Matches, 1<<30)
			if err != nil {
				yield(nil, err)
				return
			}
			a.begin(context.Background())
			defer a.end()
			for _, g := range all {
				if !yield(g, nil) {
					return
				}
			}
		}
	}
}

// pruningOf is a store that prunes other grants.
func pruningOf(wanted func(g *storage.Grant, before time.Time) bool) func(*altered) {
	return func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n := 0
			a.exclusively(func() {
				for id, g := range a.grants {
					if wanted(g, before) {
						delete(a.grants, id)
						n++
					}
				}
			})
			return n, nil
		}
	}
}

var brokenPrune = []brokenStore{
	{"Prune/before", "at the very time too", pruningOf(func(g *storage.Grant, before time.Time) bool {
		return !g.Expires.IsZero() && !g.Expires.After(before)
	})},
	{"Prune/before", "what never expires too", pruningOf(func(g *storage.Grant, before time.Time) bool { return g.Expires.Before(before) })},
	{"Prune/before", "by the second", pruningOf(func(g *storage.Grant, before time.Time) bool {
		return expired(before.Truncate(time.Second))(g)
	})},
	{"Prune/before", "what has ended too", pruningOf(func(g *storage.Grant, before time.Time) bool {
		return expired(before)(g) || !g.Ended.IsZero() && g.Ended.Before(before)
	})},
	{"Prune/before", "the count is of what was looked at", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n := len(a.grants)
			_, err := a.memory.Prune(ctx, before)
			return n, err
		}
	}},
	{"Prune/before", "the user's list keeps them", func(a *altered) {
		var gone []*storage.Grant
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			all, err := a.page(ctx, expired(before), 1<<30)
			if err != nil {
				return 0, err
			}
			gone = append(gone, all...)
			return a.memory.Prune(ctx, before)
		}
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				all, _ := a.page(ctx, f.Matches, 1<<30)
				if f.User != "" {
					all = append(all, gone...)
				}
				slices.SortFunc(all, byID)
				for _, g := range all {
					if !yield(g, nil) {
						return
					}
				}
			}
		}
	}},
	{"Prune/moved", "the index knows the first Expires", func(a *altered) {
		first := map[storage.ID]*storage.Grant{}
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { first[g.ID] = kept(g) })
			return a.memory.Insert(ctx, g)
		}
		pruningOf(func(g *storage.Grant, before time.Time) bool { return expired(before)(first[g.ID]) })(a)
	}},
	{"Prune/moved", "an index entry is checked once and then forgotten", func(a *altered) {
		due := map[storage.ID]time.Time{}
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			a.exclusively(func() { due[g.ID] = g.Expires })
			return a.memory.Insert(ctx, g)
		}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				err := do(g)
				if due[id].IsZero() || g.Expires.Before(due[id]) {
					due[id] = g.Expires
				}
				return err
			})
		}
		pruningOf(func(g *storage.Grant, before time.Time) bool {
			at, ok := due[g.ID]
			if !ok || !at.Before(before) {
				return false
			}
			delete(due, g.ID)
			return expired(before)(g)
		})(a)
	}},
	{"Prune/writes_in_between", "what was put off meanwhile is removed", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			all, err := a.page(ctx, expired(before), 1<<30)
			if err != nil {
				return 0, err
			}
			wait()
			n := 0
			a.exclusively(func() {
				for _, g := range all {
					if a.grants[g.ID] != nil {
						delete(a.grants, g.ID)
						n++
					}
				}
			})
			return n, nil
		}
	}},
	{"Prune/writes_in_between", "two at a time count the same grants", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			all, err := a.page(ctx, expired(before), 1<<30)
			if err != nil {
				return 0, err
			}
			wait()
			_, err = a.memory.Prune(ctx, before)
			return len(all), err
		}
	}},
	{"Prune/until", "one bite", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) { return a.pruneSome(ctx, before) }
	}},
	{"Prune/until", "no count beside the error", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n, err := a.memory.Prune(ctx, before)
			if err != nil {
				n = 0
			}
			return n, err
		}
	}},
	{"Prune/until", "half-way is enough", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n, err := a.memory.Prune(ctx, before)
			if n > 0 {
				err = nil
			}
			return n, err
		}
	}},
	{"Prune/until", "an ended context is good for one bite", func(a *altered) {
		a.prune = func(ctx context.Context, before time.Time) (int, error) {
			n, err := a.pruneSome(context.WithoutCancel(ctx), before)
			if err != nil {
				return n, err
			}
			more, err := a.memory.Prune(ctx, before)
			return n + more, err
		}
	}},
}

var brokenClose = []brokenStore{
	{"Close/drains", "returns at once", func(a *altered) { a.close = func() error { return nil } }},
	{"Close/drains", "interrupts what is under way", func(a *altered) {
		var closed atomic.Bool
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			return a.memory.Update(ctx, id, func(g *storage.Grant) error {
				if err := do(g); err != nil {
					return err
				}
				if closed.Load() {
					return storage.ErrClosed
				}
				return nil
			})
		}
		a.close = func() error {
			closed.Store(true)
			return a.memory.Close()
		}
	}},
	{"Close/under_load", "acknowledged and not stored", func(a *altered) {
		var lied atomic.Bool
		lie := func(err error) error {
			if err == storage.ErrClosed && lied.CompareAndSwap(false, true) {
				err = nil
			}
			return err
		}
		a.insert = func(ctx context.Context, g *storage.Grant) error { return lie(a.memory.Insert(ctx, g)) }
		a.update = func(ctx context.Context, id storage.ID, do change) error { return lie(a.memory.Update(ctx, id, do)) }
	}},
	{"Close/under_load", "goes on", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error { return a.stillOpen().Insert(ctx, g) }
		a.update = func(ctx context.Context, id storage.ID, do change) error { return a.stillOpen().Update(ctx, id, do) }
	}},
	{"Close/under_load", "refused and stored", func(a *altered) {
		a.insert = func(ctx context.Context, g *storage.Grant) error {
			err := a.memory.Insert(ctx, g)
			if err == storage.ErrClosed {
				a.stillOpen().Insert(ctx, g)
			}
			return err
		}
		a.update = func(ctx context.Context, id storage.ID, do change) error {
			err := a.memory.Update(ctx, id, do)
			if err == storage.ErrClosed {
				a.stillOpen().Update(ctx, id, do)
			}
			return err
		}
	}},
	{"Close/under_load", "another error", func(a *altered) {
		other := func(err error) error {
			if err == storage.ErrClosed {
				err = errors.New("database not open")
			}
			return err
		}
		a.insert = func(ctx context.Context, g *storage.Grant) error { return other(a.memory.Insert(ctx, g)) }
		a.update = func(ctx context.Context, id storage.ID, do change) error { return other(a.memory.Update(ctx, id, do)) }
	}},
	{"Close/in_a_loop", "Close waits for loops", func(a *altered) {
		var loops sync.WaitGroup
		a.list = func(ctx context.Context, f storage.Filter) grants {
			return func(yield func(*storage.Grant, error) bool) {
				loops.Add(1)
				defer loops.Done()
				a.memory.Grants(ctx, f)(yield)
			}
		}
		a.close = func() error {
			done := make(chan struct{})
			go func() {
				defer close(done)
				loops.Wait()
			}()
			select {
			case <-done:
			case <-a.abandoned:
				runtime.Goexit()
			}
			return a.memory.Close()
		}
	}},
	{"Close/in_a_loop", "a listing ends as if it were complete", yielding(func(a *altered, f storage.Filter, in grants) grants {
		return func(yield func(*storage.Grant, error) bool) {
			for g, err := range in {
				if errors.Is(err, storage.ErrClosed) || !yield(g, err) {
					return
				}
			}
		}
	})},
	{"Close/in_a_loop", "a sequence from before Close works on", func(a *altered) {
		a.list = func(ctx context.Context, f storage.Filter) grants { return a.stillOpen().Grants(ctx, f) }
	}},
	{"Close/releases", "the file stays locked", func(a *altered) {
		opened := a.data.turn
		if cap(opened) == 2 {
			a.insert = func(context.Context, *storage.Grant) error { return storage.ErrUnavailable }
		}
		a.close = func() error {
			err := a.memory.Close()
			a.data.turn = make(chan struct{}, 2)
			return err
		}
	}},
	{"Close/again", "ErrClosed", func(a *altered) {
		a.close = func() error {
			if err := a.begin(context.Background()); err != nil {
				return err
			}
			defer a.end()
			a.closed = true
			return nil
		}
	}},
	{"Close/again", "closes a closed channel", func(a *altered) {
		done := make(chan struct{})
		a.close = func() error {
			close(done)
			return a.memory.Close()
		}
	}},
}

// putting is a store whose PutClient stores another client.
func putting(alter func(put, old *storage.Client)) func(*altered) {
	return func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			var old *storage.Client
			a.exclusively(func() { old = a.registry[c.ID] })
			if err := a.memory.PutClient(ctx, c); err != nil {
				return err
			}
			a.exclusively(func() {
				put := a.registry[c.ID].Clone()
				alter(put, old)
				a.registry[c.ID] = put
			})
			return nil
		}
	}
}

// finding is a store whose GetByID compares IDs in another way.
func finding(same func(id, asked string) bool) func(*altered) {
	return func(a *altered) {
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
			var found *storage.Client
			a.exclusively(func() {
				for _, c := range a.registry {
					if same(c.ID, id) && (found == nil || c.ID == id) {
						found = c.Clone()
					}
				}
			})
			if found == nil {
				return nil, storage.ErrNotFound
			}
			return found, nil
		}
	}
}

func nilForUnknown(err error) error {
	if err == storage.ErrNotFound {
		err = nil
	}
	return err
}

var brokenClients = []brokenStore{
	{"GetByID/own", "the store's own", func(a *altered) { a.getByID = liveClient(a) }},
	{"GetByID/own", "a copy that shares its metadata", func(a *altered) {
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
			c, err := liveClient(a)(ctx, id)
			if err != nil {
				return nil, err
			}
			shallow := *c.(*storage.Client)
			return &shallow, nil
		}
	}},
	{"GetByID/own", "another type", func(a *altered) {
		a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
			c, err := a.memory.GetByID(ctx, id)
			return struct{ oauth2.ClientInfo }{c}, err
		}
	}},
	{"GetByID/own", "the first that begins so", finding(strings.HasPrefix)},
	{"GetByID/bytes", "without case", finding(strings.EqualFold)},
	{"GetByID/bytes", "spaces at the end don't count", finding(func(id, asked string) bool {
		return strings.TrimRight(id, " ") == strings.TrimRight(asked, " ")
	})},
	{"GetByID/bytes", "by pattern", finding(func(id, asked string) bool { return id == asked || asked == "w%" && id[0] == 'w' })},
	{"GetByID/bytes", "all that differ only by case are one", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			a.exclusively(func() {
				maps.DeleteFunc(a.registry, func(id string, _ *storage.Client) bool { return id != c.ID && strings.EqualFold(id, c.ID) })
			})
			return err
		}
	}},
	{"PutClient/round_trip", "the old secret is lost", putting(func(put, old *storage.Client) { put.OldSecret = "" })},
	{"PutClient/round_trip", "what is emptied stays", putting(func(put, old *storage.Client) {
		if put.Metadata == nil && old != nil {
			put.Metadata = old.Metadata
		}
	})},
	{"PutClient/round_trip", "lifetimes in seconds", putting(func(put, old *storage.Client) {
		put.AccessLifetime = put.AccessLifetime.Truncate(time.Second)
	})},
	{"PutClient/round_trip", "a second PutClient does nothing", putting(func(put, old *storage.Client) {
		if old != nil {
			*put = *old
		}
	})},
	{"PutClient/mistakes", "anything goes", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			a.exclusively(func() { a.registry[c.ID] = c.Clone() })
			return nil
		}
	}},
	{"PutClient/mistakes", "stored all the same", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			if err != nil {
				a.exclusively(func() { a.registry[c.ID] = c.Clone() })
			}
			return err
		}
	}},
	{"PutClient/mistakes", "the first one only", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			if r := new(storage.RegistrationError); errors.As(err, &r) {
				r.Mistakes = r.Mistakes[:1]
			}
			return err
		}
	}},
	{"PutClient/mistakes", "as text", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			if err := a.memory.PutClient(ctx, c); err != nil {
				return fmt.Errorf("store: %v", err)
			}
			return nil
		}
	}},
	{"PutClient/generation", "the caller's", putting(func(put, old *storage.Client) { put.Generation = 7 })},
	{"PutClient/generation", "drawn at each PutClient", putting(func(put, old *storage.Client) { put.Generation = rand.Uint64() })},
	{"PutClient/generation", "counted", putting(func(put, old *storage.Client) { put.Generation = 1 })},
	{"PutClient/generation", "the same for all", putting(func(put, old *storage.Client) { put.Generation = 1 << 50 })},
	{"PutClient/generation", "zero", putting(func(put, old *storage.Client) { put.Generation = 0 })},
	{"PutClient/at_the_same_time", "looks first, then puts", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			put := c.Clone()
			put.Generation = rand.Uint64()
			a.exclusively(func() {
				if old := a.registry[c.ID]; old != nil {
					put.Generation = old.Generation
				}
			})
			wait()
			a.exclusively(func() { a.registry[c.ID] = put })
			return nil
		}
	}},
	{"PutClient/argument", "gets the generation", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			a.exclusively(func() { c.Generation = a.registry[c.ID].Generation })
			return err
		}
	}},
	{"PutClient/argument", "is tidied up", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			slices.Sort(c.RedirectURIs)
			return a.memory.PutClient(ctx, c)
		}
	}},
	{"PutClient/argument", "is kept", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			err := a.memory.PutClient(ctx, c)
			a.exclusively(func() { a.registry[c.ID].Metadata = c.Metadata })
			return err
		}
	}},
	{"EndClient/generation", "does nothing", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error { return nil }
	}},
	{"EndClient/generation", "counts up", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			a.exclusively(func() {
				ended := a.registry[id].Clone()
				ended.Generation++
				a.registry[id] = ended
			})
			return nil
		}
	}},
	{"EndClient/generation", "ends all clients", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			for c := range maps.Clone(a.registry) {
				a.memory.EndClient(ctx, c)
			}
			return nil
		}
	}},
	{"EndClient/generation", "registers anew", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			return cmp.Or(a.memory.DeleteClient(ctx, id), a.memory.PutClient(ctx, plainClient(id)))
		}
	}},
	{"EndClient/at_the_same_time", "PutClient looks first, then puts", func(a *altered) {
		a.putClient = func(ctx context.Context, c *storage.Client) error {
			var old *storage.Client
			a.exclusively(func() { old = a.registry[c.ID] })
			wait()
			err := a.memory.PutClient(ctx, c)
			a.exclusively(func() {
				if old != nil {
					put := c.Clone()
					put.Generation = old.Generation
					a.registry[c.ID] = put
				}
			})
			return err
		}
	}},
	{"EndClient/unknown", "nil", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error { return nilForUnknown(a.memory.EndClient(ctx, id)) }
	}},
	{"EndClient/unknown", "makes a client", func(a *altered) {
		a.endClient = func(ctx context.Context, id string) error {
			err := a.memory.EndClient(ctx, id)
			if err != nil {
				a.memory.PutClient(ctx, plainClient(id))
			}
			return err
		}
	}},
	{"DeleteClient/again", "the generation comes back", func(a *altered) {
		deleted := map[string]uint64{}
		a.deleteClient = func(ctx context.Context, id string) error {
			a.exclusively(func() {
				if c := a.registry[id]; c != nil {
					deleted[id] = c.Generation
				}
			})
			return a.memory.DeleteClient(ctx, id)
		}
		putting(func(put, old *storage.Client) {
			if g, ok := deleted[put.ID]; ok {
				put.Generation = g
			}
		})(a)
	}},
	{"DeleteClient/again", "the list keeps it", func(a *altered) {
		var deleted *storage.Client
		a.deleteClient = func(ctx context.Context, id string) error {
			a.exclusively(func() { deleted = cmp.Or(deleted, a.registry[id]) })
			return a.memory.DeleteClient(ctx, id)
		}
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				a.memory.Clients(ctx)(yield)
				yield(deleted, nil)
			}
		}
	}},
	{"DeleteClient/again", "does nothing", func(a *altered) {
		a.deleteClient = func(ctx context.Context, id string) error { return nil }
	}},
	{"DeleteClient/unknown", "nil", func(a *altered) {
		a.deleteClient = func(ctx context.Context, id string) error { return nilForUnknown(a.memory.DeleteClient(ctx, id)) }
	}},
	{"DeleteClient/unknown", "deletes all that differ only by case", func(a *altered) {
		a.deleteClient = func(ctx context.Context, id string) error {
			return cmp.Or(a.memory.DeleteClient(ctx, strings.ToLower(id)), storage.ErrNotFound)
		}
	}},
	{"Clients/order", "without case", listingClients(func(all []*storage.Client) []*storage.Client {
		slices.SortStableFunc(all, func(x, y *storage.Client) int {
			return cmp.Compare(strings.ToLower(x.ID), strings.ToLower(y.ID))
		})
		return all
	})},
	{"Clients/order", "short ones first", listingClients(func(all []*storage.Client) []*storage.Client {
		slices.SortStableFunc(all, func(x, y *storage.Client) int { return cmp.Compare(len(x.ID), len(y.ID)) })
		return all
	})},
	{"Clients/many", "the first hundred", listingClients(func(all []*storage.Client) []*storage.Client {
		return all[:min(len(all), 100)]
	})},
	{"Clients/loop_body", "the turn is held while the loop runs", func(a *altered) {
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				all, _ := a.allClients(ctx)
				a.begin(ctx)
				defer a.end()
				for _, c := range all {
					if !yield(c, nil) {
						return
					}
				}
			}
		}
	}},
	{"Clients/loop_body", "pages are counted off", func(a *altered) {
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				for i := 0; ; i++ {
					all, err := a.allClients(ctx)
					if err != nil {
						yield(nil, err)
						return
					}
					if i >= len(all) || !yield(all[i], nil) {
						return
					}
				}
			}
		}
	}},
	{"Clients/break", "the turn is held after a break", func(a *altered) {
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				for c, err := range a.memory.Clients(ctx) {
					if !yield(c, err) {
						a.begin(context.Background())
						return
					}
				}
			}
		}
	}},
	{"Clients/break", "a break is not noticed", func(a *altered) {
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				for c, err := range a.memory.Clients(ctx) {
					yield(c, err)
				}
			}
		}
	}},
}

func listingClients(alter func([]*storage.Client) []*storage.Client) func(*altered) {
	return func(a *altered) {
		a.listClients = func(ctx context.Context) clients {
			return func(yield func(*storage.Client, error) bool) {
				all, err := a.allClients(ctx)
				if err != nil {
					yield(nil, err)
					return
				}
				for _, c := range alter(all) {
					if !yield(c, nil) {
						return
					}
				}
			}
		}
	}
}
