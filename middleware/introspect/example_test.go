package introspect_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
)

// authServer stands for an authorization server that knows one token, and says one thing of it.
func authServer(says string) (server *httptest.Server, endpoint string) {
	server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		if r.PostFormValue("token") == "anns-token" {
			io.WriteString(w, says)
			return
		}
		io.WriteString(w, `{"active":false}`)
	}))
	return server, server.URL + "/oauth/introspect"
}

const anns = `{"active":true,"token_type":"Bearer","client_id":"web","sub":"ann","scope":"orders:read","iss":"https://auth.example"}`

// call sends a request with a token to a guarded route.
func call(h http.Handler, token string) string {
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", "Bearer "+token)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return strings.TrimSpace(fmt.Sprint(w.Code, " ", w.Body))
}

var hello = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	fmt.Fprintf(w, "hello %s of %s", token.GetUserID(), token.GetClientID())
})

func ExampleNew() {
	server, endpoint := authServer(anns) // "https://auth.example/oauth/introspect"

	tokens := introspect.New(endpoint, "orders", "change-me")
	protect := middleware.Bearer(tokens)
	mux := http.NewServeMux()
	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(hello)))

	fmt.Println(call(mux, "anns-token"))
	fmt.Println(call(mux, "nonsense"))
	server.Close()
	fmt.Println(call(mux, "anns-token")) // is known for 10 s
	// Output:
	// 200 hello ann of web
	// 401 {"error":"invalid_token","error_description":"The access token is malformed, unknown, expired or revoked."}
	// 200 hello ann of web
}

func ExampleIssuer() {
	server, endpoint := authServer(anns)
	defer server.Close()

	ours := introspect.New(endpoint, "orders", "change-me", introspect.Issuer("https://auth.example"))
	others := introspect.New(endpoint, "orders", "change-me", introspect.Issuer("https://other.example"))
	for _, tokens := range []*introspect.Validator{ours, others} {
		_, err := tokens.LoadAccessToken(context.Background(), "anns-token")
		fmt.Println(err)
	}
	// Output:
	// <nil>
	// invalid access token
}

func ExampleCache() {
	server, endpoint := authServer(anns)

	tokens := introspect.New(endpoint, "orders", "change-me", introspect.Cache(0), introspect.Logger(slog.New(slog.DiscardHandler)))
	api := middleware.Bearer(tokens)(hello)
	fmt.Println(call(api, "anns-token"))
	server.Close()
	fmt.Println(call(api, "anns-token"))
	// Output:
	// 200 hello ann of web
	// 503 {"error":"temporarily_unavailable","error_description":"The access token could not be checked right now."}
}

func ExampleCacheSize() {
	server, endpoint := authServer(anns)

	tokens := introspect.New(endpoint, "orders", "change-me", introspect.CacheSize(256<<20)) // for some 150,000 tokens
	api := middleware.Bearer(tokens)(hello)
	fmt.Println(call(api, "anns-token"))
	server.Close()
	fmt.Println(call(api, "anns-token"))
	// Output:
	// 200 hello ann of web
	// 200 hello ann of web
}

func ExampleTimeout() {
	hangs := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
	}))
	defer hangs.Close()

	tokens := introspect.New(hangs.URL, "orders", "change-me", introspect.Timeout(10*time.Millisecond))
	_, err := tokens.LoadAccessToken(context.Background(), "anns-token")
	fmt.Println(err)
	fmt.Println(errors.Is(err, context.DeadlineExceeded))
	// Output:
	// introspect: asking failed: context deadline exceeded
	// true
}

func ExampleInFlight() {
	server, endpoint := authServer(anns)
	defer server.Close()

	tokens := introspect.New(endpoint, "orders", "change-me", introspect.InFlight(1))
	var wg sync.WaitGroup
	for i := range 3 { // one after the other
		wg.Go(func() { tokens.LoadAccessToken(context.Background(), fmt.Sprint("nonsense-", i)) })
	}
	wg.Wait()
	_, err := tokens.LoadAccessToken(context.Background(), "anns-token")
	fmt.Println(err)
	// Output: <nil>
}

func ExampleHTTPClient() {
	server, endpoint := authServer(anns)
	defer server.Close()

	client := &http.Client{Transport: &http.Transport{
		Proxy:               nil, // none, whatever the environment says
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS13},
		MaxIdleConnsPerHost: 64, // net/http keeps 2
	}}
	tokens := introspect.New(endpoint, "orders", "change-me", introspect.HTTPClient(client))
	_, err := tokens.LoadAccessToken(context.Background(), "anns-token")
	fmt.Println(err)
	// Output: <nil>
}

func ExampleLogger() {
	refuses := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"error":"invalid_client"}`, http.StatusUnauthorized)
	}))
	defer refuses.Close()

	logger := slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{
		ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		},
	}))
	tokens := introspect.New(refuses.URL, "orders", "guess", introspect.Logger(logger))
	call(middleware.Bearer(tokens)(hello), "anns-token")
	// Output:
	// level=ERROR msg="middleware: validating an access token failed" error="introspect: the endpoint answered 401: it does not know our own client ID and secret"
}

func ExampleInsecureUntyped() {
	server, endpoint := authServer(`{"active":true,"client_id":"web","sub":"ann"}`)
	defer server.Close()

	tokens := introspect.New(endpoint, "orders", "change-me", introspect.InsecureUntyped())
	fmt.Println(call(middleware.Bearer(tokens)(hello), "anns-token"))
	// Output: 200 hello ann of web
}
