// Resource is an API in a process of its own, whose routes are guarded by tokens that a server elsewhere
// issues. It knows nothing of that server but its address:
//
//	go run ./examples/server -jwt
//	go run ./examples/resource -issuer http://127.0.0.1:8080
//
// Where tokens are opaque, or where a revoked one has to be refused at once, it asks the server instead, as a
// client that may introspect:
//
//	RESOURCE_SECRET=… go run ./examples/resource -issuer http://127.0.0.1:8080 -introspect http://127.0.0.1:8080/oauth/introspect
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net/http"
	"os"

	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

func main() {
	var f flags
	flag.StringVar(&f.issuer, "issuer", "http://127.0.0.1:8080", "`URL` of the server whose tokens are taken")
	flag.StringVar(&f.resource, "resource", "", "`URL` by which tokens name this API; default: where it listens")
	flag.StringVar(&f.endpoint, "introspect", "", "`URL` of the server's introspection endpoint; default: tokens are JWTs, and nobody is asked about them")
	flag.StringVar(&f.client, "client", "api", "`ID` of the client that introspects; its secret is RESOURCE_SECRET in the environment")
	serve.Stateless("resource", "127.0.0.1:9090", f.start)
}

type flags struct{ issuer, resource, endpoint, client string }

// start makes the API of what the flags say.
func (f *flags) start(_ context.Context, at string) (http.Handler, error) {
	if f.resource == "" {
		f.resource = at
	}
	validator, err := f.validator()
	if err != nil {
		return nil, err
	}
	return f.routes(validator)
}

// validator is one or the other: the routes are the same.
func (f *flags) validator() (v middleware.Validator, err error) {
	defer refused(&err)
	if f.endpoint == "" {
		return jwt.New(f.issuer, f.resource), nil
	}
	secret := os.Getenv("RESOURCE_SECRET")
	if secret == "" {
		return nil, errors.New("-introspect needs the client's secret in RESOURCE_SECRET")
	}
	return introspect.New(f.endpoint, f.client, secret, introspect.Issuer(f.issuer)), nil
}

func (f *flags) routes(v middleware.Validator) (h http.Handler, err error) {
	defer refused(&err)
	api := middleware.Resource{Resource: f.resource, AuthorizationServers: []string{f.issuer}, Scopes: []string{"orders:read"}}
	protect := middleware.Bearer(v, middleware.Audience(f.resource), middleware.ResourceMetadata(api.MetadataURL()))

	mux := http.NewServeMux()
	mux.Handle("/.well-known/oauth-protected-resource", middleware.ProtectedResource(api))
	mux.Handle("GET /whoami", protect(http.HandlerFunc(serve.Whoami)))
	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(orders))))
	return mux, nil
}

// orders are those of whoever the token stands for.
func orders(w http.ResponseWriter, r *http.Request) {
	serve.JSON(w, http.StatusOK, map[string]any{"sub": middleware.Token(r.Context()).GetUserID(), "orders": []string{"3 lanterns", "1 key ring"}})
}

// refused makes an error of a panic about a value that makes no sense: right for a program's own settings, but
// these are of its user.
func refused(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%v", p)
	}
}
