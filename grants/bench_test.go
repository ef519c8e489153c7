package grants_test

import (
	"sync/atomic"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
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
