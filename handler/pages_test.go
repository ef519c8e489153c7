package handler_test

import (
	"errors"
	"html/template"
	"io"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/handler"
)

// failing is a template that can not be executed.
type failing struct{}

func (failing) Execute(w io.Writer, _ any) error {
	io.WriteString(w, "half a page")
	return errors.New("no such field")
}

// A template of the application's that fails is answered by a whole page of ours.
func TestFailingTemplates(t *testing.T) {
	manager, done := issuing()
	defer done()
	pages := handler.Pages{Consent: failing{}, Failure: failing{}, Apps: failing{}}
	for name, a := range map[string]struct {
		handler http.Handler
		path    string
		status  int
	}{
		"consent": {handler.Authorize(manager, signedIn, pages), authorization, 500},
		"failure": {handler.Authorize(manager, signedIn, pages), "/oauth/authorize?client_id=nobody", 400},
		"apps":    {handler.ConnectedApps(manager, signedIn, pages), "/account/apps", 500},
	} {
		answer := get(a.handler, a.path)
		if body := answer.Body.String(); answer.Code != a.status || !strings.HasPrefix(body, "<!DOCTYPE html>") || strings.Contains(body, "half a page") || strings.Contains(body, "no such field") {
			t.Errorf("%s: %d %s", name, answer.Code, body)
		}
	}
}

// What a template of the application's has inline runs by a nonce alone, which is new each time, and
// nothing from elsewhere is loaded.
func TestPolicyOfOwnTemplates(t *testing.T) {
	manager, done := issuing()
	defer done()
	pages := handler.Pages{Consent: template.Must(template.New("").Parse(`{{.Nonce}}`))}
	seen := map[string]bool{}
	for range 2 {
		answer := get(handler.Authorize(manager, signedIn, pages), authorization)
		nonce, policy := answer.Body.String(), answer.Header().Get("Content-Security-Policy")
		if !regexp.MustCompile(`^[A-Z2-7]{26}$`).MatchString(nonce) || seen[nonce] {
			t.Errorf("nonce %q", nonce)
		}
		seen[nonce] = true
		for _, want := range []string{"default-src 'self'", "script-src 'self' 'nonce-" + nonce + "'", "style-src 'self' 'nonce-" + nonce + "'", "object-src 'none'", "base-uri 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, want) {
				t.Errorf("policy %q has no %s", policy, want)
			}
		}
		if strings.Contains(policy, "form-action") || strings.Contains(policy, "unsafe") {
			t.Errorf("policy %q", policy)
		}
	}
}

// All words can be replaced: no English is left on a page.
func TestTranslatable(t *testing.T) {
	manager, done := issuing()
	defer done()
	pages := handler.Pages{Words: func(*http.Request) handler.Words {
		return handler.Words{Lang: "x", ConsentTitle: "A", ConsentText: "B", SignedInAs: "C", ScopesTitle: "D", Destination: "E", Approve: "F", Deny: "G", AppsTitle: "H", NoApps: "I", BadRequestTitle: "J", BadRequest: "K"}
	}}
	markup := regexp.MustCompile(`(?s)<style>.*</style>|<[^>]*>`)
	for path, want := range map[string]string{authorization: "A A B C D read E G F", "/account/apps": "H H C I", "/oauth/authorize?client_id=nobody": "J J K client_id is missing or unknown."} {
		h := handler.Authorize(manager, signedIn, pages)
		if strings.HasPrefix(path, "/account") {
			h = handler.ConnectedApps(manager, signedIn, pages)
		}
		text := strings.Join(strings.Fields(markup.ReplaceAllString(get(h, path).Body.String(), " ")), " ")
		if text != want {
			t.Errorf("%s says %q, want %q", path, text, want)
		}
	}
}
