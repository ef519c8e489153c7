package jwt_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"net/http"
	"net/url"
	"slices"
	"testing"
	"time"

	"github.com/auth0/go-jwt-middleware/v2/jwks"
	"github.com/auth0/go-jwt-middleware/v2/validator"
	"github.com/coreos/go-oidc/v3/oidc"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/httprc/v3"
	"github.com/lestrrat-go/jwx/v3/jwk"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"
)

// verify returns the claims of an access token, as somebody else's code has read them. The error says why that
// does not take it.
type verify func(ctx context.Context, token string) (map[string]any, error)

// verifiers are others who take tokens of an issuer for api, each as its manual has it. They know the issuer's
// address and the algorithm.
var verifiers = map[string]func(t testing.TB, issuer, algorithm string) verify{
	"go-oidc":    goOIDC,
	"jwx":        jwx,
	"golang-jwt": golangJWT,
	"auth0":      auth0,
	"jose":       jose,
}

func goOIDC(t testing.TB, issuer, algorithm string) verify {
	t.Helper()
	provider, err := oidc.NewProvider(t.Context(), issuer)
	if err != nil {
		t.Fatal(err)
	}
	v := provider.Verifier(&oidc.Config{ClientID: api, SupportedSigningAlgs: []string{algorithm}})
	return func(ctx context.Context, token string) (claims map[string]any, err error) {
		read, err := v.Verify(ctx, token)
		if err != nil {
			return nil, err
		}
		return claims, read.Claims(&claims)
	}
}

func jwx(t testing.TB, issuer, algorithm string) verify {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	t.Cleanup(cancel)
	cache, err := jwk.NewCache(ctx, httprc.NewClient())
	if err != nil {
		t.Fatal(err)
	}
	address := keysAddress(t, issuer)
	if err := cache.Register(t.Context(), address); err != nil {
		t.Fatal(err)
	}
	set, err := cache.CachedSet(address)
	if err != nil {
		t.Fatal(err)
	}
	return func(_ context.Context, text string) (map[string]any, error) {
		token, err := jwxjwt.ParseString(text, jwxjwt.WithKeySet(set), jwxjwt.WithIssuer(issuer), jwxjwt.WithAudience(api), jwxjwt.WithRequiredClaim("exp"))
		if err != nil {
			return nil, err
		}
		return written(token)
	}
}

// golangJWT is what a service does that has golang-jwt alone: it reads the keys by itself.
func golangJWT(t testing.TB, issuer, algorithm string) verify {
	t.Helper()
	keys, err := readKeys(get(t, keysAddress(t, issuer)))
	if err != nil {
		t.Fatal(err)
	}
	parser := golangjwt.NewParser(golangjwt.WithValidMethods([]string{algorithm}), golangjwt.WithIssuer(issuer), golangjwt.WithAudience(api),
		golangjwt.WithExpirationRequired(), golangjwt.WithIssuedAt())
	return func(_ context.Context, text string) (map[string]any, error) {
		claims := make(golangjwt.MapClaims)
		_, err := parser.ParseWithClaims(text, claims, func(token *golangjwt.Token) (any, error) {
			if token.Header["typ"] != "at+jwt" {
				return nil, errors.New("it is no access token")
			}
			kid, _ := token.Header["kid"].(string)
			if key, ok := keys[kid]; ok {
				return key, nil
			}
			return nil, errors.New("no such key")
		})
		return claims, err
	}
}

func auth0(t testing.TB, issuer, algorithm string) verify {
	t.Helper()
	address, err := url.Parse(issuer)
	if err != nil {
		t.Fatal(err)
	}
	keys := jwks.NewCachingProvider(address, 5*time.Minute)
	v, err := validator.New(keys.KeyFunc, validator.SignatureAlgorithm(algorithm), issuer, []string{api},
		validator.WithCustomClaims(func() validator.CustomClaims { return &ownClaims{} }))
	if err != nil {
		t.Fatal(err)
	}
	return func(ctx context.Context, token string) (map[string]any, error) {
		read, err := v.ValidateToken(ctx, token)
		if err != nil {
			return nil, err
		}
		c := read.(*validator.ValidatedClaims)
		claims, err := written(c.CustomClaims)
		if err == nil {
			maps.Copy(claims, map[string]any{"iss": c.RegisteredClaims.Issuer, "sub": c.RegisteredClaims.Subject, "aud": c.RegisteredClaims.Audience,
				"jti": c.RegisteredClaims.ID, "iat": float64(c.RegisteredClaims.IssuedAt), "exp": float64(c.RegisteredClaims.Expiry)})
		}
		return claims, err
	}
}

// ownClaims are those of RFC 9068 that auth0 leaves to the application.
type ownClaims struct {
	Client string `json:"client_id"`
	Scope  string `json:"scope"`
}

// Validate implements [validator.CustomClaims].
func (c *ownClaims) Validate(context.Context) error {
	if c.Client == "" {
		return errors.New("there is no client_id")
	}
	return nil
}

// written is value as JSON has it.
func written(value any) (members map[string]any, err error) {
	text, err := json.Marshal(value)
	if err != nil {
		return nil, err
	}
	return members, json.Unmarshal(text, &members)
}

// keysAddress finds the keys of an issuer (RFC 8414 3).
func keysAddress(t testing.TB, issuer string) string {
	t.Helper()
	address, _ := get(t, issuer+"/.well-known/oauth-authorization-server")["jwks_uri"].(string)
	if address == "" {
		t.Fatal("the metadata tells of no keys")
	}
	return address
}

func get(t testing.TB, address string) (document map[string]any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(&document); err != nil || res.StatusCode != http.StatusOK {
		t.Fatalf("%s: %s, %v", address, res.Status, err)
	}
	return document
}

// readKeys reads a key set (RFC 7517 5), by kid, with nothing but the standard library.
func readKeys(set map[string]any) (map[string]crypto.PublicKey, error) {
	keys := make(map[string]crypto.PublicKey)
	members, _ := set["keys"].([]any)
	for _, member := range members {
		jwk, _ := member.(map[string]any)
		octets := func(name string) []byte {
			text, _ := jwk[name].(string)
			b, _ := base64.RawURLEncoding.DecodeString(text)
			return b
		}
		kid, _ := jwk["kid"].(string)
		switch jwk["kty"] {
		case "OKP":
			keys[kid] = ed25519.PublicKey(octets("x"))
		case "EC":
			key, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, octets("x"), octets("y")))
			if err != nil {
				return nil, err
			}
			keys[kid] = key
		case "RSA":
			keys[kid] = &rsa.PublicKey{N: new(big.Int).SetBytes(octets("n")), E: int(new(big.Int).SetBytes(octets("e")).Int64())}
		default:
			return nil, fmt.Errorf("a key of kty %v", jwk["kty"])
		}
	}
	return keys, nil
}
