package interop_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/go-chi/chi/v5"
	chimiddleware "github.com/go-chi/chi/v5/middleware" // it is called middleware too: one of the two needs another name

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// A chi router whose routes are all guarded, each with the scope that it needs on top.
func Example_chi() {
	manager, token, done := shop()
	defer done()

	api := chi.NewRouter()
	api.Use(chimiddleware.Recoverer, middleware.Bearer(manager))
	api.Get("/me", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprint(w, middleware.Token(r.Context()).GetUserID())
	})
	api.With(middleware.Scope("orders:read")).Get("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "order %s of %s", chi.URLParam(r, "id"), middleware.Token(r.Context()).GetUserID())
	})
	api.With(middleware.Scope("orders:write")).Delete("/orders/{id}", func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusNoContent)
	})

	root := chi.NewRouter()
	root.Handle("/oauth/token", handler.Token(manager)) // clients come here without a token
	root.Mount("/api", api)

	for _, r := range []struct{ method, path, token string }{
		{"GET", "/api/me", ""},
		{"GET", "/api/me", token},
		{"GET", "/api/orders/7", token},
		{"DELETE", "/api/orders/7", token},
		{"GET", "/oauth/token", ""},
	} {
		fmt.Println(r.method, r.path, ask(root, r.method, r.path, r.token))
	}
	// Output:
	// GET /api/me 401 Bearer realm="api"
	// GET /api/me 200 alice
	// GET /api/orders/7 200 order 7 of alice
	// DELETE /api/orders/7 403 Bearer realm="api", error="insufficient_scope", error_description="The access token lacks a scope that this resource needs.", scope="orders:write"
	// GET /oauth/token 405 POST
}

// shop is a manager, and a token for alice with the scope orders:read.
func shop() (m *grants.Manager, token string, done func()) {
	dir, err := os.MkdirTemp("", "shop")
	if err != nil {
		log.Fatal(err)
	}
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		log.Fatal(err)
	}
	err = store.PutClient(context.Background(), &storage.Client{
		ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "orders:read orders:write",
	})
	if err != nil {
		log.Fatal(err)
	}
	m = grants.New(store)
	pair, err := m.Issue(context.Background(), grants.Issue{Client: "web", User: "alice", Scope: "orders:read"})
	if err != nil {
		log.Fatal(err)
	}
	return m, pair.GetAccess(), func() {
		store.Close()
		os.RemoveAll(dir)
	}
}

// ask returns the status, and what a client goes by then: the challenge, the methods allowed or the
// body.
func ask(h http.Handler, method, path, token string) string {
	s := httptest.NewServer(h)
	defer s.Close()
	r, err := http.NewRequest(method, s.URL+path, nil)
	if err != nil {
		log.Fatal(err)
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	a, err := (&site{client: s.Client()}).do(r)
	if err != nil {
		log.Fatal(err)
	}
	for _, name := range []string{"WWW-Authenticate", "Allow"} {
		if v := a.header.Get(name); v != "" {
			return fmt.Sprint(a.status, " ", v)
		}
	}
	return fmt.Sprint(a.status, " ", a.body)
}
