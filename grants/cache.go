package grants

import (
	"hash/maphash"
	"sync"
	"time"
	"unsafe"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/storage"
)

// cache keeps what validation needs of grants, and clients, as a store that tells of its changes returned
// them. It is coherent: before the store commits a change, the record is locked out of the cache, and its
// shard's counter moves; after it, before anybody is answered, the counter moves again and the lock-out
// ends. Who reads the store keeps what he read only if the counter has not moved since before he read.
// Without these rules a reader could put back what has just been changed.
//
// It is bounded in bytes. A full shard makes room by going round its entries: one that was used since it
// came by last stays, the first other one goes. So a flood of tokens that are used once pushes out what
// else is used once. Tokens that nobody has are never in it. BenchmarkCache of the module interop holds it
// against a library.
type cache struct {
	grants  table[storage.ID, cachedGrant]
	clients table[string, *client]
}

// cachedGrant is an access token that was validated, with what a look at it needs first, and its grant.
type cachedGrant struct {
	digest  storage.Digest
	expires int64   // Unix milliseconds; 0: never
	client  *client // as the cache has it, while it has; nil: its generation doesn't count
	grant   *storage.Grant
	access  *storage.Access
	anyone  bool // it has no audience
}

// Of the bytes, clients get a share: there are few, and each validation asks for one.
const clientShare = 8

func newCache(bytes int64, w storage.Watcher) *cache {
	seed := maphash.MakeSeed()
	c := &cache{
		grants: table[storage.ID, cachedGrant]{
			hash: func(id storage.ID) uint64 { return uint64(id[len(id)-1]) }, // which is random
			cost: costOfGrant, limit: (bytes - bytes/clientShare) / shards,
			gone: func(cachedGrant) {},
		},
		clients: table[string, *client]{
			hash: func(id string) uint64 { return maphash.String(seed, id) },
			cost: costOfClient, limit: bytes / clientShare / shards,
			gone: func(c *client) { c.gone.Store(true) },
		},
	}
	w.Watch(func(changes storage.Changes) (changed func()) {
		grants := c.grants.lockOut(changes.Grants, changes.All)
		clients := c.clients.lockOut(changes.Clients, changes.All)
		return func() {
			grants()
			clients()
		}
	})
	return c
}

// What entries take, roughly: themselves, what the map leaves empty, their seat, and what they point to.
const entryOverhead = 120

func costOfGrant(_ storage.ID, g cachedGrant) int64 {
	cost := int64(entryOverhead + unsafe.Sizeof(entry[cachedGrant]{}) + unsafe.Sizeof(seat[storage.ID]{}) + unsafe.Sizeof(*g.grant))
	cost += int64(len(g.grant.Client)+len(g.grant.User)+len(g.grant.Scope)) + int64(cap(g.grant.Access))*int64(unsafe.Sizeof(storage.Access{}))
	for i := range g.grant.Access {
		cost += int64(len(g.grant.Access[i].Scope)) + costOfWords(g.grant.Access[i].Audience)
	}
	return cost + costOfWords(g.grant.Audience)
}

func costOfClient(id string, c *client) int64 {
	cost := int64(entryOverhead+unsafe.Sizeof(entry[*client]{})+unsafe.Sizeof(seat[string]{})+unsafe.Sizeof(*c)+unsafe.Sizeof(*c.Client)) +
		int64(2*len(id)+len(c.Name)+len(c.Secret)+len(c.OldSecret)+len(c.Scope)) + costOfWords(c.RedirectURIs) + costOfWords(c.Resources) + costOfWords(c.Audience) + costOfWords(c.GrantTypes)
	for k, v := range c.Metadata {
		cost += int64(len(k)+len(v)) + entryOverhead
	}
	return cost
}

func costOfWords(words []string) (cost int64) {
	for _, w := range words {
		cost += int64(len(w)) + int64(unsafe.Sizeof(w))
	}
	return cost
}

const shards = 64

