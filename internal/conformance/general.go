package conformance

import (
	"context"
	"strings"
	"testing"
	"time"
)

// refusals has a request for each status that the JSON endpoints refuse with.
func refusals(t *testing.T, s *server, check func(a *answer)) {
	t.Helper()
	pair := s.pair(t, "web")
	for _, path := range []string{"/token", "/revoke"} {
		check(s.post(t, path, "%zz", as("web")))
		check(s.post(t, path, form("grant_type", "refresh_token", "refresh_token", pair.refresh(), "token", pair.access()), basic("web", "wrong-secret")))
		check(s.send(t, "GET", path, nil))
		check(s.post(t, path, "x="+strings.Repeat("x", 64<<10), as("web")))
		check(s.post(t, path, form("grant_type", "refresh_token", "refresh_token", pair.refresh(), "token", pair.access()), as("two")))
	}
	check(s.token(t, form("grant_type", "refresh_token", "refresh_token", pair.refresh(), "scope", "admin-secret"), as("web")))
	check(s.token(t, "grant_type=raw-parameter-bytes", as("web")))
	s.store.set(fail, nil, nil)
	check(s.tryRefresh(t, "web", pair.refresh()))
	s.store.set(nil, nil, fail)
	check(s.tryRefresh(t, "web", pair.refresh()))
	s.store.set(explode, nil, nil)
	check(s.tryRefresh(t, "web", pair.refresh()))
	s.store.set(nil, nil, nil)
	s.lives(t, "web", pair)
}

// checked is a row that the harness holds every answer against; here the answers are those of refusals.
func checked(id string, check func(t *testing.T, s *server, a *answer)) row {
	return one(id, testCase{run: func(t *testing.T, s *server) {
		seen := map[int]bool{}
		refusals(t, s, func(a *answer) {
			seen[a.status] = true
			check(t, s, a)
		})
		for _, status := range []int{400, 401, 405, 413, 500, 503} {
			if !seen[status] {
				t.Errorf("nothing was answered %d", status)
			}
		}
	}})
}

// requests are good requests that reach the store, each with what proves that it worked.
var requests = map[string]func(t *testing.T, s *server) (try func() *answer, good func(*answer)){
	"authorization_code": func(t *testing.T, s *server) (func() *answer, func(*answer)) {
		code := s.newCode(t, "web")
		return func() *answer { return s.redeem(t, "web", code) }, func(a *answer) { s.lives(t, "web", a.ok(t)) }
	},
	"refresh_token": func(t *testing.T, s *server) (func() *answer, func(*answer)) {
		r0 := s.pair(t, "web")
		return func() *answer { return s.tryRefresh(t, "web", r0.refresh()) }, func(a *answer) { s.lives(t, "web", a.ok(t)) }
	},
	"client_credentials": func(t *testing.T, s *server) (func() *answer, func(*answer)) {
		return func() *answer { return s.token(t, goodToken, as("svc")) }, func(a *answer) { s.works(t, a.ok(t).access()) }
	},
	"revoke": func(t *testing.T, s *server) (func() *answer, func(*answer)) {
		pair := s.pair(t, "web")
		return func() *answer { return s.revokes(t, "web", "token", pair.refresh()) }, func(a *answer) { a.done(t); s.ended(t, "web", pair) }
	},
	"bearer": func(t *testing.T, s *server) (func() *answer, func(*answer)) {
		pair := s.pair(t, "web")
		return func() *answer { return s.get(t, "/any", bearer(pair.access())) }, func(a *answer) {
			if a.status != 200 {
				t.Errorf("got %s", a)
			}
		}
	},
}

// trouble runs each request against a store in trouble and then again against a healed one.
func trouble(c testCase, fault func(context.Context) error, check func(t *testing.T, s *server, a *answer, took time.Duration)) []testCase {
	return each(c, requests, func(t *testing.T, s *server, request func(*testing.T, *server) (func() *answer, func(*answer))) {
		try, good := request(t, s)
		s.unchanged(t, func() {
			s.store.set(fault, nil, nil)
			defer s.store.set(nil, nil, nil)
			began := time.Now()
			check(t, s, try(), time.Since(began))
		})
		good(try())
	})
}

func unavailable(t *testing.T, _ *server, a *answer, took time.Duration) {
	a.e503(t)
	if took > storeTimeout+time.Second {
		t.Errorf("took %v", took)
	}
}

