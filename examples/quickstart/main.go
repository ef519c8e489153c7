// Quickstart is an OAuth 2.0 authorization server and an API behind it: one process, one file.
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
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"text/template"

	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	db := flag.String("db", "quickstart.db", "`file` to keep clients and grants in")
	newSecret := flag.Bool("new-secret", false, "replace the secret of the client demo")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "quickstart: %q is no option; -h shows them\n", flag.Arg(0))
		os.Exit(2)
	}

	if err := run(*addr, *db, *newSecret); err != nil {
		fmt.Fprintln(os.Stderr, "quickstart:", err)
		os.Exit(1)
	}
}

func run(addr, db string, newSecret bool) error {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return fmt.Errorf("%w (-addr chooses another address)", err)
	}
	store, err := bolt.Open(db)
	if err != nil {
		return fmt.Errorf("%w (-db chooses another file)", err)
	}
	defer store.Close()
	manager := grants.New(store)

	secret, err := register(ctx, store, newSecret)
	if err != nil {
		return err
	}
	alice, err := manager.Issue(ctx, grants.Issue{Client: "demo", User: "alice", Scope: "orders:read"})
	if err != nil {
		return err
	}

	base := serve.URL(listener)
	slog.Info("serving until Ctrl-C; standard output is shell for another terminal", "url", base, "db", db)
	err = walkthrough.Execute(os.Stdout, map[string]string{
		"Base": base, "Secret": secret, "Access": alice.GetAccess(), "Refresh": alice.GetRefresh(),
	})
	if err != nil {
		return err
	}
	return serve.Until(ctx, listener, routes(manager))
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
