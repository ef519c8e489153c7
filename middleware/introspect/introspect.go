// Package introspect validates access tokens by asking the authorization server that issued them (RFC 7662).
//
// A Validator is what middleware.Bearer needs, in a process that has no store:
//
//	tokens := introspect.New("https://auth.example/oauth/introspect", "orders", secret)
//	protect := middleware.Bearer(tokens, middleware.Audience("https://orders.example"))
//	mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(orders)))
//
// A token goes to the endpoint in the body of a POST request, with the resource server's own credentials
// beside it, and nowhere else: no redirect is followed, and neither of the two is in a URL, an error or a
// log. What the endpoint says is believed for some seconds (see [Cache]), and one token that many requests
// bring at a time is asked about once. Whatever is no answer at all is a failure, which Bearer answers 503.
package introspect

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
	"unsafe"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

// Validator asks an introspection endpoint about access tokens. It is safe for concurrent use, and made by
// [New].
type Validator struct {
	endpoint endpoint
	policy   policy
	logger   *slog.Logger // nil: slog.Default() at the time of writing

	cache     time.Duration
	cacheSize int64 // bytes
	timeout   time.Duration
	inFlight  int

	kept    *kept
	slots   chan struct{} // one for each request to the endpoint
	untyped sync.Once     // the log is told

	mu      sync.Mutex
	flights map[digest]*flight // that may be joined
}

// digest is the SHA-256 of a token, which is not kept itself.
type digest = [sha256.Size]byte

// New returns a Validator that asks endpoint, an absolute https URL (http on the loopback interface), as the
// client of that ID and secret. These are sent as RFC 6749 2.3.1 says, form-encoded in Basic credentials.
// At an endpoint of ostiary's the client has Introspect set in its registration.
//
// New panics for another endpoint, one with userinfo or a fragment, and for an empty ID or secret.
func New(endpoint, clientID, clientSecret string, options ...Option) *Validator {
	u, err := url.Parse(endpoint)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(endpoint, "#") ||
		u.Scheme != "https" && (u.Scheme != "http" || !slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname())) {
		panic("introspect: New: the endpoint is no https URL without userinfo and fragment") // which may have a secret in it
	}
	if clientID == "" || clientSecret == "" {
		panic("introspect: New: the client's ID or secret is empty")
	}
	v := &Validator{
		cache:     defaultCache,
		cacheSize: defaultCacheSize,
		timeout:   defaultTimeout,
		inFlight:  defaultInFlight,
		flights:   make(map[digest]*flight),
	}
	for _, set := range options {
		set(v)
	}
	v.endpoint.address = endpoint
	v.endpoint.authorization = basic(clientID, clientSecret)
	v.endpoint.prepare(v.inFlight)
	v.kept = newKept(v.cacheSize)
	v.slots = make(chan struct{}, v.inFlight)
	return v
}

// LoadAccessToken returns what the endpoint says of an access token, as a value of the caller's own. It has
// the methods Audience, Confirmation and Claims, of which middleware.Bearer knows; Claims are all members
// of the answer. GetUserID is sub, and "" where that is the client itself (RFC 9700 4.15).
//
// The error is ErrInvalidAccessToken of go-oauth2's errors package for a token that is not active, of
// another issuer than [Issuer], of another type than Bearer (of none, see [InsecureUntyped]), for nobody
// (an empty aud) or before its nbf, with 30 s for clocks that differ; ErrExpiredAccessToken for one past
// its exp. Any other error is a failure: of the endpoint, which also refuses wrong credentials of ours with
// an error, of its answer, or because ctx ended first.
func (v *Validator) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	if access == "" {
		return nil, oerr.ErrInvalidAccessToken
	}
	key := sha256.Sum256(unsafe.Slice(unsafe.StringData(access), len(access))) // which only reads: spares a copy on the heap
	found, ok := v.kept.get(key, time.Now())
	if !ok {
		var err error
		if found, err = v.ask(ctx, key, access); err != nil {
			return nil, err
		}
	}
	if found.refusal != nil {
		return nil, found.refusal
	}
	return &token{Token: found.claims.Show(access), claims: found.claims}, nil
}

// Logger is where middleware.Bearer writes to. It may be nil.
func (v *Validator) Logger() *slog.Logger { return v.logger }

// Format keeps the secret out of what a Validator is printed to.
func (v *Validator) Format(f fmt.State, _ rune) { fmt.Fprint(f, "introspect.Validator") }
