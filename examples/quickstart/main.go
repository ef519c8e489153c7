// Quickstart is an OAuth 2.0 authorization server and an API behind it: one process, one file on disk.
//
//	go run ./examples/quickstart > try.sh   # in one terminal
//	sh try.sh                               # in another
//
// What it prints is shell that tries it out, to be pasted into a terminal or saved and run.
package main

import (
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"flag"
	"log/slog"
	"net/http"
	"os"
	"text/template"

	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func main() {
	newSecret := flag.Bool("new-secret", false, "replace the secret of the client demo")
	serve.Main("quickstart", func(ctx context.Context, store *bolt.Store, url string) (http.Handler, error) {
		manager := grants.New(store)
		return routes(manager), show(ctx, store, manager, url, *newSecret)
	})
}

// show registers the client demo, gives alice a pair of tokens, and prints shell that tries them.
func show(ctx context.Context, store *bolt.Store, manager *grants.Manager, url string, newSecret bool) error {
	secret, err := register(ctx, store, newSecret)
	if err != nil {
		return err
	}
	alice, err := manager.Issue(ctx, grants.Issue{Client: "demo", User: "alice", Scope: "orders:read"})
	if err != nil {
		return err
	}
	slog.Info("standard output is shell for another terminal")
	return walkthrough.Execute(os.Stdout, map[string]string{
		"Base": url, "Secret": secret, "Access": alice.GetAccess(), "Refresh": alice.GetRefresh(),
	})
}

// routes is the authorization server and the API that it guards.
func routes(manager *grants.Manager) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/oauth/token", handler.Token(manager))
	mux.Handle("/oauth/revoke", handler.Revoke(manager))

	protect := middleware.Bearer(manager)
	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(orders))))
	return mux
}

// orders answers with the orders of whoever the token stands for.
func orders(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	w.Header().Set("Content-Type", "application/json")
	json.NewEncoder(w).Encode(map[string]any{
		"client": token.GetClientID(),
		"user":   token.GetUserID(), // "" where the client asks for itself
		"orders": []string{"3 lanterns", "1 key ring"},
	})
}

// register makes sure that there is the client demo. It returns its secret where that is new; of an
// older one the store keeps a digest alone.
func register(ctx context.Context, store storage.Clients, newSecret bool) (secret string, err error) {
	_, err = store.GetByID(ctx, "demo")
	switch {
	case err == nil && !newSecret:
		return "", nil
	case err != nil && !errors.Is(err, storage.ErrNotFound):
		return "", err
	}
	secret, stored := storage.NewSecret()
	return secret, store.PutClient(ctx, &storage.Client{
		ID:         "demo",
		Secret:     stored,
		GrantTypes: []string{"client_credentials", "refresh_token"},
		Scope:      "orders:read orders:write",
	})
}

// walkthrough is the shell that is printed.
var walkthrough = template.Must(template.New("walkthrough.sh").Parse(walkthroughText))

//go:embed walkthrough.sh
var walkthroughText string
