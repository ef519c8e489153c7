// Package middleware guards the routes of a resource server with OAuth 2.0 bearer tokens (RFC 6750).
//
// A Validator says whose a token is; Bearer finds the token in the request and asks it; Scope,
// AnyScope and User say what a route needs of it:
//
//	protect := middleware.Bearer(manager)
//	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(orders)))
//
//	token := middleware.Token(r.Context()) // in the handler: client, user, scope, expiry
//
// What is refused is answered as RFC 6750 3 says: one WWW-Authenticate header, a JSON body that says
// the same, Cache-Control: no-store, and nothing of what was sent. A validator that fails is answered
// 503 with Retry-After, so an outage never looks like a bad token.
//
// Every middleware here is a func(http.Handler) http.Handler, fits any router, is safe for concurrent
// use and adds to the context of a request without changing the request. All methods are guarded,
// OPTIONS too: CORS belongs outside of Bearer.
package middleware

import (
	"context"
	"log/slog"
	"net/http"
	"time"

	"github.com/go-oauth2/oauth2/v4"
)

// A Validator finds out what an access token stands for. Every oauth2.Manager is one.
//
// LoadAccessToken is given the token as it was sent: one to 8,192 characters (TokenLimit) of token68
// syntax (RFC 6750 2.1), all else is refused before. It is called once a request, by many goroutines
// at a time, and heeds ctx, which ends with the request or after the time of Timeout: Bearer waits
// until it returns.
//
// A token that it vouches for is returned as a value that the caller may keep and change. Bearer
// believes it: expiry, revocation and whether this is an access token at all are checked by the
// Validator and not again. GetUserID is "" for a client's own token, whatever the token's sub says
// (RFC 9700 4.15). A token that isn't good is (nil, nil) or an error that errors.Is finds to be
// ErrInvalidAccessToken, ErrExpiredAccessToken or ErrExpiredRefreshToken of go-oauth2's errors
// package (see NotFound for others); every other error is a failure, logged and answered 503. A panic
// is logged and answered 500.
//
// What oauth2.TokenInfo can't say, the returned value says by optional methods. Each is looked for on
// the value and then, as long as it has a method Unwrap() oauth2.TokenInfo, on what it wraps:
//
//	Audience() []string              // the resources it is for (RFC 8707); empty: any. See Audience
//	Confirmation() map[string]string // the key that it is bound to (RFC 7800), nil if to none
//	Claims() map[string]any          // whatever else is said of it: see Claims
//
// A token bound to a key is refused: Bearer can't check the proof, and without it the token would be
// worth as much to a thief. A wrapper of tokens without Unwrap hides both, and so lifts the limits.
//
// A Validator may have further methods, which are looked for once by Bearer, through methods
// Unwrap() oauth2.Manager and Unwrap() middleware.Validator:
//
//	Logger() *slog.Logger // to write to; without it slog.Default()
//	Audience() []string   // the names of this resource, where no option Audience has them
type Validator interface {
	LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error)
}

// Bearer lets requests through that bring a good access token in the Authorization header (RFC 6750
// 2.1), and leaves the token in their context, for Token, Scope, AnyScope and User.
//
// A request without bearer credentials is answered 401 with a bare challenge (RFC 6750 3.1). One with
// a token that is malformed, unknown, expired, revoked, bound to a key or for another audience is
// answered 401 invalid_token, all but the last two in the same words; one with two Authorization
// headers, or with a token in the URL beside that in the header, 400 invalid_request.
//
// Bearer panics if v is nil.
func Bearer(v Validator, options ...Option) func(http.Handler) http.Handler {
	g := newGuard(v, options)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			sent, refusal := g.credentials(w, r) // RFC 6750 2
			p := &passage{Context: r.Context(), guard: g}
			if refusal == nil {
				p.token, refusal = g.validate(r, sent.token, &p.validation)
			}
			if refusal != nil && !(g.optional && refusal == noCredentials) {
				g.refuse(w, r, refusal, "") // RFC 6750 3
				return
			}
			if sent.inQuery {
				keepPrivate(w.Header())
			}
			r = r.WithContext(p)
			if sent.body != nil {
				r.Body = sent.body
			}
			next.ServeHTTP(w, r)
		})
	}
}

// guard is one Bearer: its Validator and what its options have set.
type guard struct {
	validator Validator
	logger    *slog.Logger // nil: slog.Default() at the time of writing

	realm    string // quoted
	metadata string // quoted; "" if there is none
	audience []string
	notFound func(error) bool

	tokenLimit int // bytes
	timeout    time.Duration

	optional, query, form bool
}

func newGuard(v Validator, options []Option) *guard {
	if v == nil {
		panic("middleware: Bearer: the Validator is nil")
	}
	g := &guard{
		validator:  v,
		logger:     loggerOf(v),
		realm:      `"api"`,
		notFound:   func(error) bool { return false },
		tokenLimit: defaultTokenLimit,
		timeout:    5 * time.Second,
	}
	for _, set := range options {
		set(g)
	}
	if g.audience == nil {
		g.audience = audienceOf(v)
	}
	return g
}

// audienceOf finds by which names v knows this resource, or what it wraps does.
func audienceOf(v Validator) []string {
	if a, ok := validatorWith[interface{ Audience() []string }](v); ok {
		return a.Audience()
	}
	return nil
}

// validatorWith finds the outermost value with the methods of T: v, or what it wraps.
func validatorWith[T any](v Validator) (T, bool) {
	for {
		if t, ok := v.(T); ok {
			return t, true
		}
		switch wrapper := v.(type) {
		case interface{ Unwrap() Validator }:
			v = wrapper.Unwrap()
		case interface{ Unwrap() oauth2.Manager }:
			v = wrapper.Unwrap()
		default:
			return *new(T), false
		}
	}
}
