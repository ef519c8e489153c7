package handler_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
)

func ExampleMetadata() {
	manager, done := exampleManager(grants.Issuer("https://auth.example"))
	defer done()
	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(manager, handler.Paths{
		Token:  "/oauth/token",
		Revoke: "/oauth/revoke",
		Scopes: []string{"read", "write"},
	}))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	var told bytes.Buffer
	json.Indent(&told, w.Body.Bytes(), "", "  ")
	fmt.Println(told.String())
	// Output:
	// {
	//   "grant_types_supported": [
	//     "refresh_token",
	//     "client_credentials"
	//   ],
	//   "issuer": "https://auth.example",
	//   "revocation_endpoint": "https://auth.example/oauth/revoke",
	//   "revocation_endpoint_auth_methods_supported": [
	//     "client_secret_basic",
	//     "client_secret_post",
	//     "none"
	//   ],
	//   "scopes_supported": [
	//     "read",
	//     "write"
	//   ],
	//   "token_endpoint": "https://auth.example/oauth/token",
	//   "token_endpoint_auth_methods_supported": [
	//     "client_secret_basic",
	//     "client_secret_post",
	//     "none"
	//   ]
	// }
}

// A browser asks first whether a script may send the request, and then lets it have the answer.
func ExampleAllowOrigins() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.AllowOrigins("https://spa.example", "http://localhost:5173"))

	for _, origin := range []string{"https://spa.example", "https://evil.example"} {
		preflight := httptest.NewRequest("OPTIONS", "/", nil)
		preflight.Header.Set("Origin", origin)
		preflight.Header.Set("Access-Control-Request-Method", "POST")
		w := httptest.NewRecorder()
		token.ServeHTTP(w, preflight)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("Access-Control-Allow-Origin"))
	}
	// Output:
	// 204 "https://spa.example"
	// 405 ""
}
