// Package bounded keeps what was found out before, in a bounded piece of memory.
//
// A full shard makes room by going round its entries: one that was used since it came by last stays, the
// first other one goes. So a flood of what is used once pushes out what else is used once. What may change
// under it is locked out while it does: see [Table.LockOut].
package bounded

import (
	"sync"
	"unsafe"
)

const shards = 64

// Table is a bounded map in shards. It is safe for concurrent use, and made by New.
type Table[K comparable, V any] struct {
	shards [shards]shard[K, V]
	hash   func(K) uint64
	cost   func(K, V) int64
	limit  int64   // of a shard, in bytes
	gone   func(V) // is told of what leaves
}

// New returns a Table of limit bytes. cost is what a value and its key take beside [Overhead], hash
// spreads keys over the shards, gone, if not nil, is told of each value that leaves: it is quick and does
// not call the table.
func New[K comparable, V any](limit int64, hash func(K) uint64, cost func(K, V) int64, gone func(V)) *Table[K, V] {
	if gone == nil {
		gone = func(V) {}
	}
	overhead := Overhead[K, V]()
	return &Table[K, V]{hash: hash, limit: limit / shards, gone: gone, cost: func(k K, v V) int64 { return overhead + cost(k, v) }}
}

// Overhead is what an entry takes, roughly, beside what it points to: itself, what the map leaves empty, and
// its seat.
func Overhead[K comparable, V any]() int64 {
	return 120 + int64(unsafe.Sizeof(entry[V]{})+unsafe.Sizeof(seat[K]{}))
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

func (t *Table[K, V]) shard(key K) *shard[K, V] { return &t.shards[t.hash(key)%shards] }

// Get returns what is kept under a key.
func (t *Table[K, V]) Get(key K) (value V, kept bool) {
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

// Put keeps what was read after Counter returned that, if nothing has changed since.
func (t *Table[K, V]) Put(key K, value V, counter uint64) {
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
func (t *Table[K, V]) evict(s *shard[K, V]) {
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
func (t *Table[K, V]) drop(s *shard[K, V], key K) {
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

// LockOut forgets records that are about to change, all of them if all is set, and keeps them out until
// the function that it returns is called.
func (t *Table[K, V]) LockOut(keys []K, all bool) (end func()) {
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

// Counter is what Put has to be handed for a record that is read after this call.
func (t *Table[K, V]) Counter(key K) uint64 {
	s := t.shard(key)
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.counter
}

// Stats are the figures of a table.
type Stats struct{ Hits, Misses, Entries, Bytes int64 }

// Stats returns the figures of the table.
func (t *Table[K, V]) Stats() (stats Stats) {
	for i := range t.shards {
		s := &t.shards[i]
		s.mu.Lock()
		stats.Entries += int64(len(s.entries))
		stats.Bytes += s.bytes
		stats.Hits += s.hits
		stats.Misses += s.misses
		s.mu.Unlock()
	}
	return stats
}
