package jwt_test

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// A service that knows the address of the authorization server, and what it is called itself.
func ExampleNew() {
	auth := authorizationServer() // https://auth.example, in the real world
	defer auth.Close()

	validator := jwt.New(auth.URL, "https://orders.example")
	protect := middleware.Bearer(validator)

	mux := http.NewServeMux()
	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := middleware.Token(r.Context())
		fmt.Fprintln(w, "orders of", token.GetUserID(), "for", token.GetClientID())
	}))))

	fmt.Print(ask(mux, auth.token(`"aud":"https://orders.example"`)))
	fmt.Println(ask(mux, auth.token(`"aud":"https://other.example"`)))
	// Output:
	// orders of alice for web
	// {"error":"invalid_token","error_description":"The access token is malformed, unknown, expired or revoked."}
}

// The service had another identifier once, and there are tokens for that one still.
func ExampleAudience() {
	auth := authorizationServer()
	defer auth.Close()
	validator := jwt.New(auth.URL, "https://orders.example", jwt.Audience("https://old.example/orders"))

	fmt.Println(ask(middleware.Bearer(validator)(hello), auth.token(`"aud":"https://old.example/orders"`)))
	// Output: hello alice
}

// The clock of a service is known to be right.
func ExampleLeeway() {
	auth := authorizationServer()
	defer auth.Close()
	validator := jwt.New(auth.URL, "https://orders.example", jwt.Leeway(0))

	expired := auth.token(fmt.Sprintf(`"aud":"https://orders.example","exp":%d`, time.Now().Unix()-5))
	fmt.Println(ask(middleware.Bearer(validator)(hello), expired))
	// Output: {"error":"invalid_token","error_description":"The access token is malformed, unknown, expired or revoked."}
}

// A gateway with many users remembers more tokens.
func ExampleCacheSize() {
	auth := authorizationServer()
	defer auth.Close()
	validator := jwt.New(auth.URL, "https://orders.example", jwt.CacheSize(256<<20))

	fmt.Println(ask(middleware.Bearer(validator)(hello), auth.token(`"aud":"https://orders.example"`)))
	// Output: hello alice
}

// An authorization server tells its metadata at a place of its own.
func ExampleMetadata() {
	auth := authorizationServer()
	defer auth.Close()
	validator := jwt.New(auth.URL, "https://orders.example", jwt.Metadata(auth.URL+"/tenants/7/metadata"))

	fmt.Println(ask(middleware.Bearer(validator)(hello), auth.token(`"aud":"https://orders.example"`)))
	// Output: hello alice
}

// The authorization server is reached through TLS of at least version 1.3.
func ExampleHTTPClient() {
	auth := authorizationServer()
	defer auth.Close()
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{MinVersion: tls.VersionTLS13}}}
	validator := jwt.New(auth.URL, "https://orders.example", jwt.HTTPClient(client))

	fmt.Println(ask(middleware.Bearer(validator)(hello), auth.token(`"aud":"https://orders.example"`)))
	// Output: hello alice
}

// At debug level the log says why a token was refused.
func ExampleLogger() {
	auth := authorizationServer()
	defer auth.Close()
	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{Level: slog.LevelDebug, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}}))
	validator := jwt.New(auth.URL, "https://orders.example", jwt.Logger(logger))

	ask(middleware.Bearer(validator)(hello), auth.token(`"aud":"https://other.example"`))
	// Output: level=DEBUG msg="jwt: an access token is refused" reason="aud is another"
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	fmt.Fprint(w, "hello ", middleware.Token(r.Context()).GetUserID())
})

// ask sends a request with the token and returns the body of the answer.
func ask(h http.Handler, token string) string {
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Body.String()
}

// server stands for an authorization server that signs its access tokens.
type server struct {
	*httptest.Server
	key ed25519.PrivateKey
}

func authorizationServer() *server {
	s := &server{key: ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))}
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/jwks" {
			fmt.Fprintf(w, `{"keys":[{"kty":"OKP","crv":"Ed25519","kid":"1","x":"%s"}]}`, base64.RawURLEncoding.EncodeToString(s.key.Public().(ed25519.PublicKey)))
			return
		}
		fmt.Fprintf(w, `{"issuer":"%s","jwks_uri":"%[1]s/jwks"}`, s.URL)
	}))
	return s
}

// token signs one that has these claims beside the usual ones.
func (s *server) token(claims string) string {
	if !strings.Contains(claims, `"exp"`) {
		claims += fmt.Sprintf(`,"exp":%d`, time.Now().Unix()+600)
	}
	claims = fmt.Sprintf(`{"iss":"%s","sub":"alice","client_id":"web","scope":"orders:read","jti":"1","iat":%d,%s}`, s.URL, time.Now().Unix()-60, claims)
	encode := base64.RawURLEncoding.EncodeToString
	signed := encode([]byte(`{"typ":"at+jwt","alg":"EdDSA","kid":"1"}`)) + "." + encode([]byte(claims))
	return signed + "." + encode(ed25519.Sign(s.key, []byte(signed)))
}
