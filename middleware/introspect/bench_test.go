package introspect_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
)

// typical is a token of the length and alphabet of ostiary's own.
const typical = "osta_AZqXkR0Fd8uJ3m5kYw2v1bN7cQeT4hLx9oPsGiUzDyWvCrMfKjHgEaSnBtVdIpOlXqZw"

// blank is a ResponseWriter that costs nothing.
type blank struct{ header http.Header }

func (w blank) Header() http.Header         { return w.header }
func (w blank) Write(b []byte) (int, error) { return len(b), nil }
func (w blank) WriteHeader(int)             {}

func guarded(v *introspect.Validator) (serve func()) {
	protect := middleware.Bearer(v, middleware.Audience("https://orders.example"))
	h := protect(middleware.Scope("orders:read")(middleware.User(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
	r, w := httptest.NewRequest("GET", "/orders", nil), blank{http.Header{}}
	r.Header.Set("Authorization", "Bearer "+typical)
	return func() { h.ServeHTTP(w, r) }
}

// BenchmarkIntrospect: a token that is known, and one that is asked about over HTTP on this machine.
func BenchmarkIntrospect(b *testing.B) {
	endpoint := httptest.NewServer(says(about("")))
	defer endpoint.Close()
	for name, options := range map[string][]introspect.Option{"warm": nil, "cold": {introspect.Cache(0)}} {
		b.Run(name, func(b *testing.B) {
			serve := guarded(introspect.New(endpoint.URL, clientID, secret, options...))
			b.ReportAllocs()
			for b.Loop() {
				serve()
			}
		})
	}
}

// Bearer's two, the view, and the audience where there is one.
func TestAllocations(t *testing.T) {
	for members, want := range map[string]float64{"": 3, `"aud":"https://orders.example"`: 4} {
		w := newWorld(t, false, says(about(members)), nil)
		serve := guarded(w.validator)
		if n := testing.AllocsPerRun(100, serve); n > want {
			t.Errorf("%v allocations for a known token with %s, want at most %v", n, members, want)
		}
		if w.count() != 1 {
			t.Errorf("asked %d times", w.count())
		}
	}
}
