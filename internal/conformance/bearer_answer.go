package conformance

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
)

// BR. What a guard answers, and needs beside a token.
var bearerAnswerRows = []row{
	{"BR-14", append(each(testCase{}, same("orders", "orders:read2", "Orders:Read", "orders orders:read2 Orders:Read orders:write"), func(t *testing.T, s *server, scope string) {
		s.putClient(t, shop())
		s.lacksScope(t, s.issue(t, "shop", "alice", scope).GetAccess())
	}), testCase{name: "without", foreign: true, run: func(t *testing.T, s *server) {
		s.lacksScope(t, s.token(t, goodToken, as("svc")).ok(t).access())
		s.lacksScope(t, s.token(t, "grant_type=client_credentials", as("bare")).ok(t).access())
	}})},
	{"BR-15", each(testCase{foreign: true}, map[string]struct {
		need   func(...string) func(http.Handler) http.Handler
		scope  string
		status int
	}{
		"all of two, has one":   {middleware.Scope, "read", 403},
		"all of two, has other": {middleware.Scope, "write", 403},
		"all of two, has both":  {middleware.Scope, "write read", 200},
		"any of two, has one":   {middleware.AnyScope, "read", 200},
		"any of two, has other": {middleware.AnyScope, "write", 200},
	}, func(t *testing.T, s *server, c struct {
		need   func(...string) func(http.Handler) http.Handler
		scope  string
		status int
	}) {
		s.guard("GET /two", c.need("read", "write"))
		pair := s.signIn(t, fixture("web"), c.scope)
		if c.status == http.StatusOK {
			s.sees(t, s.get(t, "/two", bearer(pair.access())), pair)
			return
		}
		if a := s.turnedAway(t, "/two", 403, "insufficient_scope", bearer(pair.access())); a["scope"] != "read write" {
			t.Errorf("got %v", a)
		}
	})},
	{"BR-16", []testCase{
		{name: "quoted", foreign: true, run: func(t *testing.T, s *server) {
			const realm = `the "new" api\v2 \"`
			s.guard("GET /quoted", middleware.Scope("it's", "(all)", "a;b"), middleware.Realm(realm), middleware.ResourceMetadata(metadataURL))
			access := s.token(t, goodToken, as("svc")).ok(t).access()
			for _, a := range []map[string]string{
				s.turnedAway(t, "/quoted", 401, ""),
				s.turnedAway(t, "/quoted", 401, "invalid_token", bearer("x")),
				s.turnedAway(t, "/quoted", 403, "insufficient_scope", bearer(access)),
			} {
				if a["realm"] != realm || a["scope"] != "it's (all) a;b" && (a["scope"] != "" || a["error"] == "insufficient_scope") {
					t.Errorf("the challenge reads %q", a)
				}
			}
		}},
		{name: "CR LF", foreign: true, run: func(t *testing.T, s *server) {
			for _, realm := range []string{"a\r\nSet-Cookie: a=b", "\r", "\n", "a\r\n b"} {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("realm %q is not refused", realm)
						}
					}()
					middleware.Bearer(s.manager, middleware.Realm(realm))
				}()
			}
		}},
	}},
	{"BR-17", each(testCase{foreign: true}, map[string]func(t *testing.T, s *server, pair *answer){
		"400": func(t *testing.T, s *server, pair *answer) {
			s.turnedAway(t, "/lax", 400, "invalid_request", bearer("x"), bearer("x"))
			s.turnedAway(t, "/lax?access_token=x&access_token=x", 400, "invalid_request")
			s.post(t, "/lax", "access_token=x&access_token=x").bearerError(t, 400, "invalid_request")
		},
		"401": func(t *testing.T, s *server, pair *answer) {
			s.turnedAway(t, "/lax", 401, "")
			s.turnedAway(t, "/lax", 401, "invalid_token", bearer("x"))
			s.turnedAway(t, "/lax", 401, "invalid_token", bearer(`"`))
			s.turnedAway(t, "/lax?access_token=x", 401, "invalid_token")
		},
		"403": func(t *testing.T, s *server, pair *answer) {
			s.turnedAway(t, "/lax", 403, "insufficient_scope", bearer(pair.access()))
			s.turnedAway(t, "/users", 403, "insufficient_scope", bearer(pair.access()))
		},
	}, func(t *testing.T, s *server, ask func(t *testing.T, s *server, pair *answer)) {
		guarded := middleware.Bearer(s.manager, middleware.Realm("api"), middleware.InsecureQuery(), middleware.InsecureForm())(middleware.Scope("x")(http.HandlerFunc(whoami)))
		s.mux.HandleFunc("/lax", func(w http.ResponseWriter, r *http.Request) { // an outer layer has headers of its own
			w.Header()["Cache-Control"] = []string{"public", "max-age=60"}
			w.Header()["Www-Authenticate"] = []string{"Negotiate", `Basic realm="x"`}
			guarded.ServeHTTP(w, r)
		})
		ask(t, s, s.token(t, goodToken, as("svc")).ok(t))
	})},
	{"BR-18", append(
		each(testCase{}, readParts, unavailable(testbed.Fail)),
		renamed("time out", each(testCase{moves: true}, readParts, unavailable(testbed.Hang)))...,
	)},
	{"BR-19", each(testCase{foreign: true}, map[string]struct {
		headers []string
		status  int
		code    string
		sees    string
	}{
		"none":         {nil, 200, "", "anonymous"},
		"other scheme": {[]string{"Basic eA=="}, 200, "", "anonymous"},
		"good":         {[]string{"Bearer %s"}, 200, "", "user=alice"},
		"bad":          {[]string{"Bearer x"}, 401, "invalid_token", ""},
		"malformed":    {[]string{"Bearer"}, 401, "invalid_token", ""},
		"two headers":  {[]string{"Bearer %s", "Bearer %s"}, 400, "invalid_request", ""},
	}, func(t *testing.T, s *server, c struct {
		headers []string
		status  int
		code    string
		sees    string
	}) {
		_, pair := s.goodAt(t)
		s.guard("GET /optional", nil, middleware.Optional())
		var headers [][2]string
		for _, h := range c.headers {
			headers = append(headers, [2]string{"Authorization", strings.Replace(h, "%s", pair.access(), 1)})
		}
		s.guard("GET /narrow", middleware.Scope("x"), middleware.Optional())
		if c.status != http.StatusOK {
			s.turnedAway(t, "/optional", c.status, c.code, headers...)
			return
		}
		if c.sees == "anonymous" {
			s.turnedAway(t, "/narrow", 401, "", headers...)
		}
		if a := s.get(t, "/optional", headers...); a.status != http.StatusOK || !strings.Contains(a.body, c.sees) {
			t.Errorf("want a handler that sees %s, got %s", c.sees, a)
		}
	})},
	{"BR-20", each(testCase{foreign: true}, map[string]struct {
		token  string
		status int
		code   string
	}{
		"401": {"", 401, ""}, "401 invalid_token": {"x", 401, "invalid_token"}, "403": {"%s", 403, "insufficient_scope"},
	}, func(t *testing.T, s *server, c struct {
		token  string
		status int
		code   string
	}) {
		s.guard("GET /described", middleware.Scope("x"), middleware.ResourceMetadata(metadataURL))
		var headers [][2]string
		if c.token != "" {
			headers = append(headers, bearer(strings.Replace(c.token, "%s", s.token(t, goodToken, as("svc")).ok(t).access(), 1)))
		}
		if a := s.turnedAway(t, "/described", c.status, c.code, headers...); a["resource_metadata"] != metadataURL {
			t.Errorf("got %v", a)
		}
	})},
}

const metadataURL = "https://api.example/.well-known/oauth-protected-resource"

// lacksScope fails unless the token is turned away from GET /orders for its scope.
func (s *server) lacksScope(t *testing.T, access string) {
	t.Helper()
	s.works(t, access)
	if a := s.turnedAway(t, "/orders", 403, "insufficient_scope", bearer(access)); a["scope"] != "orders:read" {
		t.Errorf("got %v", a)
	}
}

// unavailable is a case in which a part of the store is broken for a while: 503, then the token is good.
func unavailable(fault testbed.Fault) func(*testing.T, *server, storePart) {
	return func(t *testing.T, s *server, set storePart) {
		path, pair := s.goodAt(t)
		set(s.store, fault)
		began := time.Now()
		a := s.get(t, path, bearer(pair.access())).e503(t)
		if waited := time.Since(began); waited > storeTimeout {
			t.Errorf("answered after %v", waited)
		}
		alike(t, a, s.send(t, "HEAD", path, nil, bearer(pair.access())))
		if a.header.Get("Retry-After") == "" || a.header.Values("WWW-Authenticate") != nil || a.header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %s", a)
		}
		set(s.store, nil)
		s.sees(t, s.get(t, path, bearer(pair.access())), pair)
	}
}
