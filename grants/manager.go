// Package grants is the protocol of an OAuth 2.0 authorization server: what each grant type demands,
// how a grant lives and ends, and what tokens look like.
//
//	manager := grants.New(store)
//	mux.Handle("/oauth/token", handler.Token(manager))
//	pair, err := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
//	n, err := manager.End(ctx, storage.Filter{User: "alice"}) // log out everywhere
//
// A grant is one authorization, kept as one record; whatever is issued, rotated, revoked or ended is
// one atomic change of it, durable before it is answered. Tokens are 256 random bits of which the
// store keeps digests alone; access tokens can be JWTs (see [JWT]). The grant types served are authorization_code with PKCE (RFC 7636),
// refresh_token and client_credentials (RFC 6749), and those that [Extend] adds.
//
// A [Manager] implements go-oauth2's oauth2.Manager. Everything in it is safe for concurrent use.
package grants

import (
	"context"
	"hash/maphash"
	"log/slog"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/storage"
)

// Manager issues, refreshes, checks and revokes tokens. It is safe for concurrent use.
type Manager struct {
	store    storage.Store
	clients  oauth2.ClientStore
	registry storage.Clients // clients, where it has generations; else nil
	notFound []func(error) bool

	issuer         string // "": not told
	foreignScope   string
	extensions     map[string]Extension
	onBehalf       func(ctx context.Context, client, user string) (bool, error)
	encoding       Encoding
	importedTokens bool
	logger         *slog.Logger
	onEvent        []func(context.Context, Event)
	decoys         decoys

	newSigned     func(m *Manager, cacheSize int64) signed
	signed        signed // nil: access tokens are opaque
	longestSigned time.Duration
	audience      []string // of access tokens that are for no resource by name
	claims        func(ctx context.Context, of Introspection) (map[string]any, error)

	cache     *cache // nil: none
	cacheSize int64

	accessLifetime       time.Duration
	clientAccessLifetime time.Duration
	refreshIdle          time.Duration
	refreshLifetime      time.Duration
	codeLifetime         time.Duration
	codeTries            int
	retryWindow          time.Duration
	liveAccessTokens     int
	storeTimeout         time.Duration
}

// The grant types of this package.
const (
	authorizationCode = "authorization_code"
	refreshToken      = "refresh_token"
	clientCredentials = "client_credentials"
)

var ownGrantTypes = []string{authorizationCode, refreshToken, clientCredentials}

// New returns a Manager that keeps its grants in store. It does nothing yet that could fail. Clients
// are looked up in store too, if it is an oauth2.ClientStore, unless [Clients] names another place; New
// panics if there is none.
func New(store storage.Store, options ...Option) *Manager {
	m := &Manager{
		store:      store,
		extensions: make(map[string]Extension),
		encoding:   opaque{},
		logger:     slog.Default(),
		decoys:     decoys{seed: maphash.MakeSeed()},

		accessLifetime:       defaultAccessLifetime,
		clientAccessLifetime: defaultClientAccessLifetime,
		refreshIdle:          defaultRefreshIdle,
		refreshLifetime:      defaultRefreshLifetime,
		codeLifetime:         defaultCodeLifetime,
		codeTries:            defaultCodeTries,
		retryWindow:          defaultRetryWindow,
		liveAccessTokens:     defaultLiveAccessTokens,
		storeTimeout:         defaultStoreTimeout,
		cacheSize:            defaultCacheSize,
	}
	for _, o := range options {
		o(m)
	}
	own := m.clients == nil
	if own {
		m.clients, _ = ability[oauth2.ClientStore](store)
	}
	if m.clients == nil {
		panic("grants: New: the store keeps no clients, and no Clients option names who does")
	}
	m.registry, _ = ability[storage.Clients](m.clients)
	if m.newSigned != nil {
		if m.issuer == "" {
			panic("grants: New: JWT without Issuer (RFC 9068 2.2)")
		}
		share := m.cacheSize / signedShare
		m.signed, m.cacheSize = m.newSigned(m, share), m.cacheSize-share
	}
	// Generations of clients that live elsewhere change without the store's telling.
	if w, ok := ability[storage.Watcher](store); ok && m.cacheSize > 0 && (own || m.registry == nil) {
		m.cache = newCache(m.cacheSize, w)
	}
	return m
}

