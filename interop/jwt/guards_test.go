package jwt_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	jwtmiddleware "github.com/auth0/go-jwt-middleware/v2"
	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	golangjwt "github.com/golang-jwt/jwt/v5"
	jwxjwk "github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// subject is a guard of a route and requests that it lets through.
type subject struct {
	name     string
	requests []*http.Request
	protect  func() func(http.Handler) http.Handler // makes a guard
	cold     bool                                   // a guard sees each request but once

	guarded http.Handler
	next    int // request
}

// live is how many tokens there are of each kind.
const live = 256

// subjects are the guards that are held against one another: those of JWTs by an algorithm, and the two that
// take opaque tokens.
func subjects(tb testing.TB, algorithm string) []*subject {
	signs, opaque := newServer(tb, algorithm), newOpaque(tb)
	ctx, cancel := context.WithCancel(context.Background()) // as net/http gives it to a request
	tb.Cleanup(cancel)
	jwts, opaques := requests(tb, ctx, signs), requests(tb, ctx, opaque)
	once := func(guard func(http.Handler) http.Handler) func() func(http.Handler) http.Handler {
		return func() func(http.Handler) http.Handler { return guard }
	}
	introspector := func() func(http.Handler) http.Handler {
		return middleware.Bearer(introspect.New(opaque.issuer+"/introspect", "svc", "svc-secret", introspect.Cache(time.Hour)))
	}
	ours := func() func(http.Handler) http.Handler { return middleware.Bearer(jwt.New(signs.issuer, api)) }
	return []*subject{
		{name: "bare", requests: jwts, protect: once(bare(tb, signs, algorithm))},
		{name: "golang-jwt", requests: jwts, protect: once(byGolangJWT(tb, signs.issuer, algorithm))},
		{name: "jwx", requests: jwts, protect: once(byJWX(tb, signs.issuer))},
		{name: "go-oidc", requests: jwts, protect: once(byGoOIDC(tb, signs.issuer, algorithm))},
		{name: "auth0", requests: jwts, protect: once(byAuth0(tb, signs.issuer, algorithm))},
		{name: "ours-cold", requests: jwts, protect: ours, cold: true},
		{name: "ours-warm", requests: jwts, protect: ours},
		{name: "opaque-warm", requests: opaques, protect: once(middleware.Bearer(opaque.manager))},
		{name: "introspection-warm", requests: opaques, protect: introspector},
	}
}

// newOpaque is a server whose access tokens are opaque.
func newOpaque(tb testing.TB) *server {
	tb.Helper()
	return serve(tb, openStore(tb, filepath.Join(tb.TempDir(), "opaque.db")), nil)
}

// requests bring tokens of one server, each its own.
func requests(tb testing.TB, ctx context.Context, s *server) []*http.Request {
	tb.Helper()
	made := make([]*http.Request, live)
	var all sync.WaitGroup
	for worker := range 32 {
		all.Go(func() {
			for i := worker; i < live; i += 32 {
				token, err := s.manager.Issue(ctx, grants.Issue{Client: "web", User: fmt.Sprint("user", i), Scope: "orders:read"})
				if err != nil {
					tb.Error(err)
					return
				}
				if made[i], err = http.NewRequestWithContext(ctx, http.MethodGet, "/orders", nil); err != nil {
					tb.Error(err)
					return
				}
				made[i].Header.Set("Authorization", "Bearer "+token.GetAccess())
			}
		})
	}
	all.Wait()
	if tb.Failed() {
		tb.FailNow()
	}
	return made
}

// renew makes the guard and has it find its keys, by a token that is not one of the requests where it must not
// have seen these.
func (s *subject) renew(tb testing.TB) {
	reached := 0
	s.guarded = s.protect()(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
	known := s.requests
	if s.cold {
		known = known[:1]
	}
	for _, r := range known {
		s.guarded.ServeHTTP(blank{http.Header{}}, r)
	}
	if reached != len(known) {
		tb.Fatalf("%s let %d of %d through", s.name, reached, len(known))
	}
	if s.next = 0; s.cold {
		s.next = 1
	}
}

// left is how many requests it may still be asked.
func (s *subject) left() int {
	if s.cold {
		return len(s.requests) - s.next
	}
	return 1 << 30
}

// serve has the guard let the next request through.
func (s *subject) serve(w http.ResponseWriter) {
	s.guarded.ServeHTTP(w, s.requests[s.next%len(s.requests)])
	s.next++
}

// blank is a ResponseWriter that costs nothing.
type blank struct{ header http.Header }

func (w blank) Header() http.Header         { return w.header }
func (w blank) Write(b []byte) (int, error) { return len(b), nil }
func (w blank) WriteHeader(int)             {}

type tokenKey struct{}

// guard is a middleware as one writes it around a library: read returns what is left in the context.
func guard(read func(ctx context.Context, token string) (any, error)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if !ok {
				http.Error(w, "no token", http.StatusUnauthorized)
				return
			}
			info, err := read(r.Context(), token)
			if err != nil {
				http.Error(w, "invalid token", http.StatusUnauthorized)
				return
			}
			next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), tokenKey{}, info)))
		})
	}
}

