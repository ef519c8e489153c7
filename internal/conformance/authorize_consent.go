package conformance

import (
	"html"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// AZ. The authorization endpoint: sign-in and consent.
var consentRows = []row{
	{"AZ-21", []testCase{
		{name: "signed out", run: func(t *testing.T, s *server) {
			s.unchanged(t, func() { s.visitor().authorize(t, "prompt", "none").returned(t, "login_required", "xyz") })
		}},
		{name: "without consent", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.unchanged(t, func() { v.authorize(t, "prompt", "none").returned(t, "consent_required", "xyz") })
		}},
		{name: "with consent", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web")
			v.authorize(t, "prompt", "none").granted(t, "xyz")
		}},
		{name: "sign-in too old", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web")
			time.Sleep(61 * time.Second)
			v.authorize(t, "prompt", "none", "max_age", "60").returned(t, "login_required", "xyz")
			v.authorize(t, "prompt", "none", "max_age", "62").granted(t, "xyz")
		}},
	}},
	{"AZ-22", []testCase{
		{name: "prompt=login", moves: true, run: func(t *testing.T, s *server) { signInAnew(t, s, "prompt", "login") }},
		{name: "prompt=select_account", moves: true, run: func(t *testing.T, s *server) { signInAnew(t, s, "prompt", "select_account") }},
		{name: "prompt=login consent", moves: true, run: func(t *testing.T, s *server) { signInAnew(t, s, "prompt", "login consent") }},
		{name: "max_age=60", moves: true, run: func(t *testing.T, s *server) { signInAnew(t, s, "max_age", "60") }},
		{name: "max_age=0", moves: true, run: func(t *testing.T, s *server) { signInAnew(t, s, "max_age", "0") }},
		{name: "max_age=60, recent", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			time.Sleep(59 * time.Second)
			v.authorize(t, "max_age", "60").page(t, 200)
		}},
		{name: "signed out", moves: true, run: func(t *testing.T, s *server) {
			v := s.visitor()
			next := v.authorize(t, "prompt", "login", "max_age", "0").login(t)
			time.Sleep(time.Minute)
			v.signIn("alice")
			v.approves(t, v.get(t, next)).granted(t, "xyz")
		}},
		{name: "no new sign-in", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			time.Sleep(time.Hour)
			next := v.authorize(t, "prompt", "login").login(t)
			v.get(t, next).returned(t, "login_required", "xyz")
		}},
		{name: "long at the consent page", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t, "max_age", "60")
			time.Sleep(5 * time.Minute)
			v.approves(t, page).granted(t, "xyz")
		}},
	}},
	{"AZ-23", append(returning("invalid_request", map[string]string{
		"none login": query("prompt", "none login"), "x": query("prompt", "x"), "-1": query("max_age", "-1"), "abc": query("max_age", "abc"), "1e9": query("max_age", "1e9"),
		"30 digits": query("max_age", strings.Repeat("9", 30)), "+1": query("max_age", "+1"), "1.5": query("max_age", "1.5"),
	}), testCase{name: "prompt=consent", run: func(t *testing.T, s *server) {
		v := s.alice()
		v.consents(t, "web")
		page := v.authorize(t, "prompt", "consent")
		v.approves(t, page).granted(t, "xyz")
	}})},
	{"AZ-24", []testCase{
		{name: "deny", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			s.unchanged(t, func() { v.decides(t, page, "deny").returned(t, "access_denied", "xyz") })
		}},
		{name: "part", run: func(t *testing.T, s *server) {
			v := s.alice()
			a := v.choosy(t, "read write")
			pair := s.redeem(t, "web", a.granted(t, "xyz")).ok(t)
			pair.words(t, "read")
			s.refreshAs(t, "web", pair.refresh(), "scope", "read write").e400(t, "invalid_scope")
			s.refreshAs(t, "web", pair.refresh()).ok(t).words(t, "read")
		}},
		{name: "all", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.redeem(t, "web", v.choosy(t, "read write", "scope", "write").granted(t, "xyz")).ok(t).words(t, "read", "write")
		}},
		{name: "more than was shown", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.redeem(t, "web", v.choosy(t, "read", "scope", "write", "scope", "admin").granted(t, "xyz")).ok(t).words(t, "read")
		}},
		{name: "nothing", run: func(t *testing.T, s *server) {
			v := s.alice()
			s.unchanged(t, func() { v.choosy(t, "write").returned(t, "access_denied", "xyz") })
		}},
		{name: "not offered", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t, "scope", "read write")
			if strings.Contains(page.body, `type="checkbox"`) {
				t.Error("offers to untick")
			}
			s.redeem(t, "web", v.approves(t, page, "scope", "read").granted(t, "xyz")).ok(t).words(t, "read", "write")
		}},
	}},
	{"AZ-25", []testCase{ // page looks at the headers
		{name: "consent", run: func(t *testing.T, s *server) { s.alice().authorize(t).page(t, 200) }},
		{name: "error", run: func(t *testing.T, s *server) { s.alice().authorize(t, "client_id", "unknown").page(t, 400) }},
		{name: "nothing from elsewhere", run: func(t *testing.T, s *server) {
			page := s.alice().authorize(t)
			for _, loading := range []string{"src=", "href=", "url(", "@import", "https://", "http://"} {
				if strings.Contains(page.body, loading) {
					t.Errorf("the page has %s: %s", loading, page)
				}
			}
		}},
	}},
	{"AZ-26", []testCase{
		{name: "same or less", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web", "scope", "read write")
			v.authorize(t, "scope", "write read").granted(t, "xyz")
			s.redeem(t, "web", v.authorize(t, "scope", "read").granted(t, "xyz")).ok(t).words(t, "read")
			s.visitorOf("bob").authorize(t).page(t, 200)
			v.authorizeAs(t, "two").page(t, 200)
		}},
		{name: "union", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web", "scope", "read")
			v.consents(t, "web", "scope", "write")
			v.authorize(t, "scope", "write read").granted(t, "xyz")
		}},
		{name: "from the redemption on", run: func(t *testing.T, s *server) {
			v := s.alice()
			code := v.approves(t, v.authorize(t)).granted(t, "xyz")
			v.authorize(t).page(t, 200)
			s.redeem(t, "web", code).ok(t)
			v.authorize(t).granted(t, "xyz")
		}},
		{name: "more", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web", "scope", "read")
			v.authorize(t, "scope", "read write").page(t, 200)
		}},
		{name: "ended", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web")
			s.end(t, storage.Filter{User: "alice"})
			v.authorize(t).page(t, 200)
		}},
		{name: "revoked", run: func(t *testing.T, s *server) {
			v := s.alice()
			pair := v.consents(t, "web")
			s.asClient(t, "/revoke", "web", "token", pair.refresh()).done(t)
			v.authorize(t).page(t, 200)
		}},
		{name: "expired", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web")
			time.Sleep(31 * 24 * time.Hour)
			v.authorize(t).page(t, 200)
		}},
		{name: "the client was deleted", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "web")
			if err := s.store.DeleteClient(t.Context(), "web"); err != nil {
				t.Fatal(err)
			}
			s.putClient(t, fixture("web"))
			v.authorize(t).page(t, 200)
		}},
		{name: "public on https", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.consents(t, "spa")
			v.authorizeAs(t, "spa").granted(t, "xyz")
		}},
		{name: "public on loopback", run: func(t *testing.T, s *server) { asksAgain(t, s, "http://127.0.0.1:4000/cb") }},
		{name: "public on a private scheme", run: func(t *testing.T, s *server) { asksAgain(t, s, "com.example.app:/cb") }},
	}},
	{"AZ-27", append(append(each(testCase{}, map[string][][2]string{
		"cross-site": {{"Sec-Fetch-Site", "cross-site"}}, "same-site": {{"Sec-Fetch-Site", "same-site"}}, "foreign Origin": {{"Origin", "https://evil.example"}},
		"Origin null": {{"Origin", "null"}},
	}, func(t *testing.T, s *server, headers [][2]string) {
		v := s.alice()
		pending := v.authorize(t).pending(t)
		s.unchanged(t, func() {
			v.post(t, "/authorize", form("pending", pending, "consent", "approve"), headers...).page(t, 403)
		})
	}), each(testCase{}, map[string][][2]string{"no-referrer page": {{"Origin", "null"}, fromHere}, "no headers": nil}, func(t *testing.T, s *server, headers [][2]string) {
		v := s.alice()
		v.post(t, "/authorize", form("pending", v.authorize(t).pending(t), "consent", "approve"), headers...).granted(t, "xyz")
	})...), []testCase{
		{name: "no value", run: func(t *testing.T, s *server) {
			v := s.alice()
			v.authorize(t).page(t, 200)
			s.unchanged(t, func() { v.post(t, "/authorize", form("consent", "approve"), fromHere).page(t, 400) })
			s.unchanged(t, func() { v.post(t, "/authorize", form("consent", "approve", "pending", ""), fromHere).page(t, 400) })
		}},
		{name: "altered", run: func(t *testing.T, s *server) {
			v := s.alice()
			pending := []byte(v.authorize(t).pending(t))
			s.unchanged(t, func() {
				for i := 0; i < len(pending); i += 7 {
					was := pending[i]
					if pending[i] = 'A'; was == 'A' {
						pending[i] = 'B'
					}
					v.post(t, "/authorize", form("pending", string(pending), "consent", "approve"), fromHere).page(t, 400)
					pending[i] = was
				}
				v.post(t, "/authorize", form("pending", string(pending)+"\n", "consent", "approve"), fromHere).page(t, 400)
			})
		}},
		{name: "of a login", run: func(t *testing.T, s *server) { // is no consent
			v := s.visitor()
			_, pending, _ := strings.Cut(v.authorize(t).login(t), "pending=")
			v.signIn("alice")
			s.unchanged(t, func() { v.post(t, "/authorize", form("pending", pending, "consent", "approve"), fromHere).page(t, 400) })
		}},
		{name: "of another session", run: func(t *testing.T, s *server) {
			v, other := s.alice(), s.alice()
			other.authorize(t)
			s.unchanged(t, func() { other.decides(t, v.authorize(t), "approve").page(t, 400) })
		}},
		{name: "without cookie", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			v.cookies = map[string]string{"session": v.cookies["session"]}
			s.unchanged(t, func() { v.approves(t, page).page(t, 400) })
		}},
		{name: "used before", run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorizeAs(t, "native")
			v.approves(t, page).granted(t, "xyz")
			s.unchanged(t, func() { v.approves(t, page).page(t, 400) })
		}},
		{name: "used at once", run: func(t *testing.T, s *server) {
			v := s.alice()
			body := form("pending", v.authorizeAs(t, "native").pending(t), "consent", "approve")
			codes := make(chan bool)
			for range 16 {
				go func() {
					a := s.post(t, "/authorize", body, v.headers([][2]string{fromHere})...)
					codes <- strings.Contains(a.header.Get("Location"), "code=")
				}()
			}
			n := 0
			for range 16 {
				if <-codes {
					n++
				}
			}
			if n != 1 {
				t.Errorf("one form made %d codes", n)
			}
		}},
		{name: "too old", moves: true, run: func(t *testing.T, s *server) {
			v := s.alice()
			page := v.authorize(t)
			time.Sleep(31 * time.Minute)
			s.unchanged(t, func() { v.approves(t, page).page(t, 400) })
		}},
		{name: "no decision", run: func(t *testing.T, s *server) {
			v := s.alice()
			pending := v.authorize(t).pending(t)
			for _, more := range []string{"", "&consent=", "&consent=yes", "&consent=deny&consent=approve", "&consent=approve&pending=x"} {
				s.unchanged(t, func() { v.post(t, "/authorize", form("pending", pending)+more, fromHere).page(t, 400) })
			}
		}},
	}...)},
	{"AZ-28", append(each(testCase{}, map[string][2]string{
		"client_id": {"client_id", "two"}, "redirect_uri": {"redirect_uri", "https://two.example/a"}, "scope": {"scope", "write"},
		"state": {"state", "other"}, "challenge": {"code_challenge", s256("other")}, "user": {"user", "bob"},
	}, func(t *testing.T, s *server, change [2]string) {
		v := s.alice()
		a := v.approves(t, v.authorize(t), change[:]...)
		if to, _ := a.sentBack(t); to != "https://web.example/cb" {
			t.Errorf("sent to %s", to)
		}
		pair := s.redeem(t, "web", a.granted(t, "xyz")).ok(t)
		pair.words(t, "read")
		s.reaches(t, pair.access(), "client=web user=alice scope=read")
	}), testCase{name: "posted by bob", run: func(t *testing.T, s *server) {
		v := s.alice()
		page := v.authorize(t)
		v.signIn("bob")
		s.unchanged(t, func() { v.approves(t, page).page(t, 403) })
	}}, testCase{name: "signed out meanwhile", run: func(t *testing.T, s *server) {
		v := s.alice()
		page := v.authorize(t)
		v.signOut()
		var next string
		s.unchanged(t, func() { next = v.approves(t, page).login(t) })
		v.signIn("alice")
		_, pending, _ := strings.Cut(next, "pending=") // is the request alone, and no consent
		s.unchanged(t, func() { v.post(t, "/authorize", form("pending", pending, "consent", "approve"), fromHere).page(t, 400) })
		v.approves(t, v.get(t, next)).granted(t, "xyz")
	}}, testCase{name: "client changed meanwhile", run: func(t *testing.T, s *server) {
		v := s.alice()
		page := v.authorize(t, "scope", "read write")
		c := fixture("web")
		c.RedirectURIs = []string{"https://web.example/new"}
		s.putClient(t, c)
		s.unchanged(t, func() { v.approves(t, page).page(t, 400) })
		c = fixture("web")
		c.Scope = "read"
		s.putClient(t, c)
		s.unchanged(t, func() { v.approves(t, page).returned(t, "invalid_scope", "xyz") })
	}}, testCase{name: "less is left of the whole", run: func(t *testing.T, s *server) {
		v := s.alice()
		page := v.authorize(t, "scope", without)
		c := fixture("web")
		c.Scope = "read"
		s.putClient(t, c)
		s.redeem(t, "web", v.approves(t, page).granted(t, "xyz")).ok(t).words(t, "read")
	}})},
}

