package jwt_test

import (
	"context"
	"crypto"
	"encoding/base64"
	"fmt"
	"net/http"
	"strings"
	"testing"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// BenchmarkValidator: bare is the verification of the signature alone, cold a token that was not seen before,
// warm one that was, and guard the same through a middleware.Bearer.
func BenchmarkValidator(b *testing.B) {
	for _, c := range []struct {
		signer
		method golangjwt.SigningMethod
	}{
		{ed25519Key, golangjwt.SigningMethodEdDSA}, {p256Key, golangjwt.SigningMethodES256}, {rsaKey, golangjwt.SigningMethodRS256},
	} {
		issuer := newIssuer(b, c.signer)
		tokens := make([]string, 2048) // more than are kept
		for i := range tokens {
			tokens[i] = issuer.sign(c.signer, set("jti", fmt.Sprint(i)), set("scope", "orders:read orders:write"))
		}
		public := c.private.(crypto.Signer).Public()
		b.Run(c.alg+"/bare", func(b *testing.B) {
			signed, signatures := make([]string, len(tokens)), make([][]byte, len(tokens))
			for i, access := range tokens {
				dot := strings.LastIndexByte(access, '.')
				signed[i], signatures[i] = access[:dot], must(base64.RawURLEncoding.DecodeString(access[dot+1:]))
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if err := c.method.Verify(signed[i%len(tokens)], signatures[i%len(tokens)], public); err != nil {
					b.Fatal(err)
				}
			}
		})
		load := func(b *testing.B, v *jwt.Validator, tokens []string) {
			if _, err := v.LoadAccessToken(context.Background(), tokens[0]); err != nil { // has the keys
				b.Fatal(err)
			}
			b.ReportAllocs()
			for i := 0; b.Loop(); i++ {
				if _, err := v.LoadAccessToken(context.Background(), tokens[i%len(tokens)]); err != nil {
					b.Fatal(err)
				}
			}
		}
		b.Run(c.alg+"/cold", func(b *testing.B) { load(b, issuer.validator(jwt.CacheSize(1<<20)), tokens) })
		b.Run(c.alg+"/warm", func(b *testing.B) { load(b, issuer.validator(), tokens[:1]) })
		b.Run(c.alg+"/guard", func(b *testing.B) { guard(b, issuer.validator(), tokens[0]) })
	}
}

func guard(b *testing.B, v *jwt.Validator, access string) {
	ctx, cancel := context.WithCancel(context.Background()) // as net/http gives it to a request
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, "GET", "/", nil)
	if err != nil {
		b.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+access)
	reached := 0
	h := middleware.Bearer(v)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	w := blank{http.Header{}}
	h.ServeHTTP(w, r) // has the keys
	b.ReportAllocs()
	for b.Loop() {
		h.ServeHTTP(w, r)
	}
	if reached < b.N {
		b.Fatal("it was refused")
	}
}

// blank is a ResponseWriter that costs next to nothing.
type blank struct{ header http.Header }

func (w blank) Header() http.Header         { return w.header }
func (w blank) Write(b []byte) (int, error) { return len(b), nil }
func (w blank) WriteHeader(int)             {}
