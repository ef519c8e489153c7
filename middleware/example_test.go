package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/ostiary-go/ostiary/middleware"
)

// tokens is what the examples use in place of a manager.
type tokens map[string]oauth2.TokenInfo

func (t tokens) LoadAccessToken(_ context.Context, access string) (oauth2.TokenInfo, error) {
	if token, ok := t[access]; ok {
		return token, nil
	}
	return nil, oerr.ErrInvalidAccessToken
}

var manager = tokens{
	"anns-token":    &models.Token{ClientID: "web", UserID: "ann", Scope: "orders:read"},
	"reports-token": &models.Token{ClientID: "reports", Scope: "orders:read"}, // of client_credentials
	"token-for-a":   audience{&models.Token{ClientID: "web", UserID: "ann"}, "https://a.example"},
}

type audience struct {
	oauth2.TokenInfo
	name string
}

func (a audience) Audience() []string { return []string{a.name} }

// hello is the handler that the examples guard.
var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	if token := middleware.Token(r.Context()); token != nil {
		fmt.Fprintf(w, "hello %s of %s", token.GetUserID(), token.GetClientID())
		return
	}
	fmt.Fprint(w, "hello stranger")
})

// get sends a GET request, with a token unless it is "", and tells what is answered.
func get(h http.Handler, token string) string {
	r := httptest.NewRequest("GET", "/", nil)
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	return do(h, r)
}

func do(h http.Handler, r *http.Request) string {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusOK {
		return fmt.Sprint(w.Code, " ", w.Body)
	}
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Header().Get("WWW-Authenticate")))
}

func ExampleBearer() {
	protect := middleware.Bearer(manager)
	mux := http.NewServeMux()
	mux.Handle("GET /", protect(hello))

	fmt.Println(get(mux, ""))
	fmt.Println(get(mux, "nonsense"))
	fmt.Println(get(mux, "anns-token"))
	// Output:
	// 401 Bearer realm="api"
	// 401 Bearer realm="api", error="invalid_token", error_description="The access token is malformed, unknown, expired or revoked."
	// 200 hello ann of web
}

func ExampleScope() {
	protect := middleware.Bearer(manager)
	read := protect(middleware.Scope("orders:read")(hello))
	write := protect(middleware.Scope("orders:read", "orders:write")(hello))

	fmt.Println(get(read, "anns-token"))
	fmt.Println(get(write, "anns-token"))
	// Output:
	// 200 hello ann of web
	// 403 Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope that this resource needs.", scope="orders:read orders:write"
}

func ExampleAnyScope() {
	protect := middleware.Bearer(manager)
	api := protect(middleware.AnyScope("orders:read", "orders:admin")(hello))

	fmt.Println(get(api, "anns-token"))
	// Output:
	// 200 hello ann of web
}

func ExampleUser() {
	protect := middleware.Bearer(manager)
	profile := protect(middleware.User(hello))

	fmt.Println(get(profile, "anns-token"))
	fmt.Println(get(profile, "reports-token"))
	// Output:
	// 200 hello ann of web
	// 403 Bearer realm="api", error="insufficient_scope", error_description="The access token is the client's own, and this resource needs that of a user."
}

func ExampleToken() {
	whoami := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := middleware.Token(r.Context())
		fmt.Fprintf(w, "user %q, client %q, scope %q", token.GetUserID(), token.GetClientID(), token.GetScope())
	})
	api := middleware.Bearer(manager)(whoami)

	fmt.Println(get(api, "anns-token"))
	fmt.Println(get(api, "reports-token"))
	// Output:
	// 200 user "ann", client "web", scope "orders:read"
	// 200 user "", client "reports", scope "orders:read"
}

func ExampleOptional() {
	page := middleware.Bearer(manager, middleware.Optional())(hello)

	fmt.Println(get(page, ""))
	fmt.Println(get(page, "anns-token"))
	fmt.Println(get(page, "nonsense")[:3])
	// Output:
	// 200 hello stranger
	// 200 hello ann of web
	// 401
}

func ExampleRealm() {
	api := middleware.Bearer(manager, middleware.Realm("orders"))(hello)

	fmt.Println(get(api, ""))
	// Output:
	// 401 Bearer realm="orders"
}

func ExampleResourceMetadata() {
	api := middleware.Bearer(manager,
		middleware.ResourceMetadata("https://api.example/.well-known/oauth-protected-resource"))(hello)

	fmt.Println(get(api, ""))
	// Output:
	// 401 Bearer realm="api", resource_metadata="https://api.example/.well-known/oauth-protected-resource"
}

func ExampleAudience() {
	a := middleware.Bearer(manager, middleware.Audience("https://a.example"))(hello)
	b := middleware.Bearer(manager, middleware.Audience("https://b.example"))(hello)

	fmt.Println(get(a, "token-for-a"))
	fmt.Println(get(b, "token-for-a"))
	// Output:
	// 200 hello ann of web
	// 401 Bearer realm="api", error="invalid_token", error_description="The access token is for another resource."
}

// ownStore is a Validator whose error for an unknown token is its own.
type ownStore struct{}

var errNoSuchRow = errors.New("no such row")

func (ownStore) LoadAccessToken(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoSuchRow
}

func ExampleNotFound() {
	unknown := func(err error) bool { return errors.Is(err, errNoSuchRow) }
	api := middleware.Bearer(ownStore{}, middleware.NotFound(unknown))(hello)

	fmt.Println(get(api, "nonsense")[:3]) // without the option it would be 503
	// Output:
	// 401
}

func ExampleTokenLimit() {
	api := middleware.Bearer(manager, middleware.TokenLimit(64))(hello)

	fmt.Println(get(api, "anns-token"))
	// Output:
	// 200 hello ann of web
}

// stuck is a Validator that doesn't get anywhere, and heeds its context.
type stuck struct{}

func (stuck) LoadAccessToken(ctx context.Context, _ string) (oauth2.TokenInfo, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (stuck) Logger() *slog.Logger { return slog.New(slog.DiscardHandler) }

func ExampleTimeout() {
	api := middleware.Bearer(stuck{}, middleware.Timeout(time.Millisecond))(hello)

	fmt.Println(get(api, "anns-token"))
	// Output:
	// 503
}

func ExampleInsecureQuery() {
	downloads := middleware.Bearer(manager, middleware.InsecureQuery())(hello)

	fmt.Println(do(downloads, httptest.NewRequest("GET", "/?access_token=anns-token", nil)))
	// Output:
	// 200 hello ann of web
}

func ExampleInsecureForm() {
	upload := middleware.Bearer(manager, middleware.InsecureForm())(hello)

	r := httptest.NewRequest("POST", "/", strings.NewReader("access_token=anns-token&item=pen"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	fmt.Println(do(upload, r))
	// Output:
	// 200 hello ann of web
}
