package conformance

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
)

// G. True of every answer. The harness looks at G-01 to G-04 and G-07 on all rows; these make sure that
// there is an answer of every kind to look at.
var generalRows = []row{
	{"G-01", append(onEndpoints(func(t *testing.T, s *server, path string) {
		s.everyKind(t, path, func(*testing.T, *answer) {})
	}), each(testCase{options: []grants.Option{oddExtension}}, map[string]struct {
		sent   string
		status int
		code   string
	}{
		"code of the application's": {"slow_down", 400, "slow_down"},
		"code out of bounds":        {`"\`, 500, "server_error"},
		"no code":                   {"", 500, "server_error"},
	}, func(t *testing.T, s *server, c struct {
		sent   string
		status int
		code   string
	}) {
		svc := fixture("svc")
		svc.GrantTypes = []string{"urn:x"}
		s.putClient(t, svc)
		s.token(t, form("grant_type", "urn:x", "code_of_error", c.sent), as("svc")).is(t, c.status, c.code)
	})...)},
	{"G-02", onEndpoints(func(t *testing.T, s *server, path string) {
		s.everyKind(t, path, func(t *testing.T, a *answer) {
			for name, value := range map[string]string{"Cache-Control": "no-store", "Pragma": "no-cache", "X-Content-Type-Options": "nosniff"} {
				if !slices.Equal(a.header.Values(name), []string{value}) {
					t.Errorf("want %s: %s once, got %s", name, value, a)
				}
			}
		})
	})},
	{"G-03", append(append(each(testCase{foreign: true}, echoes, func(t *testing.T, s *server, p probe) {
		for _, path := range s.endpoints() {
			a := s.ask(t, path, p)
			if a.status < 400 && path == "/token" {
				t.Errorf("is not refused: %s", a)
			}
			s.lacks(t, a, marker)
		}
	}), append(each(testCase{foreign: true}, same("Bearer "+marker, "Basic "+marker, marker), func(t *testing.T, s *server, authorization string) {
		s.lacks(t, s.get(t, "/any?access_token="+marker+"&"+marker, [2]string{"Authorization", authorization}), marker)
	}), each(testCase{}, repeatables, func(t *testing.T, s *server, start func(*testing.T, *server) repeatable) {
		r := start(t, s)
		quote := fmt.Sprintf("no %s for %s", r.secrets, r.secrets)
		for _, fault := range []func(context.Context) error{
			func(context.Context) error { return errors.New(quote) },
			func(context.Context) error { panic(quote) },
		} {
			for _, set := range r.parts() {
				set(s.store, fault)
				a := r.send(t)
				if a.status < 500 {
					t.Errorf("the store does not fail: %s", a)
				}
				s.lacks(t, a, r.secrets...)
			}
		}
	})...)...), renamed("of a table that quotes", each(testCase{}, credentials, func(t *testing.T, s *server, by func(id, secret string) proof) {
		const id = marker + `"\row-key`
		const secret = id + "-and-more" // of which the ID is a part
		s.useTable(func(id string) (oauth2.ClientInfo, error) {
			return nil, fmt.Errorf("no row %q, %s or %s, nor %q or %s", id, id, url.QueryEscape(id), secret, secret)
		})
		for _, path := range s.endpoints() {
			s.lacks(t, s.prove(t, path, by(id, secret), "grant_type", "client_credentials", "token", "x").e503(t), marker, "row-key", "-and-more")
		}
	}))...)},
	{"G-04", append(each(testCase{foreign: true}, map[string]int{"401": 401, "405": 405, "413": 413}, statusRow), each(testCase{}, map[string]int{"503": 503}, statusRow)...)},
	{"G-05", append(
		each(testCase{}, repeatables, func(t *testing.T, s *server, start func(*testing.T, *server) repeatable) {
			s.outage(t, start, testbed.Fail)
		}),
		renamed("hangs", each(testCase{moves: true}, repeatables, func(t *testing.T, s *server, start func(*testing.T, *server) repeatable) {
			s.outage(t, start, testbed.Hang)
		}))...,
	)},
	{"G-06", slices.Concat(
		each(testCase{}, repeatables, func(t *testing.T, s *server, start func(*testing.T, *server) repeatable) {
			r := start(t, s)
			for _, set := range r.parts() {
				set(s.store, explode)
				s.unchanged(t, func() { s.broken(t, r.send) })
			}
			s.store.Break(nil, nil, nil)
			r.good(t, r.send(t))
		}),
		renamed("midway", each(testCase{}, changing(), func(t *testing.T, s *server, start func(*testing.T, *server) repeatable) {
			r := start(t, s)
			whole := s.store.Store
			s.store.Store = midway{whole}
			s.unchanged(t, func() { s.broken(t, r.send) })
			s.store.Store = whole
			r.good(t, r.send(t))
		})),
		each(testCase{}, map[string]func(*grants.Request) (oauth2.TokenInfo, error){
			"manager panics":           func(r *grants.Request) (oauth2.TokenInfo, error) { panic(r.ClientSecret) },
			"error of no kind":         func(r *grants.Request) (oauth2.TokenInfo, error) { return nil, errors.New("odd") },
			"neither token nor error":  func(r *grants.Request) (oauth2.TokenInfo, error) { return nil, nil },
			"token type without value": func(r *grants.Request) (oauth2.TokenInfo, error) { return (*emptyInfo)(nil), nil },
		}, func(t *testing.T, s *server, token func(*grants.Request) (oauth2.TokenInfo, error)) {
			s.manager = impossible{s.ours, token}
			s.mount()
			s.unchanged(t, func() { s.broken(t, func(t *testing.T) *answer { return s.token(t, goodToken, as("svc")) }) })
			s.manager = s.ours
			s.mount()
			s.token(t, goodToken, as("svc")).ok(t)
		}),
	)},
	{"G-06", []testCase{{name: "claims panic", jwt: true, run: func(t *testing.T, s *server) {
		code, pair := s.newCode(t, "web"), s.pair(t, "web")
		s.restart(grants.Claims(func(context.Context, grants.Introspection) (map[string]any, error) { panic("a secret place") }))
		s.unchanged(t, func() {
			for _, send := range []func(t *testing.T) *answer{
				func(t *testing.T) *answer { return s.token(t, goodToken, as("svc")) },
				func(t *testing.T) *answer { return s.redeem(t, "web", code) },
				func(t *testing.T) *answer { return s.tryRefresh(t, "web", pair.refresh()) },
				func(t *testing.T) *answer { return s.introspect(t, "rs", pair.access()) },
			} {
				s.broken(t, send)
			}
		})
		s.restart()
		s.redeem(t, "web", code).ok(t)
		s.lives(t, "web", pair)
	}}}},
	{"G-07", each(testCase{foreign: true}, same("https://spa.example", "https://evil.example", "null"), func(t *testing.T, s *server, origin string) {
		headers := [][2]string{{"Origin", origin}, {"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", "authorization"}}
		s.guard("/guarded", nil)
		for _, path := range s.endpoints() {
			s.everyKind(t, path, func(*testing.T, *answer) {}, headers...)
		}
		for _, path := range append(s.endpoints(), "/guarded") {
			s.send(t, "OPTIONS", path, nil, headers...)
		}
		a := s.token(t, goodToken, as("svc"))
		for _, credentials := range []string{a.access(), "x"} {
			s.get(t, "/guarded", append(headers, bearer(credentials))...)
		}
	})},
	{"G-08", slices.Concat(
		each(testCase{foreign: true}, precedence, contested),
		each(testCase{}, ownPrecedence, contested),
		each(testCase{}, authorizePrecedence(), authorizeContested),
	)},
}