// table is a bounded map in shards.
type table[K comparable, V any] struct {
	shards [shards]shard[K, V]
	hash   func(K) uint64
	cost   func(K, V) int64
	limit  int64   // of a shard, in bytes
	gone   func(V) // is told of what leaves
}

type shard[K comparable, V any] struct {
	mu      sync.Mutex
	entries map[K]entry[V]
	seats   []seat[K]
	used    []bool // since the hand came by; apart, so that a look-up finds it in the processor's cache
	hand    int
	bytes   int64
	counter uint64    // moves with every change
	locked  map[K]int // records that are being changed
	shut    int       // all of them may be

	hits, misses int64

	_ [64]byte // a cache line for each
}

// entry lies in the map itself: each pointer to follow would be one more wait for memory.
type entry[V any] struct {
	value V
	seat  int
}

type seat[K comparable] struct {
	key  K
	cost int64
}

func (t *table[K, V]) shard(key K) *shard[K, V] { return &t.shards[t.hash(key)%shards] }

// get returns what is kept under a key.
func (t *table[K, V]) get(key K) (value V, kept bool) {
	s := t.shard(key)
	s.mu.Lock()
	e, kept := s.entries[key]
	if kept {
		s.used[e.seat] = true
		s.hits++
	} else {
		s.misses++
	}
	s.mu.Unlock()
	return e.value, kept
}

// put keeps what was read from the store after counter returned that, if nothing has changed since.
func (t *table[K, V]) put(key K, value V, counter uint64) {
	cost := t.cost(key, value)
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.counter != counter || s.shut > 0 || s.locked[key] > 0 || cost > t.limit {
		return
	}
	t.drop(s, key)
	for s.bytes+cost > t.limit {
		t.evict(s)
	}
	if s.entries == nil {
		s.entries = make(map[K]entry[V])
	}
	s.entries[key] = entry[V]{value: value, seat: len(s.seats)}
	s.seats = append(s.seats, seat[K]{key: key, cost: cost})
	s.used = append(s.used, false)
	s.bytes += cost
}

// evict drops the first entry from the hand on that was not used since the hand came by last.
func (t *table[K, V]) evict(s *shard[K, V]) {
	for {
		if s.hand >= len(s.seats) {
			s.hand = 0
		}
		if !s.used[s.hand] {
			t.drop(s, s.seats[s.hand].key)
			s.hand++ // over the newest, which has moved here
			return
		}
		s.used[s.hand] = false
		s.hand++
	}
}

// drop gives the seat of what it drops to the last one.
func (t *table[K, V]) drop(s *shard[K, V], key K) {
	e, ok := s.entries[key]
	if !ok {
		return
	}
	s.bytes -= s.seats[e.seat].cost
	last := len(s.seats) - 1
	if e.seat != last {
		s.seats[e.seat], s.used[e.seat] = s.seats[last], s.used[last]
		moved := s.entries[s.seats[last].key]
		moved.seat = e.seat
		s.entries[s.seats[last].key] = moved
	}
	s.seats[last] = seat[K]{}
	s.seats, s.used = s.seats[:last], s.used[:last]
	delete(s.entries, key)
	t.gone(e.value)
}

// lockOut forgets records that are about to change, all of them if all is set, and keeps them out until
// the function that it returns is called.
func (t *table[K, V]) lockOut(keys []K, all bool) (end func()) {
	each := func(do func(s *shard[K, V], key K)) {
		for _, key := range keys {
			s := t.shard(key)
			s.mu.Lock()
			do(s, key)
			s.counter++
			s.mu.Unlock()
		}
	}
	shards := func(do func(s *shard[K, V])) {
		if !all {
			return
		}
		for i := range t.shards {
			s := &t.shards[i]
			s.mu.Lock()
			do(s)
			s.counter++
			s.mu.Unlock()
		}
	}
	each(func(s *shard[K, V], key K) {
		t.drop(s, key)
		if s.locked == nil {
			s.locked = make(map[K]int)
		}
		s.locked[key]++
	})
	shards(func(s *shard[K, V]) {
		for _, e := range s.entries {
			t.gone(e.value)
		}
		s.entries, s.seats, s.used, s.bytes = nil, nil, nil, 0
		s.shut++
	})
	return func() {
		each(func(s *shard[K, V], key K) {
			if s.locked[key]--; s.locked[key] == 0 {
				delete(s.locked, key)
			}
		})
		shards(func(s *shard[K, V]) { s.shut-- })
	}
}

