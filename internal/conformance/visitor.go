package conformance

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/handler"
)

// visitor is a browser, as far as the endpoint can tell: it keeps cookies and says where a form comes from.
type visitor struct {
	s       *server
	cookies map[string]string
}

func (s *server) visitor() *visitor { return &visitor{s: s, cookies: make(map[string]string)} }

// alice is a visitor who has signed in.
func (s *server) alice() *visitor { v := s.visitor(); v.signIn("alice"); return v }

// signIn is what the application's login does. The session knows when.
func (v *visitor) signIn(user string) {
	v.cookies["session"] = fmt.Sprintf("%s.%d", user, time.Now().UnixNano())
}

func (v *visitor) signOut() { delete(v.cookies, "session") }

// who is the application's part: it knows the user by the session, and shows its login else.
func (s *server) who(w http.ResponseWriter, r *http.Request, ask handler.Ask) (handler.User, error) {
	s.mu.Lock()
	s.asks = append(s.asks, ask)
	fault := s.loginFault
	s.mu.Unlock()
	if fault != nil {
		return handler.User{}, fault(r)
	}
	cookie, err := r.Cookie("session")
	if err != nil || ask.Login {
		http.Redirect(w, r, "/login?next="+url.QueryEscape(ask.ReturnTo), http.StatusSeeOther)
		return handler.User{}, nil
	}
	name, at, _ := strings.Cut(cookie.Value, ".")
	var nanoseconds int64
	fmt.Sscan(at, &nanoseconds)
	return handler.User{ID: name, Name: "Ms " + name, AuthTime: time.Unix(0, nanoseconds)}, nil
}

func (v *visitor) headers(more [][2]string) [][2]string {
	var pairs []string
	for name, value := range v.cookies {
		pairs = append(pairs, name+"="+value)
	}
	slices.Sort(pairs)
	return append([][2]string{{"Cookie", strings.Join(pairs, "; ")}}, more...)
}

func (v *visitor) keep(a *answer) *answer {
	for _, c := range (&http.Response{Header: a.header}).Cookies() {
		v.cookies[c.Name] = c.Value
	}
	return a
}

func (v *visitor) get(t *testing.T, path string, headers ...[2]string) *answer {
	t.Helper()
	return v.keep(v.s.get(t, path, v.headers(headers)...))
}

// fromHere is what a browser sends with a form of the same site.
var fromHere = [2]string{"Sec-Fetch-Site", "same-origin"}

func (v *visitor) post(t *testing.T, path, form string, headers ...[2]string) *answer {
	t.Helper()
	return v.keep(v.s.post(t, path, form, v.headers(headers)...))
}

// authorizing is the good request of section AZ for a client, changed.
func authorizing(client string, changes ...string) []string {
	return changed([]string{
		"response_type", "code", "client_id", client, "redirect_uri", fixture(client).RedirectURIs[0], "scope", "read",
		"state", "xyz", "code_challenge", challenge, "code_challenge_method", "S256",
	}, changes...)
}

// authorize sends the good request for web, changed.
func (v *visitor) authorize(t *testing.T, changes ...string) *answer {
	t.Helper()
	return v.authorizeAs(t, "web", changes...)
}

func (v *visitor) authorizeAs(t *testing.T, client string, changes ...string) *answer {
	t.Helper()
	return v.get(t, "/authorize?"+form(authorizing(client, changes...)...))
}

var pendingField = regexp.MustCompile(`<input type="hidden" name="pending" value="([^"]*)">`)

// pending is what the form of a consent page has to send back.
func (a *answer) pending(t *testing.T) string {
	t.Helper()
	a.page(t, http.StatusOK)
	field := pendingField.FindStringSubmatch(a.body)
	if field == nil {
		t.Fatalf("want a consent page, got %s", a)
	}
	return html.UnescapeString(field[1])
}

// decides presses a button of a consent page.
func (v *visitor) decides(t *testing.T, page *answer, decision string, more ...string) *answer {
	t.Helper()
	return v.post(t, "/authorize", form(append([]string{"pending", page.pending(t), "consent", decision}, more...)...), fromHere)
}

