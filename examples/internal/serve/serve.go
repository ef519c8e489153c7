// Package serve is how every example listens, says where, and stops.
package serve

import (
	"context"
	"net"
	"net/http"
	"time"
)

// URL is where this machine reaches the listener.
func URL(l net.Listener) string {
	host, port, _ := net.SplitHostPort(l.Addr().String())
	if net.ParseIP(host).IsUnspecified() { // listens on every address
		host = "localhost"
	}
	return "http://" + net.JoinHostPort(host, port)
}

// Until answers requests until ctx ends, then lets those that are under way finish.
func Until(ctx context.Context, l net.Listener, h http.Handler) error {
	server := &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       10 * time.Second,
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
