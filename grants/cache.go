package grants

import (
	"context"
	"hash/maphash"
	"time"
	"unsafe"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/bounded"
	"github.com/ostiary-go/ostiary/internal/view"
	"github.com/ostiary-go/ostiary/storage"
)

// cache keeps what validation needs of grants, and clients, as a store that tells of its changes returned
// them. It is coherent: before the store commits a change, the record is locked out of the cache, and its
// shard's counter moves; after it, before anybody is answered, the counter moves again and the lock-out
// ends. Who reads the store keeps what he read only if the counter has not moved since before he read.
// Without these rules a reader could put back what has just been changed.
//
// It is bounded in bytes. Tokens that nobody has are never in it. BenchmarkCache of the module interop holds
// it against a library.
type cache struct {
	grants  *bounded.Table[storage.ID, cachedGrant]
	clients *bounded.Table[string, *client]
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

// Of the bytes that a Manager may use, signatures that were verified get a share.
const signedShare = 4

func newCache(bytes int64, w storage.Watcher) *cache {
	seed := maphash.MakeSeed()
	c := &cache{
		grants: bounded.New(bytes-bytes/clientShare, func(id storage.ID) uint64 { return uint64(id[len(id)-1]) }, // which is random
			costOfGrant, nil),
		clients: bounded.New(bytes/clientShare, func(id string) uint64 { return maphash.String(seed, id) },
			costOfClient, func(c *client) { c.gone.Store(true) }),
	}
	w.Watch(func(changes storage.Changes) (changed func()) {
		grants := c.grants.LockOut(changes.Grants, changes.All)
		clients := c.clients.LockOut(changes.Clients, changes.All)
		return func() {
			grants()
			clients()
		}
	})
	return c
}

// costOfGrant is what an entry points to, roughly, in bytes.
func costOfGrant(_ storage.ID, g cachedGrant) int64 {
	cost := int64(unsafe.Sizeof(*g.grant))
	cost += int64(len(g.grant.Client)+len(g.grant.User)+len(g.grant.Scope)) + int64(cap(g.grant.Access))*int64(unsafe.Sizeof(storage.Access{}))
	for i := range g.grant.Access {
		cost += int64(len(g.grant.Access[i].Scope)) + costOfWords(g.grant.Access[i].Audience)
	}
	return cost + costOfWords(g.grant.Audience)
}

func costOfClient(id string, c *client) int64 {
	cost := int64(unsafe.Sizeof(*c)+unsafe.Sizeof(*c.Client)) +
		int64(2*len(id)+len(c.Name)+len(c.Secret)+len(c.OldSecret)+len(c.Scope)) + costOfWords(c.RedirectURIs) + costOfWords(c.Resources) + costOfWords(c.Audience) + costOfWords(c.GrantTypes)
	for k, v := range c.Metadata {
		cost += int64(len(k)+len(v)) + 120
	}
	return cost
}

func costOfWords(words []string) (cost int64) {
	for _, w := range words {
		cost += int64(len(w)) + int64(unsafe.Sizeof(w))
	}
	return cost
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
		for _, s := range []bounded.Stats{m.cache.grants.Stats(), m.cache.clients.Stats()} {
			stats.Hits, stats.Misses = stats.Hits+s.Hits, stats.Misses+s.Misses
			stats.Entries, stats.Bytes = stats.Entries+s.Entries, stats.Bytes+s.Bytes
		}
	}
	return stats
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
func (m *Manager) loadCached(ctx context.Context, access string) (*loaded, error) {
	var t token
	kind, id, secret, ok := m.encoding.Decode(access)
	switch {
	case ok && (kind == AccessKind || kind == UnknownKind):
		t = native(kind, id, secret)
	case m.signed != nil && !ok:
		if t, ok = m.signed.remembered(ctx, access); !ok {
			return nil, nil
		}
	case m.importedTokens:
		return nil, nil
	default:
		return nil, oerr.ErrInvalidAccessToken
	}
	if m.cache == nil {
		return nil, nil
	}
	e, ok := m.cache.grants.Get(t.id)
	if !ok {
		return nil, nil
	}
	if e.client != nil && e.client.gone.Load() {
		return nil, nil
	}
	if d := t.digest(AccessKind); !e.digest.Is(d) {
		at := findAccess(e.grant, d)
		if at < 0 {
			return nil, nil
		}
		e.access, e.expires, e.anyone = &e.grant.Access[at], millis(e.grant.Access[at].Expires), false
	}
	if e.expires != 0 && time.Now().UnixMilli() >= e.expires {
		return nil, oerr.ErrExpiredAccessToken
	}
	l := &loaded{view.Token[shown]{Source: shown{grant: e.grant, access: e.access, presented: access}}}
	if e.anyone {
		l.Source.described = anyone
	}
	return l, nil
}

// counter is what remember has to be handed for a grant that is read after this call.
func (m *Manager) counter(id storage.ID) uint64 {
	if m.cache == nil {
		return 0
	}
	return m.cache.grants.Counter(id)
}

// remember keeps a validated access token. counter is from before the grant was read.
func (m *Manager) remember(t token, g *storage.Grant, at int, counter uint64) {
	if m.cache == nil || t.imported { // which loadCached can not find
		return
	}
	var c *client
	if m.registry != nil {
		var ok bool
		if c, ok = m.cache.clients.Get(g.Client); !ok || c.Generation != g.Generation {
			return
		}
	}
	kept := *g
	kept.Code, kept.Refresh = nil, nil
	access := &kept.Access[at]
	m.cache.grants.Put(g.ID, cachedGrant{
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