func (v *visitor) approves(t *testing.T, page *answer, more ...string) *answer {
	t.Helper()
	return v.decides(t, page, "approve", more...)
}

// consents goes the whole way to a client's tokens.
func (v *visitor) consents(t *testing.T, client string, changes ...string) *answer {
	t.Helper()
	page := v.authorizeAs(t, client, changes...)
	code := v.approves(t, page).granted(t, "")
	return v.s.redeem(t, client, code, "redirect_uri", without).ok(t)
}

// page is page(n): HTML of that status, with all that guards it, that leads nowhere.
func (a *answer) page(t *testing.T, status int) *answer {
	t.Helper()
	h := a.header
	policy := h.Get("Content-Security-Policy")
	switch {
	case a.status != status || h.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(a.body, "<!DOCTYPE html>"):
		t.Fatalf("want a page of status %d, got %s", status, a)
	case h.Get("Location") != "" || strings.Contains(a.body, "http-equiv") || strings.Contains(a.body, "<script") || strings.Contains(a.body, "<a "):
		t.Errorf("the page leads on: %s", a)
	case !strings.Contains(policy, "frame-ancestors 'none'") || !strings.Contains(policy, "default-src 'none'") || strings.Contains(policy, "script-src") || strings.Contains(policy, "form-action"):
		t.Errorf("AZ-25: policy %q", policy)
	case h.Get("X-Frame-Options") != "DENY" || h.Get("Cache-Control") != "no-store" || h.Get("Referrer-Policy") != "same-origin" || h.Get("X-Content-Type-Options") != "nosniff":
		t.Errorf("AZ-25: headers of %s", a)
	}
	return a
}

// sentBack is a redirect of this endpoint to a client: where to, without what was added, and that.
func (a *answer) sentBack(t *testing.T) (to string, added url.Values) {
	t.Helper()
	location := a.header.Get("Location")
	to, query, _ := strings.Cut(location, "?")
	added, err := url.ParseQuery(query)
	switch {
	case a.status != http.StatusSeeOther || location == "" || err != nil || strings.Contains(location, "#"):
		t.Fatalf("want to be sent back, got %s", a)
	case a.header.Get("Cache-Control") != "no-store" || a.header.Get("Referrer-Policy") != "no-referrer" || a.body != "":
		t.Errorf("AZ-32: got %s", a)
	case added.Get("iss") != issuer || len(added["iss"]) != 1:
		t.Errorf("ATK-07: iss %q", added["iss"])
	}
	for name := range added {
		if !slices.Contains([]string{"code", "error", "error_description", "state", "iss", "x"}, name) {
			t.Errorf("sends %s", name)
		}
	}
	return to, added
}

// granted fails unless the client was sent a code. state is what it sent, "" for any.
func (a *answer) granted(t *testing.T, state string) (code string) {
	t.Helper()
	_, added := a.sentBack(t)
	if added.Get("code") == "" || added.Has("error") || state != "" && added.Get("state") != state {
		t.Fatalf("want a code, got %s", a)
	}
	return added.Get("code")
}

// returned is R(x): the error, with state, if it is not "", at web's redirect URI or that of to.
func (a *answer) returned(t *testing.T, code, state string, to ...string) *answer {
	t.Helper()
	at, added := a.sentBack(t)
	want := append(to, fixture("web").RedirectURIs[0])[0]
	if at != want || added.Get("error") != code || added.Has("code") || added.Get("state") != state || added.Has("state") != (state != "") || !sendable.MatchString(added.Get("error_description")) {
		t.Fatalf("want %s and state %q at %s, got %s", code, state, want, a)
	}
	return a
}

// login fails unless the application's login was shown, and returns where it sends the browser then.
func (a *answer) login(t *testing.T) (next string) {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusSeeOther || u.Path != "/login" || !strings.HasPrefix(u.Query().Get("next"), "/authorize?") {
		t.Fatalf("want the login, got %s", a)
	}
	return u.Query().Get("next")
}
