package conformance

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/internal/testbed"
)

// pages are requests of alice's that are answered by a page and leave nothing behind.
func pages(status int, requests map[string]string) []testCase {
	return each(testCase{}, requests, func(t *testing.T, s *server, query string) {
		v := s.alice()
		s.unchanged(t, func() { v.get(t, "/authorize?"+query).page(t, status) })
	})
}

// query is the good request of web, changed.
func query(changes ...string) string { return form(authorizing("web", changes...)...) }

// returning are requests of alice's that are answered by an error at the redirect URI.
func returning(code string, requests map[string]string) []testCase {
	return each(testCase{}, requests, func(t *testing.T, s *server, query string) {
		v := s.alice()
		values, _ := url.ParseQuery(query)
		s.unchanged(t, func() {
			v.get(t, "/authorize?"+query).returned(t, code, values.Get("state"), values.Get("redirect_uri"))
		})
	})
}

// accepting are requests of alice's that get a code at their redirect URI.
func accepting(client string, uris ...string) []testCase {
	return each(testCase{}, same(uris...), func(t *testing.T, s *server, uri string) {
		v := s.alice()
		a := v.approves(t, v.authorizeAs(t, client, "redirect_uri", uri))
		code := a.granted(t, "xyz")
		if to, _ := a.sentBack(t); to != uri {
			t.Errorf("sent to %s", to)
		}
		s.redeem(t, client, code, "redirect_uri", uri).ok(t)
	})
}

// badURIs are redirect URIs of a client that are answered by a page.
func badURIs(client string, uris ...string) []testCase {
	requests := make(map[string]string)
	for _, uri := range uris {
		requests[strings.ReplaceAll(uri, "/", "|")] = form(authorizing(client, "redirect_uri", uri)...)
	}
	return pages(400, requests)
}

