package handler

import (
	"encoding/base64"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func basicHeader(credentials string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(credentials))
}

// What is read of Basic credentials has one reading: encoding it again and reading that gives the same.
func FuzzBasic(f *testing.F) {
	for _, h := range []string{
		basicHeader("web:web-secret"), basicHeader("o%3Ad+d%2B%25:s%3Ae+c%2Br%25e%26t%3D"), basicHeader("a:b:c"), basicHeader(":x"), basicHeader("x:"),
		basicHeader("%zz:x"), basicHeader("a\x00:b"), basicHeader("é:b"), basicHeader("no colon"), basicHeader("%00:%ff"),
		"Basic", "Basic ", "basic  d2ViOng=", "Basic\td2ViOng=", "BASIC d2ViOng", "Basic d2ViOng==", "Basic \xff", "Bearer x", "", "Basic " + strings.Repeat("A", 1<<14),
	} {
		f.Add(h)
	}
	f.Fuzz(func(t *testing.T, h string) {
		if basicOf(h) == "" {
			return
		}
		id, secret, ok := parseBasic(h, defaultCredentialsLimit)
		if !ok {
			return
		}
		if id == "" || !visible(id) || !visible(secret) {
			t.Errorf("%q reads as %q and %q", h, id, secret)
		}
		id2, secret2, ok := parseBasic(basicHeader(url.QueryEscape(id)+":"+url.QueryEscape(secret)), 1<<20)
		if !ok || id2 != id || secret2 != secret {
			t.Errorf("%q reads as %q and %q, and what these encode to as %q and %q", h, id, secret, id2, secret2)
		}
	})
}

// No form that is thrown at the token endpoint makes it panic, answer 5xx, or give a token that was not
// asked for with the secret.
func FuzzTokenForm(f *testing.F) {
	store, err := bolt.Open(filepath.Join(f.TempDir(), "auth.db"))
	if err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() { store.Close() })
	err = store.PutClient(f.Context(), &storage.Client{
		ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "read write",
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, RedirectURIs: []string{"https://web.example/cb"},
	})
	if err != nil {
		f.Fatal(err)
	}
	manager := grants.New(store, grants.Logger(slog.New(slog.DiscardHandler)))
	pair, err := manager.Issue(f.Context(), grants.Issue{Client: "web", User: "alice"})
	if err != nil {
		f.Fatal(err)
	}
	h := Token(manager)
	for _, form := range []string{
		"grant_type=client_credentials&scope=read", "grant_type=client_credentials&client_id=web&client_secret=web-secret",
		"grant_type=refresh_token&refresh_token=" + pair.GetRefresh(), "grant_type=refresh_token&refresh_token=" + pair.GetRefresh() + "&client_id=web&client_secret=",
		"grant_type=authorization_code&code=" + pair.GetAccess() + "&code_verifier=%00&redirect_uri=javascript:", "grant_type=password&username=a&password=b",
		"", "&", "=", "=&=", "grant_type", "grant_type=%zz", "a;b", "grant_type=x&grant_type=y", "scope=%ff&grant_type=client_credentials",
		"\ufeffgrant_type=client_credentials", strings.Repeat("a=b&", 65), strings.Repeat("a", 1<<16+1), "client_assertion=x&client_assertion_type=y&grant_type=client_credentials",
		"resource=a&resource=b&grant_type=refresh_token&refresh_token=" + strings.Repeat("A", 75),
	} {
		f.Add(form, "")
		f.Add(form, basicHeader("web:web-secret"))
		f.Add(form, basicHeader("web:wrong"))
	}
	f.Fuzz(func(t *testing.T, form, authorization string) {
		r := httptest.NewRequest(http.MethodPost, "/token", strings.NewReader(form))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		if authorization != "" {
			r.Header.Set("Authorization", authorization)
		}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		switch {
		case w.Code >= 500:
			t.Errorf("%d for %q", w.Code, form)
		case w.Code == http.StatusOK && !strings.Contains(form, "web-secret") && authorization != basicHeader("web:web-secret"):
			id, secret, ok := parseBasic(authorization, defaultCredentialsLimit)
			values, _ := url.ParseQuery(form)
			if !(ok && id == "web" && secret == "web-secret") && values.Get("client_secret") != "web-secret" {
				t.Errorf("a token for %q with %q", form, authorization)
			}
		case w.Header().Get("Cache-Control") != "no-store":
			t.Error("may be cached")
		}
	})
}
