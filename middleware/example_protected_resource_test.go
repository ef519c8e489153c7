package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary-go/ostiary/middleware"
)

// A client that was refused follows the challenge to the document, and that to the authorization server.
func ExampleProtectedResource() {
	api := middleware.Resource{
		Resource:             "https://api.example/v1",
		AuthorizationServers: []string{"https://auth.example"},
		Scopes:               []string{"orders:read"},
	}
	protect := middleware.Bearer(manager, middleware.ResourceMetadata(api.MetadataURL()))

	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource/v1", middleware.ProtectedResource(api)) // not behind protect
	mux.Handle("/v1/", protect(hello))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "https://api.example/v1/orders", nil))
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))

	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", api.MetadataURL(), nil))
	fmt.Println(w.Code, w.Body)
	// Output:
	// 401 Bearer realm="api", resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"
	// 200 {"authorization_servers":["https://auth.example"],"bearer_methods_supported":["header"],"resource":"https://api.example/v1","scopes_supported":["orders:read"]}
}

func ExampleResource_MetadataURL() {
	for _, name := range []string{"https://api.example", "https://api.example/v1", "https://api.example/v1/"} {
		fmt.Println(middleware.Resource{Resource: name}.MetadataURL())
	}
	// Output:
	// https://api.example/.well-known/oauth-protected-resource
	// https://api.example/.well-known/oauth-protected-resource/v1
	// https://api.example/.well-known/oauth-protected-resource/v1
}
