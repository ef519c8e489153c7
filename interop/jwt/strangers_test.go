package jwt_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// Our tokens are taken by others, who have found the keys by themselves, and nothing is that was made of one:
// before and after the next key signs, and no more once the key that has signed is removed.
func TestOursByThem(t *testing.T) {
	for _, algorithm := range algorithms {
		for name, verifier := range verifiers {
			t.Run(algorithm+"/"+name, func(t *testing.T) {
				s := newServer(t, algorithm)
				old, first := s.alices(t), s.signs(t)
				verify := verifier(t, s.issuer, algorithm)
				taken(t, verify, old, map[string]any{"iss": s.issuer, "sub": "alice", "client_id": "web", "scope": "orders:read orders:write", "aud": api})
				taken(t, verify, s.own(t), map[string]any{"iss": s.issuer, "sub": "svc", "client_id": "svc", "scope": "orders:read", "aud": api})
				refused(t, verify, old)

				if err := s.keys.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
				fresh, second := s.alices(t), s.signs(t)
				if first == second || header(t, fresh)["kid"] != second {
					t.Fatalf("%s signed, then %s; the token is of %v", first, second, header(t, fresh)["kid"])
				}
				claims := map[string]any{"iss": s.issuer, "sub": "alice", "client_id": "web", "aud": api}
				taken(t, verify, old, claims) // and the one that is here since before has all keys it needs
				taken(t, verify, fresh, claims)
				refused(t, verify, fresh)

				if err := s.keys.Remove(t.Context(), first); err != nil {
					t.Fatal(err)
				}
				later := verifier(t, s.issuer, algorithm)
				taken(t, later, fresh, claims)
				if _, err := later(t.Context(), old); err == nil {
					t.Error("a token is taken whose key was removed")
				}
			})
		}
	}
}

// signs is the kid of the key that signs.
func (s *server) signs(t testing.TB) string {
	t.Helper()
	keys, err := s.keys.Public(t.Context())
	i := slices.IndexFunc(keys, func(k grants.PublicKey) bool { return k.State == grants.KeyActive })
	if err != nil || i < 0 {
		t.Fatal(keys, err)
	}
	return keys[i].ID
}

// taken fails unless a token is taken, and has these claims.
func taken(t *testing.T, verify verify, token string, want map[string]any) {
	t.Helper()
	claims, err := verify(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	for name, value := range want {
		if several, ok := claims[name].([]string); name == "aud" && ok {
			claims[name] = several[0]
		} else if several, ok := claims[name].([]any); name == "aud" && ok {
			claims[name] = several[0]
		}
		if !reflect.DeepEqual(claims[name], value) {
			t.Errorf("%s is %v, want %v", name, claims[name], value)
		}
	}
	if exp, _ := claims["exp"].(float64); exp <= float64(time.Now().Unix()) {
		t.Errorf("exp is %v", claims["exp"])
	}
}

// refused fails if anything is taken that somebody without a key has made of a token.
func refused(t *testing.T, verify verify, token string) {
	t.Helper()
	for what, text := range altered(t, token) {
		if claims, err := verify(t.Context(), text); err == nil {
			t.Errorf("%s: taken, with %v", what, claims)
		}
	}
}

// altered is what somebody without a key makes of a token.
func altered(t testing.TB, token string) map[string]string {
	t.Helper()
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		t.Fatalf("it has %d parts", len(parts))
	}
	with := func(part string, name string, value any) string {
		members := members(t, part)
		members[name] = value
		text, err := json.Marshal(members)
		if err != nil {
			t.Fatal(err)
		}
		return base64.RawURLEncoding.EncodeToString(text)
	}
	signature := []byte(parts[2])
	if at := len(signature) / 2; signature[at] == 'A' {
		signature[at] = 'B'
	} else {
		signature[at] = 'A'
	}
	return map[string]string{
		"other subject":     parts[0] + "." + with(parts[1], "sub", "mallory") + "." + parts[2],
		"later expiry":      parts[0] + "." + with(parts[1], "exp", time.Now().Add(24*time.Hour).Unix()) + "." + parts[2],
		"another signature": parts[0] + "." + parts[1] + "." + string(signature),
		"no signature":      parts[0] + "." + parts[1] + ".",
		"alg none":          with(parts[0], "alg", "none") + "." + parts[1] + ".",
		"alg HS256":         with(parts[0], "alg", "HS256") + "." + parts[1] + "." + parts[2],
	}
}

func header(t testing.TB, token string) map[string]any {
	t.Helper()
	part, _, _ := strings.Cut(token, ".")
	return members(t, part)
}

func members(t testing.TB, part string) (members map[string]any) {
	t.Helper()
	text, err := base64.RawURLEncoding.DecodeString(part)
	if err == nil {
		err = json.Unmarshal(text, &members)
	}
	if err != nil {
		t.Fatal(err)
	}
	return members
}

// Tokens that others have signed open a route that Bearer guards, and nothing does that was made of one.
func TestTheirsByUs(t *testing.T) {
	for _, algorithm := range algorithms {
		for name, newIssuer := range issuers {
			t.Run(algorithm+"/"+name, func(t *testing.T) {
				issuer, sign := newIssuer(t, algorithm)
				now := time.Now()
				token, err := sign(map[string]any{ // RFC 9068 2.2
					"iss": issuer, "sub": "alice", "aud": []string{"https://stock.example", api}, "client_id": "web", "scope": "orders:read orders:write",
					"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "one", "tenant": "t1",
				})
				if err != nil {
					t.Fatal(err)
				}
				protect := middleware.Bearer(jwt.New(issuer, api))
				route := protect(middleware.Scope("orders:read")(middleware.User(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					token := middleware.Token(r.Context())
					fmt.Fprintf(w, "%s of %s, %v", token.GetUserID(), token.GetClientID(), middleware.Claims(r.Context())["tenant"])
				}))))
				base, client := testbed.Serve(t, route, false)
				for range 2 { // the second time it is known
					if status, body := ask(t, client, base, token); status != http.StatusOK || body != "alice of web, t1" {
						t.Fatalf("%d %s", status, body)
					}
				}
				for what, text := range altered(t, token) {
					if status, body := ask(t, client, base, text); status != http.StatusUnauthorized || !strings.Contains(body, "invalid_token") {
						t.Errorf("%s: %d %s", what, status, body)
					}
				}
				elsewhere, err := sign(map[string]any{
					"iss": issuer, "sub": "alice", "aud": "https://stock.example", "client_id": "web", "scope": "orders:read",
					"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "jti": "two",
				})
				if err != nil {
					t.Fatal(err)
				}
				if status, body := ask(t, client, base, elsewhere); status != http.StatusUnauthorized {
					t.Errorf("for another audience: %d %s", status, body)
				}
			})
		}
	}
}

// ask asks a guarded route.
func ask(t testing.TB, client *http.Client, address, token string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return res.StatusCode, string(text)
}
