package conformance

import (
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

const allVerifierCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// refusedCode is a redemption that is refused and leaves the code unspent.
func refusedCode(client, code string, changes ...string) func(t *testing.T, s *server) {
	return func(t *testing.T, s *server) {
		c := s.newCode(t, client)
		s.unchanged(t, func() { s.redeem(t, client, c, changes...).e400(t, code) })
		s.redeem(t, client, c).ok(t)
	}
}

// looseCode is a code of loose without a challenge.
func looseCode(t *testing.T, s *server) string {
	t.Helper()
	return s.code(t, "loose", "https://loose.example/cb", "read", "")
}

// AC. authorization_code with PKCE.
var codeRows = []row{
	{"AC-01", each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		a := s.pair(t, client)
		if a.refresh() == "" {
			t.Errorf("no refresh token: %s", a)
		}
		a.words(t, "read", "write")
		s.works(t, a.access())
	})},
	{"AC-02", each(testCase{foreign: true}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, code string) {
		s.unchanged(t, func() { s.redeem(t, "web", "x", "code", code).e400(t, "invalid_request") })
	})},
	{"AC-03", append(each(testCase{}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, damaged := range damage(code) {
				s.redeem(t, "web", damaged).e400(t, "invalid_grant")
			}
		})
		s.redeem(t, "web", code).ok(t)
	}), testCase{name: "another kind", run: func(t *testing.T, s *server) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, token := range []string{pair.access(), pair.refresh()} {
				for _, posing := range posingAs('c', token) {
					s.redeem(t, "web", posing).e400(t, "invalid_grant")
				}
			}
		})
		s.lives(t, "web", pair)
	}})},
	one("AC-04", testCase{foreign: true, run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, thief := range []string{"two", "spa"} {
				s.asClient(t, "/token", thief, redemption("web", code)...).e400(t, "invalid_grant")
			}
			s.token(t, form(redemption("web", code)...), basic("web", "wrong-secret")).e401(t)
		})
		s.redeem(t, "web", code).ok(t)
	}}),
	{"AC-05", []testCase{
		{name: "expired", moves: true, run: func(t *testing.T, s *server) {
			early, late := s.newCode(t, "web"), s.newCode(t, "web")
			time.Sleep(time.Minute - time.Millisecond)
			s.redeem(t, "web", early).ok(t)
			time.Sleep(time.Millisecond)
			s.unchanged(t, func() { s.redeem(t, "web", late).e400(t, "invalid_grant") })
		}},
		{name: "configuration", run: func(t *testing.T, s *server) {
			defer func() {
				if recover() == nil {
					t.Error("a life of more than ten minutes is accepted")
				}
			}()
			grants.CodeLifetime(10*time.Minute + 1)
		}},
	}},
	{"AC-06", each(testCase{moves: true}, map[string]time.Duration{"within its life": time.Second, "after its life": 2 * time.Minute},
		func(t *testing.T, s *server, wait time.Duration) {
			code := s.newCode(t, "web")
			first := s.redeem(t, "web", code).ok(t)
			time.Sleep(wait)
			s.works(t, first.access())
			s.redeem(t, "web", code).e400(t, "invalid_grant")
			s.ended(t, "web", first)
		})},
	one("AC-07", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		pair := s.redeem(t, "web", code).ok(t)
		s.unchanged(t, func() {
			for range 10 {
				s.redeem(t, "web", code, "code_verifier", strings.Repeat("w", 43)).e400(t, "invalid_grant")
			}
			s.redeem(t, "web", code, "code_verifier", without).e400(t, "invalid_grant")
			s.redeem(t, "web", code, "redirect_uri", "https://web.example/other").e400(t, "invalid_grant")
			s.asClient(t, "/token", "two", redemption("web", code)...).e400(t, "invalid_grant")
			s.token(t, form(redemption("web", code)...), basic("web", "wrong-secret")).e401(t)
		})
		s.lives(t, "web", pair)
	}}),
	one("AC-08", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		winner := onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.redeem(t, "web", code) }))
		s.ended(t, "web", winner)
	}}),
	{"AC-09", append(each(testCase{}, map[string]string{
		"slash": "https://web.example/cb/", "case": "https://web.example/CB", "encoded": "https://web.example/%63b", "host's case": "https://WEB.example/cb",
	}, func(t *testing.T, s *server, uri string) {
		refusedCode("web", "invalid_grant", "redirect_uri", uri)(t, s)
	}),
		testCase{name: "the client's other", run: func(t *testing.T, s *server) {
			refusedCode("two", "invalid_grant", "redirect_uri", "https://two.example/b?x=1")(t, s)
		}},
		testCase{name: "other loopback port", run: func(t *testing.T, s *server) {
			code := s.code(t, "native", "http://127.0.0.1:4000/cb", "read", challenge)
			s.unchanged(t, func() {
				s.redeem(t, "native", code, "redirect_uri", "http://127.0.0.1:4001/cb").e400(t, "invalid_grant")
			})
			s.redeem(t, "native", code, "redirect_uri", "http://127.0.0.1:4000/cb").ok(t)
		}},
	)},
	one("AC-10", testCase{run: func(t *testing.T, s *server) {
		s.redeem(t, "web", s.newCode(t, "web"), "redirect_uri", without).ok(t)
		s.redeem(t, "web", s.newCode(t, "web"), "redirect_uri", "").ok(t)
	}}),
	one("AC-11", testCase{run: func(t *testing.T, s *server) {
		code := looseCode(t, s)
		s.unchanged(t, func() {
			s.redeem(t, "loose", code, "code_verifier", without, "redirect_uri", without).e400(t, "invalid_grant")
		})
		s.redeem(t, "loose", code, "code_verifier", without).ok(t)
	}}),
	one("AC-12", testCase{run: func(t *testing.T, s *server) {
		code := s.code(t, "web", "", "read", challenge)
		s.unchanged(t, func() {
			s.redeem(t, "web", code, "redirect_uri", "https://web.example/other").e400(t, "invalid_grant")
		})
		s.redeem(t, "web", code).ok(t)
	}}),
	one("AC-13", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.redeem(t, "web", code, "code_verifier", strings.Repeat("w", 43)).e400(t, "invalid_grant")
		s.redeem(t, "web", code).ok(t)
	}}),
	one("AC-14", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		var last string
		for range 5 {
			last = s.redeem(t, "web", code, "code_verifier", strings.Repeat("w", 43)).e400(t, "invalid_grant").body
		}
		if a := s.redeem(t, "web", code).e400(t, "invalid_grant"); a.body != last {
			t.Errorf("a dead code is answered in other words: %s", a)
		}
	}}),
	{"AC-15", each(testCase{}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, verifier string) {
		refusedCode("web", "invalid_grant", "code_verifier", verifier)(t, s)
	})},
	{"AC-16", each(testCase{}, map[string]string{
		"42": verifier[:42], "129": strings.Repeat("a", 129), "plus": verifier[:42] + "+", "slash": verifier[:42] + "/", "equals": verifier[:42] + "=",
		"percent": verifier[:42] + "%", "space": verifier[:42] + " ",
	}, func(t *testing.T, s *server, malformed string) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for range 6 { // more than kill a code
				s.redeem(t, "web", code, "code_verifier", malformed).e400(t, "invalid_grant")
			}
		})
		s.redeem(t, "web", code).ok(t)
		loose := looseCode(t, s)
		s.redeem(t, "loose", loose, "code_verifier", malformed).e400(t, "invalid_grant") // before AC-19
	})},
	{"AC-17", each(testCase{foreign: true}, map[string]string{
		"43": verifier, "66": allVerifierCharacters, "128": (allVerifierCharacters + allVerifierCharacters)[:128],
	}, func(t *testing.T, s *server, v string) {
		code := s.code(t, "web", "https://web.example/cb", "read", s256(v))
		s.redeem(t, "web", code, "code_verifier", v).ok(t)
	})},
	{"AC-18", each(testCase{}, map[string]string{"the challenge": challenge, "another transaction's": strings.Repeat("v", 64)}, func(t *testing.T, s *server, v string) {
		code := s.newCode(t, "web")
		s.code(t, "web", "https://web.example/cb", "read", s256(strings.Repeat("v", 64)))
		s.redeem(t, "web", code, "code_verifier", v).e400(t, "invalid_grant")
		s.redeem(t, "web", code).ok(t)
	})},
	one("AC-19", testCase{run: func(t *testing.T, s *server) {
		code := looseCode(t, s)
		s.unchanged(t, func() { s.redeem(t, "loose", code).e400(t, "invalid_request") })
		s.redeem(t, "loose", code, "code_verifier", without).ok(t)
	}}),
	one("AC-20", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "loose")
		s.redeem(t, "loose", code, "code_verifier", without).e400(t, "invalid_grant")
		s.redeem(t, "loose", code, "code_verifier", strings.Repeat("w", 43)).e400(t, "invalid_grant")
		s.redeem(t, "loose", code).ok(t)
	}}),
	one("AC-21", testCase{foreign: true, run: func(t *testing.T, s *server) {
		code := s.code(t, "web", "https://web.example/cb", "read", challenge)
		a := s.redeem(t, "web", code, "scope", "read write admin", "code_challenge", "x", "state", "y").ok(t)
		a.words(t, "read")
	}}),
	one("AC-22", testCase{run: func(t *testing.T, s *server) {
		c := fixture("web")
		c.GrantTypes = []string{"authorization_code"}
		s.putClient(t, c)
		if a := s.redeem(t, "web", s.newCode(t, "web")).ok(t); a.refresh() != "" {
			t.Errorf("a refresh token: %s", a)
		}
	}}),
	{"AC-23", []testCase{
		{name: "ended", run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			s.end(t, storage.Filter{User: "alice"})
			s.unchanged(t, func() { s.redeem(t, "web", code).e400(t, "invalid_grant") })
		}},
		{name: "client ended", run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			s.end(t, storage.Filter{Client: "web"})
			s.unchanged(t, func() { s.redeem(t, "web", code).e400(t, "invalid_grant") })
		}},
		{name: "client deleted", run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			if err := s.store.DeleteClient(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
			s.redeem(t, "web", code).e401(t)
			s.putClient(t, fixture("web")) // which revives nothing
			s.redeem(t, "web", code).e400(t, "invalid_grant")
		}},
	}},
	one("AC-24", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, guess := range guesses(code) {
				s.redeem(t, "web", guess).e400(t, "invalid_grant")
			}
		})
		pair := s.redeem(t, "web", code).ok(t)
		for _, guess := range guesses(code) {
			s.redeem(t, "web", guess).e400(t, "invalid_grant")
		}
		s.lives(t, "web", pair)
	}}),
	{"AC-25", each(testCase{}, breaks, func(t *testing.T, s *server, breakIt func(*faulty)) {
		code := s.newCode(t, "web")
		breakIt(s.store)
		s.unchanged(t, func() { s.redeem(t, "web", code).e503(t) })
		s.store.set(nil, nil, nil)
		s.lives(t, "web", s.redeem(t, "web", code).ok(t))
	})},
}
