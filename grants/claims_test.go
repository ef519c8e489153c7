package grants_test

import (
	"context"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// What one function says stands in the JWT, in introspection, and in what a route sees, for opaque tokens too.
func TestClaims(t *testing.T) {
	store := openStore(t)
	var asked []grants.Introspection
	claims := grants.Claims(func(_ context.Context, of grants.Introspection) (map[string]any, error) {
		asked = append(asked, of)
		return map[string]any{"tenant": 7, "roles": []string{"admin"}, "auth_time": int64(1), "for": of.User}, nil
	})
	want := map[string]any{"tenant": json.Number("7"), "roles": []any{"admin"}, "auth_time": json.Number("1"), "for": "alice"}
	for name, m := range map[string]*grants.Manager{"jwt": signing(store, openKeys(t, store), claims), "opaque": grants.New(store, claims)} {
		t.Run(name, func(t *testing.T) {
			asked = nil
			info, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read", Audience: []string{"https://a.example"}})
			if err != nil {
				t.Fatal(err)
			}
			access := info.GetAccess()
			if name == "jwt" {
				of := asked[0]
				if len(asked) != 1 || !of.Active || of.Refresh || of.Client != "app" || of.User != "alice" || of.Scope != "read" || !reflect.DeepEqual(of.Audience, []string{"https://a.example"}) || of.Expires.Before(of.Issued) {
					t.Errorf("asked about %+v", asked)
				}
				got := part(t, access, 1)
				if got["tenant"] != 7. || !reflect.DeepEqual(got["roles"], []any{"admin"}) || got["sub"] != "alice" {
					t.Errorf("got %v", got)
				}
			} else if len(asked) > 0 {
				t.Error("asked though an opaque token says nothing")
			}
			i := introspectAs(t, m, "app", access)
			if !reflect.DeepEqual(i.Claims, want) || (i.ID != "") != (name == "jwt") {
				t.Errorf("got %+v", i)
			}
			for range 2 { // the second time from the cache
				loaded, err := m.LoadAccessToken(t.Context(), access)
				if err != nil {
					t.Fatal(err)
				}
				if got := claimsOf(loaded); !reflect.DeepEqual(got, want) {
					t.Errorf("got %v", got)
				}
				claimsOf(loaded)["tenant"] = 8
			}
			if i := introspectAs(t, m, "app", info.GetRefresh()); i.Claims != nil {
				t.Errorf("a refresh token has %v", i.Claims)
			}
			asked = nil
			if i := introspectAs(t, m, "other", access); i.Active || len(asked) > 0 {
				t.Errorf("asked for somebody who is told nothing: %+v", i)
			}
		})
	}
}

// The function is asked about the same each time, so that it says the same.
func TestClaimsAskedAlike(t *testing.T) {
	store := openStore(t)
	keys := openKeys(t, store)
	for name, options := range map[string][]grants.Option{
		"opaque": nil, "jwt": {grants.Issuer("https://auth.example"), grants.JWT(keys)},
		"jwt, default audience": {grants.Issuer("https://auth.example"), grants.JWT(keys), grants.DefaultAudience("https://default.example")},
	} {
		for _, audience := range [][]string{nil, {"https://a.example", "https://b.example"}} {
			var asked []grants.Introspection
			m := grants.New(store, append(options, grants.Claims(func(_ context.Context, of grants.Introspection) (map[string]any, error) {
				asked = append(asked, of)
				asked[len(asked)-1].Audience = slices.Clone(of.Audience)
				for i := range of.Audience {
					of.Audience[i] = "altered"
				}
				return nil, nil
			}))...)
			info, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read", Audience: audience})
			if err != nil {
				t.Fatal(err)
			}
			i := introspectAs(t, m, "app", info.GetAccess())
			if slices.Contains(i.Audience, "altered") {
				t.Errorf("%s: introspected %+v", name, i)
			}
			for range 2 {
				loaded, err := m.LoadAccessToken(t.Context(), info.GetAccess())
				if err != nil {
					t.Fatal(err)
				}
				if slices.Contains(loaded.(interface{ Audience() []string }).Audience(), "altered") {
					t.Errorf("%s: loaded %v", name, loaded)
				}
			}
			want := 4
			if name == "opaque" {
				want = 3
			}
			for _, of := range asked[1:] {
				if !of.Issued.Equal(asked[0].Issued) || !of.Expires.Equal(asked[0].Expires) {
					t.Errorf("%s: asked about %v to %v, then %v to %v", name, asked[0].Issued, asked[0].Expires, of.Issued, of.Expires)
				}
				of.Issued, of.Expires = asked[0].Issued, asked[0].Expires
				if !reflect.DeepEqual(of, asked[0]) {
					t.Errorf("%s: asked about %+v, then %+v", name, asked[0], of)
				}
			}
			if len(asked) != want {
				t.Errorf("%s: asked %d times", name, len(asked))
			}
		}
	}
}

func claimsOf(info oauth2.TokenInfo) map[string]any {
	return info.(interface{ Claims() map[string]any }).Claims()
}

// A function that fails is an outage, one that claims what is not its own a fault; nothing is spent by either.
func TestClaimsRefused(t *testing.T) {
	store := openStore(t)
	var members map[string]any
	var fails error
	m := signing(store, openKeys(t, store), grants.Claims(func(context.Context, grants.Introspection) (map[string]any, error) { return members, fails }))
	good := issued(t, m, "alice")
	pair, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	type refused struct {
		members map[string]any
		err     error
		code    string
	}
	all := map[string]refused{
		"failure":    {nil, errors.New("database is away"), "temporarily_unavailable"},
		"empty name": {map[string]any{"": 1}, nil, "server_error"},
		"no JSON":    {map[string]any{"f": func() {}}, nil, "server_error"},
		"no number":  {map[string]any{"f": math.Inf(1)}, nil, "server_error"},
		"too much":   {map[string]any{"f": strings.Repeat("x", 48<<10)}, nil, "server_error"},
		"name twice": {map[string]any{"f": json.RawMessage(`{"a":1,"a":2}`)}, nil, "server_error"},
	}
	for _, name := range []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "active", "token_type", "username"} {
		all[name] = refused{map[string]any{name: "x"}, nil, "server_error"}
	}
	for name, tt := range all {
		members, fails = nil, nil
		code := authorize(t, m, "app", 0).GetCode()
		before := testbed.Dump(t, store)
		members, fails = tt.members, tt.err
		for grantType, r := range map[string]*grants.Request{
			"authorization_code": {Code: code, CodeVerifier: verifier},
			"refresh_token":      {RefreshToken: pair.GetRefresh()},
			"client_credentials": {},
		} {
			r.GrantType, r.ClientID, r.ClientSecret = grantType, "app", "app-secret"
			if _, err := m.Token(t.Context(), r); codeOf(err) != tt.code {
				t.Errorf("%s, %s: %v", name, grantType, err)
			}
		}
		if name != "too much" { // but for a header
			if _, err := m.Introspect(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: good}); codeOf(err) != tt.code {
				t.Errorf("%s, introspection: %v", name, err)
			}
			if _, err := m.LoadAccessToken(t.Context(), good); err == nil {
				t.Errorf("%s: validated without", name)
			}
		}
		if err := m.Revoke(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: "x"}); err != nil {
			t.Errorf("%s: revocation asks for claims: %v", name, err)
		}
		if after := testbed.Dump(t, store); after != before {
			t.Errorf("%s: something was stored", name)
		}
	}
	members, fails = nil, nil
	mustLoad(t, m, good)
}