// signInAnew is a request for which an older sign-in will not do: once, then on.
func signInAnew(t *testing.T, s *server, parameter, value string) {
	v := s.alice()
	time.Sleep(10 * time.Minute)
	next := v.authorize(t, parameter, value).login(t)
	asked := s.asks[len(s.asks)-1]
	if max := map[string]time.Duration{"60": time.Minute, "0": 0}; parameter == "max_age" && asked.MaxAge != max[value] {
		t.Errorf("the application was told max_age %v", asked.MaxAge)
	}
	if !asked.Login {
		t.Error("the application was not told to show a login")
	}
	time.Sleep(time.Second)
	v.signIn("alice")
	v.approves(t, v.get(t, next)).granted(t, "xyz")
}

// asksAgain is a client that anybody can pose as: consent is not remembered.
func asksAgain(t *testing.T, s *server, uri string) {
	v := s.alice()
	v.consents(t, "native", "redirect_uri", uri)
	v.authorizeAs(t, "native", "redirect_uri", uri).page(t, 200)
	v.authorizeAs(t, "native", "redirect_uri", uri, "prompt", "none").returned(t, "consent_required", "xyz", uri)
}

// choosy asks where write may be unticked, and approves with what is ticked.
func (v *visitor) choosy(t *testing.T, scope string, ticked ...string) *answer {
	t.Helper()
	page := v.get(t, "/choosy/authorize?"+query("scope", scope))
	if strings.Contains(page.body, `<input type="checkbox" name="scope" checked value="write">`) != slices.Contains(strings.Fields(scope), "write") {
		t.Errorf("offers %s", page)
	}
	if strings.Contains(page.body, `value="read"`) {
		t.Errorf("offers read: %s", page)
	}
	field := pendingField.FindStringSubmatch(page.body)
	if page.status != http.StatusOK || field == nil {
		t.Fatalf("got %s", page)
	}
	return v.post(t, "/choosy/authorize", form(append([]string{"pending", html.UnescapeString(field[1]), "consent", "approve"}, ticked...)...), fromHere)
}

func (s *server) visitorOf(user string) *visitor { v := s.visitor(); v.signIn(user); return v }