// AZ. The authorization endpoint: the request.
var authorizeRows = []row{
	one("AZ-01", testCase{run: func(t *testing.T, s *server) {
		v := s.alice()
		a := v.approves(t, v.authorize(t))
		to, added := a.sentBack(t)
		if to != "https://web.example/cb" || len(added) != 3 || added.Get("state") != "xyz" {
			t.Errorf("got %s", a)
		}
		pair := s.redeem(t, "web", a.granted(t, "xyz")).ok(t)
		pair.words(t, "read")
		s.reaches(t, pair.access(), "client=web user=alice scope=read")
		s.lives(t, "web", pair)
	}}),
	{"AZ-02", each(testCase{}, map[string]bool{"GET": false, "POST": true}, func(t *testing.T, s *server, byPost bool) {
		v := s.visitor()
		sent := query("scope", "read write", "state", `a b+c&d=%"<>/?`, "login_hint", "al ice", "ui_locales", "de en")
		var a *answer
		if byPost {
			a = v.post(t, "/authorize", sent, fromHere)
		} else {
			a = v.get(t, "/authorize?"+sent)
		}
		next := a.login(t)
		if ask := s.asks[0]; ask.LoginHint != "al ice" || ask.UILocales != "de en" || ask.MaxAge >= 0 || ask.Client.ID != "web" || !slices.Equal(ask.Scope, []string{"read", "write"}) || ask.Login {
			t.Errorf("asked %+v", ask)
		}
		v.signIn("alice")
		a = v.approves(t, v.get(t, next))
		pair := s.redeem(t, "web", a.granted(t, `a b+c&d=%"<>/?`)).ok(t)
		pair.words(t, "read", "write")
	})},
	{"AZ-03", pages(400, map[string]string{
		"absent": query("client_id", without), "empty": query("client_id", ""), "unknown": query("client_id", "unknown"),
		"twice": query() + "&client_id=web", "NUL": query("client_id", "web\x00"),
	})},
	{"AZ-04", append(badURIs("web", "https://web.example/cb/", "https://web.example/CB", "/cb", "cb", "https://web.example/cb#x", "https://web.example/cb#", "https://two.example/a"),
		pages(400, map[string]string{"twice": query() + "&redirect_uri=https%3A%2F%2Fweb.example%2Fcb"})...)},
	{"AZ-05", append(
		each(testCase{}, map[string]string{"web/absent": without, "web/empty": ""}, func(t *testing.T, s *server, uri string) {
			v := s.alice()
			a := v.approves(t, v.authorize(t, "redirect_uri", uri))
			if to, _ := a.sentBack(t); to != "https://web.example/cb" {
				t.Errorf("sent to %s", to)
			}
			s.redeem(t, "web", a.granted(t, "xyz"), "redirect_uri", without).ok(t)
		}),
		pages(400, map[string]string{
			"two/absent": form(authorizing("two", "redirect_uri", without)...), "two/empty": form(authorizing("two", "redirect_uri", "")...),
			"native/absent": form(authorizing("native", "redirect_uri", without)...), "native/empty": form(authorizing("native", "redirect_uri", "")...),
		})...)},
	{"AZ-06", append(badURIs("two", "https://two.example/b", "https://two.example/b?x=2", "https://two.example/b?x=1&y=2"), testCase{name: "query", run: func(t *testing.T, s *server) {
		v := s.alice()
		a := v.approves(t, v.authorizeAs(t, "two", "redirect_uri", "https://two.example/b?x=1"))
		if location := a.header.Get("Location"); !strings.HasPrefix(location, "https://two.example/b?x=1&code=") {
			t.Errorf("sent to %s", location)
		}
		s.redeem(t, "two", a.granted(t, "xyz"), "redirect_uri", "https://two.example/b?x=1").ok(t)
	}})},
	{"AZ-07", append(accepting("native", "http://127.0.0.1:49152/cb", "http://[::1]:1/cb", "http://localhost:5000/cb", "http://127.0.0.1/cb", "http://localhost:65535/cb"), testCase{name: "registered port", run: func(t *testing.T, s *server) {
		c := fixture("native")
		c.RedirectURIs = []string{"http://127.0.0.1:8080/cb", "http://127.0.0.1:8080/other"}
		s.putClient(t, c)
		v := s.alice()
		a := v.approves(t, v.authorizeAs(t, "native", "redirect_uri", "http://127.0.0.1:5/cb"))
		if to, _ := a.sentBack(t); to != "http://127.0.0.1:5/cb" {
			t.Errorf("sent to %s", to)
		}
	}})},
	{"AZ-08", append(badURIs("native", "http://127.0.0.1:5/other", "http://127.0.0.1:5/CB", "HTTP://127.0.0.1:5/cb", "http://LOCALHOST:5/cb", "http://127.0.0.1:5/cb?x=1", "https://127.0.0.1:5/cb",
		"http://127.0.0.2:5/cb", "http://127.1:5/cb", "http://0.0.0.0:5/cb", "http://[::ffff:127.0.0.1]:5/cb", "http://localhost.evil.example:5/cb", "http://user@127.0.0.1:5/cb",
		"http://127.0.0.1:0/cb", "http://127.0.0.1:65536/cb", "http://127.0.0.1:0080/cb", "http://127.0.0.1:/cb"),
		badURIs("web", "https://web.example:444/cb", "https://web.example:443/cb")...)},
	{"AZ-09", append(badURIs("native", "com.example.app:/cb/", "COM.example.app:/cb"), testCase{name: "accepted", run: func(t *testing.T, s *server) {
		v := s.alice()
		a := v.approves(t, v.authorizeAs(t, "native", "redirect_uri", "com.example.app:/cb"))
		if to, _ := a.sentBack(t); to != "com.example.app:/cb" {
			t.Errorf("sent to %s", to)
		}
		s.redeem(t, "native", a.granted(t, "xyz"), "redirect_uri", "com.example.app:/cb").ok(t)
	}})},
	{"AZ-10", append(returning("invalid_request", map[string]string{"absent": query("response_type", without), "empty": query("response_type", "")}),
		returning("unsupported_response_type", map[string]string{
			"token": query("response_type", "token"), "id_token": query("response_type", "id_token"), "code token": query("response_type", "code token"),
			"none": query("response_type", "none"), "CODE": query("response_type", "CODE"),
		})...)},
	{"AZ-11", append(returning("invalid_request", map[string]string{
		"web/absent": query("code_challenge", without, "code_challenge_method", without), "web/empty": query("code_challenge", "", "code_challenge_method", ""),
		"spa/absent": form(authorizing("spa", "code_challenge", without, "code_challenge_method", without)...), "spa/empty": form(authorizing("spa", "code_challenge", "")...),
	}), testCase{name: "loose", run: func(t *testing.T, s *server) {
		v := s.alice()
		a := v.approves(t, v.authorizeAs(t, "loose", "code_challenge", without, "code_challenge_method", without))
		s.redeem(t, "loose", a.granted(t, "xyz"), "code_verifier", without).ok(t)
		// Without PKCE the redirect URI that was sent has to be repeated, and one that was not need not be.
		code := v.authorizeAs(t, "loose", "code_challenge", without, "code_challenge_method", without).granted(t, "xyz")
		s.redeem(t, "loose", code, "code_verifier", without, "redirect_uri", without).e400(t, "invalid_grant")
		code = v.authorizeAs(t, "loose", "code_challenge", without, "code_challenge_method", without, "redirect_uri", without).granted(t, "xyz")
		s.redeem(t, "loose", code, "code_verifier", without, "redirect_uri", without).ok(t)
	}})},
	{"AZ-12", returning("invalid_request", map[string]string{
		"absent": query("code_challenge_method", without), "empty": query("code_challenge_method", ""), "plain": query("code_challenge_method", "plain"), "s256": query("code_challenge_method", "s256"), "S512": query("code_challenge_method", "S512"),
		"alone":       form(authorizing("loose", "code_challenge", without)...),
		"loose/plain": form(authorizing("loose", "code_challenge_method", "plain")...), "loose/absent": form(authorizing("loose", "code_challenge_method", without)...),
	})},
	{"AZ-13", returning("invalid_request", map[string]string{
		"42": query("code_challenge", challenge[1:]), "44": query("code_challenge", challenge+"="), "plus": query("code_challenge", "+"+challenge[1:]), "slash": query("code_challenge", "/"+challenge[1:]),
	})},
	{"AZ-14", append(append(returning("invalid_request", map[string]string{
		"scope": query() + "&scope=read", "response_type": query() + "&response_type=code", "code_challenge": query() + "&code_challenge=" + challenge,
		"code_challenge_method": query() + "&code_challenge_method=S256", "prompt": query() + "&prompt=login&prompt=login", "max_age": query() + "&max_age=1&max_age=1",
		"response_mode": query() + "&response_mode=query&response_mode=query",
	}), each(testCase{}, same("state=xyz", "state=other", "state="), func(t *testing.T, s *server, more string) {
		v := s.alice()
		v.get(t, "/authorize?"+query()+"&"+more).returned(t, "invalid_request", "")
	})...), each(testCase{}, same("foo=1&foo=2", "nonce=1&nonce=2", "login_hint=1&login_hint=2", "ui_locales=1&ui_locales=2", "foo", "nonce=n"), func(t *testing.T, s *server, more string) {
		v := s.alice()
		v.approves(t, v.get(t, "/authorize?"+query()+"&"+more)).granted(t, "xyz")
	})...)},
	{"AZ-15", append(returning("invalid_scope", map[string]string{
		"unknown": query("scope", "admin"), "not the client's": form(authorizing("two", "scope", "read write")...), "malformed": query("scope", "read  write"), "quote": query("scope", `re"ad`),
	}), each(testCase{}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, scope string) {
		v := s.alice()
		page := v.authorize(t, "scope", scope)
		page.page(t, 200)
		for _, word := range []string{"read", "write"} {
			if !strings.Contains(page.body, "<span>"+word+"</span>") {
				t.Errorf("does not show %s: %s", word, page)
			}
		}
		s.redeem(t, "web", v.approves(t, page).granted(t, "xyz")).ok(t).words(t, "read", "write")
	})...)},
	{"AZ-16", append(each(testCase{}, map[string]string{"odd": `a b+c&d=%"<>/?`, "long": strings.Repeat("s", 2000)}, func(t *testing.T, s *server, state string) {
		v := s.alice()
		page := v.authorize(t, "state", state)
		v.decides(t, page, "deny").returned(t, "access_denied", state)
		v.approves(t, page).granted(t, state)
	}), each(testCase{}, map[string]string{"absent": without, "empty": ""}, func(t *testing.T, s *server, state string) {
		v := s.alice()
		page := v.authorize(t, "state", state)
		if _, added := v.approves(t, page).sentBack(t); added.Has("state") || !added.Has("code") {
			t.Errorf("got %v", added)
		}
		v.authorize(t, "state", state, "scope", "admin").returned(t, "invalid_scope", "")
	})...)},
	{"AZ-17", returning("invalid_request", map[string]string{"line end": query("state", "a\r\nSet-Cookie: x=y"), "NUL": query("state", "a\x00b"), "letter": query("state", "é")})},
	one("AZ-18", testCase{run: func(t *testing.T, s *server) {
		c := fixture("web")
		c.GrantTypes = []string{"refresh_token"}
		s.putClient(t, c)
		v := s.alice()
		s.unchanged(t, func() { v.authorize(t).returned(t, "unauthorized_client", "xyz") })
	}}),
	{"AZ-19", append(returning("invalid_request", map[string]string{
		"fragment": query("response_mode", "fragment"), "form_post": query("response_mode", "form_post"), "web_message": query("response_mode", "web_message"), "x": query("response_mode", "x"),
	}), testCase{name: "query", run: func(t *testing.T, s *server) {
		v := s.alice()
		v.approves(t, v.authorize(t, "response_mode", "query")).granted(t, "xyz")
	}})},
	{"AZ-20", append(returning("request_not_supported", map[string]string{"request": query("request", "e30.e30.")}),
		returning("request_uri_not_supported", map[string]string{"request_uri": query("request_uri", "https://web.example/request")})...)},
	{"AZ-29", each(testCase{}, map[string][2]string{
		"response_type": {"response_type", "token"}, "PKCE": {"code_challenge_method", "plain"}, "scope": {"scope", "admin"}, "state": {"state", "é"},
		"response_mode": {"response_mode", "x"}, "request": {"request", "x"}, "prompt": {"prompt", "x"}, "max_age": {"max_age", "-1"},
	}, func(t *testing.T, s *server, change [2]string) {
		codes := map[string]string{"response_type": "unsupported_response_type", "scope": "invalid_scope", "request": "request_not_supported"}
		code, state := codes[change[0]], "xyz"
		if code == "" {
			code = "invalid_request"
		}
		if change[0] == "state" {
			state = change[1]
		}
		v := s.visitor()
		next := v.authorize(t, change[:]...).login(t)
		v.signIn("alice")
		v.get(t, next).returned(t, code, state)
	})},
	{"AZ-30", []testCase{
		{name: "own site", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.approves(t, v.post(t, "/authorize", query(), fromHere)).granted(t, "xyz")
		}},
		{name: "cross-site", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.post(t, "/authorize", query(), [2]string{"Sec-Fetch-Site", "cross-site"}).page(t, 403)
			v.post(t, "/authorize", query(), [2]string{"Origin", "https://web.example"}).page(t, 403)
		}},
		{name: "both", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.post(t, "/authorize?client_id=web", query(), fromHere).page(t, 400)
			v.post(t, "/authorize?foo=1", query(), fromHere).page(t, 400)
		}},
		{name: "content type", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.s.send(t, http.MethodPost, "/authorize", strings.NewReader(query()), v.headers([][2]string{{"Content-Type", "text/plain"}, fromHere})...).page(t, 400)
		}},
		{name: "too large", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.post(t, "/authorize", query("state", strings.Repeat("x", 16<<10)), fromHere).page(t, 413) // as in a query
			v.post(t, "/authorize", query("foo", strings.Repeat("x", 64<<10)), fromHere).page(t, 413)
		}},
	}},
	{"AZ-31", append(each(testCase{}, same("HEAD", "PUT", "DELETE", "OPTIONS"), func(t *testing.T, s *server, method string) {
		v := s.alice()
		s.unchanged(t, func() {
			a := s.send(t, method, "/authorize?"+query(), nil, v.headers(nil)...)
			if a.status != 405 || a.header.Get("Allow") != "GET, POST" {
				t.Errorf("got %s", a)
			}
		})
	}), testCase{name: "consent by GET", run: func(t *testing.T, s *server) {
		v := s.alice()
		pending := v.authorize(t).pending(t)
		s.unchanged(t, func() { v.get(t, "/authorize?"+form("pending", pending, "consent", "approve")).page(t, 200) })
	}})},
	one("AZ-32", testCase{run: func(t *testing.T, s *server) {
		v := s.alice()
		page := v.authorize(t)
		for _, a := range []*answer{v.decides(t, page, "deny"), v.approves(t, page)} {
			a.sentBack(t) // looks at the status
			for name, value := range v.cookies {
				if strings.Contains(a.header.Get("Location"), value) {
					t.Errorf("the cookie %s is sent on", name)
				}
			}
		}
	}}),
	one("AZ-33", testCase{run: func(t *testing.T, s *server) {
		v := s.alice() // every answer is looked at for CORS
		v.get(t, "/authorize?"+query(), [2]string{"Origin", "https://spa.example"}).page(t, 200)
		s.send(t, http.MethodOptions, "/authorize", nil, [2]string{"Origin", "https://spa.example"}, [2]string{"Access-Control-Request-Method", "POST"}).page(t, 405)
	}}),
	{"AZ-34", append(pages(414, map[string]string{"too long": query("foo", strings.Repeat("x", 16<<10)), "too long a pending": "pending=" + strings.Repeat("x", 65<<10)}),
		pages(400, map[string]string{"%zz": query() + "&foo=%zz", ";": query() + ";foo=1", "%ff": query() + "&foo=%ff", "%ff in state": query("state", "\xff"), "too many": query() + strings.Repeat("&a=b", 64)})...)},
	{"AZ-35", []testCase{
		{name: "before", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.store.Break(nil, nil, testbed.Fail)
			v.authorize(t).page(t, 503)
			v.authorize(t, "redirect_uri", "https://evil.example").page(t, 503)
			s.store.Break(nil, nil, nil)
			v.authorize(t).page(t, 200)
		}},
		{name: "after/reads", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.store.Break(testbed.Fail, nil, nil)
			v.authorize(t).returned(t, "temporarily_unavailable", "xyz")
			s.store.Break(nil, nil, nil)
			v.authorize(t).page(t, 200)
		}},
		{name: "after/writes", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			s.store.Break(nil, testbed.Fail, nil)
			s.unchanged(t, func() { v.approves(t, page).returned(t, "temporarily_unavailable", "xyz") })
			s.store.Break(nil, nil, nil)
			v.approves(t, page).granted(t, "xyz")
		}},
		{name: "after/hanging", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			s.store.Break(testbed.Hang, nil, nil)
			v.approves(t, page).returned(t, "temporarily_unavailable", "xyz")
		}},
		{name: "a table that quotes", run: func(t *testing.T, s *server) {
			const id = marker + "-client"
			s.useTable(func(id string) (oauth2.ClientInfo, error) {
				return nil, fmt.Errorf("no row %q, %s", id, url.QueryEscape(id))
			})
			v := s.alice()
			for _, a := range []*answer{v.authorize(t, "client_id", id), v.post(t, "/authorize", query("client_id", id), fromHere)} {
				s.lacks(t, a.page(t, 503), marker)
			}
		}},
		{name: "a table that quotes, later", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			pending := page.pending(t)
			s.useTable(func(id string) (oauth2.ClientInfo, error) {
				return nil, fmt.Errorf("no row for %s of %s", "https://web.example/cb", id)
			})
			v.approves(t, page).page(t, 503)
			v.get(t, "/authorize?"+form("pending", pending)).page(t, 503)
			if strings.Contains(s.log.String(), "https://web.example/cb") {
				t.Errorf("logs %s", s.log)
			}
		}},
		{name: "another instance", run: func(t *testing.T, s *server) { // has the same key
			v := s.visitor()
			next := v.authorize(t).login(t)
			v.signIn("alice")
			s.restart()
			page := v.get(t, next)
			s.restart()
			v.approves(t, page).granted(t, "xyz")
		}},
		{name: "the application", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.loginFault = func(*http.Request) error { return testbed.ErrBroken }
			v.authorize(t).returned(t, "temporarily_unavailable", "xyz")
			s.loginFault = func(*http.Request) error { panic("a secret place") }
			v.authorize(t).page(t, 500)
		}},
	}},
}