var errSignature = errors.New("the signature is not good")

// bare verifies the signature by the standard library, and does nothing else that makes a token good. It knows
// the one key.
func bare(tb testing.TB, s *server, algorithm string) func(http.Handler) http.Handler {
	tb.Helper()
	keys, err := readKeys(get(tb, keysAddress(tb, s.issuer)))
	if err != nil {
		tb.Fatal(err)
	}
	key := keys[s.signs(tb)]
	var good func(signed string, signature []byte) bool
	switch algorithm {
	case "EdDSA":
		key := key.(ed25519.PublicKey)
		good = func(signed string, signature []byte) bool { return ed25519.Verify(key, []byte(signed), signature) }
	case "ES256":
		key := key.(*ecdsa.PublicKey)
		good = func(signed string, signature []byte) bool {
			sum := sha256.Sum256([]byte(signed))
			r, s := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
			return ecdsa.Verify(key, sum[:], r, s)
		}
	default:
		key := key.(*rsa.PublicKey)
		good = func(signed string, signature []byte) bool {
			sum := sha256.Sum256([]byte(signed))
			return rsa.VerifyPKCS1v15(key, crypto.SHA256, sum[:], signature) == nil
		}
	}
	return guard(func(_ context.Context, token string) (any, error) {
		at := strings.LastIndexByte(token, '.')
		signature, err := base64.RawURLEncoding.DecodeString(token[at+1:])
		if err != nil || !good(token[:at], signature) {
			return nil, errSignature
		}
		return token, nil
	})
}

// accessClaims are what golang-jwt reads into a struct, with the checks of RFC 9068 that it leaves to others.
type accessClaims struct {
	golangjwt.RegisteredClaims
	Client string `json:"client_id"`
	Scope  string `json:"scope"`
}

// Validate implements [golangjwt.ClaimsValidator].
func (c *accessClaims) Validate() error {
	if c.Subject == "" || c.Client == "" || c.ID == "" || c.IssuedAt == nil {
		return errors.New("a claim of RFC 9068 is not there")
	}
	return nil
}

func byGolangJWT(tb testing.TB, issuer, algorithm string) func(http.Handler) http.Handler {
	tb.Helper()
	keys, err := readKeys(get(tb, keysAddress(tb, issuer)))
	if err != nil {
		tb.Fatal(err)
	}
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{algorithm}), golangjwt.WithIssuer(issuer), golangjwt.WithAudience(api),
		golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt())
	find := func(token *golangjwt.Token) (any, error) {
		typ, _ := token.Header["typ"].(string)
		kid, _ := token.Header["kid"].(string)
		if key, ok := keys[kid]; ok && strings.EqualFold(typ, "at+jwt") {
			return key, nil
		}
		return nil, errSignature
	}
	return guard(func(_ context.Context, token string) (any, error) {
		claims := new(accessClaims)
		_, err := parser.ParseWithClaims(token, claims, find)
		return claims, err
	})
}

func byJWX(tb testing.TB, issuer string) func(http.Handler) http.Handler {
	tb.Helper()
	set, err := jwxjwk.Fetch(tb.Context(), keysAddress(tb, issuer))
	if err != nil {
		tb.Fatal(err)
	}
	options := []jwxjwt.ParseOption{jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(issuer), jwxjwt.WithAudience(api), jwxjwt.WithRequiredClaim("exp")}
	return guard(func(_ context.Context, token string) (any, error) { return jwxjwt.ParseString(token, options...) })
}

func byGoOIDC(tb testing.TB, issuer, algorithm string) func(http.Handler) http.Handler {
	tb.Helper()
	provider, err := oidc.NewProvider(tb.Context(), issuer)
	if err != nil {
		tb.Fatal(err)
	}
	v := provider.Verifier(&oidc.Config{ClientID: api, SupportedSigningAlgs: []string{algorithm}})
	return guard(func(ctx context.Context, token string) (any, error) {
		read, err := v.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		claims := new(ownClaims)
		return claims, read.Claims(claims)
	})
}

func byAuth0(tb testing.TB, issuer, algorithm string) func(http.Handler) http.Handler {
	tb.Helper()
	address, err := url.Parse(issuer)
	if err != nil {
		tb.Fatal(err)
	}
	keys := jwks.NewCachingProvider(address, time.Hour)
	v, err := validator.New(keys.KeyFunc, validator.SignatureAlgorithm(algorithm), issuer, []string{api},
		validator.WithCustomClaims(func() validator.CustomClaims { return new(ownClaims) }))
	if err != nil {
		tb.Fatal(err)
	}
	return jwtmiddleware.New(v.ValidateToken).CheckJWT
}
