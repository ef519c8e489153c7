package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary-go/ostiary/middleware"
)

// A client that is refused reads in the challenge where it finds out how to get a token.
func ExampleProtectedResource() {
	api := middleware.Resource{
		Resource: "https://api.example/v1", AuthorizationServers: []string{"https://auth.example"}, Scopes: []string{"orders:read"},
	}
	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource/v1", middleware.ProtectedResource(api))
	protect := middleware.Bearer(manager, middleware.ResourceMetadata(api.MetadataURL()))
	mux.Handle("GET /v1/orders", protect(http.NotFoundHandler()))

	ask := func(path string) *httptest.ResponseRecorder {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
		return w
	}
	fmt.Println(ask("/v1/orders").Header().Get("WWW-Authenticate"))
	fmt.Println(ask("/.well-known/oauth-protected-resource/v1").Body)
	// Output:
	// Bearer realm="api", resource_metadata="https://api.example/.well-known/oauth-protected-resource/v1"
	// {"authorization_servers":["https://auth.example"],"bearer_methods_supported":["header"],"resource":"https://api.example/v1","scopes_supported":["orders:read"]}
}

func ExampleResource_MetadataURL() {
	fmt.Println(middleware.Resource{Resource: "https://api.example"}.MetadataURL())
	// Output: https://api.example/.well-known/oauth-protected-resource
}
