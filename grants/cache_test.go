package grants

import (
	"fmt"
	"log/slog"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// smallCache is a cache of 1 MiB for a store that the test plays.
func smallCache() (c *cache, changing func(storage.Changes) func()) {
	var w watched
	return newCache(1<<20, &w), w.changing
}

type watched struct{ changing func(storage.Changes) func() }

func (w *watched) Watch(changing func(storage.Changes) func()) (stop func()) {
	w.changing = changing
	return func() {}
}

// What was read while a record changed, or before, is not kept.
func TestCacheIsCoherent(t *testing.T) {
	id, other := storage.NewID(), storage.NewID()
	for name, tt := range map[string]struct {
		between func(changing func(storage.Changes) func()) // the look at the counter and put
		kept    bool
	}{
		"nothing happened":      {func(func(storage.Changes) func()) {}, true},
		"change begins":         {func(c func(storage.Changes) func()) { c(storage.Changes{Grants: []storage.ID{id}}) }, false},
		"change through":        {func(c func(storage.Changes) func()) { c(storage.Changes{Grants: []storage.ID{id}})() }, false},
		"everything may change": {func(c func(storage.Changes) func()) { c(storage.Changes{All: true})() }, false},
	} {
		t.Run(name, func(t *testing.T) {
			c, changing := smallCache()
			c2 := cachedGrant{grant: &storage.Grant{ID: id}}
			counter := c.grants.Counter(id)
			tt.between(changing)
			c.grants.Put(id, c2, counter)
			if _, kept := c.grants.Get(id); kept != tt.kept {
				t.Errorf("kept: %t, want %t", kept, tt.kept)
			}
		})
	}
	for name, changes := range map[string]storage.Changes{"record": {Grants: []storage.ID{id}}, "all": {All: true}} {
		t.Run(name+" read while locked out", func(t *testing.T) {
			c, changing := smallCache()
			end := changing(changes)
			counter := c.grants.Counter(id) // what is read now may be the old record
			end()
			c.grants.Put(id, cachedGrant{grant: &storage.Grant{ID: id}}, counter)
			if _, kept := c.grants.Get(id); kept {
				t.Error("it was kept")
			}
		})
	}
	for name, changes := range map[string]storage.Changes{"record": {Grants: []storage.ID{id, other, id}}, "all": {All: true}} {
		t.Run(name+" locked out", func(t *testing.T) {
			c, changing := smallCache()
			put := func() { c.grants.Put(id, cachedGrant{grant: &storage.Grant{ID: id}}, c.grants.Counter(id)) }
			put()
			first, second := changing(changes), changing(changes)
			if _, kept := c.grants.Get(id); kept {
				t.Error("what changes is still there")
			}
			put() // read during the change: old or new, nobody knows
			first()
			put()
			if _, kept := c.grants.Get(id); kept {
				t.Error("it was kept while it changed")
			}
			second()
			put()
			if _, kept := c.grants.Get(id); !kept {
				t.Error("it is locked out for good")
			}
		})
	}
}

// However much passes through, the bound holds, and what is used again and again stays.
func TestCacheIsBounded(t *testing.T) {
	c, _ := smallCache()
	put := func(id storage.ID, scope string) {
		c.grants.Put(id, cachedGrant{grant: &storage.Grant{ID: id, Scope: scope, Access: make([]storage.Access, 1)}}, c.grants.Counter(id))
	}
	hot := storage.NewID()
	put(hot, "read")
	put(storage.NewID(), string(make([]byte, 1<<20))) // larger than everything
	for n := range 20_000 {
		if _, kept := c.grants.Get(hot); !kept {
			t.Fatalf("what is in use was pushed out after %d others", n)
		}
		put(storage.NewID(), "read")
	}
	stats := c.grants.Stats()
	if stats.Bytes > 1<<20 || stats.Entries < 500 {
		t.Errorf("%d entries of %d bytes in 1 MiB", stats.Entries, stats.Bytes)
	}
}

// What is asked for again finds room, though tokens that nobody uses any more fill the cache.
func TestCacheForgetsWhatIsNotUsed(t *testing.T) {
	c, _ := smallCache()
	put := func(id storage.ID) {
		c.grants.Put(id, cachedGrant{grant: &storage.Grant{ID: id, Scope: "read", Access: make([]storage.Access, 1)}}, c.grants.Counter(id))
	}
	for range 20_000 {
		put(storage.NewID())
	}
	stats := c.grants.Stats()
	set := make([]storage.ID, stats.Entries/10)
	for i := range set {
		set[i] = storage.NewID()
	}
	hits := 0
	for range 5 {
		hits = 0
		for _, id := range set {
			if _, kept := c.grants.Get(id); kept {
				hits++
			} else {
				put(id)
			}
		}
	}
	if hits < len(set) {
		t.Errorf("%d of %d are there, in a cache of %d", hits, len(set), stats.Entries)
	}
}

// A grant of a client that has ended its grants meanwhile is not kept, although nothing has changed it.
func TestCacheOfAnEndedClient(t *testing.T) {
	m, store := cachedOn(t)
	pair, err := m.Issue(t.Context(), Issue{Client: "web", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := GrantID(pair)
	counter := m.counter(id)
	g, err := store.Grant(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if err := store.EndClient(t.Context(), "web"); err != nil {
		t.Fatal(err)
	}
	if _, err := m.client(t.Context(), "web"); err != nil { // as it is now, in the cache
		t.Fatal(err)
	}
	_, _, secret, _ := m.encoding.Decode(pair.GetAccess())
	m.remember(native(AccessKind, id, secret), g, 0, counter)
	if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != oerr.ErrInvalidAccessToken {
		t.Errorf("it is good: %v", err)
	}
}

// cachedOn is a manager with a cache on a file, and the client web in it.
func cachedOn(t testing.TB, options ...Option) (*Manager, *testbed.Faulty) {
	t.Helper()
	file, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	store := &testbed.Faulty{Store: file}
	putWeb(t, store)
	return New(store, append(options, Logger(slog.New(slog.DiscardHandler)))...), store
}

func putWeb(t testing.TB, store storage.Clients) {
	t.Helper()
	err := store.PutClient(t.Context(), &storage.Client{
		ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "read", GrantTypes: []string{"refresh_token", "client_credentials"},
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A validated token does not ask the store again, garbage never does, and a wrong secret under a known
// grant pushes nothing out.
func TestCacheSparesTheStore(t *testing.T) {
	m, store := cachedOn(t)
	pair, err := m.Issue(t.Context(), Issue{Client: "web", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	id, _ := GrantID(pair)
	load := func(access string, want error) {
		t.Helper()
		if _, err := m.LoadAccessToken(t.Context(), access); err != want {
			t.Fatalf("got %v, want %v", err, want)
		}
	}
	load(pair.GetAccess(), nil)
	reads := store.Reads()
	load(pair.GetAccess(), nil)
	load("garbage", oerr.ErrInvalidAccessToken)
	load(pair.GetRefresh(), oerr.ErrInvalidAccessToken)
	if n := store.Reads() - reads; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	load(opaque{}.Encode(AccessKind, id, newDraw().access), oerr.ErrInvalidAccessToken)
	reads = store.Reads()
	load(pair.GetAccess(), nil)
	if n := store.Reads() - reads; n != 0 {
		t.Errorf("a guess has pushed the token out")
	}
	if stats := m.CacheStats(); stats.Entries != 2 || stats.Hits == 0 || stats.Misses == 0 || stats.Bytes == 0 {
		t.Errorf("got %+v", stats) // a grant and a client
	}

	without := New(store, CacheSize(0), Logger(slog.New(slog.DiscardHandler)))
	for range 2 {
		reads = store.Reads()
		if _, err := without.LoadAccessToken(t.Context(), pair.GetAccess()); err != nil || store.Reads() == reads {
			t.Errorf("without a cache: %v, store asked: %t", err, store.Reads() > reads)
		}
	}
	if stats := without.CacheStats(); stats != (CacheStats{}) {
		t.Errorf("got %+v", stats)
	}
}

// Whatever ends a token ends it in the cache too.
func TestCacheForgets(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, m *Manager, store *testbed.Faulty, access, refresh string) error{
		"revoked": func(t *testing.T, m *Manager, _ *testbed.Faulty, access, _ string) error {
			return m.RemoveAccessToken(t.Context(), access)
		},
		"refresh token revoked": func(t *testing.T, m *Manager, _ *testbed.Faulty, _, refresh string) error {
			return m.RemoveRefreshToken(t.Context(), refresh)
		},
		"user ended": func(t *testing.T, m *Manager, _ *testbed.Faulty, _, _ string) error {
			_, err := m.End(t.Context(), storage.Filter{User: "alice"})
			return err
		},
		"client ended": func(t *testing.T, _ *Manager, store *testbed.Faulty, _, _ string) error {
			return store.EndClient(t.Context(), "web")
		},
		"client deleted": func(t *testing.T, _ *Manager, store *testbed.Faulty, _, _ string) error {
			return store.DeleteClient(t.Context(), "web")
		},
		"client deleted and put again": func(t *testing.T, m *Manager, store *testbed.Faulty, access, _ string) error {
			if err := store.DeleteClient(t.Context(), "web"); err != nil {
				return err
			}
			putWeb(t, store)
			_, err := m.Issue(t.Context(), Issue{Client: "web"}) // knows the new one
			return err
		},
		"from another manager": func(t *testing.T, _ *Manager, store *testbed.Faulty, access, _ string) error {
			return New(store).RemoveAccessToken(t.Context(), access)
		},
	} {
		t.Run(name, func(t *testing.T) {
			m, store := cachedOn(t)
			pair, err := m.Issue(t.Context(), Issue{Client: "web", User: "alice"})
			if err != nil {
				t.Fatal(err)
			}
			for range 2 {
				if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != nil {
					t.Fatal(err)
				}
			}
			if err := end(t, m, store, pair.GetAccess(), pair.GetRefresh()); err != nil {
				t.Fatal(err)
			}
			if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != oerr.ErrInvalidAccessToken {
				t.Errorf("got %v", err)
			}
		})
	}
}

// Nobody accepts a token after its revocation was acknowledged, however many look at it at that moment and
// would put back what they have read.
func TestCacheIsNeverStale(t *testing.T) {
	m, _ := cachedOn(t)
	var token atomic.Value
	token.Store("")
	stop := make(chan struct{})
	var readers sync.WaitGroup
	var reads atomic.Int64
	for range 2 {
		readers.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
					m.LoadAccessToken(t.Context(), token.Load().(string))
					reads.Add(1)
				}
			}
		})
	}
	for n := range 40 {
		info, err := m.Issue(t.Context(), Issue{Client: "web", User: fmt.Sprint("u", n)})
		if err != nil {
			t.Fatal(err)
		}
		token.Store(info.GetAccess())
		if err := m.RemoveAccessToken(t.Context(), info.GetAccess()); err != nil {
			t.Fatal(err)
		}
		for range 20 {
			if _, err := m.LoadAccessToken(t.Context(), info.GetAccess()); err == nil {
				t.Fatal("a revoked token is good")
			}
		}
	}
	close(stop)
	readers.Wait()
	t.Logf("%d reads beside 40 revocations", reads.Load())
}

// A store that does not know what a commit did empties the cache until it does.
func TestCacheIsOffInDoubt(t *testing.T) {
	m, store := cachedOn(t)
	pair, err := m.Issue(t.Context(), Issue{Client: "web", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != nil {
		t.Fatal(err)
	}
	store.Break(testbed.Fail, nil, nil)
	if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != testbed.ErrBroken {
		t.Errorf("got %v", err)
	}
}

// A store may be of a type that can't be compared. Whether its clients are its own is then not known.
func TestNewTakesAnyStore(t *testing.T) {
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	New(struct {
		*bolt.Store
		names []string
	}{store, nil})
}

// What a flood of distinct tokens leaves in memory, against the bound.
func BenchmarkCacheFlood(b *testing.B) {
	const limit, tokens = 64 << 20, 10_000_000
	for b.Loop() {
		c := newCache(limit, new(watched))
		heap := func() uint64 {
			var m runtime.MemStats
			runtime.GC()
			runtime.ReadMemStats(&m)
			return m.HeapAlloc
		}
		before := heap()
		for range tokens {
			id, scope := storage.NewID(), strings.Clone("read write")
			g := &storage.Grant{ID: id, Client: "web", User: id.String(), Scope: scope, Access: make([]storage.Access, 1)}
			c.grants.Put(id, cachedGrant{grant: g, access: &g.Access[0]}, c.grants.Counter(id))
		}
		b.ReportMetric(float64(heap()-before)/(limit-limit/clientShare), "of-bound")
		runtime.KeepAlive(c)
	}
}
