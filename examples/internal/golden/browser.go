package golden

import (
	"html"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
)

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// Approve goes to an authorization endpoint as a browser does, signs in and approves. It returns where the
// browser is sent back to.
func (s *Server[F]) Approve(t *testing.T, path, name, password string) *url.URL {
	t.Helper()
	cookies := map[string]string{}
	ask := func(method, path, body string) *Answer {
		t.Helper()
		headers := []Header{{"Sec-Fetch-Site", "same-origin"}}
		for name, value := range cookies {
			headers = append(headers, Header{"Cookie", name + "=" + value})
		}
		if body != "" {
			headers = append(headers, Header{"Content-Type", FormType})
		}
		a := s.do(t, method, path, body, headers)
		for _, c := range (&http.Response{Header: a.Header}).Cookies() {
			cookies[c.Name] = c.Value
		}
		return a
	}
	to := func(a *Answer) string {
		t.Helper()
		if a.Status != http.StatusSeeOther {
			t.Fatalf("want a redirect, got %s", a)
		}
		return a.Header.Get("Location")
	}
	form := to(ask("GET", path, ""))
	page := ask("GET", to(ask("POST", form, Form{"username", name, "password", password}.Encode())), "")
	field := hidden.FindStringSubmatch(page.Body)
	if page.Status != http.StatusOK || field == nil {
		t.Fatalf("want a consent page, got %s", page)
	}
	path, _, _ = strings.Cut(path, "?")
	back, err := url.Parse(to(ask("POST", path, Form{field[1], html.UnescapeString(field[2]), "consent", "approve"}.Encode())))
	if err != nil {
		t.Fatal(err)
	}
	s.Secret(back.Query().Get("code"))
	return back
}
