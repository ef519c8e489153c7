package handler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// exampleManager is a manager on a fresh file with the clients app and web in it, and the resource server
// orders.
func exampleManager(options ...grants.Option) (*grants.Manager, func()) {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		panic(err)
	}
	for _, c := range []*storage.Client{
		{
			ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read write",
			GrantTypes: []string{"client_credentials", "refresh_token"},
		},
		{
			ID: "web", Name: "Web shop", Secret: storage.HashGenerated("web-secret"), Scope: "read write",
			GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://web.example/cb"},
		},
		{ID: "orders", Secret: storage.HashGenerated("orders-secret"), Introspect: true},
	} {
		if err := store.PutClient(context.Background(), c); err != nil {
			panic(err)
		}
	}
	return grants.New(store, append(options, grants.Logger(slog.New(slog.DiscardHandler)))...), func() { store.Close(); os.RemoveAll(dir) }
}

// post sends a form as the client app.
func post(h http.Handler, form url.Values) *httptest.ResponseRecorder { return postAs("app", h, form) }

// postAs sends a form as a client.
func postAs(client string, h http.Handler, form url.Values) *httptest.ResponseRecorder {
	r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, client+"-secret")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func ExampleToken() {
	manager, done := exampleManager()
	defer done()
	mux := http.NewServeMux()
	mux.Handle("/oauth/token", handler.Token(manager)) // without a method: it answers the others itself

	answer := post(handler.Token(manager), url.Values{"grant_type": {"client_credentials"}, "scope": {"read"}})
	var token struct {
		Type    string `json:"token_type"`
		Expires int    `json:"expires_in"`
		Scope   string `json:"scope"`
	}
	json.Unmarshal(answer.Body.Bytes(), &token)
	fmt.Println(answer.Code, token.Type, token.Expires, token.Scope)

	answer = post(handler.Token(manager), url.Values{"grant_type": {"client_credentials"}, "scope": {"admin"}})
	fmt.Println(answer.Code, answer.Body)
	// Output:
	// 200 Bearer 900 read
	// 400 {"error":"invalid_scope","error_description":"scope goes beyond what the client is registered for"}
}

func ExampleRevoke() {
	manager, done := exampleManager()
	defer done()
	pair, _ := manager.Issue(context.Background(), grants.Issue{Client: "app", User: "alice"})

	answer := post(handler.Revoke(manager), url.Values{"token": {pair.GetRefresh()}})
	fmt.Println(answer.Code)
	_, err := manager.LoadAccessToken(context.Background(), pair.GetAccess())
	fmt.Println(err)
	// Output:
	// 200
	// invalid access token
}

func ExampleIntrospect() {
	manager, done := exampleManager()
	defer done()
	mux := http.NewServeMux()
	mux.Handle("/oauth/introspect", handler.Introspect(manager))
	pair, _ := manager.Issue(context.Background(), grants.Issue{Client: "app", User: "alice", Scope: "read"})

	// The resource server orders, whose registration has Introspect set, was sent a token.
	answer := postAs("orders", handler.Introspect(manager), url.Values{"token": {pair.GetAccess()}})
	var token struct {
		Active bool   `json:"active"`
		Client string `json:"client_id"`
		User   string `json:"sub"` // left out for a client's own token
		Scope  string `json:"scope"`
	}
	json.Unmarshal(answer.Body.Bytes(), &token)
	fmt.Println(answer.Code, token.Active, token.Client, token.User, token.Scope)

	answer = postAs("orders", handler.Introspect(manager), url.Values{"token": {pair.GetRefresh()}})
	fmt.Println(answer.Code, answer.Body) // which only app learns about
	// Output:
	// 200 true app alice read
	// 200 {"active":false}
}
