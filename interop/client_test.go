package interop_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	xoauth2 "golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"

	"github.com/ostiary-go/ostiary/storage"
)

// early is how long before its expiry golang.org/x/oauth2 gives a token up.
const early = 10 * time.Second

// odd is an ID and a secret that the client has to encode in Basic credentials (RFC 6749 2.3.1).
const (
	oddID     = "o:d d+%"
	oddSecret = "s:e c+r%e&t="
)

// inBubble runs a test against our endpoints in a bubble whose time it moves.
func inBubble(t *testing.T, test func(t *testing.T, ctx context.Context, s *site)) {
	synctest.Test(t, func(t *testing.T) {
		store, _ := openStore(t)
		odd := &storage.Client{
			ID: oddID, Secret: storage.HashGenerated(oddSecret), Scope: "read write jobs", RedirectURIs: []string{callback("odd")},
			GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"},
		}
		if err := store.PutClient(t.Context(), odd); err != nil {
			t.Fatal(err)
		}
		m := grantsOn(store)
		s := listenOnPipes(t, m, ourRoutes(m))
		test(t, context.WithValue(t.Context(), xoauth2.HTTPClient, s.client), s)
	})
}

// TestOAuth2Config takes golang.org/x/oauth2 from a code over refreshing to the end of the grant.
func TestOAuth2Config(t *testing.T) {
	for _, c := range []struct {
		name       string
		id, secret string
		style      xoauth2.AuthStyle
	}{
		{"detected", "a", "a-secret", xoauth2.AuthStyleAutoDetect},
		{"header", "a", "a-secret", xoauth2.AuthStyleInHeader},
		{"params", "a", "a-secret", xoauth2.AuthStyleInParams},
		{"public/detected", "app", "", xoauth2.AuthStyleAutoDetect},
		{"public/header", "app", "", xoauth2.AuthStyleInHeader},
		{"public/params", "app", "", xoauth2.AuthStyleInParams},
		{"encoded/detected", oddID, oddSecret, xoauth2.AuthStyleAutoDetect},
		{"encoded/params", oddID, oddSecret, xoauth2.AuthStyleInParams},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context, s *site) {
				config := &xoauth2.Config{
					ClientID: c.id, ClientSecret: c.secret, RedirectURL: redirectURI(t, s, c.id),
					Endpoint: xoauth2.Endpoint{TokenURL: s.url + "/token", AuthStyle: c.style},
				}
				proof := xoauth2.GenerateVerifier()
				code, err := s.manager.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{
					ClientID: c.id, UserID: "alice", RedirectURI: config.RedirectURL, Scope: "read write",
					CodeChallenge: xoauth2.S256ChallengeFromVerifier(proof), CodeChallengeMethod: oauth2.CodeChallengeS256,
				})
				if err != nil {
					t.Fatal(err)
				}
				_, err = config.Exchange(ctx, code.GetCode(), xoauth2.VerifierOption(xoauth2.GenerateVerifier()))
				retrieveError(t, err, 400, "invalid_grant")
				first, err := config.Exchange(ctx, code.GetCode(), xoauth2.VerifierOption(proof))
				if err != nil {
					t.Fatal(err)
				}
				if first.TokenType != "Bearer" || first.Extra("scope") != "read write" || !first.Expiry.Equal(time.Now().Add(time.Hour)) {
					t.Errorf("got %#v", first)
				}

				source := config.TokenSource(ctx, first)
				api := xoauth2.NewClient(ctx, source)
				calls(t, s, api)
				time.Sleep(time.Hour - early)
				if same := current(t, source); same.AccessToken != first.AccessToken {
					t.Error("refreshed before its time")
				}
				calls(t, s, api)
				time.Sleep(time.Second)
				calls(t, s, api)
				second := current(t, source)
				if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken {
					t.Error("the client did not refresh")
				}
				time.Sleep(2 * time.Hour)
				calls(t, s, api)
				third := current(t, source)
				if third.RefreshToken == second.RefreshToken {
					t.Error("the client did not refresh again")
				}

				who := basic(c.id, c.secret)
				if a := s.post(t, "/revoke", who, "token", third.RefreshToken); a.status != http.StatusOK {
					t.Fatalf("revoked: %s", a)
				}
				s.dead(t, third.AccessToken)
				time.Sleep(time.Hour)
				_, err = api.Get(s.url + "/me")
				retrieveError(t, err, 400, "invalid_grant")
			})
		})
	}
}

// TestOAuth2ClientCredentials takes golang.org/x/oauth2/clientcredentials over several tokens.
func TestOAuth2ClientCredentials(t *testing.T) {
	for _, c := range []struct {
		name       string
		id, secret string
		style      xoauth2.AuthStyle
	}{
		{"detected", "svc", "svc-secret", xoauth2.AuthStyleAutoDetect},
		{"header", "svc", "svc-secret", xoauth2.AuthStyleInHeader},
		{"params", "svc", "svc-secret", xoauth2.AuthStyleInParams},
		{"encoded/detected", oddID, oddSecret, xoauth2.AuthStyleAutoDetect},
		{"encoded/params", oddID, oddSecret, xoauth2.AuthStyleInParams},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, ctx context.Context, s *site) {
				config := &clientcredentials.Config{
					ClientID: c.id, ClientSecret: c.secret, TokenURL: s.url + "/token", AuthStyle: c.style, Scopes: []string{"read", "jobs"},
				}
				source := config.TokenSource(ctx)
				api := xoauth2.NewClient(ctx, source)
				calls(t, s, api)
				first := current(t, source)
				if first.TokenType != "Bearer" || first.Extra("scope") != "read jobs" || first.RefreshToken != "" || !first.Expiry.Equal(time.Now().Add(15*time.Minute)) {
					t.Errorf("got %#v", first)
				}
				time.Sleep(15*time.Minute - early)
				if same := current(t, source); same.AccessToken != first.AccessToken {
					t.Error("got anew before its time")
				}
				time.Sleep(time.Second)
				calls(t, s, api)
				if second := current(t, source); second.AccessToken == first.AccessToken {
					t.Error("the client did not get a new token")
				}

				wrong := *config
				wrong.ClientSecret = "wrong"
				_, err := wrong.Token(ctx)
				retrieveError(t, err, 401, "invalid_client")
				beyond := *config
				beyond.Scopes = []string{"admin"}
				_, err = beyond.Token(ctx)
				retrieveError(t, err, 400, "invalid_scope")
			})
		})
	}
}

// redirectURI is the one that a client is registered with.
func redirectURI(t *testing.T, s *site, client string) string {
	t.Helper()
	c, err := s.manager.GetClient(t.Context(), client)
	if err != nil {
		t.Fatal(err)
	}
	return c.GetDomain()
}

// calls fails unless the guarded route lets the client in.
func calls(t *testing.T, s *site, api *http.Client) {
	t.Helper()
	res, err := api.Get(s.url + "/me")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	if res.StatusCode != http.StatusOK {
		t.Fatalf("the client was answered %s", res.Status)
	}
}

func current(t *testing.T, source xoauth2.TokenSource) *xoauth2.Token {
	t.Helper()
	token, err := source.Token()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// retrieveError fails unless the client has understood why it was refused.
func retrieveError(t *testing.T, err error, status int, code string) {
	t.Helper()
	e, ok := errors.AsType[*xoauth2.RetrieveError](err)
	if !ok || e.Response.StatusCode != status || e.ErrorCode != code || e.ErrorDescription == "" {
		t.Fatalf("want %d %s, got %v", status, code, err)
	}
}
