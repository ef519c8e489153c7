package handler_test

import (
	"context"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// newManager is a manager whose one client, app, may use client_credentials and urn:example:ticket.
func newManager(t *testing.T, options ...grants.Option) *grants.Manager {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	err = store.PutClient(t.Context(), &storage.Client{
		ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read", GrantTypes: []string{"client_credentials", "urn:example:ticket"},
	})
	if err != nil {
		t.Fatal(err)
	}
	return grants.New(store, options...)
}

// A refusal stands in the log once, with its reason, whether the manager was asked or not; what is malformed
// does not.
func TestRefusalsAreLoggedOnce(t *testing.T) {
	for name, c := range map[string]struct {
		form   url.Values
		basic  string
		status int
		reason string // "": nothing is logged
	}{
		"unreadable Basic":      {url.Values{"grant_type": {"client_credentials"}}, "Basic !", 401, "Basic credentials can not be read"},
		"two ways":              {url.Values{"grant_type": {"client_credentials"}, "client_secret": {"x"}}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, "more than one way"},
		"assertion":             {url.Values{"grant_type": {"client_credentials"}, "client_assertion": {"x"}}, "", 401, "assertions are not supported"},
		"grant type":            {url.Values{"grant_type": {"password"}}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, "grant type is not served"},
		"no grant type":         {url.Values{}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, "grant_type is missing"},
		"the manager's, client": {url.Values{"grant_type": {"client_credentials"}}, "Basic YXBwOndyb25n", 401, "wrong client secret"},
		"the manager's, scope":  {url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, "scope beyond the client's"},
		"malformed: name twice": {url.Values{"grant_type": {"client_credentials", "x"}}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, ""},
		"malformed: bad octets": {url.Values{"grant_type": {"\x00"}}, "Basic YXBwOmFwcC1zZWNyZXQ=", 400, ""},
	} {
		t.Run(name, func(t *testing.T) {
			log := new(testbed.Log)
			r := httptest.NewRequest("POST", "/", strings.NewReader(c.form.Encode()))
			r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			if c.basic != "" {
				r.Header.Set("Authorization", c.basic)
			}
			w := httptest.NewRecorder()
			handler.Token(newManager(t, grants.Logger(log.Logger()))).ServeHTTP(w, r)
			if w.Code != c.status {
				t.Errorf("got %d %s", w.Code, w.Body)
			}
			line := log.String()
			if c.reason == "" {
				if line != "" {
					t.Errorf("logs %s", line)
				}
				return
			}
			if strings.Count(line, "\n") != 1 {
				t.Fatalf("logs %s", line)
			}
			for _, want := range []string{"level=INFO", "msg=oauth", "event=refused", "reason=", c.reason, "remote=" + r.RemoteAddr} {
				if !strings.Contains(line, want) {
					t.Errorf("logs no %q: %s", want, line)
				}
			}
		})
	}
}

// A grant type of the application's gets in Params what is no parameter of OAuth, and nothing else.
func TestExtensionParams(t *testing.T) {
	var got *grants.Request
	m := newManager(t, grants.Extend(grants.Extension{
		Name: "urn:example:ticket", Params: []string{"ticket"},
		Grant: func(_ context.Context, r *grants.Request) (grants.Issue, error) {
			got = r
			return grants.Issue{}, nil
		},
	}))
	form := url.Values{"grant_type": {"urn:example:ticket"}, "client_id": {"app"}, "resource": {"https://a.example", "https://b.example"}}
	for _, name := range []string{
		"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "token", "token_type_hint", "access_token",
		"response_type", "response_mode", "state", "code_challenge", "code_challenge_method", "request", "request_uri", "prompt", "max_age",
	} {
		form.Set(name, "read")
	}
	left := url.Values{"ticket": {"7"}, "tenant": {"a", "b"}}
	maps.Copy(form, left)
	if answer := post(handler.Token(m), form); answer.Code != http.StatusOK {
		t.Fatalf("got %d %s", answer.Code, answer.Body)
	}
	if !reflect.DeepEqual(got.Params, left) {
		t.Errorf("got %v, want %v", got.Params, left)
	}
	if got.Code != "read" || got.Scope != "read" || !reflect.DeepEqual(got.Resource, form["resource"]) || got.ClientSecret != "app-secret" {
		t.Error("the rest is not where it belongs")
	}
}

func TestRealmIsQuoted(t *testing.T) {
	const realm = `the "new" api\v2 \"`
	for name, h := range map[string]http.Handler{
		"Token": handler.Token(newManager(t), handler.Realm(realm)), "Revoke": handler.Revoke(newManager(t), handler.Realm(realm)),
		"Introspect": handler.Introspect(newManager(t), handler.Realm(realm)),
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader("grant_type=client_credentials&token=x"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		if got, want := w.Header().Get("WWW-Authenticate"), `Basic realm="the \"new\" api\\v2 \\\""`; w.Code != http.StatusUnauthorized || got != want {
			t.Errorf("%s: %d %s, want %s", name, w.Code, got, want)
		}
	}
}

// aborting is a manager in which somebody gives the request up, as net/http allows.
type aborting struct{ *grants.Manager }

func (aborting) Token(context.Context, *grants.Request) (oauth2.TokenInfo, error) {
	panic(http.ErrAbortHandler)
}

func TestAbortHandlerGoesThrough(t *testing.T) {
	log := new(testbed.Log)
	defer func() {
		if p := recover(); p != http.ErrAbortHandler || log.String() != "" {
			t.Errorf("panicked with %v, and logged %s", p, log)
		}
	}()
	post(handler.Token(aborting{newManager(t, grants.Logger(log.Logger()))}), url.Values{"grant_type": {"client_credentials"}})
}
