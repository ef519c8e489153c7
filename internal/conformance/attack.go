package conformance

import (
	"bytes"
	"errors"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
)

// ATK. Attacks: what the attacker does, then what the victim still has.
var attackRows = []row{
	{"ATK-03", each(testCase{}, map[string]struct{ uri, reason string }{
		"javascript":       {"javascript:alert(1)", "scheme javascript"},
		"javascript host":  {"javascript://web.example/%0aalert(1)", "scheme javascript"},
		"JavaScript":       {"JavaScript:alert(1)", "scheme javascript"},
		"data":             {"data:text/html,hello", "scheme data"},
		"vbscript":         {"vbscript:msgbox(1)", "scheme vbscript"},
		"file":             {"file:///etc/passwd", "scheme file"},
		"http":             {"http://web.example/cb", "loopback"},
		"http, lookalike":  {"http://localhost.evil.example/cb", "loopback"},
		"wildcard":         {"https://*.example", "wildcard"},
		"user information": {"https://web.example@evil.example/cb", "user information"},
		"fragment":         {"https://web.example/cb#x", "fragment"},
		"bare fragment":    {"https://web.example/cb#", "fragment"},
		"relative":         {"/cb", "absolute"},
		"no scheme":        {"//web.example/cb", "absolute"},
		"no dot":           {"myapp:/cb", "scheme myapp is refused: https, http on loopback, or a private-use scheme with a dot"},
	}, func(t *testing.T, s *server, c struct{ uri, reason string }) {
		s.unchanged(t, func() {
			for _, id := range []string{"evil", "web"} {
				client := fixture("web")
				client.ID = id
				client.RedirectURIs = append(client.RedirectURIs, c.uri)
				err := s.store.PutClient(t.Context(), client)
				refused, is := errors.AsType[*storage.RegistrationError](err)
				if !is || refused.Client != id || len(refused.Mistakes) != 1 {
					t.Fatalf("want one mistake in a registration, got %v", err)
				}
				if m := refused.Mistakes[0]; m.Field != "RedirectURIs" || m.Value != c.uri || !strings.Contains(m.Reason, c.reason) || !strings.Contains(err.Error(), m.Reason) {
					t.Errorf("want a reason with %q, got %v", c.reason, err)
				}
				tgr := &oauth2.TokenGenerateRequest{ClientID: id, UserID: "alice", RedirectURI: c.uri, CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256}
				if info, err := s.manager.GenerateAuthToken(t.Context(), oauth2.Code, tgr); err == nil {
					t.Errorf("a code is sent there: %v", info)
				}
			}
			s.token(t, "grant_type=refresh_token&refresh_token=x", basic("evil", "web-secret")).e401(t)
		})
		s.works(t, s.pair(t, "web").access())
	})},
	{"ATK-16", each(testCase{moves: true}, map[string]bool{"thief first": true, "victim first": false}, func(t *testing.T, s *server, thiefFirst bool) {
		stolen, elsewhere := s.pair(t, "spa"), s.pair(t, "spa")
		first := s.refreshes(t, "spa", stolen.refresh())
		time.Sleep(time.Minute)
		if thiefFirst {
			first = s.refreshes(t, "spa", first.refresh()) // he goes on with it
		}
		s.works(t, stolen.access())
		s.works(t, first.access())
		s.tryRefresh(t, "spa", stolen.refresh()).e400(t, "invalid_grant")
		s.ended(t, "spa", stolen, first)
		s.lives(t, "spa", elsewhere)
		s.works(t, s.pair(t, "spa").access())
	})},
	{"ATK-17", append(each(testCase{}, map[string]func(s *server, pair *answer) storage.ID{
		"ID from an access token": func(_ *server, pair *answer) storage.ID { return grantIn(pair.access()) },
		"ID from the log": func(s *server, _ *answer) storage.ID {
			found := regexp.MustCompile(`grant=([0-9a-f-]{36})`).FindAllStringSubmatch(s.log.String(), -1)
			id, _ := storage.ParseID(found[len(found)-1][1])
			return id
		},
	}, func(t *testing.T, s *server, learn func(s *server, pair *answer) storage.ID) {
		for _, owner := range []string{"spa", "web"} {
			victim := s.pair(t, owner)
			id := learn(s, victim)
			if id != grantIn(victim.refresh()) {
				t.Fatalf("%s is not the victim's grant", id)
			}
			s.unchanged(t, func() {
				for i := range byte(10) {
					octets := append(id[:], bytes.Repeat([]byte{i}, 32)...)
					refresh, code := shaped('r', octets), shaped('c', octets)
					for _, client := range []string{owner, "two"} {
						s.tryRefresh(t, client, refresh).e400(t, "invalid_grant")
						s.redeem(t, client, code).e400(t, "invalid_grant")
						s.revokes(t, client, "token", refresh).done(t)
					}
					s.token(t, form(refreshment(refresh, "client_id", "web")...)).e401(t)
					s.dead(t, shaped('a', octets))
				}
			})
			s.lives(t, owner, victim)
		}
	}), each(testCase{}, map[string]struct {
		client string
		replay func(t *testing.T, s *server, code string)
	}{
		"redeemed code without verifier": {"spa", func(t *testing.T, s *server, code string) {
			for _, v := range []string{without, "", challenge, verifier[:42], verifier[1:] + "A"} {
				s.redeem(t, "spa", code, "code_verifier", v).e400(t, "invalid_grant")
			}
			s.redeem(t, "two", code, "redirect_uri", without).e400(t, "invalid_grant")
		}},
		"redeemed code without secret": {"web", func(t *testing.T, s *server, code string) {
			body := form(redemption("web", code)...)
			s.token(t, body+"&client_id=web").e401(t)
			s.token(t, body, basic("web", "")).e401(t)
			s.token(t, body, basic("web", "wrong-secret")).e401(t)
			s.token(t, body, as("two")).e400(t, "invalid_grant")
			s.token(t, body+"&client_id=spa").e400(t, "invalid_grant")
		}},
	}, func(t *testing.T, s *server, c struct {
		client string
		replay func(t *testing.T, s *server, code string)
	}) {
		code := s.newCode(t, c.client)
		victim := s.redeem(t, c.client, code).ok(t)
		s.unchanged(t, func() {
			for range 10 {
				c.replay(t, s, code)
			}
		})
		s.lives(t, c.client, victim)
	})...)},
	{"ATK-18", []testCase{
		{name: "redemptions", run: rounds(func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			won := onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.redeem(t, "web", code) }))
			s.ended(t, "web", won)
		})},
		{name: "rotations", run: func(t *testing.T, s *server) {
			old := s.pair(t, "spa")
			for range 5 {
				answers := atOnce(t, 64, func(int) *answer { return s.tryRefresh(t, "spa", old.refresh()) })
				for _, a := range answers {
					if a.ok(t).access() != answers[0].access() || a.refresh() != answers[0].refresh() {
						t.Fatalf("two pairs: %s\n%s", a, answers[0])
					}
				}
				s.works(t, old.access())
				old = answers[0]
			}
			s.lives(t, "spa", old)
		}},
		{name: "rotations without window", options: []grants.Option{grants.RetryWindow(0)}, run: rounds(func(t *testing.T, s *server) {
			old := s.pair(t, "spa")
			won := onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.tryRefresh(t, "spa", old.refresh()) }))
			s.ended(t, "spa", old, won)
		})},
	}},
	{"ATK-19", append(slices.Concat(
		each(testCase{foreign: true}, same("two", "loose", "spa", "native"), otherThief),
		// Without generations, which tell clients apart too.
		renamed("of a table", each(testCase{options: []grants.Option{grants.Clients(clientTable(registered))}}, same("two", "loose", "spa", "native"), otherThief)),
	), testCase{name: "client_id alone", foreign: true, run: func(t *testing.T, s *server) {
		s.steal(t, func(request []string) { s.token(t, form(append(request, "client_id", "web")...)).e401(t) })
	}}, testCase{name: "empty secret", foreign: true, run: func(t *testing.T, s *server) {
		s.steal(t, func(request []string) { s.token(t, form(request...), basic("web", "")).e401(t) })
	}})},
	{"ATK-20", []testCase{
		{name: "scope", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.signIn(t, fixture("web"), "read")
			s.unchanged(t, func() {
				for _, scope := range []string{"write", "read write", "admin", "read admin", "READ"} {
					s.asClient(t, "/token", "web", refreshment(pair.refresh(), "scope", scope)...).e400(t, "invalid_scope")
				}
			})
			s.guard("GET /write", middleware.Scope("write"))
			for range 2 {
				s.turnedAway(t, "/write", 403, "insufficient_scope", bearer(pair.access()))
				if pair = s.refreshes(t, "web", pair.refresh()); pair.scope() != "read" {
					t.Errorf("got %s", pair)
				}
			}
		}},
		{name: "token exchange", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "spa")
			s.unchanged(t, func() {
				for _, client := range []string{"spa", "svc"} {
					s.asClient(t, "/token", client, "grant_type", "urn:ietf:params:oauth:grant-type:token-exchange", "subject_token", pair.access(),
						"subject_token_type", "urn:ietf:params:oauth:token-type:access_token", "scope", "read write").e400(t, "unsupported_grant_type")
				}
			})
			s.works(t, s.refreshes(t, "spa", pair.refresh()).access())
		}},
		{name: "password", foreign: true, run: func(t *testing.T, s *server) {
			s.unchanged(t, func() {
				for _, client := range []string{"spa", "svc", "web"} {
					s.asClient(t, "/token", client, "grant_type", "password", "username", "alice", "password", "alices-password", "scope", "read").e400(t, "unsupported_grant_type")
				}
			})
		}},
	}},
	{"ATK-21", append(renamed("fail", each(testCase{}, storeParts, func(t *testing.T, s *server, set storePart) {
		for _, kind := range tokenKinds {
			pair := s.pair(t, "web")
			set(s.store, testbed.Fail)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.member(kind)).e503(t) })
			set(s.store, nil)
			s.works(t, pair.access())
			next := s.refreshes(t, "web", pair.refresh())
			s.revokes(t, "web", "token", next.member(kind)).done(t)
			s.revoked(t, "web", kind, next)
		}
	})), testCase{name: "public client", foreign: true, run: func(t *testing.T, s *server) {
		for _, kind := range tokenKinds {
			pair := s.pair(t, "spa")
			s.revokes(t, "spa", "token", pair.member(kind)).done(t)
			s.revoked(t, "spa", kind, pair)
		}
	}}, testCase{name: "stranger", foreign: true, run: func(t *testing.T, s *server) {
		for _, owner := range []string{"web", "spa"} {
			pair := s.pair(t, owner)
			s.unchanged(t, func() {
				for _, token := range []string{pair.access(), pair.refresh()} {
					for _, stranger := range []string{"two", "native"} {
						s.revokes(t, stranger, "token", token).e400(t, "unauthorized_client")
					}
					s.revoke(t, form("token", token)).e401(t)
					s.revoke(t, form("token", token), basic(owner, "wrong-secret")).e401(t)
					s.revoke(t, form("token", token), bearer(pair.access())).e401(t)
				}
			})
			s.lives(t, owner, pair)
		}
	}})},
	one("ATK-24", testCase{run: func(t *testing.T, s *server) {
		alice := fixture("svc")
		alice.ID = "alice"
		s.putClient(t, alice)
		victim := s.pair(t, "web")
		access := s.token(t, form("grant_type", "client_credentials", "scope", "read", "username", "alice", "user_id", "alice", "sub", "alice"), basic("alice", "svc-secret")).ok(t).access()
		s.turnedAway(t, "/users", 403, "insufficient_scope", bearer(access))
		if seen := s.works(t, access); !strings.HasPrefix(seen, "client=alice user= scope=read ") {
			t.Errorf("a handler sees %s", seen)
		}
		s.sees(t, s.get(t, "/users", bearer(victim.access())), victim)
		if a := s.introspect(t, "rs", access).active(t); a.member("client_id") != "alice" || a.members["sub"] != nil {
			t.Errorf("a resource server is told %s", a)
		}
		if a := s.introspect(t, "rs", victim.access()).active(t); a.member("client_id") != "web" || a.member("sub") != "alice" {
			t.Errorf("a resource server is told %s", a)
		}
	}}),
	{"ATK-27", each(testCase{foreign: true}, map[string]string{"Basic": "Basic ", "Token": "Token ", "JWT": "JWT ", "no scheme": ""}, func(t *testing.T, s *server, scheme string) {
		path, pair := s.goodAt(t)
		s.turnedAway(t, path, 401, "", [2]string{"Authorization", scheme + pair.access()})
		s.sees(t, s.get(t, path, bearer(pair.access())), pair)
	})},
}

// rounds runs a race several times over.
func rounds(race func(t *testing.T, s *server)) func(t *testing.T, s *server) {
	return func(t *testing.T, s *server) {
		for range 5 {
			race(t, s)
		}
	}
}

// otherThief is a client that authenticates rightly.
func otherThief(t *testing.T, s *server, thief string) {
	s.steal(t, func(request []string) { s.asClient(t, "/token", thief, request...).e400(t, "invalid_grant") })
}

// registered is the fixture of that ID as it is, without what a store would add.
func registered(id string) (oauth2.ClientInfo, error) {
	for _, c := range fixtures() {
		if c.ID == id {
			return c, nil
		}
	}
	return nil, storage.ErrNotFound
}

// steal has a code and a refresh token of web's tried by somebody who knows all else, then uses them as web.
func (s *server) steal(t *testing.T, try func(request []string)) {
	t.Helper()
	code, victim := s.newCode(t, "web"), s.pair(t, "web")
	s.unchanged(t, func() {
		try(redemption("web", code))
		try(redemption("web", code, "redirect_uri", "https://two.example/a"))
		try(refreshment(victim.refresh()))
	})
	s.lives(t, "web", s.redeem(t, "web", code).ok(t))
	s.lives(t, "web", victim)
}
