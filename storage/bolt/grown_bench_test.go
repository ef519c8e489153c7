package bolt_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// stock inserts n grants and returns their IDs.
func stock(b *testing.B, store *bolt.Store, n int, grant func() *storage.Grant) []storage.ID {
	b.Helper()
	ids := make([]storage.ID, n)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 1024 {
		wg.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				g := grant()
				if err := store.Insert(context.Background(), g); err != nil {
					b.Error(err)
					return
				}
				ids[i] = g.ID
			}
		})
	}
	wg.Wait()
	return ids
}

// What a file costs when it has grown: compare a million grants with ten thousand. The first run of each
// size makes the file, which takes a while.
func BenchmarkGrown(b *testing.B) {
	for _, kind := range []struct {
		name  string
		grant func() *storage.Grant
	}{{"client", clientGrant}, {"user", userGrant}} {
		for _, n := range []int{10_000, 1_000_000} {
			b.Run(fmt.Sprintf("%s/%d", kind.name, n), func(b *testing.B) {
				path := filepath.Join(b.TempDir(), "auth.db")
				store, err := bolt.Open(path, bolt.PruneEvery(0))
				if err != nil {
					b.Fatal(err)
				}
				ids := stock(b, store, n, kind.grant)
				b.Run("open", func(b *testing.B) { // after a clean close
					for b.Loop() {
						b.StopTimer()
						if err := store.Close(); err != nil {
							b.Fatal(err)
						}
						b.StartTimer()
						if store, err = bolt.Open(path, bolt.PruneEvery(0)); err != nil {
							b.Fatal(err)
						}
					}
					info, err := os.Stat(path)
					if err != nil {
						b.Fatal(err)
					}
					b.ReportMetric(float64(info.Size())/float64(n), "B/grant")
				})
				b.Run("read", func(b *testing.B) { // what a validation costs that the cache can't answer
					for b.Loop() {
						if _, err := store.Grant(context.Background(), ids[rand.IntN(n)]); err != nil {
							b.Fatal(err)
						}
					}
				})
				b.Run("insert", func(b *testing.B) {
					concurrently(b, 64, func() error { return store.Insert(context.Background(), kind.grant()) })
				})
				store.Close()
			})
		}
	}
}

// How long others wait while a million expired grants are pruned.
func BenchmarkPruneUnderLoad(b *testing.B) {
	const expired = 1_000_000
	store := openForBench(b)
	old := func() *storage.Grant {
		g := clientGrant()
		g.Expires = g.Created.Add(-time.Hour)
		return g
	}
	load := func(during func()) (p99 time.Duration) {
		var took []time.Duration
		var mu sync.Mutex
		stop := make(chan struct{})
		var wg sync.WaitGroup
		for range 16 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					began := time.Now()
					if err := store.Insert(context.Background(), clientGrant()); err != nil {
						b.Error(err)
						return
					}
					mu.Lock()
					took = append(took, time.Since(began))
					mu.Unlock()
				}
			})
		}
		during()
		close(stop)
		wg.Wait()
		slices.Sort(took)
		return took[len(took)*99/100]
	}
	for b.Loop() {
		stock(b, store, expired, old)
		var pruning time.Duration
		with := load(func() {
			began := time.Now()
			if n, err := store.Prune(context.Background(), time.Now()); err != nil || n < expired {
				b.Fatal(n, err)
			}
			pruning = time.Since(began)
		})
		without := load(func() { time.Sleep(pruning) })
		b.ReportMetric(float64(with)/1e6, "ms-p99-with")
		b.ReportMetric(float64(without)/1e6, "ms-p99-without")
		b.ReportMetric(pruning.Seconds(), "s-pruning")
	}
}
