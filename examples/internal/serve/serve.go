// Package serve is how the examples start, listen and stop.
package serve

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ostiary-go/ostiary/storage/bolt"
)

// Main is a program that serves what start makes of a store and of the URL that it is served at, until
// Ctrl-C or SIGTERM. It takes the flags -addr and -db, the latter being name.db unless it is given, and
// those that the program has defined; what goes wrong stands on one line of standard error, with exit status 1.
func Main(name string, start func(ctx context.Context, store *bolt.Store, url string) (http.Handler, error)) {
	addr := flag.String("addr", "127.0.0.1:8080", "`address` to listen on; port 0 takes a free one")
	db := flag.String("db", name+".db", "`file` to keep clients and grants in")
	flag.Parse()
	if flag.NArg() > 0 { // what follows would be left unread
		fmt.Fprintf(os.Stderr, "%s: %q is no option; -h shows them\n", name, flag.Arg(0))
		os.Exit(2)
	}

	if err := run(*addr, *db, start); err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
}

func run(addr, db string, start func(context.Context, *bolt.Store, string) (http.Handler, error)) error {
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
	handler, err := start(ctx, store, address(listener))
	if err != nil {
		return err
	}
	slog.Info("serving until Ctrl-C", "url", address(listener), "db", db)
	return until(ctx, listener, handler)
}

// address is where this machine reaches the listener.
func address(l net.Listener) string {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if net.ParseIP(host).IsUnspecified() { // listens on every address
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// until answers requests until ctx ends, then lets those that are under way finish.
func until(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       5 * time.Second, // of which an answer may be the consequence
		WriteTimeout:      10 * time.Second,
		IdleTimeout:       time.Minute,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	return server.Shutdown(ctx)
}
