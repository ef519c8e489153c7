package conformance

import (
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// refreshedTwice gives R0, R1 and R2 and the answers they came in.
func refreshedTwice(t *testing.T, s *server, client string) (r0, r1, r2 *answer) {
	t.Helper()
	r0 = s.pair(t, client)
	r1 = s.refreshes(t, client, r0.refresh())
	r2 = s.refreshes(t, client, r1.refresh())
	return r0, r1, r2
}

// RT. refresh_token.
var refreshRows = []row{
	{"RT-01", each(testCase{}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		r0 := s.pair(t, client)
		r1 := s.refreshes(t, client, r0.refresh())
		if r1.refresh() == "" || r1.refresh() == r0.refresh() || r1.access() == r0.access() {
			t.Errorf("no new pair: %s", r1)
		}
		s.works(t, r0.access())
		s.lives(t, client, r1)
	})},
	{"RT-02", append(each(testCase{}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		r0 := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, damaged := range damage(r0.refresh()) {
				s.tryRefresh(t, "web", damaged).e400(t, "invalid_grant")
			}
		})
		s.lives(t, "web", r0)
	}),
		testCase{name: "absent", foreign: true, run: func(t *testing.T, s *server) {
			s.refreshAs(t, "web", "x", "refresh_token", without).e400(t, "invalid_request")
			s.refreshAs(t, "web", "").e400(t, "invalid_request")
		}},
		testCase{name: "another kind", run: func(t *testing.T, s *server) {
			r0, code := s.pair(t, "web"), s.newCode(t, "web")
			s.unchanged(t, func() {
				for _, token := range []string{r0.access(), code} {
					for _, posing := range posingAs('r', token) {
						s.tryRefresh(t, "web", posing).e400(t, "invalid_grant")
					}
				}
			})
			s.lives(t, "web", r0)
		}})},
	one("RT-03", testCase{foreign: true, run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, thief := range []string{"two", "spa"} {
				s.tryRefresh(t, thief, r0.refresh()).e400(t, "invalid_grant")
			}
		})
		s.lives(t, "web", r0)
	}}),
	one("RT-04", testCase{foreign: true, run: func(t *testing.T, s *server) {
		web, spa := s.pair(t, "web"), s.pair(t, "spa")
		s.unchanged(t, func() {
			request := form(refreshment(web.refresh())...)
			s.token(t, request, basic("web", "wrong-secret")).e401(t)
			s.token(t, request+"&client_id=web").e401(t)
			s.token(t, request).e401(t)
			s.token(t, form(refreshment(spa.refresh())...)).e401(t)
		})
		s.lives(t, "web", web)
		s.lives(t, "spa", spa)
	}}),
	{"RT-05", []testCase{
		{name: "idle", moves: true, run: func(t *testing.T, s *server) {
			r := s.pair(t, "web")
			time.Sleep(30*24*time.Hour - time.Millisecond)
			r = s.refreshes(t, "web", r.refresh())
			time.Sleep(30 * 24 * time.Hour)
			s.unchanged(t, func() { s.tryRefresh(t, "web", r.refresh()).e400(t, "invalid_grant") })
		}},
		{name: "absolute", moves: true, run: func(t *testing.T, s *server) {
			r := s.pair(t, "web")
			for range 18 { // 360 days
				time.Sleep(20 * 24 * time.Hour)
				r = s.refreshes(t, "web", r.refresh())
			}
			time.Sleep(5*24*time.Hour - time.Millisecond)
			r = s.refreshes(t, "web", r.refresh())
			time.Sleep(time.Millisecond)
			s.unchanged(t, func() { s.tryRefresh(t, "web", r.refresh()).e400(t, "invalid_grant") })
		}},
	}},
	{"RT-06", append(each(testCase{}, filters, func(t *testing.T, s *server, f storage.Filter) {
		r0, other := s.pair(t, "web"), s.pair(t, "two")
		s.end(t, f)
		s.ended(t, "web", r0)
		if f.Client != "" {
			s.lives(t, "two", other)
		}
	}), testCase{name: "revoked", foreign: true, run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		s.asClient(t, "/revoke", "web", "token", r0.refresh()).done(t)
		s.ended(t, "web", r0)
	}})},
	{"RT-07", []testCase{
		{name: "same request", moves: true, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			for _, wait := range []time.Duration{0, 5 * time.Second, 55*time.Second - time.Millisecond} {
				time.Sleep(wait)
				again := s.refreshes(t, "web", r0.refresh())
				if again.refresh() != r1.refresh() || again.access() != r1.access() {
					t.Errorf("another pair: %s", again)
				}
				if wait == 5*time.Second && again.members["expires_in"] != float64(3595) {
					t.Errorf("expires_in is not what is left: %s", again)
				}
			}
			s.lives(t, "web", r1)
		}},
		{name: "another scope", run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			s.unchanged(t, func() { s.refreshAs(t, "web", r0.refresh(), "scope", "read").e400(t, "invalid_grant") })
			s.lives(t, "web", r1)
		}},
		{name: "the same scope in other words", run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			if again := s.refreshAs(t, "web", r0.refresh(), "scope", "write read write").ok(t); again.access() != r1.access() {
				t.Errorf("another pair: %s", again)
			}
		}},
	}},
	one("RT-08", testCase{run: func(t *testing.T, s *server) {
		r0, r1, r2 := refreshedTwice(t, s, "web")
		s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
		s.ended(t, "web", r0, r1, r2)
	}}),
	{"RT-09", []testCase{
		{name: "after the window", moves: true, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			time.Sleep(time.Minute)
			s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
			s.ended(t, "web", r0, r1)
		}},
		{name: "no window", options: []grants.Option{grants.RetryWindow(0)}, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
			s.ended(t, "web", r0, r1)
		}},
	}},
	one("RT-10", testCase{run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		last := r0
		for range 5 {
			last = s.refreshes(t, "web", last.refresh())
		}
		s.works(t, last.access())
		s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
		s.ended(t, "web", last)
	}}),
	one("RT-11", testCase{run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		s.unchanged(t, func() {
			for range 10 {
				s.tryRefresh(t, "web", forged(r0.refresh(), 'r', func(octets []byte) { copy(octets[16:], forgery()) })).e400(t, "invalid_grant")
			}
		})
		s.lives(t, "web", r0)
	}}),
	{"RT-12", each(testCase{moves: true}, map[string]time.Duration{"in the window": 0, "after it": 2 * time.Minute}, func(t *testing.T, s *server, wait time.Duration) {
		r0 := s.pair(t, "web")
		r1 := s.refreshes(t, "web", r0.refresh())
		time.Sleep(wait)
		s.unchanged(t, func() {
			s.tryRefresh(t, "two", r0.refresh()).e400(t, "invalid_grant")
			s.token(t, form(refreshment(r0.refresh())...), basic("web", "wrong-secret")).e401(t)
		})
		s.lives(t, "web", r1)
	})},
	{"RT-13", []testCase{
		{name: "window", run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			answers := atOnce(t, 64, func(int) *answer { return s.tryRefresh(t, "web", r0.refresh()) })
			for _, a := range answers {
				if a.ok(t); a.access() != answers[0].access() || a.refresh() != answers[0].refresh() {
					t.Errorf("two pairs: %s\n%s", answers[0], a)
				}
			}
			s.lives(t, "web", answers[0])
		}},
		{name: "no window", options: []grants.Option{grants.RetryWindow(0)}, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			winner := onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.tryRefresh(t, "web", r0.refresh()) }))
			s.ended(t, "web", r0, winner)
		}},
	}},
	{"RT-14", each(testCase{foreign: true}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, scope string) {
		r0 := s.pair(t, "web")
		s.refreshAs(t, "web", r0.refresh(), "scope", scope).ok(t).words(t, "read", "write")
	})},
	one("RT-15", testCase{run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		r1 := s.refreshAs(t, "web", r0.refresh(), "scope", "read").ok(t)
		r1.words(t, "read")
		s.refreshes(t, "web", r1.refresh()).words(t, "read", "write")
	}}),
	{"RT-16", each(testCase{foreign: true}, same("write read", "read read write"), func(t *testing.T, s *server, scope string) {
		s.refreshAs(t, "web", s.pair(t, "web").refresh(), "scope", scope).ok(t).words(t, "read", "write")
	})},
	{"RT-17", each(testCase{}, same("read write", "write", "admin", "read admin"), func(t *testing.T, s *server, scope string) {
		code := s.code(t, "web", "https://web.example/cb", "read", challenge)
		r0 := s.redeem(t, "web", code).ok(t)
		s.unchanged(t, func() { s.refreshAs(t, "web", r0.refresh(), "scope", scope).e400(t, "invalid_scope") })
		s.lives(t, "web", r0)
	})},
	{"RT-18", each(testCase{}, malformedScopes, func(t *testing.T, s *server, scope string) {
		r0 := s.pair(t, "web")
		s.unchanged(t, func() { s.refreshAs(t, "web", r0.refresh(), "scope", scope).e400(t, "invalid_scope") })
		s.lives(t, "web", r0)
	})},
	{"RT-19", []testCase{
		{name: "web", run: func(t *testing.T, s *server) {
			c := fixture("web")
			c.InsecureNoRotation = true
			s.putClient(t, c)
			r0 := s.pair(t, "web")
			for range 3 {
				s.works(t, s.refreshes(t, "web", r0.refresh()).access())
			}
		}},
		{name: "spa", run: func(t *testing.T, s *server) {
			c := fixture("spa")
			c.InsecureNoRotation = true
			s.unchanged(t, func() {
				if err := s.store.PutClient(t.Context(), c); err == nil {
					t.Error("a public client without rotation is registered")
				}
			})
			c.InsecurePublicNoRotation = true
			s.putClient(t, c)
			r0 := s.pair(t, "spa")
			s.refreshes(t, "spa", r0.refresh())
			s.refreshes(t, "spa", r0.refresh())
		}},
	}},
	{"RT-20", []testCase{
		{name: "refresh token expired", moves: true, run: func(t *testing.T, s *server) {
			c := fixture("web")
			c.RefreshIdle = time.Minute
			s.putClient(t, c)
			r0 := s.pair(t, "web")
			time.Sleep(2 * time.Minute)
			s.works(t, r0.access())
			s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
		}},
		{name: "access token expired", moves: true, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			time.Sleep(time.Hour)
			s.dead(t, r0.access())
			s.refreshes(t, "web", r0.refresh())
		}},
	}},
	one("RT-21", testCase{run: func(t *testing.T, s *server) {
		issued := []*answer{s.pair(t, "web")}
		for len(issued) < 6 {
			issued = append(issued, s.refreshes(t, "web", issued[len(issued)-1].refresh()))
		}
		for i, a := range issued {
			if i < 2 {
				s.dead(t, a.access())
			} else {
				s.works(t, a.access())
			}
		}
	}}),
	{"RT-23", each(testCase{}, breaks, func(t *testing.T, s *server, breakIt func(*faulty)) {
		r0 := s.pair(t, "web")
		breakIt(s.store)
		s.unchanged(t, func() { s.tryRefresh(t, "web", r0.refresh()).e503(t) })
		s.store.set(nil, nil, nil)
		s.lives(t, "web", s.refreshes(t, "web", r0.refresh()))
	})},
}

// forgery is a random secret.
func forgery() []byte {
	plain, _ := storage.NewSecret()
	return []byte(plain)[:32]
}