// contested is a request with several mistakes, of which the first in order is answered.
func contested(t *testing.T, s *server, start func(*testing.T, *server) contest) {
	c := start(t, s)
	s.unchanged(t, func() {
		for i, first := range c.mistakes {
			t.Run(first.name, func(t *testing.T) {
				alone := s.wrong(t, c, first)
				if alone.status != first.status || alone.member("error") != first.code {
					t.Fatalf("want %d %s, got %s", first.status, first.code, alone)
				}
				everything := []mistake{first}
				for _, later := range c.mistakes[i+1:] {
					if later.level == first.level {
						continue
					}
					everything = append(everything, later)
					if a := s.wrong(t, c, first, later); a.status != alone.status || a.body != alone.body {
						t.Errorf("with %s as well it is answered %s\nwant %s", later.name, a, alone)
					}
				}
				if a := s.wrong(t, c, everything...); a.status != alone.status || a.body != alone.body {
					t.Errorf("with all that comes later it is answered %s\nwant %s", a, alone)
				}
			})
		}
	})
	if a := s.wrong(t, c); a.status != 200 {
		t.Errorf("the request without mistakes: %s", a)
	}
}

// probe is a request to the token or revocation endpoint. Its zero value is the good one.
type probe struct {
	method, query, contentType, body string
	headers                          [][2]string
	fault                            func(context.Context) error // of the client store
	status                           int
	code                             string
}

