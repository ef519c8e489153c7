package jwt_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"net/http"
	"testing"

	gojose "github.com/go-jose/go-jose/v4"
	golangjwt "github.com/golang-jwt/jwt/v5"
	"github.com/lestrrat-go/jwx/v3/jwa"
	"github.com/lestrrat-go/jwx/v3/jwk"
	"github.com/lestrrat-go/jwx/v3/jws"
	jwxjwt "github.com/lestrrat-go/jwx/v3/jwt"

	"github.com/ostiary-go/ostiary/internal/testbed"
)

// sign makes an access token with somebody else's code.
type sign func(claims map[string]any) (string, error)

// issuers are others who make tokens, by a new key of that algorithm. Each serves its metadata and, as its code
// writes them, its keys.
var issuers = map[string]func(t testing.TB, algorithm string) (issuer string, sign sign){
	"jwx":        jwxIssuer,
	"golang-jwt": golangJWTIssuer,
	"jose":       joseIssuer,
}

func jwxIssuer(t testing.TB, algorithm string) (issuer string, sign sign) {
	t.Helper()
	alg, ok := jwa.LookupSignatureAlgorithm(algorithm)
	if !ok {
		t.Fatal("jwx doesn't know " + algorithm)
	}
	private, err := jwk.Import(newKey(t, algorithm))
	if err != nil {
		t.Fatal(err)
	}
	if err := jwk.AssignKeyID(private); err != nil {
		t.Fatal(err)
	}
	public, err := private.PublicKey()
	if err != nil {
		t.Fatal(err)
	}
	set := jwk.NewSet()
	for name, value := range map[string]any{jwk.AlgorithmKey: alg, jwk.KeyUsageKey: jwk.ForSignature} {
		if err := public.Set(name, value); err != nil {
			t.Fatal(err)
		}
	}
	if err := set.AddKey(public); err != nil {
		t.Fatal(err)
	}
	return publish(t, set), func(claims map[string]any) (string, error) {
		token, headers := jwxjwt.New(), jws.NewHeaders()
		for name, value := range claims {
			if err := token.Set(name, value); err != nil {
				return "", err
			}
		}
		if err := headers.Set(jws.TypeKey, "at+jwt"); err != nil {
			return "", err
		}
		text, err := jwxjwt.Sign(token, jwxjwt.WithKey(alg, private, jws.WithProtectedHeaders(headers)))
		return string(text), err
	}
}

// golangJWTIssuer has go-jose write the keys: golang-jwt knows nothing of key sets.
func golangJWTIssuer(t testing.TB, algorithm string) (issuer string, sign sign) {
	t.Helper()
	private := newKey(t, algorithm)
	set := gojose.JSONWebKeySet{Keys: []gojose.JSONWebKey{{Key: private.Public(), KeyID: "golang-jwt", Algorithm: algorithm, Use: "sig"}}}
	return publish(t, set), func(claims map[string]any) (string, error) {
		token := golangjwt.NewWithClaims(golangjwt.GetSigningMethod(algorithm), golangjwt.MapClaims(claims))
		token.Header["typ"], token.Header["kid"] = "at+jwt", "golang-jwt"
		return token.SignedString(private)
	}
}

func newKey(t testing.TB, algorithm string) (key crypto.Signer) {
	t.Helper()
	var err error
	switch algorithm {
	case "EdDSA":
		_, key, err = ed25519.GenerateKey(rand.Reader)
	case "ES256":
		key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	default:
		key, err = rsa.GenerateKey(rand.Reader, 2048)
	}
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// publish serves a key set, which writes itself, and the metadata that leads there.
func publish(t testing.TB, set any) (issuer string) {
	t.Helper()
	mux := http.NewServeMux()
	issuer, _ = testbed.Serve(t, mux, false)
	for path, document := range map[string]any{
		"/.well-known/oauth-authorization-server": map[string]any{"issuer": issuer, "jwks_uri": issuer + "/keys", "response_types_supported": []string{"code"}},
		"/keys": set,
	} {
		text, err := json.Marshal(document)
		if err != nil {
			t.Fatal(err)
		}
		mux.HandleFunc(path, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Write(text)
		})
	}
	return issuer
}
