package handler_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// After a full cycle neither the file nor the log holds anything that was handed out: no code, token or
// client secret, and none of the octets inside them.
func TestSecretsAreNowhere(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	generated, stored := storage.NewSecret()
	err = store.PutClient(t.Context(), &storage.Client{
		ID: "web", Secret: stored, OldSecret: storage.Hash("a secret somebody chose"), Scope: "read write",
		GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, RedirectURIs: []string{"https://web.example/cb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	m := grants.New(store, grants.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))))
	secrets := []string{generated, "a secret somebody chose"}

	ask := func(path, secret string, form ...string) map[string]string {
		values := url.Values{"client_id": {"web"}, "client_secret": {secret}}
		for i := 0; i < len(form); i += 2 {
			values.Set(form[i], form[i+1])
		}
		r := httptest.NewRequest("POST", path, strings.NewReader(values.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		w := httptest.NewRecorder()
		map[string]http.Handler{"/token": handler.Token(m), "/revoke": handler.Revoke(m), "/introspect": handler.Introspect(m)}[path].ServeHTTP(w, r)
		members := map[string]any{}
		json.Unmarshal(w.Body.Bytes(), &members)
		got := map[string]string{}
		for _, name := range []string{"access_token", "refresh_token"} {
			if s, ok := members[name].(string); ok {
				got[name] = s
				secrets = append(secrets, s)
			}
		}
		return got
	}
	authorize := func() string {
		info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
			ClientID: "web", UserID: "alice", CodeChallengeMethod: oauth2.CodeChallengeS256, CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
		})
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, info.GetCode())
		return info.GetCode()
	}
	const verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	secrets = append(secrets, verifier)

	authorize() // and never redeemed
	code := authorize()
	first := ask("/token", generated, "grant_type", "authorization_code", "code", code, "code_verifier", verifier)
	second := ask("/token", "a secret somebody chose", "grant_type", "refresh_token", "refresh_token", first["refresh_token"])
	ask("/token", generated, "grant_type", "refresh_token", "refresh_token", first["refresh_token"]) // the lost answer
	ask("/token", generated, "grant_type", "client_credentials")
	ask("/token", "a wrong secret", "grant_type", "client_credentials")
	protected := httptest.NewRequest("GET", "/", nil)
	protected.Header.Set("Authorization", "Bearer "+second["access_token"])
	middleware.Bearer(m)(middleware.Scope("admin")(nil)).ServeHTTP(httptest.NewRecorder(), protected)
	for _, token := range []string{second["access_token"], second["refresh_token"], first["refresh_token"], code} {
		ask("/introspect", generated, "token", token)
		ask("/introspect", "a wrong secret", "token", token)
	}
	ask("/revoke", generated, "token", second["access_token"])
	ask("/token", generated, "grant_type", "authorization_code", "code", code, "code_verifier", verifier) // a replay
	ask("/revoke", generated, "token", first["refresh_token"])
	secrets = append(secrets, "a wrong secret")
	if len(secrets) < 11 {
		t.Fatalf("the cycle handed out %d secrets alone", len(secrets))
	}

	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte("alice")) || !strings.Contains(log.String(), "alice") {
		t.Fatal("this test does not look at what it should")
	}
	for _, s := range secrets {
		forms := [][]byte{[]byte(s)}
		if strings.HasPrefix(s, "ost") {
			octets, err := base64.RawURLEncoding.DecodeString(s[5:])
			if err != nil {
				t.Fatal(err)
			}
			forms = append(forms, octets[16:48], octets[16:32], octets[32:48])
		}
		for _, form := range forms {
			if bytes.Contains(file, form) || strings.Contains(log.String(), string(form)) {
				t.Errorf("%q is in the file or the log", form)
			}
		}
	}
}