// ability finds an optional interface on v or on what v wraps.
func ability[T any](v any) (T, bool) {
	for {
		if t, ok := v.(T); ok {
			return t, true
		}
		switch w := v.(type) {
		case interface{ Unwrap() storage.Store }:
			v = w.Unwrap()
		case interface{ Unwrap() oauth2.ClientStore }:
			v = w.Unwrap()
		default:
			var none T
			return none, false
		}
	}
}

// GrantTypes returns the values of grant_type that Token serves.
func (m *Manager) GrantTypes() []string {
	types := slices.Clone(ownGrantTypes)
	for name := range m.extensions {
		types = append(types, name)
	}
	slices.Sort(types[len(ownGrantTypes):])
	return types
}

// Params returns the parameters that the application's own grant types take: see [Extension].
func (m *Manager) Params() []string {
	var params []string
	for _, e := range m.extensions {
		params = append(params, e.Params...)
	}
	slices.Sort(params)
	return slices.Compact(params)
}

// Issuer returns what the option [Issuer] set, or "".
func (m *Manager) Issuer() string { return m.issuer }

// Signs tells whether access tokens are JWTs: see [JWT].
func (m *Manager) Signs() bool { return m.signed != nil }

// PublicKeys returns the keys that verify the access tokens of a Manager that [Manager.Signs], for the endpoint that
// tells them: see [Keys.Public].
func (m *Manager) PublicKeys(ctx context.Context) ([]PublicKey, error) {
	if m.signed == nil {
		return nil, nil
	}
	return m.signed.public(ctx)
}

// Logger returns where the manager logs, for the endpoints that serve it.
func (m *Manager) Logger() *slog.Logger { return m.logger }

// Token answers a request to the token endpoint (RFC 6749 3.2): it proves the client, then serves the
// grant type. The TokenInfo is the caller's own; its AccessExpiresIn is what is left of the access
// token's life, counted from AccessCreateAt. It does not print its tokens.
//
// The error is an *[Error]. Its code is temporarily_unavailable if the store, the client store or a
// function of the application failed, or ctx ended; the same request may then be repeated.
func (m *Manager) Token(ctx context.Context, r *Request) (oauth2.TokenInfo, error) {
	e := Event{RemoteAddr: r.RemoteAddr}
	info, err := m.token(ctx, r, &e)
	m.report(ctx, e, err)
	if err != nil {
		return nil, err // not info: a nil *tokenInfo is no nil TokenInfo
	}
	return info, nil
}

func (m *Manager) token(ctx context.Context, r *Request, e *Event) (*tokenInfo, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	if r.GrantType == "" {
		return nil, refusal(noGrantType)
	}
	extension, extended := m.extensions[r.GrantType]
	if !extended && !slices.Contains(ownGrantTypes, r.GrantType) {
		return nil, refusal(unsupportedGrantType)
	}
	e.GrantType = r.GrantType
	c, err := m.authenticate(ctx, r, e)
	if err != nil {
		return nil, err
	}
	if !c.Allows(r.GrantType) {
		return nil, refusal(notRegistered)
	}
	switch r.GrantType {
	case authorizationCode:
		return m.redeemCode(ctx, c, r, e)
	case refreshToken:
		return m.refresh(ctx, c, r, e)
	case clientCredentials:
		return m.serveClient(ctx, c, r, e)
	}
	return m.extend(ctx, extension, c, r, e)
}

// report tells of what came of a request. A failure is no event: who answers it logs it.
func (m *Manager) report(ctx context.Context, e Event, err *Error) {
	if err != nil {
		if err.Code == "temporarily_unavailable" || err.Code == "server_error" {
			return
		}
		if e.Kind == "" {
			e.Kind = EventRefused
		}
		e.Reason = err.Code
		if r, ok := err.Cause.(reason); ok {
			e.Reason = string(r)
		}
	}
	if e.Kind != "" {
		m.event(ctx, e)
	}
}

// now is the present as records keep it.
func now() time.Time { return time.Now().Truncate(time.Millisecond) }
