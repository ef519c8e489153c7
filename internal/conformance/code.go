package conformance

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

const allVerifierCharacters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// wrongVerifier is well formed and meets no challenge.
var wrongVerifier = strings.Repeat("w", 43)

// looseCode is a code of loose without a challenge.
func looseCode(t *testing.T, s *server) string {
	t.Helper()
	return s.code(t, "loose", "https://loose.example/cb", "read", "")
}

// codeThieves present a code of web's, everything else right, without being web.
var codeThieves = map[string]func(t *testing.T, s *server, code string){
	"another client": func(t *testing.T, s *server, code string) {
		s.asClient(t, "/token", "two", redemption("web", code)...).e400(t, "invalid_grant")
	},
	"public client": func(t *testing.T, s *server, code string) {
		s.asClient(t, "/token", "spa", redemption("web", code)...).e400(t, "invalid_grant")
	},
	"wrong secret": func(t *testing.T, s *server, code string) {
		s.token(t, form(redemption("web", code)...), basic("web", "wrong-secret")).e401(t)
	},
}

// stolenCode is a row's case in which a thief presents a code of web's.
func stolenCode(t *testing.T, s *server, steal func(t *testing.T, s *server, code string)) {
	code := s.newCode(t, "web")
	s.unchanged(t, func() { steal(t, s, code) })
	s.redeem(t, "web", code).ok(t)
}

// replayed is a row's case that replays a code of web's in a way that the grant survives.
func replayed(t *testing.T, s *server, replay func(t *testing.T, s *server, code string)) {
	code := s.newCode(t, "web")
	pair := s.redeem(t, "web", code).ok(t)
	s.unchanged(t, func() {
		for range 6 { // more than kill a code
			replay(t, s, code)
		}
	})
	s.lives(t, "web", pair)
}

