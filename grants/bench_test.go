package grants_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/middleware"
)

func BenchmarkValidate(b *testing.B) {
	m := grants.New(openStore(b), quiet)
	var good string
	for range 1000 {
		info, err := m.Issue(b.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read"})
		if err != nil {
			b.Fatal(err)
		}
		good = info.GetAccess()
	}
	elsewhere, err := grants.New(openStore(b), quiet).Issue(b.Context(), grants.Issue{Client: "app", User: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	for _, c := range []struct {
		name, token string
		ok          bool
	}{
		{"good", good, true},
		{"unknown", elsewhere.GetAccess(), false},
		{"garbage", good[:len(good)-1] + "!", false},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := m.LoadAccessToken(b.Context(), c.token); (err == nil) != c.ok {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkIssue(b *testing.B) {
	for _, c := range []struct {
		name    string
		callers int
		issue   grants.Issue
	}{
		{"client/1", 1, grants.Issue{Client: "app"}},
		{"client/64", 64, grants.Issue{Client: "app"}},
		{"user/1", 1, grants.Issue{Client: "app", User: "alice"}},
		{"user/64", 64, grants.Issue{Client: "app", User: "alice"}},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := grants.New(openStore(b), quiet)
			b.ReportAllocs()
			callers(b, c.callers, func() {
				if _, err := m.Issue(b.Context(), c.issue); err != nil {
					b.Error(err)
				}
			})
		})
	}
}

func BenchmarkRotate(b *testing.B) {
	m := grants.New(openStore(b), quiet)
	info, err := m.Issue(b.Context(), grants.Issue{Client: "app", User: "alice"})
	if err != nil {
		b.Fatal(err)
	}
	r := &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: info.GetRefresh()}
	b.ReportAllocs()
	for b.Loop() {
		next, err := m.Token(b.Context(), r)
		if err != nil {
			b.Fatal(err)
		}
		r.RefreshToken = next.GetRefresh()
	}
}

// callers divides b.N calls of do among so many goroutines.
func callers(b *testing.B, n int, do func()) {
	var left atomic.Int64
	left.Store(int64(b.N))
	done := make(chan struct{})
	b.ResetTimer()
	for range n {
		go func() {
			for left.Add(-1) >= 0 {
				do()
			}
			done <- struct{}{}
		}()
	}
	for range n {
		<-done
	}
}

type floorKey struct{}

var reached http.Handler // is a variable, so that nothing of a request stays on the stack

// The floor is what no validation of an opaque token can do without: a hash, a look-up and a request with
// another context. Beside it the whole: Bearer over a Manager that has seen the tokens before.
func BenchmarkGuard(b *testing.B) {
	const live = 100_000
	m := grants.New(openStore(b), quiet, grants.CacheSize(256<<20))
	tokens := make([]string, live)
	var next atomic.Int64
	var wg sync.WaitGroup
	for range 256 {
		wg.Go(func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= live {
					return
				}
				info, err := m.Issue(context.Background(), grants.Issue{Client: "app", User: fmt.Sprint("user", i), Scope: "read"})
				if err != nil {
					b.Error(err)
					return
				}
				tokens[i] = info.GetAccess()
			}
		})
	}
	wg.Wait()
	for _, token := range tokens {
		if _, err := m.LoadAccessToken(b.Context(), token); err != nil {
			b.Fatal(err)
		}
	}
	if stats := m.CacheStats(); stats.Entries < live {
		b.Fatalf("not warm: %+v", stats)
	}
	known := make(map[[32]byte]*grants.Issue, live)
	for _, token := range tokens {
		known[sha256.Sum256([]byte(token[:33]))] = &grants.Issue{User: token}
	}
	ctx, cancel := context.WithCancel(b.Context()) // as net/http gives it to a request
	defer cancel()
	requests := make([]*http.Request, 4096) // far apart in memory, as clients are
	for i := range requests {
		requests[i] = httptest.NewRequest("GET", "/", nil).WithContext(ctx)
		requests[i].Header.Set("Authorization", "Bearer "+tokens[i*live/len(requests)])
	}
	reached = http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	guarded := middleware.Bearer(m)(reached)
	floor := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if found := known[sha256.Sum256([]byte(r.Header["Authorization"][0][7:40]))]; found != nil {
			reached.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), floorKey{}, found)))
		}
	})
	for _, c := range []struct {
		name string
		http.Handler
	}{{"floor", floor}, {"bearer", guarded}} {
		b.Run(c.name, func(b *testing.B) {
			w := httptest.NewRecorder()
			b.ReportAllocs()
			read := byte(0)
			for i := 0; b.Loop(); i++ {
				r := requests[i%len(requests)]
				for _, octet := range []byte(r.Header["Authorization"][0]) { // as a server just has
					read ^= octet
				}
				c.ServeHTTP(w, r)
			}
			runtime.KeepAlive(read)
			if w.Code != http.StatusOK {
				b.Fatal(w.Code)
			}
		})
	}
}