// named gives cases a prefix.
func named(prefix string, cases []testCase) []testCase {
	for i := range cases {
		cases[i].name = prefix + " " + cases[i].name
	}
	return cases
}

// G. True of every answer.
var generalRows = []row{
	checked("G-01", func(t *testing.T, s *server, a *answer) {
		if a.member("error") == "" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s", a)
		}
	}),
	checked("G-02", func(t *testing.T, s *server, a *answer) {
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" || a.header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("got %s", a)
		}
	}),
	checked("G-03", func(t *testing.T, s *server, a *answer) {
		for _, sent := range []string{"wrong-secret", "admin-secret", "raw-parameter-bytes", "web-secret"} {
			if strings.Contains(a.String(), sent) || strings.Contains(s.log.String(), sent) {
				t.Errorf("%q comes back in %s or in the log\n%s", sent, a, s.log)
			}
		}
	}),
	checked("G-04", func(t *testing.T, s *server, a *answer) {
		if (a.status == 405 || a.status == 413) && a.member("error") != "invalid_request" {
			t.Errorf("got %s", a)
		}
	}),
	{"G-05", append(named("failing", trouble(testCase{}, fail, unavailable)), named("hanging", trouble(testCase{moves: true}, hang, unavailable))...)},
	{"G-06", trouble(testCase{}, explode, func(t *testing.T, s *server, a *answer, _ time.Duration) {
		a.is(t, 500, "server_error")
		if strings.Contains(s.log.String(), "secret place") || !strings.Contains(s.log.String(), "panic") {
			t.Errorf("the log:\n%s", s.log)
		}
	})},
	checked("G-07", func(t *testing.T, s *server, a *answer) {
		for name := range a.header {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("got %s", a)
			}
		}
	}),
	{"G-08", precedence},
}

// precedence has two things wrong in each request, neighbours in the order in which they are answered.
var precedence = each(testCase{}, map[string]func(t *testing.T, s *server) *answer{
	"method before type": func(t *testing.T, s *server) *answer {
		return s.send(t, "PUT", "/token", strings.NewReader("x"), [2]string{"Content-Type", "text/plain"}).is(t, 405, "invalid_request")
	},
	"type before size": func(t *testing.T, s *server) *answer {
		return s.send(t, "POST", "/token", strings.NewReader(strings.Repeat("x", 64<<10+1)), [2]string{"Content-Type", "text/plain"}).e400(t, "invalid_request")
	},
	"size before encoding": func(t *testing.T, s *server) *answer {
		return s.token(t, "%zz"+strings.Repeat("x", 64<<10)).is(t, 413, "invalid_request")
	},
	"encoding before grant type": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=x&a=%zz").e400(t, "invalid_request")
	},
	"query before grant type": func(t *testing.T, s *server) *answer {
		return s.post(t, "/token?code=x", "grant_type=x").e400(t, "invalid_request")
	},
	"no grant type before client": func(t *testing.T, s *server) *answer {
		return s.token(t, "scope=read", basic("svc", "wrong-secret")).e400(t, "invalid_request")
	},
	"supported before two authentications": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=x&client_id=svc&client_secret=svc-secret", as("svc")).e400(t, "unsupported_grant_type")
	},
	"two authentications before client": func(t *testing.T, s *server) *answer {
		return s.token(t, goodToken+"&client_id=svc&client_secret=wrong-secret", basic("svc", "wrong-secret")).e400(t, "invalid_request")
	},
	"client before whether it may": func(t *testing.T, s *server) *answer {
		return s.token(t, goodToken, basic("web", "wrong-secret")).e401(t)
	},
	"client before the grant's parameters": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=authorization_code", basic("web", "wrong-secret")).e401(t)
	},
	"whether it may before the grant's parameters": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=refresh_token", as("svc")).e400(t, "unauthorized_client")
	},
	"the grant's parameters before scope": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=refresh_token&scope=a++b", as("web")).e400(t, "invalid_request")
	},
	"scope syntax before the token": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=refresh_token&refresh_token=x&scope=a++b", as("web")).e400(t, "invalid_scope")
	},
	"the token before its scope": func(t *testing.T, s *server) *answer {
		return s.token(t, "grant_type=refresh_token&refresh_token=x&scope=admin", as("web")).e400(t, "invalid_grant")
	},
}, func(t *testing.T, s *server, request func(*testing.T, *server) *answer) {
	s.unchanged(t, func() { request(t, s) })
})
