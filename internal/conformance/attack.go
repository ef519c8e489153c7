package conformance

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// ATK. Attacks, as far as they need no authorization page, JWT or resource.
var attackRows = []row{
	{"ATK-03", each(testCase{}, same("javascript:alert(1)", "data:text/html,x", "vbscript:x", "file:///etc/passwd", "http://web.example/cb", "https://*.example/cb",
		"https://u:p@web.example/cb", "https://web.example/cb#x", "/cb", "myapp:/cb"), func(t *testing.T, s *server, uri string) {
		c := fixture("web")
		c.RedirectURIs = []string{uri}
		s.unchanged(t, func() {
			refused, ok := errors.AsType[*storage.RegistrationError](s.store.PutClient(t.Context(), c))
			if !ok || len(refused.Mistakes) != 1 || refused.Mistakes[0].Field != "RedirectURIs" || refused.Mistakes[0].Reason == "" {
				t.Errorf("got %v", refused)
			}
		})
	})},
	{"ATK-16", each(testCase{moves: true}, map[string]bool{"thief first": true, "victim first": false}, func(t *testing.T, s *server, _ bool) {
		stolen := s.pair(t, "spa")
		first := s.refreshes(t, "spa", stolen.refresh()) // whoever comes first
		time.Sleep(2 * time.Minute)
		s.tryRefresh(t, "spa", stolen.refresh()).e400(t, "invalid_grant") // the other
		s.ended(t, "spa", stolen, first)
	})},
	{"ATK-17", []testCase{
		{name: "forged", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.unchanged(t, func() {
				for _, kind := range []byte("rc") {
					for range 10 {
						forged := forged(pair.access(), kind, func(octets []byte) { copy(octets[16:], forgery()) })
						s.tryRefresh(t, "web", forged).e400(t, "invalid_grant")
						s.redeem(t, "web", forged).e400(t, "invalid_grant")
						s.revokes(t, "web", "token", forged).done(t)
					}
				}
			})
			s.lives(t, "web", pair)
		}},
		{name: "redeemed code", run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			pair := s.redeem(t, "web", code).ok(t)
			s.unchanged(t, func() {
				s.redeem(t, "web", code, "code_verifier", without).e400(t, "invalid_grant")
				s.token(t, form(redemption("web", code, "client_id", "web")...)).e401(t)
			})
			s.lives(t, "web", pair)
		}},
	}},
	{"ATK-18", []testCase{
		{name: "redeem", run: func(t *testing.T, s *server) {
			for range 5 {
				code := s.newCode(t, "web")
				s.ended(t, "web", onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.redeem(t, "web", code) })))
			}
		}},
		{name: "rotate", run: func(t *testing.T, s *server) {
			last := s.pair(t, "web")
			for range 5 {
				answers := atOnce(t, 64, func(int) *answer { return s.tryRefresh(t, "web", last.refresh()) })
				for _, a := range answers {
					if a.ok(t); a.refresh() != answers[0].refresh() {
						t.Fatal("two successors")
					}
				}
				last = answers[0]
			}
			s.lives(t, "web", last)
		}},
	}},
	one("ATK-19", testCase{foreign: true, run: func(t *testing.T, s *server) {
		code, pair := s.newCode(t, "web"), s.pair(t, "web")
		s.unchanged(t, func() {
			for _, thief := range []string{"two", "loose", "spa", "native"} {
				s.asClient(t, "/token", thief, redemption("web", code)...).e400(t, "invalid_grant")
				s.tryRefresh(t, thief, pair.refresh()).e400(t, "invalid_grant")
			}
			for _, request := range [][]string{redemption("web", code), refreshment(pair.refresh())} {
				s.token(t, form(append(request, "client_id", "web")...)).e401(t)
				s.token(t, form(request...), basic("web", "")).e401(t)
			}
		})
		s.redeem(t, "web", code).ok(t)
		s.lives(t, "web", pair)
	}}),
	one("ATK-20", testCase{foreign: true, run: func(t *testing.T, s *server) {
		pair := s.redeem(t, "web", s.code(t, "web", "https://web.example/cb", "read", challenge)).ok(t)
		s.unchanged(t, func() {
			s.refreshAs(t, "web", pair.refresh(), "scope", "read write").e400(t, "invalid_scope")
			s.token(t, form("grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", pair.access()), as("web")).e400(t, "unsupported_grant_type")
			s.token(t, form("grant_type", "password", "username", "alice", "password", "guess-work"), as("web")).e400(t, "unsupported_grant_type")
		})
		s.lives(t, "web", pair)
	}}),
	one("ATK-21", testCase{run: func(t *testing.T, s *server) {
		pair := s.pair(t, "spa")
		s.store.set(nil, fail, nil)
		s.revokes(t, "spa", "token", pair.access()).e503(t)
		s.store.set(nil, nil, nil)
		s.works(t, pair.access())
		s.revokes(t, "native", "token", pair.access()).e400(t, "unauthorized_client")
		s.works(t, pair.access())
		s.revokes(t, "spa", "token", pair.access()).done(t)
		s.dead(t, pair.access())
	}}),
	one("ATK-24", testCase{run: func(t *testing.T, s *server) {
		c := fixture("svc")
		c.ID = "alice"
		s.putClient(t, c)
		a := s.token(t, goodToken, basic("alice", "svc-secret")).ok(t)
		if saw := s.works(t, a.access()); !strings.Contains(saw, "user= ") {
			t.Errorf("the route saw %s", saw)
		}
		s.get(t, "/users", bearer(a.access())).refused(t, 403, "insufficient_scope")
	}}),
	{"ATK-27", each(testCase{foreign: true}, same("Basic ", "Token ", "JWT ", ""), func(t *testing.T, s *server, scheme string) {
		a := s.token(t, goodToken, as("svc")).ok(t)
		s.get(t, "/any", [2]string{"Authorization", scheme + a.access()}).refused(t, 401, "")
	})},
}
