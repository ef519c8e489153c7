package conformance

import (
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// BR. Bearer middleware, as far as it is the manager that decides; package middleware has all rows.
var bearerRows = []row{
	{"BR-06", append(each(testCase{}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		pair := s.pair(t, "web")
		for _, damaged := range damage(pair.access()) {
			if damaged[0] == ' ' || damaged[len(damaged)-1] == ' ' { // which HTTP takes away
				continue
			}
			s.dead(t, damaged)
		}
		s.lives(t, "web", pair)
	}),
		testCase{name: "expired", moves: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			time.Sleep(time.Hour - time.Millisecond)
			s.works(t, pair.access())
			time.Sleep(time.Millisecond)
			s.dead(t, pair.access())
		}},
		testCase{name: "grant ended", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.end(t, storage.Filter{User: "alice"})
			s.dead(t, pair.access())
		}},
		testCase{name: "client deleted", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			if err := s.store.DeleteClient(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
			s.dead(t, pair.access())
			s.putClient(t, fixture("web"))
			s.dead(t, pair.access())
		}})},
	one("BR-07", testCase{foreign: true, run: func(t *testing.T, s *server) {
		pair, code := s.pair(t, "web"), s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, other := range []string{pair.refresh(), code} {
				for _, posing := range posingAs('a', other) {
					s.dead(t, posing)
				}
			}
		})
		s.redeem(t, "web", code).ok(t)
		s.lives(t, "web", pair)
	}}),
}
