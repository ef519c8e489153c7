package bolt_test

import (
	"context"
	"fmt"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
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
}

func BenchmarkInsert(b *testing.B) {
	for _, callers := range []int{1, 64} {
		b.Run(fmt.Sprintf("callers=%d", callers), func(b *testing.B) {
			store := open(b, filepath.Join(b.TempDir(), "auth.db"))
			defer store.Close()
			concurrently(b, callers, func() error {
				now := time.Now()
				return store.Insert(context.Background(), &storage.Grant{
					ID: storage.NewID(), Client: "reports", Scope: "orders:read", Created: now, Expires: now.Add(time.Hour),
					Access: []storage.Access{{Digest: storage.Digest{1}, Created: now, Expires: now.Add(time.Hour)}},
				})
			})
		})
	}
}
