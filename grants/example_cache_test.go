package grants_test

import (
	"fmt"

	"github.com/ostiary-go/ostiary/grants"
)

func ExampleCacheSize() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.CacheSize(16<<20)) // 16 MiB
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	for range 3 { // the store is asked once
		manager.LoadAccessToken(ctx, pair.GetAccess())
	}
	fmt.Println(manager.CacheStats().Entries > 0)
	// Output: true
}

func ExampleManager_CacheStats() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	before := manager.CacheStats()
	manager.LoadAccessToken(ctx, pair.GetAccess())
	manager.LoadAccessToken(ctx, pair.GetAccess())
	after := manager.CacheStats()
	fmt.Println(after.Hits > before.Hits, after.Misses > before.Misses)
	// Output: true true
}