// authorizeMistake is something wrong with an authorization request, in the order in which it is answered.
type authorizeMistake struct {
	name    string
	answer  string // "": a page
	changes []string
	more    string // behind the query
}

var authorizeMistakes = []authorizeMistake{
	{name: "client", changes: []string{"client_id", "unknown"}},
	{name: "redirect URI", changes: []string{"redirect_uri", foreignURI}},
	{name: "repeats", answer: "invalid_request", more: "&scope=read"},
	{name: "state", answer: "invalid_request", changes: []string{"state", "é"}},
	{name: "request", answer: "request_not_supported", changes: []string{"request", "x"}},
	{name: "request_uri", answer: "request_uri_not_supported", changes: []string{"request_uri", "x"}},
	{name: "response_mode", answer: "invalid_request", changes: []string{"response_mode", "fragment"}},
	{name: "response_type", answer: "unsupported_response_type", changes: []string{"response_type", "token"}},
	{name: "PKCE", answer: "invalid_request", changes: []string{"code_challenge_method", "plain"}},
	{name: "prompt", answer: "invalid_request", changes: []string{"prompt", "x"}},
	{name: "max_age", answer: "invalid_request", changes: []string{"max_age", "x"}},
	{name: "scope", answer: "invalid_scope", changes: []string{"scope", "admin"}},
}

