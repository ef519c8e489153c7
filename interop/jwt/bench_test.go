package jwt_test

import (
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"
	"time"
)

// BenchmarkGuard holds guards of one route against one another, all in the shape of a middleware: bare, which
// verifies the signature of a JWT and no more, those that other libraries make, and ours: cold, with tokens that
// it has not seen, and warm. Beside them are those of opaque tokens, by the Manager itself and by introspection,
// both warm.
//
// x_bare and x_opaque say how many times the one and the other each costs, and ns/op is a median, too: they
// serve in turn for this, a few requests at a time, so that whatever else the machine does hits all of them.
func BenchmarkGuard(b *testing.B) {
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		b.Run(algorithm, func(b *testing.B) {
			guards := subjects(b, algorithm)
			took := inTurn(b, guards)
			for _, s := range guards {
				b.Run(s.name, func(b *testing.B) {
					s.renew(b)
					w := blank{http.Header{}}
					b.ReportAllocs()
					for b.Loop() {
						if s.left() == 0 {
							b.StopTimer()
							s.renew(b)
							b.StartTimer()
						}
						s.serve(w)
					}
					b.ReportMetric(median(took[s.name]), "ns/op")
					b.ReportMetric(ratio(took[s.name], took["bare"]), "x_bare")
					b.ReportMetric(ratio(took[s.name], took["opaque-warm"]), "x_opaque")
				})
			}
		})
	}
}

const (
	rounds = 1501
	turn   = 300 * time.Microsecond
)

var touched byte // is a variable of the package, so that it is read indeed

// inTurn returns what a request to each of the guards took, in nanoseconds, in each of the rounds.
func inTurn(tb testing.TB, guards []*subject) map[string][]float64 {
	w := blank{http.Header{}}
	serve := func(s *subject, n int) time.Duration {
		if s.left() < n {
			s.renew(tb)
		}
		for i := range n { // their headers are in the processor's cache, as where a server has just read them
			for _, octet := range []byte(s.requests[(s.next+i)%len(s.requests)].Header["Authorization"][0]) {
				touched ^= octet
			}
		}
		began := time.Now()
		for range n {
			s.serve(w)
		}
		return time.Since(began)
	}
	requests := make(map[string]int) // in a turn
	for _, s := range guards {
		s.renew(tb)
		n := 4
		for n < live/2 && serve(s, n) < turn {
			n *= 2
		}
		requests[s.name] = n
	}
	took := make(map[string][]float64)
	for range rounds {
		for _, i := range rand.Perm(len(guards)) {
			s := guards[i]
			n := requests[s.name]
			took[s.name] = append(took[s.name], float64(serve(s, n))/float64(n))
		}
	}
	return took
}

// ratio is how many times b a is, from what was measured in the same round.
func ratio(a, b []float64) float64 {
	ratios := make([]float64, len(a))
	for i := range a {
		ratios[i] = a[i] / b[i]
	}
	return median(ratios)
}

func median(values []float64) float64 {
	sorted := slices.Sorted(slices.Values(values))
	return sorted[len(sorted)/2]
}

// A token that is known costs a request at most this many allocations, the passage through Bearer included.
func TestAllocations(t *testing.T) {
	most := map[string]float64{"ours-warm": 4, "opaque-warm": 4, "introspection-warm": 4}
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256"} {
		for _, s := range subjects(t, algorithm) {
			want, ok := most[s.name]
			if !ok {
				continue
			}
			s.renew(t)
			w := blank{http.Header{}}
			if n := testing.AllocsPerRun(2*live, func() { s.serve(w) }); n > want {
				t.Errorf("%s, %s: %v allocations, want at most %v", algorithm, s.name, n, want)
			}
		}
	}
}