var goodBodies = map[string]string{"/token": goodToken, "/revoke": "token=x", "/introspect": "token=x"}

// endpoints are those that answer JSON. Introspection is there over a manager of ours alone.
func (s *server) endpoints() []string {
	if s.ours == nil {
		return []string{"/token", "/revoke"}
	}
	return []string{"/token", "/revoke", "/introspect"}
}

// onEndpoints makes a case for each of them.
func onEndpoints(run func(t *testing.T, s *server, path string)) []testCase {
	return append(each(testCase{foreign: true}, same("/token", "/revoke"), run), each(testCase{}, same("/introspect"), run)...)
}

func (s *server) ask(t *testing.T, path string, p probe, more ...[2]string) *answer {
	t.Helper()
	if s.store != nil {
		s.store.Break(nil, nil, p.fault)
		defer s.store.Break(nil, nil, nil)
	}
	if p.method == "" {
		p.method = "POST"
	}
	if p.contentType == "" {
		p.contentType = formType
	}
	if p.body == "" {
		p.body = goodBodies[path]
	}
	if p.headers == nil {
		p.headers = [][2]string{as("svc")}
	}
	headers := slices.Concat([][2]string{{"Content-Type", p.contentType}}, p.headers, more)
	return s.send(t, p.method, path+p.query, strings.NewReader(p.body), headers...)
}

// everyKind has every kind of answer that the endpoint can give looked at.
func (s *server) everyKind(t *testing.T, path string, look func(*testing.T, *answer), headers ...[2]string) {
	t.Helper()
	probes := map[string]probe{
		"good":         {status: 200},
		"method":       {method: "PUT", status: 405, code: "invalid_request"},
		"HEAD":         {method: "HEAD", status: 405},
		"content type": {contentType: "application/json", status: 400, code: "invalid_request"},
		"size":         {body: goodBodies[path] + "&x=" + strings.Repeat("x", 64<<10), status: 413, code: "invalid_request"},
		"encoding":     {body: goodBodies[path] + "&a=%zz", status: 400, code: "invalid_request"},
		"query":        {query: "?scope=read", status: 400, code: "invalid_request"},
		"two ways":     {body: goodBodies[path] + "&client_secret=svc-secret", status: 400, code: "invalid_request"},
		"secret":       {headers: [][2]string{basic("svc", "wrong-secret")}, status: 401, code: "invalid_client"},
	}
	if s.store != nil {
		probes["failure"] = probe{fault: testbed.Fail, status: 503, code: "temporarily_unavailable"}
		probes["panic"] = probe{fault: explode, status: 500, code: "server_error"}
	}
	switch path {
	case "/token":
		probes["grant type"] = probe{body: `grant_type="\<>`, status: 400, code: "unsupported_grant_type"}
		probes["registration"] = probe{body: "grant_type=refresh_token&refresh_token=x", status: 400, code: "unauthorized_client"}
		probes["token"] = probe{body: `grant_type=refresh_token&refresh_token="\<>`, headers: [][2]string{as("web")}, status: 400, code: "invalid_grant"}
		probes["scope"] = probe{body: `grant_type=client_credentials&scope="\`, status: 400, code: "invalid_scope"}
	case "/introspect":
		probes["token"] = probe{body: "token=", status: 400, code: "invalid_request"}
		probes["public"] = probe{headers: [][2]string{}, body: "token=x&client_id=spa", status: 401, code: "invalid_client"}
	case "/revoke":
		probes["other's"] = probe{body: form("token", s.pair(t, "web").access()), status: 400, code: "unauthorized_client"}
		probes["token"] = probe{body: "token=", status: 400, code: "invalid_request"}
	}
	for name, p := range probes {
		a := s.ask(t, path, p, headers...)
		if a.status != p.status || a.member("error") != p.code {
			t.Errorf("%s %s: want %d %s, got %s", path, name, p.status, p.code, a)
		}
		look(t, a)
	}
}

// statusRow looks at the answers of that status.
func statusRow(t *testing.T, s *server, status int) {
	for _, path := range s.endpoints() {
		s.everyKind(t, path, func(t *testing.T, a *answer) {
			if a.status != status {
				return
			}
			wait := a.header.Get("Retry-After")
			if good := map[int]bool{
				401: strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Basic realm="`),
				405: a.header.Get("Allow") == "POST" && (a.body == "" || a.member("error") == "invalid_request"),
				413: a.member("error") == "invalid_request",
				503: wait != "" && strings.Trim(wait, "0123456789") == "",
			}; !good[status] {
				t.Errorf("got %s", a)
			}
		})
	}
	switch status {
	case 401:
		s.get(t, "/any").refused(t, 401, "")
		s.dead(t, "x")
	case 503:
		pair := s.pair(t, "web")
		s.store.Break(testbed.Fail, nil, nil)
		s.get(t, "/any", bearer(pair.access())).e503(t)
	}
}

