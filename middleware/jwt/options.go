package jwt

import (
	"fmt"
	"log/slog"
	"net/http"
	"time"
)

const (
	defaultLeeway    = 30 * time.Second
	defaultCacheSize = 16 << 20 // bytes
)

// An Option changes one Validator. Values that make no sense panic when the option is made.
type Option func(*Validator)

// Audience adds further names of this resource server, by which tokens may be for it too (RFC 9068 4): an
// identifier that it had before, say. Default: only that of New. A second resource server in the same process is
// better a second Validator, or a middleware.Audience at its routes: else the tokens of one are good at the other.
//
// Audience panics if there is no name or an empty one.
func Audience(more ...string) Option {
	if len(more) == 0 {
		panic("jwt: Audience(): want at least one name")
	}
	for _, name := range more {
		if name == "" {
			panic("jwt: Audience: a name is empty")
		}
	}
	return func(v *Validator) { v.audience = append(v.audience, more...) }
}

// Leeway sets by how much the clocks of issuer and resource server may differ: exp, nbf and iat are good for
// that much longer (RFC 9068 4, RFC 7519 4.1.4). Default 30 s; 0 is none.
//
// Leeway panics if d is negative.
func Leeway(d time.Duration) Option {
	if d < 0 {
		panic(fmt.Sprintf("jwt: Leeway(%v): want no negative duration", d))
	}
	return func(v *Validator) { v.leeway = d }
}

// CacheSize bounds what is remembered of tokens whose signature was verified, in bytes, roughly: some 3,000 for
// a usual one. Default 16 MiB; 0 remembers nothing.
//
// CacheSize panics if bytes is negative.
func CacheSize(bytes int64) Option {
	if bytes < 0 {
		panic(fmt.Sprintf("jwt: CacheSize(%d): want no negative number", bytes))
	}
	return func(v *Validator) { v.cacheSize = bytes }
}

// Metadata is the address of the issuer's metadata, where that is not at a well-known one. Default: the issuer
// with /.well-known/oauth-authorization-server before its path (RFC 8414 3.1), and if that answers 404, with
// /.well-known/openid-configuration after it (OpenID Connect Discovery 4).
//
// Metadata panics unless address is an https URL without fragment, or an http one on the loopback interface.
func Metadata(address string) Option {
	if !isAddress(address) {
		panic(fmt.Sprintf("jwt: Metadata(%q): want an https URL without fragment", address))
	}
	return func(v *Validator) { v.keys.metadata = []string{address} }
}

// HTTPClient is what metadata and keys are fetched by, for a certificate authority of your own, say. It is asked
// in the background too, so it has to be good for longer than a request. A fetch ends after 5 s in any case, and
// redirects are not followed. Default: a client that goes by the proxy of the environment.
//
// HTTPClient panics if c is nil.
func HTTPClient(c *http.Client) Option {
	if c == nil {
		panic("jwt: HTTPClient: the client is nil")
	}
	own := *c
	own.CheckRedirect = stay
	return func(v *Validator) { v.keys.client, v.keys.foreign = &own, true }
}

// Logger is told when keys could not be fetched and the old ones go on, and at debug level why a token was
// refused; middleware.Bearer writes to it as well. Tokens are not in it. Default slog.Default().
//
// Logger panics if l is nil.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("jwt: Logger: the logger is nil")
	}
	return func(v *Validator) { v.logger = l }
}