// AC. authorization_code with PKCE.
var codeRows = []row{
	{"AC-01", each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		code := s.newCode(t, client)
		a := s.redeem(t, client, code).ok(t)
		a.words(t, "read", "write")
		s.lives(t, client, a)
		s.redeem(t, client, code).e400(t, "invalid_grant")
	})},
	{"AC-02", each(testCase{foreign: true}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, code string) {
		s.unchanged(t, func() { s.redeem(t, "web", "x", "code", code).e400(t, "invalid_request") })
	})},
	{"AC-03", append(each(testCase{foreign: true}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, damaged := range damage(code) {
				s.redeem(t, "web", damaged).e400(t, "invalid_grant")
			}
		})
		s.redeem(t, "web", code).ok(t)
	}), each(testCase{}, same(tokenKinds...), func(t *testing.T, s *server, kind string) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, posing := range posingAs('c', pair.member(kind)) {
				s.redeem(t, "web", posing).e400(t, "invalid_grant")
			}
		})
		s.lives(t, "web", pair)
	})...)},
	{"AC-04", append(each(testCase{foreign: true}, codeThieves, stolenCode), renamed("of a table", each(ofTable, codeThieves, stolenCode))...)},
	{"AC-05", append(each(testCase{moves: true}, map[string]time.Duration{"default": time.Minute, "longest": 10 * time.Minute}, func(t *testing.T, s *server, life time.Duration) {
		if life != time.Minute {
			s.restart(grants.CodeLifetime(life))
		}
		early, late := s.newCode(t, "web"), s.newCode(t, "web")
		time.Sleep(life - time.Millisecond)
		s.redeem(t, "web", early).ok(t)
		time.Sleep(time.Millisecond)
		s.unchanged(t, func() { s.redeem(t, "web", late).e400(t, "invalid_grant") })
	}), testCase{name: "longer", run: func(t *testing.T, s *server) {
		defer func() {
			if recover() == nil {
				t.Error("a life of more than ten minutes is accepted")
			}
		}()
		grants.CodeLifetime(10*time.Minute + 1)
	}})},
	{"AC-06", each(testCase{moves: true}, map[string]time.Duration{"within its life": time.Second, "after its life": 2 * time.Minute},
		func(t *testing.T, s *server, wait time.Duration) {
			code := s.newCode(t, "web")
			r0 := s.redeem(t, "web", code).ok(t)
			r1 := s.refreshes(t, "web", r0.refresh())
			time.Sleep(wait)
			s.works(t, r0.access())
			s.redeem(t, "web", code).e400(t, "invalid_grant")
			s.ended(t, "web", r0, r1)
		})},
	{"AC-07", slices.Concat(
		each(testCase{foreign: true}, codeThieves, replayed),
		renamed("of a table", each(ofTable, codeThieves, replayed)),
		each(testCase{foreign: true}, map[string][]string{
			"wrong verifier": {"code_verifier", wrongVerifier}, "no verifier": {"code_verifier", without}, "other redirect URI": {"redirect_uri", "https://web.example/other"},
		}, func(t *testing.T, s *server, changes []string) {
			replayed(t, s, func(t *testing.T, s *server, code string) {
				s.redeem(t, "web", code, changes...).e400(t, "invalid_grant")
			})
		}),
	)},
	one("AC-08", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		winner := onlyWinner(t, atOnce(t, 64, func(int) *answer { return s.redeem(t, "web", code) }))
		s.ended(t, "web", winner)
	}}),
	{"AC-09", each(testCase{foreign: true}, map[string][3]string{ // client, URI at authorize, URI here
		"slash":               {"web", "https://web.example/cb", "https://web.example/cb/"},
		"case":                {"web", "https://web.example/cb", "https://web.example/CB"},
		"host's case":         {"web", "https://web.example/cb", "https://WEB.example/cb"},
		"encoded":             {"web", "https://web.example/cb", "https://web.example/%63b"},
		"the client's other":  {"two", "https://two.example/a", "https://two.example/b?x=1"},
		"other loopback port": {"native", "http://127.0.0.1:4000/cb", "http://127.0.0.1:4001/cb"},
	}, func(t *testing.T, s *server, c [3]string) {
		code := s.code(t, c[0], c[1], "read", challenge)
		s.unchanged(t, func() { s.redeem(t, c[0], code, "redirect_uri", c[2]).e400(t, "invalid_grant") })
		s.redeem(t, c[0], code, "redirect_uri", c[1]).ok(t)
	})},
	{"AC-10", each(testCase{}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, redirectURI string) {
		s.redeem(t, "web", s.newCode(t, "web"), "redirect_uri", redirectURI).ok(t)
	})},
	{"AC-11", each(testCase{foreign: true}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, redirectURI string) {
		code := looseCode(t, s)
		s.unchanged(t, func() {
			s.redeem(t, "loose", code, "code_verifier", without, "redirect_uri", redirectURI).e400(t, "invalid_grant")
		})
		s.redeem(t, "loose", code, "code_verifier", without).ok(t)
	})},
	{"AC-12", append(each(testCase{foreign: true}, unnamedRedirectURI, func(t *testing.T, s *server, c [3]string) {
		s.redeem(t, c[0], s.code(t, c[0], "", "read", c[1]), "code_verifier", c[2]).ok(t)
	}), renamed("another", each(testCase{}, unnamedRedirectURI, func(t *testing.T, s *server, c [3]string) {
		code := s.code(t, c[0], "", "read", c[1])
		s.unchanged(t, func() {
			s.redeem(t, c[0], code, "code_verifier", c[2], "redirect_uri", "https://"+c[0]+".example/other").e400(t, "invalid_grant")
		})
		s.redeem(t, c[0], code, "code_verifier", c[2]).ok(t)
	}))...)},
	one("AC-13", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.redeem(t, "web", code, "code_verifier", wrongVerifier).e400(t, "invalid_grant")
		s.redeem(t, "web", code).ok(t)
	}}),
	one("AC-14", testCase{run: func(t *testing.T, s *server) {
		code, spared := s.newCode(t, "web"), s.newCode(t, "web")
		for range 4 {
			s.redeem(t, "web", spared, "code_verifier", wrongVerifier).e400(t, "invalid_grant")
		}
		s.redeem(t, "web", spared).ok(t)
		var last *answer
		for range 5 {
			last = s.redeem(t, "web", code, "code_verifier", wrongVerifier).e400(t, "invalid_grant")
		}
		if a := s.redeem(t, "web", code).e400(t, "invalid_grant"); a.body != last.body {
			t.Errorf("a dead code is answered in other words: %s", a)
		}
	}}),
	{"AC-15", each(testCase{}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, v string) {
		code := s.newCode(t, "web")
		dead := s.redeem(t, "web", damages["unknown"](code)[0]).e400(t, "invalid_grant")
		s.unchanged(t, func() {
			if a := s.redeem(t, "web", code, "code_verifier", v).e400(t, "invalid_grant"); a.body != dead.body {
				t.Errorf("other words than for a dead code: %s", a)
			}
		})
		s.redeem(t, "web", code).ok(t)
	})},
	{"AC-16", each(testCase{foreign: true}, map[string]string{
		"42": verifier[:42], "129": strings.Repeat("a", 129), "plus": verifier[:42] + "+", "slash": verifier[:42] + "/", "equals": verifier[:42] + "=",
		"percent": verifier[:42] + "%", "space": verifier[:42] + " ",
	}, func(t *testing.T, s *server, malformed string) {
		code, loose := s.newCode(t, "web"), looseCode(t, s)
		s.unchanged(t, func() {
			if s.store != nil { // the code is not looked at
				s.store.Break(testbed.Fail, nil, nil)
				defer s.store.Break(nil, nil, nil)
			}
			s.redeem(t, "web", code, "code_verifier", malformed).e400(t, "invalid_grant")
			s.redeem(t, "loose", loose, "code_verifier", malformed).e400(t, "invalid_grant") // before AC-19
		})
		s.redeem(t, "web", code).ok(t)
		s.redeem(t, "loose", loose, "code_verifier", without).ok(t)
	})},
	{"AC-17", each(testCase{foreign: true}, map[string]string{
		"43": allVerifierCharacters[23:], "66": allVerifierCharacters, "128": (allVerifierCharacters + allVerifierCharacters)[:128],
	}, func(t *testing.T, s *server, v string) {
		code := s.code(t, "web", "https://web.example/cb", "read", s256(v))
		s.redeem(t, "web", code, "code_verifier", v).ok(t)
	})},
	{"AC-18", each(testCase{}, map[string]string{"the challenge": challenge, "another transaction's": allVerifierCharacters}, func(t *testing.T, s *server, v string) {
		code := s.newCode(t, "web")
		other := s.code(t, "web", "https://web.example/cb", "read", s256(allVerifierCharacters))
		s.redeem(t, "web", code, "code_verifier", v).e400(t, "invalid_grant")
		s.redeem(t, "web", code).ok(t)
		s.redeem(t, "web", other, "code_verifier", allVerifierCharacters).ok(t)
	})},
	one("AC-19", testCase{run: func(t *testing.T, s *server) {
		code := looseCode(t, s)
		s.unchanged(t, func() { s.redeem(t, "loose", code).e400(t, "invalid_request") })
		s.redeem(t, "loose", code, "code_verifier", without).ok(t)
	}}),
	{"AC-20", each(testCase{foreign: true}, map[string]string{"no verifier": without, "wrong verifier": wrongVerifier}, func(t *testing.T, s *server, v string) {
		code := s.newCode(t, "loose")
		refused := func() { s.redeem(t, "loose", code, "code_verifier", v).e400(t, "invalid_grant") }
		switch {
		case s.ours == nil: // which has spent it
			refused()
			return
		case v == without:
			s.unchanged(t, refused)
		default: // a try is counted
			refused()
		}
		s.redeem(t, "loose", code).ok(t)
	})},
	{"AC-21", each(testCase{foreign: true}, map[string][]string{
		"scope": {"scope", "read write admin"}, "malformed scope": {"scope", " read\xff"}, "code_challenge": {"code_challenge", s256(wrongVerifier)}, "state": {"state", "x"},
	}, func(t *testing.T, s *server, ignored []string) {
		code := s.code(t, "web", "https://web.example/cb", "read", challenge)
		a := s.redeem(t, "web", code, ignored...).ok(t)
		a.words(t, "read")
		s.reaches(t, a.access(), "client=web user=alice scope=read ")
	})},
	one("AC-22", testCase{run: func(t *testing.T, s *server) {
		c := fixture("web")
		c.GrantTypes = []string{"authorization_code"}
		s.putClient(t, c)
		if a := s.pair(t, "web"); a.refresh() != "" {
			t.Errorf("a refresh token: %s", a)
		}
	}}),
	{"AC-23", append(each(testCase{}, filters, func(t *testing.T, s *server, f storage.Filter) {
		code := s.newCode(t, "web")
		s.end(t, f)
		s.unchanged(t, func() { s.redeem(t, "web", code).e400(t, "invalid_grant") })
	}), testCase{name: "client deleted", run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.deleteClient(t, "web")
		s.unchanged(t, func() { s.redeem(t, "web", code).e401(t) })
		s.putClient(t, fixture("web")) // which revives nothing
		s.unchanged(t, func() { s.redeem(t, "web", code).e400(t, "invalid_grant") })
	}})},
	one("AC-24", testCase{run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		guess := func() {
			for _, guess := range guesses(code) {
				s.redeem(t, "web", guess).e400(t, "invalid_grant")
			}
		}
		s.unchanged(t, guess)
		pair := s.redeem(t, "web", code).ok(t)
		s.unchanged(t, guess)
		s.lives(t, "web", pair)
	}}),
	{"AC-25", each(testCase{}, breaks, func(t *testing.T, s *server, fault func(*testbed.Faulty)) {
		code := s.newCode(t, "web")
		fault(s.store)
		s.unchanged(t, func() { s.redeem(t, "web", code).e503(t) })
		s.store.Break(nil, nil, nil)
		s.lives(t, "web", s.redeem(t, "web", code).ok(t))
	})},
}

// unnamedRedirectURI has a client, with PKCE and without, whose authorization request names no redirect
// URI: its ID, the challenge and the verifier.
var unnamedRedirectURI = map[string][3]string{"PKCE": {"web", challenge, verifier}, "no PKCE": {"loose", "", without}}
