package conformance

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
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

// otherClients, rightly authenticated, present a refresh token of web's.
var otherClients = map[string]func(t *testing.T, s *server, refresh string){
	"another client": func(t *testing.T, s *server, refresh string) {
		s.tryRefresh(t, "two", refresh).e400(t, "invalid_grant")
	},
	"public client": func(t *testing.T, s *server, refresh string) {
		s.tryRefresh(t, "spa", refresh).e400(t, "invalid_grant")
	},
}

// unprovenClients present a refresh token of web's.
var unprovenClients = map[string]func(t *testing.T, s *server, refresh string){
	"wrong secret": func(t *testing.T, s *server, refresh string) {
		s.token(t, form(refreshment(refresh)...), basic("web", "wrong-secret")).e401(t)
	},
	"client_id alone": func(t *testing.T, s *server, refresh string) {
		s.token(t, form(refreshment(refresh, "client_id", "web")...)).e401(t)
	},
	"no client": func(t *testing.T, s *server, refresh string) {
		s.token(t, form(refreshment(refresh)...)).e401(t)
	},
}

// stolen is a row's case in which a thief presents web's current refresh token.
func stolen(t *testing.T, s *server, steal func(t *testing.T, s *server, refresh string)) {
	r0 := s.pair(t, "web")
	s.unchanged(t, func() { steal(t, s, r0.refresh()) })
	s.lives(t, "web", r0)
}

// stolenLate is a row's case in which a thief presents web's refresh token when it is spent.
func stolenLate(wait time.Duration) func(t *testing.T, s *server, steal func(*testing.T, *server, string)) {
	return func(t *testing.T, s *server, steal func(*testing.T, *server, string)) {
		r0 := s.pair(t, "web")
		r1 := s.refreshes(t, "web", r0.refresh())
		time.Sleep(wait)
		s.unchanged(t, func() { steal(t, s, r0.refresh()) })
		s.lives(t, "web", r1)
	}
}

// refusedScope is a row's case in which a grant of read asks for another scope.
func refusedScope(t *testing.T, s *server, scope string) {
	r0 := s.signIn(t, fixture("web"), "read")
	s.unchanged(t, func() { s.refreshAs(t, "web", r0.refresh(), "scope", scope).e400(t, "invalid_scope") })
	s.lives(t, "web", r0)
}

