// Server is a whole OAuth 2.1 authorization server with users of its own, and an API behind it: one
// process, one file on disk.
//
//	go run ./examples/server
//	go run ./examples/server -jwt
//	go run ./examples/server -addr 127.0.0.1:8080 -db auth.db -issuer http://127.0.0.1:8080 -clients clients.json -users users.json
//
// Without -users and -clients it makes two users and the client demo when it starts first, prints their
// passwords once, and can be tried in a browser.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/examples/internal/login"
	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func main() {
	var f flags
	flag.StringVar(&f.issuer, "issuer", "", "`URL` under which clients know the server; default: where it listens")
	flag.StringVar(&f.clients, "clients", "", "`file` of clients: an array of RFC 7591 metadata objects, registered at each start")
	flag.StringVar(&f.users, "users", "", "`file` of users: an object of names and passwords")
	flag.BoolVar(&f.jwt, "jwt", false, "access tokens are JWTs, which services elsewhere check by the server's keys alone")
	flag.DurationVar(&f.accessTTL, "access-ttl", time.Hour, "how long an access token of a user lives")
	flag.DurationVar(&f.codeTTL, "code-ttl", time.Minute, "how long an authorization code lives, at most 10m")
	flag.DurationVar(&f.retryWindow, "retry-window", time.Minute, "how long a lost answer to a refresh is repeated; 0s: never")
	serve.Main("server", f.start)
}

type flags struct {
	issuer, clients, users          string
	jwt                             bool
	accessTTL, codeTTL, retryWindow time.Duration
}

// start makes the server of what the flags say.
func (f *flags) start(ctx context.Context, store *bolt.Store, at string) (http.Handler, error) {
	if f.issuer == "" {
		f.issuer = at
	}
	options, err := f.options()
	if err != nil {
		return nil, err
	}
	if f.jwt {
		keys, err := grants.OpenKeys(ctx, store)
		if err != nil {
			return nil, err
		}
		options = append(options, grants.JWT(keys))
	}
	issuer := strings.TrimSuffix(f.issuer, "/")
	demoSecret, err := openClients(ctx, store, f.clients, issuer)
	if err != nil {
		return nil, err
	}
	users, err := f.login(ctx, store)
	if err != nil {
		return nil, err
	}
	manager := grants.New(store, options...)
	slog.Info("open it in a browser", "url", issuer+"/")
	mux, base := routes(manager, users, issuer)
	newDemo(manager.Issuer(), issuer, base, demoSecret).mount(mux, users)
	return mux, nil
}

// login knows the users of the file or, without one, alice and bob.
func (f *flags) login(ctx context.Context, store *bolt.Store) (users *login.Login, err error) {
	if f.users != "" {
		users, err = login.Read(f.users)
	} else {
		users, err = login.Open(ctx, store, os.Stdout, "alice", "bob")
	}
	if err == nil && strings.HasPrefix(f.issuer, "https:") {
		users.Secure()
	}
	return users, err
}

// options are what the flags say. A value that makes no sense panics, which is right for a program's own
// settings; those of its user are an error.
func (f *flags) options() (options []grants.Option, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%v", p)
		}
	}()
	return []grants.Option{
		grants.Issuer(f.issuer), grants.AccessLifetime(f.accessTTL), grants.CodeLifetime(f.codeTTL), grants.RetryWindow(f.retryWindow),
	}, nil
}

// routes are the authorization server, the pages for users and the API.
func routes(manager *grants.Manager, users *login.Login, issuer string) (mux *http.ServeMux, base string) {
	at, _ := url.Parse(issuer)
	base = at.Path // of an issuer that has one
	paths := handler.Paths{
		Authorize: base + "/oauth/authorize", Token: base + "/oauth/token", Revoke: base + "/oauth/revoke", Introspect: base + "/oauth/introspect",
		JWKS: base + "/oauth/keys",
	}
	pages := handler.Pages{Words: words}

	mux = http.NewServeMux()
	mux.Handle(paths.Token, handler.Token(manager))
	mux.Handle(paths.Revoke, handler.Revoke(manager))
	mux.Handle(paths.Introspect, handler.Introspect(manager))
	if manager.Signs() {
		mux.Handle(paths.JWKS, handler.JWKS(manager))
	}
	mux.Handle("/.well-known/oauth-authorization-server"+base, handler.Metadata(manager, paths))

	api := middleware.Resource{Resource: issuer + "/api", AuthorizationServers: []string{manager.Issuer()}, Scopes: []string{"orders:read"}}
	mux.Handle("/.well-known/oauth-protected-resource"+base+"/api", middleware.ProtectedResource(api))
	protect := middleware.Bearer(manager, middleware.Audience(api.Resource), middleware.ResourceMetadata(api.MetadataURL()))
	mux.Handle("GET "+base+"/api/whoami", protect(http.HandlerFunc(serve.Whoami)))
	mux.Handle("GET "+base+"/api/orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(orders))))

	mux.Handle(paths.Authorize, users.Handler(handler.Authorize(manager, users.User, pages, handler.OptionalScopes("profile:email"))))
	mux.Handle(base+"/account/apps", users.Handler(handler.ConnectedApps(manager, users.User, pages)))
	users.Mount(mux, base)
	return mux, base
}

// words say what the scopes of the demo API mean.
func words(*http.Request) handler.Words {
	w := handler.English()
	w.Scopes = map[string]string{"orders:read": "See your orders", "profile:email": "See your email address"}
	return w
}

// orders are those of whoever the token stands for.
func orders(w http.ResponseWriter, r *http.Request) {
	serve.JSON(w, http.StatusOK, map[string]any{"sub": middleware.Token(r.Context()).GetUserID(), "orders": []string{"3 lanterns", "1 key ring"}})
}
