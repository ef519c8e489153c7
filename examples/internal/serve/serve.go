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
	db := flag.String("db", name+".db", "`file` to keep clients and grants in")
	main(name, "127.0.0.1:8080", func(ctx context.Context, listener net.Listener) error {
		store, err := bolt.Open(*db)
		if err != nil {
			return fmt.Errorf("%w (-db chooses another file)", err)
		}
		defer store.Close()
		handler, err := start(ctx, store, address(listener))
		if err != nil {
			return err
		}
		return until(ctx, listener, handler, "db", *db)
	})
}

// Stateless is Main of a program that keeps nothing. It listens on addr unless the flag -addr says otherwise.
func Stateless(name, addr string, start func(ctx context.Context, url string) (http.Handler, error)) {
	main(name, addr, func(ctx context.Context, listener net.Listener) error {
		handler, err := start(ctx, address(listener))
		if err != nil {
			return err
		}
		return until(ctx, listener, handler)
	})
}

func main(name, addr string, run func(context.Context, net.Listener) error) {
	flag.StringVar(&addr, "addr", addr, "`address` to listen on; port 0 takes a free one")
	flag.Parse()
	if flag.NArg() > 0 { // what follows would be left unread
		fmt.Fprintf(os.Stderr, "%s: %q is no option; -h shows them\n", name, flag.Arg(0))
		os.Exit(2)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once

	listener, err := net.Listen("tcp", addr)
	if err != nil {
		err = fmt.Errorf("%w (-addr chooses another address)", err)
	} else {
		err = run(ctx, listener)
	}
	if err != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", name, err)
		os.Exit(1)
	}
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
func until(ctx context.Context, l net.Listener, h http.Handler, told ...any) error {
	slog.Info("serving until Ctrl-C", append([]any{"url", address(l)}, told...)...)
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
