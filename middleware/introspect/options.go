package introspect

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	defaultCache     = 10 * time.Second
	defaultCacheSize = 16 << 20 // bytes
	defaultTimeout   = 5 * time.Second
	defaultInFlight  = 64
)

// An Option changes what one Validator does. Values that make no sense panic when the option is made.
type Option func(*Validator)

// Issuer names the authorization server whose tokens are taken: one of which the endpoint says another iss
// (RFC 7662 2.2) is refused. An endpoint that says none speaks for itself. Default: iss is not looked at.
//
// Issuer panics for an empty name.
func Issuer(name string) Option {
	if name == "" {
		panic("introspect: Issuer: the name is empty")
	}
	return func(v *Validator) { v.policy.issuer = name }
}

// Cache sets how long an answer is believed (RFC 7662 4), counted from the asking, and never beyond the
// token's exp. A token that is revoked may be accepted for as long; an answer that one is not active
// is believed as long too. Failures are not. Default 10 s; 0 asks anew for every request.
//
// Cache panics for a negative duration.
func Cache(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("introspect: Cache(%v): negative duration", d))
	}
	return func(v *Validator) { v.cache = d }
}

// CacheSize sets how many bytes, roughly, answers may take in memory. Tokens that are refused have an eighth
// of them to themselves, so a flood of these leaves the good ones in place. An answer that alone would take
// more than a 64th is not kept. Default 16 MiB, which is some 10,000 tokens; less than 1 MiB keeps next to
// nothing.
//
// CacheSize panics for a negative size.
func CacheSize(bytes int64) Option {
	if bytes < 0 {
		panic(fmt.Sprintf("introspect: CacheSize(%d): negative size", bytes))
	}
	return func(v *Validator) { v.cacheSize = bytes }
}

// Timeout sets how long the endpoint may take for an answer, to its last byte. Default 5 s. Those who wait
// for it leave earlier where their context ends: middleware.Timeout sets that, by default to 5 s as well.
//
// Timeout panics unless d is positive.
func Timeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("introspect: Timeout(%v): want a positive duration", d))
	}
	return func(v *Validator) { v.timeout = d }
}

// InFlight sets how many requests to the endpoint there may be at a time; what is to be asked beyond that
// waits its turn, for as long as somebody waits for it. Default 64. Tokens that somebody makes up take turns
// like any other: throttle whoever sends many.
//
// InFlight panics unless n is positive.
func InFlight(n int) Option {
	if n <= 0 {
		panic(fmt.Sprintf("introspect: InFlight(%d): want a positive number", n))
	}
	return func(v *Validator) { v.inFlight = n }
}

// HTTPClient sets what asks the endpoint, for certificates, proxies or traces of your own. It is copied: its
// Transport and Timeout count, and no redirect is followed and no cookie kept whatever it says. Requests
// have the values of the context of the one who asked first. Default: a client of its own, which keeps
// connections open and takes proxies from the environment.
//
// HTTPClient panics if c is nil.
func HTTPClient(c *http.Client) Option {
	if c == nil {
		panic("introspect: HTTPClient: no client")
	}
	return func(v *Validator) { v.endpoint.client = *c }
}

// Logger sets where failures are written to, by middleware.Bearer. Default: slog.Default().
//
// Logger panics if l is nil.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("introspect: Logger: no logger")
	}
	return func(v *Validator) { v.logger = l }
}

// InsecureUntyped also takes tokens for which the endpoint names no token_type, which RFC 7662 2.2 allows.
// Default: they are refused, and the log is told once.
//
// Warning: some endpoints, ostiary's among them, tell in this way of refresh tokens. Whoever has found one
// of a client that the resource server shares its ID with could use it as an access token.
func InsecureUntyped() Option {
	return func(v *Validator) { v.policy.untyped = true }
}
