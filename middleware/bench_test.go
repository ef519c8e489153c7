package middleware_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/ostiary-go/ostiary/middleware"
)

// instant is a Validator that costs nothing, so that what is measured is ours.
type instant struct{ token oauth2.TokenInfo }

func (v instant) LoadAccessToken(context.Context, string) (oauth2.TokenInfo, error) {
	return v.token, nil
}

// blank is a ResponseWriter that costs next to nothing.
type blank struct{ header http.Header }

func (w blank) Header() http.Header         { return w.header }
func (w blank) Write(b []byte) (int, error) { return len(b), nil }
func (w blank) WriteHeader(int)             {}

// typical is a token of the length and alphabet of ostiary's own.
const typical = "osta_AZqXkR0Fd8uJ3m5kYw2v1bN7cQeT4hLx9oPsGiUzDyWvCrMfKjHgEaSnBtVdIpOlXqZw"

func benchmark(b *testing.B, guard func(http.Handler) http.Handler, target string, header ...string) {
	ctx, cancel := context.WithCancel(b.Context()) // as net/http gives it to a request
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", target, nil)
	if err != nil {
		b.Fatal(err)
	}
	if header != nil {
		r.Header["Authorization"] = header
	}
	h := guard(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	w := blank{http.Header{}}
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
}

func BenchmarkBearer(b *testing.B) {
	v := instant{&models.Token{ClientID: "web", UserID: "alice", Scope: "orders:read orders:write"}}
	protect := middleware.Bearer(v)
	b.Run("good", func(b *testing.B) { benchmark(b, protect, "/", "Bearer "+typical) })
	b.Run("good_with_query", func(b *testing.B) { benchmark(b, protect, "/?page=2&sort=name", "Bearer "+typical) })
	b.Run("good_scope_user", func(b *testing.B) {
		benchmark(b, func(h http.Handler) http.Handler {
			return protect(middleware.Scope("orders:read")(middleware.User(h)))
		}, "/", "Bearer "+typical)
	})
	b.Run("from_query", func(b *testing.B) {
		benchmark(b, middleware.Bearer(v, middleware.InsecureQuery()), "/?access_token="+typical)
	})
	b.Run("none", func(b *testing.B) { benchmark(b, protect, "/") })
	b.Run("malformed", func(b *testing.B) { benchmark(b, protect, "/", "Bearer "+typical+"%") })
	b.Run("unknown", func(b *testing.B) { benchmark(b, middleware.Bearer(instant{}), "/", "Bearer "+typical) })
}