func authorizePrecedence() map[string]int {
	list := make(map[string]int)
	for i, m := range authorizeMistakes {
		list["authorize "+m.name] = i
	}
	return list
}

// authorizeContested sends a mistake alone and with each that comes later: the answer is the same.
func authorizeContested(t *testing.T, s *server, i int) {
	v := s.alice()
	send := func(mistakes ...authorizeMistake) (what, description string) {
		var changes []string
		more := ""
		for _, m := range mistakes {
			changes, more = append(changes, m.changes...), more+m.more
		}
		a := v.get(t, "/authorize?"+query(changes...)+more)
		if mistakes[0].answer == "" {
			return "", a.page(t, 400).body
		}
		_, added := a.sentBack(t)
		return added.Get("error"), added.Get("error_description")
	}
	first := authorizeMistakes[i]
	answer, description := send(first)
	if answer != first.answer {
		t.Fatalf("got %s, want %s", answer, first.answer)
	}
	for _, later := range authorizeMistakes[i+1:] {
		if a, d := send(first, later); a != answer || d != description {
			t.Errorf("with %s as well: %s (%s), want %s (%s)", later.name, a, d, answer, description)
		}
	}
	if a, d := send(authorizeMistakes[i:]...); a != answer || d != description {
		t.Errorf("with all that come later: %s (%s), want %s (%s)", a, d, answer, description)
	}
}