// oddExtension is a grant type of the application's, whose refusals say what the request wants them to.
var oddExtension = grants.Extend(grants.Extension{Name: "urn:x", Params: []string{"code_of_error"}, Grant: refuseOddly})

func refuseOddly(_ context.Context, r *grants.Request) (grants.Issue, error) {
	return grants.Issue{}, &grants.Error{Code: r.Params.Get("code_of_error"), Description: "\"\\\r\n\x00\x7fé wrong", Cause: testbed.ErrBroken}
}

const marker = "marker-7f3a9c"

// everywhere has the marker in all parameters but those that prove the client.
var everywhere = func() string {
	var list []string
	for _, name := range []string{"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource", "token", "token_type_hint", "state", "username", "password", marker} {
		list = append(list, name, marker+`"<\>`)
	}
	return "&" + form(list...)
}()

// echoes are refused requests with the marker in all places where it can be.
var echoes = map[string]probe{
	"method":             {method: "PUT", body: everywhere},
	"content type":       {contentType: "text/" + marker, body: everywhere},
	"size":               {body: strings.Repeat(marker, 5<<10)},
	"encoding":           {body: "grant_type=client_credentials&" + marker + "=" + marker + "%zz"},
	"octets":             {body: "grant_type=client_credentials&code=" + marker + "%ff"},
	"name twice":         {body: "grant_type=client_credentials&scope=" + marker + "&scope=" + marker},
	"query":              {query: "?token=" + marker + "&" + marker + "=" + marker},
	"grant type":         {body: "grant_type=" + marker + everywhere},
	"two methods":        {body: "grant_type=client_credentials&client_secret=" + marker + everywhere, headers: [][2]string{basic(marker, marker)}},
	"two headers":        {headers: [][2]string{basic(marker, marker), bearer(marker)}},
	"assertion":          {body: "grant_type=client_credentials&client_assertion=" + marker + "&client_assertion_type=" + marker + everywhere, headers: [][2]string{}},
	"other scheme":       {headers: [][2]string{{"Authorization", marker + " " + marker}}},
	"not Base64":         {headers: [][2]string{{"Authorization", "Basic " + marker + "!"}}},
	"unknown client":     {body: "grant_type=refresh_token" + everywhere, headers: [][2]string{basic(marker, marker)}},
	"unknown, in body":   {body: "grant_type=refresh_token&client_id=" + marker + "&client_secret=" + marker + everywhere, headers: [][2]string{}},
	"wrong secret":       {body: "grant_type=refresh_token" + everywhere, headers: [][2]string{basic("web", marker)}},
	"wrong, in body":     {body: "grant_type=refresh_token&client_id=web&client_secret=" + marker + everywhere, headers: [][2]string{}},
	"no registration":    {body: "grant_type=refresh_token" + everywhere},
	"refresh token":      {body: strings.Replace("grant_type=refresh_token"+everywhere, "scope=", "scopes=", 1), headers: [][2]string{as("web")}},
	"code":               {body: strings.Replace("grant_type=authorization_code"+everywhere, "code_verifier=", "verifier=", 1), headers: [][2]string{as("web")}},
	"malformed scope":    {body: "grant_type=client_credentials" + everywhere},
	"scope out of reach": {body: "grant_type=client_credentials&scope=" + marker},
}

// lacks fails if the answer or the log has one of words in it.
func (s *server) lacks(t *testing.T, a *answer, words ...string) {
	t.Helper()
	for _, word := range words {
		if strings.Contains(fmt.Sprint(a, s.log), word) {
			t.Errorf("%q comes back: %s\nlog\n%s", word, a, s.log)
		}
	}
}