// What a token is for by default is told of opaque ones too.
func TestDefaultAudience(t *testing.T) {
	store := openStore(t)
	c := &storage.Client{ID: "rs", Secret: storage.HashGenerated("rs-secret"), Introspect: true, Audience: []string{"https://a.example"}}
	if err := store.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	named := []string{"https://a.example", "https://b.example"}
	m := grants.New(store, grants.DefaultAudience(named...))
	for asked, want := range map[string][]string{"": named, "https://c.example": {"https://c.example"}} {
		i := grants.Issue{Client: "app", User: "alice"}
		if asked != "" {
			i.Audience = []string{asked}
		}
		info, err := m.Issue(t.Context(), i)
		if err != nil {
			t.Fatal(err)
		}
		for range 2 {
			loaded, err := m.LoadAccessToken(t.Context(), info.GetAccess())
			if err != nil {
				t.Fatal(err)
			}
			for _, of := range []oauth2.TokenInfo{info, loaded} {
				audience := of.(interface{ Audience() []string }).Audience()
				if !reflect.DeepEqual(audience, want) {
					t.Errorf("asked for %q: %v", asked, audience)
				}
				audience[0] = "https://altered.example"
			}
		}
		if got := introspectAs(t, m, "rs", info.GetAccess()); got.Active != (asked == "") {
			t.Errorf("asked for %q: got %+v", asked, got)
		}
	}
}
