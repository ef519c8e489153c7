package handler

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func fuzzed(f *testing.F) *grants.Manager {
	f.Helper()
	store, err := bolt.Open(filepath.Join(f.TempDir(), "auth.db"))
	if err == nil {
		err = store.PutClient(context.Background(), &storage.Client{
			ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "read", GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://web.example/cb?x=1"},
		})
	}
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	return grants.New(store, grants.Issuer("https://auth.example"))
}

// Whatever the query, the answer is a page of this site or leads to the redirect URI that is registered,
// and has no header that was not put there.
func FuzzAuthorizeQuery(f *testing.F) {
	authorize := Authorize(fuzzed(f), func(http.ResponseWriter, *http.Request, Ask) (User, error) {
		return User{ID: "alice", AuthTime: time.Now()}, nil
	})
	good := "response_type=code&client_id=web&redirect_uri=https%3A%2F%2Fweb.example%2Fcb%3Fx%3D1&state=xyz&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"
	for _, query := range []string{"", good, good + "&prompt=none", good + "&scope=admin", good + "&state=a%0D%0Ab", good + "&state=%00", strings.Replace(good, "web.example", "evil.example", 1), good + "&client_id=web", "pending=x", good + "&max_age=0", "%zz", "a;b", good + "&prompt=none+login", good + "&request_uri=https%3A%2F%2Fevil.example"} {
		f.Add(query)
	}
	f.Fuzz(func(t *testing.T, query string) {
		r := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/authorize", RawQuery: query}, Header: make(http.Header), RemoteAddr: "192.0.2.1:1"}
		w := httptest.NewRecorder()
		authorize.ServeHTTP(w, r)
		location := w.Header().Get("Location")
		switch {
		case w.Code == http.StatusSeeOther:
			to, err := url.Parse(location)
			if err != nil || !strings.HasPrefix(location, "https://web.example/cb?x=1&") || to.Fragment != "" || to.Query().Get("iss") != "https://auth.example" {
				t.Errorf("leads to %q", location)
			}
			if strings.ContainsAny(location, "\r\n\x00 ") {
				t.Errorf("splits %q", location)
			}
		case location != "" || w.Code >= 500 || !strings.HasPrefix(w.Body.String(), "<!DOCTYPE html>"):
			t.Errorf("%d to %q: %s", w.Code, location, w.Body)
		}
	})
}

// What was not sealed here is not opened.
func FuzzPending(f *testing.F) {
	s := newSite("Authorize", fuzzed(f), func(http.ResponseWriter, *http.Request, Ask) (User, error) { return User{}, nil }, nil)
	w, r := httptest.NewRecorder(), httptest.NewRequest("GET", "/", nil)
	sealed, err := s.seal(w, r, &pending{User: "alice"})
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", sealed, sealed[1:], sealed + "\n", sealed + "=", strings.ToUpper(sealed)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		p, err := s.open(r, url.Values{"pending": {text}})
		if (err == nil) != (text == sealed) || err == nil && p.User != "alice" {
			t.Errorf("%q: %v, %v", text, p, err)
		}
	})
}

// What stands for names is escaped, and nothing else of the words is lost.
func FuzzSentence(f *testing.F) {
	for _, words := range []string{"", "{client} asks", "{nobody}", "{", "}{client}{", "<b>{client}</b>", "{{client}}"} {
		f.Add(words, "<i>x</i>")
	}
	f.Fuzz(func(t *testing.T, words, client string) {
		p := new(page)
		p.sentence(words, map[string]string{"client": client})
		text := p.String()
		for _, ours := range []string{"<b>", "</b>"} {
			text = strings.ReplaceAll(text, ours, "")
		}
		if strings.ContainsAny(text, `<>"`) {
			t.Errorf("%q: %s", words, p)
		}
	})
}
