package conformance

import (
	"encoding/hex"
	"encoding/json"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// lookalikes are what an attacker sends in place of https://web.example/cb.
var lookalikes = []string{
	"https://web.example/cb/", "https://web.example/CB", "https://web.example/c%62", "https://web.example/cb%2f..%2fx", "https://web.example/cb%252f..",
	"https://web.example/cb/../x", "https://web.example/cb/..;/x", "https://web.example/./cb", "https://web.example//cb", "https://web.example/cb?a=1",
	"https://web.example/cb;a", "HTTPS://web.example/cb", "http://web.example/cb", "https://WEB.example/cb", "https://web.example./cb", "https://web.example:443/cb",
	"https://web.example.evil.example/cb", "https://evilweb.example/cb", "https://webXexample/cb", "https://u:p@web.example/cb", "https://web.example@evil.example/cb",
	`https://evil.example\@web.example/cb`, "https://evil.example/https://web.example/cb", "https://web.example%09.evil.example/cb",
	" https://web.example/cb", "https://web.example/cb ", "\thttps://web.example/cb", "https://web.example/cb\t", "https://web.example/cb\x00",
}

var digests = regexp.MustCompile(`"(?:digest|family|current|previous|salt)":"([^"]+)"`)

// foreignURI is a redirect URI of the attacker's.
const foreignURI = "https://evil.example/cb"

// ATK. Attacks on the authorization endpoint.
var authorizeAttackRows = []row{
	{"ATK-01", badURIs("web", lookalikes...)},
	{"ATK-02", badURIs("native", "http://127.0.0.1.evil.example:5/cb", "http://evil.example:5/cb", "http://127.0.0.1:5@evil.example/cb", "http://127.0.0.1:5/cb?next=https://evil.example",
		"http://127.0.0.1:5/Cb", "http://LocalHost:5/cb", "http://[::1%25eth0]:5/cb", "http://127.0.0.1:5\\@evil.example/cb", "http://[127.0.0.1]:5/cb", "http://::1:5/cb")},
	{"ATK-04", append(pages(400, map[string]string{
		"scope": query("redirect_uri", foreignURI, "scope", "admin"), "prompt=none": query("redirect_uri", foreignURI, "prompt", "none"),
		"response_type": query("redirect_uri", foreignURI, "response_type", "token"), "request_uri": query("redirect_uri", foreignURI, "request_uri", foreignURI),
		"challenge": query("redirect_uri", foreignURI, "code_challenge", without), "state": query("redirect_uri", foreignURI, "state", "é"),
		"repeated": query("redirect_uri", foreignURI) + "&scope=read", "response_mode": query("redirect_uri", foreignURI, "response_mode", "fragment"),
		"unknown client": query("redirect_uri", foreignURI, "client_id", "unknown"), // row 7 of go-oauth2's flaws
	}), testCase{name: "store failure", run: func(t *testing.T, s *server) {
		v := s.alice()
		s.store.Break(testbed.Fail, testbed.Fail, testbed.Fail)
		v.authorize(t, "redirect_uri", foreignURI).page(t, 503)
		s.store.Break(testbed.Fail, testbed.Fail, nil)
		v.authorize(t, "redirect_uri", foreignURI).page(t, 400)
	}}, testCase{name: "signed out", run: func(t *testing.T, s *server) {
		s.visitor().authorize(t, "redirect_uri", foreignURI).page(t, 400)
	}}, testCase{name: "redeemed with the registered one", run: func(t *testing.T, s *server) {
		v := s.alice()
		code := v.approves(t, v.authorizeAs(t, "two", "redirect_uri", "https://two.example/b?x=1")).granted(t, "xyz")
		s.redeem(t, "two", code, "redirect_uri", "https://two.example/a").e400(t, "invalid_grant")
	}})},
	{"ATK-05", []testCase{
		{name: "signed out", run: func(t *testing.T, s *server) { s.visitor().authorize(t, "scope", "admin").login(t) }},
		{name: "prompt=none", run: func(t *testing.T, s *server) {
			for _, change := range [][]string{{"scope", "admin"}, {"response_type", "token"}, {"code_challenge", without}, {"max_age", "x"}, {}} {
				s.visitor().authorize(t, append(change, "prompt", "none")...).returned(t, "login_required", "xyz")
			}
		}},
	}},
	one("ATK-07", testCase{run: func(t *testing.T, s *server) { // sentBack compares iss in all rows
		v := s.alice()
		for _, a := range []*answer{v.approves(t, v.authorize(t)), v.decides(t, v.authorize(t), "deny"), v.authorize(t, "scope", "admin"), v.authorize(t, "prompt", "none"), v.authorize(t, "response_type", "token")} {
			if _, added := a.sentBack(t); added.Get("iss") != issuer {
				t.Errorf("got %s", a)
			}
		}
	}}),
	one("ATK-08", testCase{run: func(t *testing.T, s *server) {
		victim := s.alice()
		code := victim.approves(t, victim.authorize(t)).granted(t, "xyz")
		attacker := s.visitorOf("bob")
		attacker.authorize(t, "code_challenge", s256(wrongVerifier)).page(t, 200)
		s.redeem(t, "web", code, "code_verifier", wrongVerifier).e400(t, "invalid_grant")
		s.redeem(t, "web", code).ok(t)
	}}),
	{"ATK-09", append(returning("invalid_request", map[string]string{
		"spa/removed": form(authorizing("spa", "code_challenge", without, "code_challenge_method", without)...), "web/removed": query("code_challenge", without, "code_challenge_method", without),
		"method removed": query("code_challenge_method", without), "plain": query("code_challenge_method", "plain"),
	}), testCase{name: "loose", run: func(t *testing.T, s *server) {
		v := s.alice()
		code := v.approves(t, v.authorizeAs(t, "loose", "code_challenge", without, "code_challenge_method", without)).granted(t, "xyz")
		s.redeem(t, "loose", code).e400(t, "invalid_request")
	}})},
	{"ATK-10", returning("unsupported_response_type", map[string]string{
		"token": query("response_type", "token"), "id_token token": query("response_type", "id_token token"), "code token": query("response_type", "code token"),
	})},
	{"ATK-11", []testCase{
		{name: "foreign page posts", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			for _, headers := range [][][2]string{{{"Sec-Fetch-Site", "cross-site"}}, {{"Origin", "https://evil.example"}}, {{"Origin", "null"}}} {
				s.unchanged(t, func() {
					v.post(t, "/authorize", form("pending", page.pending(t), "consent", "approve"), headers...).page(t, 403)
				})
			}
		}},
		{name: "without headers, guessing", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.authorize(t)
			s.unchanged(t, func() { v.post(t, "/authorize", form("consent", "approve", "client_id", "web")).page(t, 400) })
		}},
		{name: "by GET", run: func(t *testing.T, s *server) {
			v := s.alice()
			pending := v.authorize(t).pending(t)
			s.unchanged(t, func() {
				v.get(t, "/authorize?"+form("pending", pending, "consent", "approve"), [2]string{"Sec-Fetch-Dest", "image"}).page(t, 200)
			})
		}},
		{name: "alice's form in bob's session", run: func(t *testing.T, s *server) {
			page := s.alice().authorize(t)
			bob := s.visitorOf("bob")
			bob.authorize(t)
			s.unchanged(t, func() { bob.approves(t, page).page(t, 400) })
		}},
	}},
	{"ATK-12", []testCase{
		{name: "pending link of another", run: func(t *testing.T, s *server) {
			attacker := s.visitor()
			next := attacker.authorize(t).login(t)
			s.unchanged(t, func() { s.alice().get(t, next).page(t, 400) })
		}},
		{name: "each for what it showed", run: func(t *testing.T, s *server) {
			v := s.alice()
			evil := v.authorizeAs(t, "spa", "scope", "write")
			v.approves(t, v.authorize(t)).granted(t, "xyz")
			to, _ := v.approves(t, evil).sentBack(t)
			if to != "https://spa.example/cb" {
				t.Errorf("sent to %s", to)
			}
		}},
	}},
	{"ATK-13", append(each(testCase{}, map[string]struct {
		uri, host string
		warned    bool
	}{
		"loopback": {"http://127.0.0.1:4711/cb", "127.0.0.1:4711", true}, "loopback by name": {"http://localhost:4711/cb", "localhost:4711", true},
		"scheme of an app": {"com.example.app:/cb", "com.example.app", false}, "https": {"https://web.example/cb", "web.example", false},
	}, func(t *testing.T, s *server, c struct {
		uri, host string
		warned    bool
	}) {
		client := "native"
		if c.host == "web.example" {
			client = "web"
		}
		page := s.alice().authorizeAs(t, client, "redirect_uri", c.uri).page(t, 200)
		if told, warned := strings.Contains(page.body, "sent to <b>"+c.host+"</b>"), strings.Contains(page.body, "Any program on this device"); !told || warned != c.warned {
			t.Errorf("told where it goes: %t, warned: %t: %s", told, warned, page)
		}
	}), testCase{name: "asks again", run: func(t *testing.T, s *server) { asksAgain(t, s, "http://127.0.0.1:61000/cb") }})},
	{"ATK-15", append(each(testCase{}, same(`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `'-alert(1)-'`, `{{.}}`, "a\r\nb"), func(t *testing.T, s *server, evil string) {
		c := fixture("web")
		c.Name = evil
		s.putClient(t, c)
		v := s.visitorOf(url.QueryEscape(evil))
		page := v.authorize(t)
		page.page(t, 200)
		for _, raw := range []string{"<script", "<img", `value=""`} {
			if strings.Contains(page.body, raw) {
				t.Errorf("not escaped: %s", page)
			}
		}
		if strings.ContainsAny(evil, `<"`) && strings.Contains(page.body, evil) {
			t.Errorf("not escaped: %s", page)
		}
	}), each(testCase{}, map[string][2]string{
		"client_id": {"client_id", "evil\r\nX-Evil: 1\x1b[31m<script>"}, "state": {"state", "evil\r\nX-Evil: 1\x1b[31m<script>"}, "redirect_uri": {"redirect_uri", "https://web.example/cb\r\nX-Evil: 1\x1b[31m<script>"},
	}, func(t *testing.T, s *server, change [2]string) {
		v := s.alice()
		before := strings.Count(s.log.String(), "\n")
		a := v.get(t, "/authorize?"+query(change[:]...), [2]string{"User-Agent", "<script>"})
		if a.header.Get("X-Evil") != "" || strings.Contains(a.body, "<script") || strings.Contains(a.body, "X-Evil") {
			t.Errorf("got %s", a)
		}
		if change[0] != "state" {
			a.page(t, 400)
		}
		log := s.log.String()
		if n := strings.Count(log, "\n") - before; n != 1 || strings.Contains(log, "\x1b") || strings.Contains(log, "X-Evil") {
			t.Errorf("%d log records:\n%s", n, log)
		}
	})...)},
	{"ATK-28", each(testCase{}, same("request_uri", "jku", "x5u", "logo_uri", "redirect_uri", "client_id"), func(t *testing.T, s *server, parameter string) {
		trap, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan struct{}, 10)
		go http.Serve(trap, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard <- struct{}{} }))
		address := "http://" + trap.Addr().String() + "/x"
		v := s.alice()
		v.get(t, "/authorize?"+query(parameter, address))
		v.post(t, "/authorize", query(parameter, address), fromHere)
		s.token(t, form("grant_type", "client_credentials", parameter, address), as("svc"))
		trap.Close() // what has been begun was accepted by now
		select {
		case <-heard:
			t.Error("the trap was called")
		default:
		}
	})},
	{"ATK-29", each(testCase{}, map[string][2]string{
		"host": {"X-Forwarded-Host", "evil.example"}, "proto": {"X-Forwarded-Proto", "gopher"}, "forwarded": {"Forwarded", "host=evil.example;proto=gopher"}, "user": {"X-Forwarded-User", "alice"},
	}, func(t *testing.T, s *server, header [2]string) {
		v := s.visitor()
		next := v.get(t, "/authorize?"+query(), header).login(t)
		if strings.Contains(next, "evil") || !strings.HasPrefix(next, "/authorize?") {
			t.Errorf("sends to %s", next)
		}
		v.signIn("alice")
		a := v.get(t, next, header)
		if strings.Contains(a.body, "evil.example") {
			t.Errorf("got %s", a)
		}
		v.approves(t, a).granted(t, "xyz")
	})},
	{"ATK-31", append(each(testCase{}, same("HEAD", "OPTIONS", "PUT"), func(t *testing.T, s *server, method string) {
		v := s.alice()
		pending := v.authorize(t).pending(t)
		s.unchanged(t, func() {
			a := s.send(t, method, "/authorize?"+form("pending", pending, "consent", "approve"), nil, v.headers(nil)...)
			if a.status != 405 {
				t.Errorf("got %s", a)
			}
		})
	}), testCase{name: "override", run: func(t *testing.T, s *server) {
		v := s.alice()
		pending := v.authorize(t).pending(t)
		s.unchanged(t, func() {
			v.get(t, "/authorize?"+form("pending", pending, "consent", "approve", "_method", "POST"), [2]string{"X-HTTP-Method-Override", "POST"}, [2]string{"X-Method-Override", "POST"}).page(t, 200)
		})
	}})},
	{"ATK-32", []testCase{{name: "authorize", run: func(t *testing.T, s *server) {
		v := s.alice()
		next := v.authorize(t, "prompt", "login", "state", "a-secret-state").login(t)
		v.signIn("alice")
		page := v.get(t, next)
		code := v.approves(t, page).granted(t, "a-secret-state")
		pair := s.redeem(t, "web", code).ok(t)
		failures := []*answer{v.approves(t, page).page(t, 400), v.authorize(t, "client_id", "unknown", "state", "a-secret-state").page(t, 400)}
		secrets := []string{code, pair.access(), pair.refresh(), "a-secret-state", v.cookies["__Host-ostiary"], v.cookies["session"], page.pending(t)}
		stored := testbed.Dump(t, s.store.Store)
		for _, secret := range secrets {
			for _, a := range failures {
				if strings.Contains(a.body, secret) {
					t.Errorf("an error page shows %q", secret)
				}
			}
			if strings.Contains(s.log.String(), secret) || strings.Contains(stored, hex.EncodeToString([]byte(secret))) {
				t.Errorf("log or store have %q", secret)
			}
		}
	}}, {name: "connected apps", run: func(t *testing.T, s *server) {
		v := s.alice()
		code := v.approves(t, v.authorize(t)).granted(t, "xyz")
		pair := s.redeem(t, "web", code).ok(t)
		list := v.get(t, "/account/apps", [2]string{"Accept", "application/json"})
		page := v.get(t, "/account/apps").page(t, 200)
		var stored [][]string
		for g, err := range s.store.Grants(t.Context(), storage.Filter{User: "alice"}) {
			record, broken := json.Marshal(g)
			if err != nil || broken != nil {
				t.Fatal(err, broken)
			}
			stored = append(stored, digests.FindAllStringSubmatch(string(record), -1)...)
		}
		if len(stored) < 4 || !strings.Contains(list.body, `"client_id":"web"`) || !strings.Contains(page.body, "<h2>web</h2>") {
			t.Fatalf("got %s\n%s\nstored %s", list, page, stored)
		}
		secrets := []string{code, pair.access(), pair.refresh(), challenge, "web-secret"}
		for _, digest := range stored {
			secrets = append(secrets, digest[1])
		}
		for _, secret := range secrets {
			if strings.Contains(list.body, secret) || strings.Contains(page.body, secret) {
				t.Errorf("shows %q", secret)
			}
		}
	}}}},
}
