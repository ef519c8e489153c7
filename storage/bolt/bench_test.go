package bolt_test

import (
	"context"
	"fmt"
	"math"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// concurrently has callers share b.N calls of do.
func concurrently(b *testing.B, callers int, do func() error) {
	var wg sync.WaitGroup
	b.ReportAllocs()
	b.ResetTimer()
	for i := range callers {
		wg.Go(func() {
			for range b.N/callers + min(1, max(0, b.N%callers-i)) {
				if err := do(); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
	b.StopTimer()
}

// clientGrant is what client_credentials makes, userGrant what a sign-in does.
func clientGrant() *storage.Grant {
	now := time.Now()
	return &storage.Grant{
		ID: storage.NewID(), Client: "reports", Generation: 1 << 60, Scope: "orders:read", Created: now, Expires: now.Add(time.Hour),
		Access: []storage.Access{{Digest: storage.Digest{1}, Created: now, Expires: now.Add(time.Hour)}},
	}
}

func userGrant() *storage.Grant {
	g := clientGrant()
	g.User = g.ID.String()
	g.Refresh = &storage.Refresh{
		Family: storage.Digest{2}, Current: storage.Digest{3}, Created: g.Created,
		Expires: g.Created.AddDate(0, 1, 0), Limit: g.Created.AddDate(1, 0, 0),
	}
	g.Expires = g.Refresh.Expires
	return g
}

// rotate is what a refresh does to a grant.
func rotate(g *storage.Grant) error {
	now := time.Now()
	r := g.Refresh
	r.Previous, r.Rotated, r.Created, r.Expires = r.Current, now, now, now.AddDate(0, 1, 0)
	r.Current[31]++
	r.Salt, r.Fingerprint, r.RetryUntil = make([]byte, 32), storage.Digest{4}, now.Add(time.Minute)
	g.Access = append(g.Access, storage.Access{Digest: storage.Digest{5}, Created: now, Expires: now.Add(time.Hour)})
	g.Access = g.Access[max(0, len(g.Access)-4):]
	g.Expires = r.Expires
	return nil
}

// bare is bbolt under a group commit of the plainest kind: the limit that the store is measured against.
type bare struct {
	db      *bbolt.DB
	queue   chan *put
	stopped chan struct{}
}

type put struct {
	key, value, expires, user []byte
	done                      chan error
}

var bareBuckets = [][]byte{[]byte("grants"), []byte("expires"), []byte("users")}

func openBare(b *testing.B) *bare {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "bare.db"), 0o600, &bbolt.Options{
		NoFreelistSync: true, FreelistType: bbolt.FreelistMapType, NoStatistics: true, InitialMmapSize: bareMap(),
	})
	if err != nil {
		b.Fatal(err)
	}
	db.AllocSize = 1 << 20
	err = db.Update(func(tx *bbolt.Tx) error {
		for _, name := range bareBuckets {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	s := &bare{db: db, queue: make(chan *put, 4096), stopped: make(chan struct{})}
	go s.run()
	b.Cleanup(func() {
		close(s.queue)
		<-s.stopped
		db.Close()
	})
	return s
}

func (s *bare) run() {
	defer close(s.stopped)
	for first := range s.queue {
		puts := []*put{first}
		for more := true; more; {
			select {
			case p, ok := <-s.queue:
				if more = ok; ok {
					puts = append(puts, p)
				}
			default:
				more = false
			}
		}
		err := s.db.Update(func(tx *bbolt.Tx) error {
			for _, p := range puts {
				for i, kv := range [][2][]byte{{p.key, p.value}, {p.expires, nil}, {p.user, nil}} {
					if kv[0] == nil {
						continue
					}
					bucket := tx.Bucket(bareBuckets[i])
					if i < 2 {
						bucket.FillPercent = 0.95
					}
					if err := bucket.Put(kv[0], kv[1]); err != nil {
						return err
					}
				}
			}
			return nil
		})
		for _, p := range puts {
			p.done <- err
		}
	}
}

func (s *bare) insert(g *storage.Grant) error {
	value, err := g.MarshalBinary()
	if err != nil {
		return err
	}
	p := &put{key: g.ID[:], value: append(make([]byte, 5), value...), done: make(chan error, 1)}
	p.expires = append([]byte(g.Expires.Format("20060102")), g.ID[:]...)
	if g.User != "" {
		p.user = append([]byte(g.User)[20:], g.ID[:]...) // random, of the length of an index key
	}
	s.queue <- p
	return <-p.done
}

// Inserting, beside what bbolt does under the plainest group commit with the same records.
func BenchmarkInsert(b *testing.B) {
	for _, kind := range []struct {
		name  string
		grant func() *storage.Grant
	}{{"client", clientGrant}, {"user", userGrant}} {
		for _, callers := range []int{1, 64} {
			b.Run(fmt.Sprintf("%s/bare/callers=%d", kind.name, callers), func(b *testing.B) {
				s := openBare(b)
				concurrently(b, callers, func() error { return s.insert(kind.grant()) })
			})
			b.Run(fmt.Sprintf("%s/store/callers=%d", kind.name, callers), func(b *testing.B) {
				s := openForBench(b)
				concurrently(b, callers, func() error { return s.Insert(context.Background(), kind.grant()) })
			})
		}
	}
}

func openForBench(b *testing.B) *bolt.Store {
	store, err := bolt.Open(filepath.Join(b.TempDir(), "auth.db"), bolt.PruneEvery(0))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	return store
}

// Rotating, 64 chains at a time.
func BenchmarkRotate(b *testing.B) {
	store := openForBench(b)
	ids := make(chan storage.ID, 64)
	for range cap(ids) {
		g := userGrant()
		if err := store.Insert(b.Context(), g); err != nil {
			b.Fatal(err)
		}
		ids <- g.ID
	}
	concurrently(b, cap(ids), func() error {
		id := <-ids
		defer func() { ids <- id }()
		return store.Update(context.Background(), id, rotate)
	})
}

// bareMap is as large a map as the store's own, where addresses are long enough.
func bareMap() int {
	size := int64(64 << 30)
	if math.MaxInt < size {
		return 0
	}
	return int(size)
}