// RT. refresh_token.
var refreshRows = []row{
	{"RT-01", append(each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		r0, r1, r2 := refreshedTwice(t, s, client)
		if r1.refresh() == "" || r1.refresh() == r0.refresh() || r1.access() == r0.access() {
			t.Errorf("no new pair: %s", r1)
		}
		s.works(t, r2.access())
		s.tryRefresh(t, client, r0.refresh()).e400(t, "invalid_grant")
	}), testCase{name: "earlier access tokens", moves: true, run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		time.Sleep(20 * time.Minute)
		r1 := s.refreshes(t, "web", r0.refresh())
		time.Sleep(40*time.Minute - time.Millisecond)
		s.works(t, r0.access())
		time.Sleep(time.Millisecond)
		s.dead(t, r0.access())
		s.lives(t, "web", r1)
	}})},
	{"RT-02", slices.Concat(each(testCase{foreign: true}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		stolen(t, s, func(t *testing.T, s *server, refresh string) {
			for _, damaged := range damage(refresh) {
				s.tryRefresh(t, "web", damaged).e400(t, "invalid_grant")
			}
		})
	}), each(testCase{foreign: true}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, refresh string) {
		s.unchanged(t, func() { s.refreshAs(t, "web", "x", "refresh_token", refresh).e400(t, "invalid_request") })
	}), []testCase{
		{name: "access token", foreign: true, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			s.unchanged(t, func() {
				for _, posing := range posingAs('r', r0.access()) {
					s.tryRefresh(t, "web", posing).e400(t, "invalid_grant")
				}
			})
			s.lives(t, "web", r0)
		}},
		{name: "code", foreign: true, run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			s.unchanged(t, func() {
				for _, posing := range posingAs('r', code) {
					s.tryRefresh(t, "web", posing).e400(t, "invalid_grant")
				}
			})
			s.redeem(t, "web", code).ok(t)
		}},
	})},
	{"RT-03", append(each(testCase{foreign: true}, otherClients, stolen), renamed("of a table", each(ofTable, otherClients, stolen))...)},
	{"RT-04", append(each(testCase{foreign: true}, unprovenClients, stolen), testCase{name: "public without client_id", foreign: true, run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "spa")
		s.unchanged(t, func() { unprovenClients["no client"](t, s, r0.refresh()) })
		s.lives(t, "spa", r0)
	}})},
	{"RT-05", []testCase{
		{name: "idle", moves: true, options: []grants.Option{grants.RefreshIdle(time.Hour)}, run: func(t *testing.T, s *server) {
			r := s.pair(t, "web")
			time.Sleep(time.Hour - time.Millisecond)
			r = s.refreshes(t, "web", r.refresh())
			time.Sleep(time.Hour)
			s.unchanged(t, func() { s.tryRefresh(t, "web", r.refresh()).e400(t, "invalid_grant") })
		}},
		{name: "absolute", moves: true, options: []grants.Option{grants.RefreshIdle(time.Hour), grants.RefreshLifetime(2 * time.Hour)}, run: func(t *testing.T, s *server) {
			r := s.pair(t, "web")
			for _, wait := range []time.Duration{50 * time.Minute, 50 * time.Minute, 20*time.Minute - time.Millisecond} {
				time.Sleep(wait)
				r = s.refreshes(t, "web", r.refresh())
			}
			time.Sleep(time.Millisecond)
			s.unchanged(t, func() { s.tryRefresh(t, "web", r.refresh()).e400(t, "invalid_grant") })
		}},
	}},
	{"RT-06", append(each(testCase{}, filters, func(t *testing.T, s *server, f storage.Filter) {
		r0, elsewhere, bobs := s.pair(t, "web"), s.pair(t, "two"), s.issue(t, "web", "bob", "read")
		s.end(t, f)
		s.ended(t, "web", r0)
		if f.Client != "" {
			s.lives(t, "two", elsewhere)
		}
		if f.User != "" {
			s.refreshes(t, "web", bobs.GetRefresh())
		}
	}), testCase{name: "revoked", foreign: true, run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		s.revokes(t, "web", "token", r0.refresh()).done(t)
		s.ended(t, "web", r0)
	}})},
	{"RT-07", append(each(testCase{moves: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		r0 := s.pair(t, client)
		r1 := s.refreshes(t, client, r0.refresh())
		left := 3600.
		for _, wait := range []time.Duration{0, 5 * time.Second, 55*time.Second - time.Millisecond} {
			time.Sleep(wait)
			left -= float64(wait / time.Second)
			s.unchanged(t, func() {
				again := s.refreshes(t, client, r0.refresh())
				if again.refresh() != r1.refresh() || again.access() != r1.access() || again.members["expires_in"] != left {
					t.Errorf("want the same pair, and %v s left: %s", left, again)
				}
			})
		}
		s.lives(t, client, r1)
	}), each(testCase{}, map[string][4]string{ // a parameter: of the request, of one that is another, of one that is the same
		"another scope":    {"scope", "", "read", "write read write"},
		"narrowed scope":   {"scope", "read", "", "read read"},
		"another resource": {"resource", "https://a.example/api", "https://b.example/api", "https://a.example/api"},
		"no resource":      {"resource", "https://a.example/api", without, "https://a.example/api"},
	}, func(t *testing.T, s *server, c [4]string) {
		r0 := s.pair(t, "web")
		r1 := s.refreshAs(t, "web", r0.refresh(), c[0], c[1]).ok(t)
		s.unchanged(t, func() {
			s.refreshAs(t, "web", r0.refresh(), c[0], c[2]).e400(t, "invalid_grant")
			again := s.refreshAs(t, "web", r0.refresh(), c[0], c[3]).ok(t)
			if again.refresh() != r1.refresh() || again.access() != r1.access() || again.scope() != r1.scope() {
				t.Errorf("want the same pair, got %s", again)
			}
		})
		s.refreshes(t, "web", r1.refresh())
	})...)},
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
		for age := range 4 { // R4 is that of RT-07
			issued := []*answer{s.pair(t, "web")}
			for i := range 5 {
				issued = append(issued, s.refreshes(t, "web", issued[i].refresh()))
			}
			s.works(t, issued[5].access())
			s.tryRefresh(t, "web", issued[age].refresh()).e400(t, "invalid_grant")
			s.ended(t, "web", issued...)
		}
	}}),
	one("RT-11", testCase{run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		guess := func() {
			for range 10 {
				for _, to := range []int{48, 32} { // all of the secret, or what a grant's tokens have in common
					s.tryRefresh(t, "web", forged(r0.refresh(), 'r', func(octets []byte) { copy(octets[16:to], forgery()) })).e400(t, "invalid_grant")
				}
			}
		}
		s.unchanged(t, guess)
		r1 := s.refreshes(t, "web", r0.refresh())
		s.unchanged(t, guess)
		s.lives(t, "web", r1)
	}}),
	{"RT-12", slices.Concat(
		renamed("in the window", each(testCase{foreign: true}, otherClients, stolenLate(0))),
		renamed("in the window", each(testCase{foreign: true}, unprovenClients, stolenLate(0))),
		renamed("in the window, of a table", each(ofTable, otherClients, stolenLate(0))),
		renamed("after it", each(testCase{moves: true}, otherClients, stolenLate(time.Minute))),
		renamed("after it", each(testCase{moves: true}, unprovenClients, stolenLate(time.Minute))),
	)},
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
		for _, granted := range []string{"read", "read write"} {
			r0 := s.signIn(t, fixture("web"), granted)
			r1 := s.refreshAs(t, "web", r0.refresh(), "scope", scope).ok(t)
			s.reaches(t, r1.access(), "client=web user=alice scope="+granted+" ")
			if r1.scope() != granted {
				t.Errorf("want scope %q, got %s", granted, r1)
			}
		}
	})},
	one("RT-15", testCase{run: func(t *testing.T, s *server) {
		r0 := s.pair(t, "web")
		r1 := s.refreshAs(t, "web", r0.refresh(), "scope", "read").ok(t)
		r2 := s.refreshes(t, "web", r1.refresh())
		r1.words(t, "read")
		r2.words(t, "read", "write")
		s.reaches(t, r0.access(), " scope=read write ")
		s.reaches(t, r1.access(), " scope=read ")
		s.reaches(t, r2.access(), " scope=read write ")
	}}),
	{"RT-16", each(testCase{foreign: true}, same("write read", "read read write"), func(t *testing.T, s *server, scope string) {
		s.refreshAs(t, "web", s.pair(t, "web").refresh(), "scope", scope).ok(t).words(t, "read", "write")
	})},
	{"RT-17", each(testCase{foreign: true}, same("write", "admin", "read write", "read admin", "read write admin"), refusedScope)},
	{"RT-18", each(testCase{foreign: true}, malformedScopes, refusedScope)},
	{"RT-19", append(each(testCase{moves: true}, map[string]*storage.Client{
		"web": unrotated("web", false), "spa with its option": unrotated("spa", true),
	}, func(t *testing.T, s *server, c *storage.Client) {
		s.putClient(t, c)
		r0 := s.pair(t, c.ID)
		for range 3 {
			time.Sleep(2 * time.Minute)
			again := s.refreshes(t, c.ID, r0.refresh())
			if s.works(t, again.access()); again.refresh() != r0.refresh() || again.access() == r0.access() {
				t.Errorf("want R0 and a new access token, got %s", again)
			}
		}
	}), testCase{name: "spa", run: func(t *testing.T, s *server) {
		s.unchanged(t, func() {
			if _, refused := errors.AsType[*storage.RegistrationError](s.store.PutClient(t.Context(), unrotated("spa", false))); !refused {
				t.Error("a public client without rotation is registered")
			}
		})
	}})},
	{"RT-20", []testCase{
		{name: "refresh token expired", moves: true, options: []grants.Option{grants.RefreshIdle(time.Minute)}, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			time.Sleep(time.Minute)
			s.tryRefresh(t, "web", r0.refresh()).e400(t, "invalid_grant")
			s.works(t, r0.access())
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
			for i, a := range issued {
				if i < len(issued)-4 {
					s.dead(t, a.access())
				} else {
					s.works(t, a.access())
				}
			}
		}
	}}),
	{"RT-23", each(testCase{}, breaks, func(t *testing.T, s *server, fault func(*testbed.Faulty)) {
		r0 := s.pair(t, "web")
		fault(s.store)
		s.unchanged(t, func() { s.tryRefresh(t, "web", r0.refresh()).e503(t) })
		s.store.Break(nil, nil, nil)
		s.lives(t, "web", s.refreshes(t, "web", r0.refresh()))
	})},
}

// unrotated is a fixture whose refresh tokens are not rotated.
func unrotated(id string, evenPublic bool) *storage.Client {
	c := fixture(id)
	c.InsecureNoRotation, c.InsecurePublicNoRotation = true, evenPublic
	return c
}

// forgery is a random secret.
func forgery() []byte {
	plain, _ := storage.NewSecret()
	return []byte(plain)[:32]
}