// counter is what put has to be handed for a record that is read after this call.
func (t *table[K, V]) counter(key K) uint64 {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counter
}

// CacheStats says what a Manager's cache has done and holds.
type CacheStats struct {
	Hits, Misses int64 // of access tokens and clients that were looked up
	Entries      int64
	Bytes        int64 // roughly
}

// CacheStats returns the figures of the cache, for metrics. They are zero where there is none: the store
// is no [storage.Watcher], or [CacheSize] is 0.
func (m *Manager) CacheStats() CacheStats {
	var stats CacheStats
	if m.cache != nil {
		m.cache.grants.count(&stats)
		m.cache.clients.count(&stats)
	}
	return stats
}

func (t *table[K, V]) count(stats *CacheStats) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		stats.Entries += int64(len(s.entries))
		stats.Bytes += s.bytes
		stats.Hits += s.hits
		stats.Misses += s.misses
		s.mu.Unlock()
	}
}

// CacheSize sets how many bytes, roughly, the manager may use to keep access tokens that were validated,
// and clients, so that the next look at them does not ask the store. Default 64 MiB, which is some 90,000
// tokens; 0 keeps nothing, and less than 1 MiB next to nothing. It is never out of date: see
// [storage.Watcher], which the store has to be. What it does, [Manager.CacheStats] says.
func CacheSize(bytes int64) Option {
	if bytes < 0 {
		panic("grants: CacheSize: negative size")
	}
	return func(m *Manager) { m.cacheSize = bytes }
}

// loadCached is LoadAccessToken without the store: what the cache has, and what is no token at all. It
// returns nothing if it can't tell.
func (m *Manager) loadCached(access string) (*loaded, error) {
	kind, id, secret, ok := m.encoding.Decode(access)
	if !ok || kind != AccessKind && kind != UnknownKind {
		if m.importedTokens {
			return nil, nil
		}
		return nil, oerr.ErrInvalidAccessToken
	}
	if m.cache == nil {
		return nil, nil
	}
	e, ok := m.cache.grants.get(id)
	if !ok {
		return nil, nil
	}
	if e.client != nil && e.client.gone.Load() {
		return nil, nil
	}
	if d := digest(AccessKind, secret[:]); !e.digest.Is(d) {
		at := findAccess(e.grant, d)
		if at < 0 {
			return nil, nil
		}
		e.access, e.expires, e.anyone = &e.grant.Access[at], millis(e.grant.Access[at].Expires), false
	}
	if e.expires != 0 && time.Now().UnixMilli() >= e.expires {
		return nil, oerr.ErrExpiredAccessToken
	}
	return &loaded{grant: e.grant, access: e.access, presented: access, anyone: e.anyone}, nil
}

// counter is what remember has to be handed for a grant that is read after this call.
func (m *Manager) counter(id storage.ID) uint64 {
	if m.cache == nil {
		return 0
	}
	return m.cache.grants.counter(id)
}

// remember keeps a validated access token. counter is from before the grant was read.
func (m *Manager) remember(t token, g *storage.Grant, at int, counter uint64) {
	if m.cache == nil || t.imported { // which loadCached can not find
		return
	}
	var c *client
	if m.registry != nil {
		var ok bool
		if c, ok = m.cache.clients.get(g.Client); !ok || c.Generation != g.Generation {
			return
		}
	}
	kept := *g
	kept.Code, kept.Refresh = nil, nil
	access := &kept.Access[at]
	m.cache.grants.put(g.ID, cachedGrant{
		digest: t.digest(AccessKind), expires: millis(access.Expires), client: c, grant: &kept, access: access,
		anyone: len(audienceOf(&kept, access)) == 0,
	}, counter)
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}
