package jwt

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"testing"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

const fuzzIssuer = "https://auth.example"

// served answers every path that it has.
type served map[string]string

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	text, ok := s[r.URL.Path]
	if !ok {
		return nil, errors.New("there is no such path")
	}
	return &http.Response{StatusCode: 200, Body: io.NopCloser(strings.NewReader(text)), Header: http.Header{}, Request: r}, nil
}

// FuzzToken looks at all that can be sent: only what the key has signed is let through. claims and head are
// signed by it, token isn't.
func FuzzToken(f *testing.F) {
	private := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	b64 := base64.RawURLEncoding.EncodeToString
	v := New(fuzzIssuer, "https://orders.example", CacheSize(1<<20), Logger(slog.New(slog.DiscardHandler)), HTTPClient(&http.Client{Transport: served{
		"/.well-known/oauth-authorization-server": `{"issuer":"https://auth.example","jwks_uri":"https://auth.example/keys"}`,
		"/keys": `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"` + b64(private.Public().(ed25519.PublicKey)) + `"}]}`,
	}}))
	const head = `{"typ":"at+jwt","alg":"EdDSA","kid":"ed"}`
	f.Add(head, `{"iss":"https://auth.example","aud":"https://orders.example","sub":"a","client_id":"b","jti":"c","iat":1,"exp":9999999999}`, "x.y.z")
	f.Add(`{"typ":"AT+JWT","alg":"EdDSA","kid":"ed","crit":[]}`, `{"aud":[1]}`, b64([]byte(head))+".e30.")
	f.Fuzz(func(t *testing.T, head, claims, unsigned string) {
		if _, err := v.LoadAccessToken(context.Background(), unsigned); !errors.Is(err, oerr.ErrInvalidAccessToken) {
			t.Fatalf("unsigned %q: %v", unsigned, err)
		}
		signed := b64([]byte(head)) + "." + b64([]byte(claims))
		access := signed + "." + b64(ed25519.Sign(private, []byte(signed)))
		info, err := v.LoadAccessToken(context.Background(), access)
		if err != nil && err != oerr.ErrInvalidAccessToken && err != oerr.ErrExpiredAccessToken {
			t.Fatalf("%s %s: %v", head, claims, err)
		}
		if err != nil {
			return
		}
		all := info.(*token).Claims()
		if all["iss"] != fuzzIssuer || all["sub"] == "" || info.GetClientID() == "" || !info.GetAccessCreateAt().Add(info.GetAccessExpiresIn()).After(time.Now().Add(-time.Hour)) {
			t.Fatalf("%s %s became %v", head, claims, all)
		}
		if again, err := v.LoadAccessToken(context.Background(), access); err != nil || again.GetUserID() != info.GetUserID() {
			t.Fatalf("%s %s: %v when remembered", head, claims, err)
		}
		if _, err := v.LoadAccessToken(context.Background(), access+"="); err != oerr.ErrInvalidAccessToken {
			t.Fatalf("another way to write %s: %v", access, err)
		}
	})
}

// FuzzKeySet holds what may come out of a key set.
func FuzzKeySet(f *testing.F) {
	f.Add([]byte(`{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"ed","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo","use":"sig"}]}`))
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0","key_ops":["verify"]}]}`))
	f.Add([]byte(`{"keys":[{"kty":"RSA","kid":"1","alg":"PS256","n":"AQAB","e":"AQAB"},null,[],{"kty":"oct","k":"AA","kid":"2"}]}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		keys, err := readKeys(text)
		if err != nil && keys != nil || len(keys) > keyLimit {
			t.Fatalf("%d keys, %v", len(keys), err)
		}
		for _, k := range keys {
			if k.kid == "" || k.method == nil || methods[k.alg] != k.method || !k.public.Equal(k.public) {
				t.Fatalf("%+v", k)
			}
			if k.method.Verify("x.y", []byte("signature"), k.public) == nil {
				t.Fatalf("%+v has signed that", k)
			}
		}
	})
}

// FuzzMetadata holds that keys are looked for at no other place than one that is who it says.
func FuzzMetadata(f *testing.F) {
	f.Add([]byte(`{"issuer":"https://auth.example","jwks_uri":"https://auth.example/keys"}`))
	f.Add([]byte(`{"issuer":"https://auth.example","jwks_uri":"http://localhost:80/keys"}`))
	f.Add([]byte(`{"issuer":"https://auth.example","jwks_uri":"http:\\\\auth.example"}`))
	f.Fuzz(func(t *testing.T, text []byte) {
		address, err := readMetadata(text, fuzzIssuer)
		if err != nil {
			return
		}
		r, err := http.NewRequest("GET", address, nil)
		if err != nil {
			t.Fatalf("%q: %v", address, err)
		}
		host := r.URL.Hostname()
		if r.URL.Scheme != "https" && (r.URL.Scheme != "http" || host != "localhost" && host != "127.0.0.1" && host != "::1") || host == "" || r.URL.User != nil {
			t.Fatalf("%q", address)
		}
	})
}
