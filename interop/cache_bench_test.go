package interop_test

import (
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/maypok86/otter/v2"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// BenchmarkCache holds the manager's cache against a library's of as many entries, in front of a manager
// that has none: how often a token is found where a few are used much and most little, and what finding it
// costs. The library's cache would be stale after each revocation: it has no way to keep out what was read
// before a change that is through, with the look-up, the fill and the lock-out in one step.
func BenchmarkCache(b *testing.B) {
	store, err := bolt.Open(filepath.Join(b.TempDir(), "auth.db"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	if err := store.PutClient(b.Context(), &storage.Client{ID: "app", Secret: storage.HashGenerated("x"), Scope: "read", GrantTypes: []string{"client_credentials"}}); err != nil {
		b.Fatal(err)
	}
	const all, room = 30_000, 3_000
	tokens := make([]string, all)
	plain := grants.New(store, grants.CacheSize(0))
	var wg sync.WaitGroup
	for w := range 100 {
		wg.Go(func() {
			for i := w; i < all; i += 100 {
				info, err := plain.Issue(b.Context(), grants.Issue{Client: "app"})
				if err != nil {
					b.Error(err)
					return
				}
				tokens[i] = info.GetAccess()
			}
		})
	}
	wg.Wait()

	size := int64(1) // of room entries
	for ours := int64(0); ours < room; size += 64 << 10 {
		m := grants.New(store, grants.CacheSize(size))
		for _, token := range tokens[:room+room/4] {
			m.LoadAccessToken(b.Context(), token)
		}
		ours = m.CacheStats().Entries
	}
	ours := grants.New(store, grants.CacheSize(size))
	library := otter.Must(&otter.Options[string, oauth2.TokenInfo]{MaximumSize: room})
	for name, load := range map[string]func(token string) (found bool){
		"ours": func(token string) bool {
			before := ours.CacheStats().Misses
			if _, err := ours.LoadAccessToken(b.Context(), token); err != nil {
				b.Fatal(err)
			}
			return ours.CacheStats().Misses == before
		},
		"library": func(token string) bool {
			if _, found := library.GetIfPresent(token); found {
				return true
			}
			info, err := plain.LoadAccessToken(b.Context(), token)
			if err != nil {
				b.Fatal(err)
			}
			library.Set(token, info)
			return false
		},
	} {
		for _, skew := range []float64{1.01, 1.3} {
			b.Run(fmt.Sprintf("%s/zipf-%.2f", name, skew), func(b *testing.B) {
				draw := rand.NewZipf(rand.New(rand.NewPCG(1, 2)), skew, 1, all-1)
				hits, looks := 0, 0
				for b.Loop() {
					found := load(tokens[draw.Uint64()])
					if looks++; found {
						hits++
					}
				}
				b.ReportMetric(100*float64(hits)/float64(looks), "%hit")
				b.ReportMetric(0, "ns/op")
			})
		}
	}
	hot := tokens[0]
	ours.LoadAccessToken(b.Context(), hot)
	b.Run("ours/found", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			ours.LoadAccessToken(b.Context(), hot)
		}
	})
	info, _ := plain.LoadAccessToken(b.Context(), hot)
	library.Set(hot, info)
	b.Run("library/found", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			library.GetIfPresent(hot)
		}
	})
}
