package grants

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// The defaults. Lifetimes can be overridden for a client by its registration.
const (
	defaultAccessLifetime       = time.Hour
	defaultClientAccessLifetime = 15 * time.Minute
	defaultRefreshIdle          = 30 * 24 * time.Hour
	defaultRefreshLifetime      = 365 * 24 * time.Hour
	defaultCodeLifetime         = time.Minute
	longestCodeLifetime         = 10 * time.Minute // RFC 6749 4.1.2
	defaultRetryWindow          = time.Minute
	defaultLiveAccessTokens     = 4
	defaultCodeTries            = 5
	defaultStoreTimeout         = 5 * time.Second
	defaultCacheSize            = 64 << 20 // bytes
)

// Option changes a Manager that [New] makes. Later ones win. A value that makes no sense panics where
// the option is called.
type Option func(*Manager)

// AccessLifetime sets how long an access token for a user lives (RFC 6749 4.2.2). Default 1 h; a
// client's AccessLifetime overrides it.
func AccessLifetime(d time.Duration) Option {
	atLeast("AccessLifetime", d, time.Second)
	hasEnd("AccessLifetime", d)
	return func(m *Manager) { m.accessLifetime = d }
}

// ClientAccessLifetime sets how long an access token of a client's own lives (client_credentials, RFC
// 6749 4.4). Default 15 min; a client's AccessLifetime overrides it.
func ClientAccessLifetime(d time.Duration) Option {
	atLeast("ClientAccessLifetime", d, time.Second)
	hasEnd("ClientAccessLifetime", d)
	return func(m *Manager) { m.clientAccessLifetime = d }
}

// RefreshIdle sets how long a refresh token can stay unused (RFC 9700 4.14.2). Default 30 days;
// [storage.Unlimited] means for ever; a client's RefreshIdle overrides it.
func RefreshIdle(d time.Duration) Option {
	atLeast("RefreshIdle", d, time.Second)
	return func(m *Manager) { m.refreshIdle = d }
}

// RefreshLifetime sets how long a grant can be refreshed at all, counted from its first refresh token.
// Default 1 year; [storage.Unlimited] means for ever; a client's RefreshLifetime overrides it.
func RefreshLifetime(d time.Duration) Option {
	atLeast("RefreshLifetime", d, time.Second)
	return func(m *Manager) { m.refreshLifetime = d }
}

// CodeLifetime sets how long an authorization code lives. Default 60 s, at most 10 min (RFC 6749
// 4.1.2).
func CodeLifetime(d time.Duration) Option {
	atLeast("CodeLifetime", d, time.Second)
	if d > longestCodeLifetime {
		panic("grants: CodeLifetime: more than 10 minutes (RFC 6749 4.1.2)")
	}
	return func(m *Manager) { m.codeLifetime = d }
}

// CodeTries sets how many wrong verifiers kill an authorization code (RFC 7636 4.6). Default 5.
func CodeTries(n int) Option {
	atLeast("CodeTries", n, 1)
	return func(m *Manager) { m.codeTries = n }
}

// RetryWindow sets how long a client that lost the answer to a refresh gets the same tokens again (RFC
// 9700 4.14.2): until then, the first use of the new refresh token or the end of the access token,
// whichever comes first. Default 60 s. 0 turns it off: every repeat ends the grant, the second of two
// racing refreshes included.
func RetryWindow(d time.Duration) Option {
	atLeast("RetryWindow", d, 0)
	return func(m *Manager) { m.retryWindow = d }
}

// LiveAccessTokens sets how many access tokens of one grant live at a time. Default 4; one more ends
// the oldest.
func LiveAccessTokens(n int) Option {
	atLeast("LiveAccessTokens", n, 1)
	return func(m *Manager) { m.liveAccessTokens = n }
}

// StoreTimeout sets how long a request waits for the store, for the computation of slow secrets and for
// functions of the application before it is answered temporarily_unavailable. Default 5 s.
func StoreTimeout(d time.Duration) Option {
	atLeast("StoreTimeout", d, time.Millisecond)
	return func(m *Manager) { m.storeTimeout = d }
}

// Clients makes the manager look up clients in cs instead of the store. A ClientInfo that is a
// *[storage.Client] is taken as it stands, which is the best an application with a client table of its
// own can return. Any other is read as: its redirect URI is exactly GetDomain, it is public if IsPublic
// says so, an empty secret matches nothing, and it may use every grant type served and the scope set by
// [ForeignScope].
//
// An unknown client is (nil, nil), storage.ErrNotFound, go-oauth2's ErrInvalidClient, or what one of
// notFound says; any other error is a failure of the client store, which is answered
// temporarily_unavailable. cs has to return when its context ends.
//
// Clients of an application's own table are not asked for when an access token is validated: deleting
// one there ends no token. End its grants with [Manager.End].
func Clients(cs oauth2.ClientStore, notFound ...func(error) bool) Option {
	if cs == nil {
		panic("grants: Clients: no client store")
	}
	return func(m *Manager) { m.clients, m.notFound = cs, notFound }
}

// ForeignScope sets the scope (RFC 6749 3.3) that clients may ask for which say nothing about it: see
// [Clients]. Default none.
func ForeignScope(s string) Option {
	if _, ok := scope.Parse(s); !ok {
		panic("grants: ForeignScope: malformed scope")
	}
	return func(m *Manager) { m.foreignScope = s }
}

// Issuer sets the name of the authorization server (RFC 8414 2): the https URL under which clients know
// it, without query and fragment; http only on the loopback interface. It stands, as it is given here,
// in metadata and authorization responses (RFC 9207), and never comes from a request. The endpoints
// that tell it panic where they are built without it.
func Issuer(issuer string) Option {
	if wrong := wrongIssuer(issuer); wrong != "" {
		panic("grants: Issuer: " + wrong)
	}
	return func(m *Manager) { m.issuer = issuer }
}

func wrongIssuer(s string) string {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.Opaque != "" || u.Hostname() == "":
		return "no absolute URL"
	case u.User != nil:
		return "a URL with a user"
	case strings.ContainsAny(s, "?#"):
		return "a URL with a query or a fragment (RFC 8414 2)"
	case strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' || r == '"' || r == '\\' }):
		return "a character that no URL has"
	case u.Scheme != "https" && !(u.Scheme == "http" && storage.Loopback(u.Hostname())):
		return "not https, and not on the loopback interface"
	}
	return ""
}

// DefaultAudience names the resource servers that an access token is for whose client asked for none by
// resource (RFC 8707 2, RFC 9068 3). Default none: an opaque token is then good at all of them, and a JWT is
// for the issuer. With it set, routes that the Manager guards in the same process have to be named too, by
// middleware.Audience.
func DefaultAudience(names ...string) Option {
	if len(names) == 0 || slices.Contains(names, "") {
		panic("grants: DefaultAudience: no name, or an empty one")
	}
	names = slices.Clone(names)
	return func(m *Manager) { m.audience = names }
}

// Tokens sets the shape of codes and tokens. Default: "ost", the kind, "_" and 70 characters of
// Base64url with a checksum.
func Tokens(e Encoding) Option {
	if e == nil {
		panic("grants: Tokens: no encoding")
	}
	return func(m *Manager) { m.encoding = e }
}

// Extend adds a grant type of the application's own.
func Extend(e Extension) Option {
	switch {
	case e.Grant == nil:
		panic("grants: Extend: no function")
	case e.Name == "" || slices.Contains(ownGrantTypes, e.Name) || e.Name != "password" && !strings.Contains(e.Name, ":"):
		panic("grants: Extend: the name of an extension grant is an absolute URI (RFC 6749 4.5), or password")
	}
	return func(m *Manager) { m.extensions[e.Name] = e }
}

// Logger sets where the manager, and the endpoints that serve it, log. Default slog.Default(). No
// record holds a secret, code or token.
func Logger(l *slog.Logger) Option {
	if l == nil {
		panic("grants: Logger: no logger")
	}
	return func(m *Manager) { m.logger = l }
}

func atLeast[T int | time.Duration](option string, value, least T) {
	if value < least {
		panic("grants: " + option + ": too small")
	}
}

// hasEnd panics for an access token that never expires.
func hasEnd(option string, lifetime time.Duration) {
	if lifetime == storage.Unlimited {
		panic("grants: " + option + ": an access token has to expire")
	}
}

// policyFor is what applies to the grants of c; user says whether they are a user's.
func (m *Manager) policyFor(c *client, user bool) policy {
	p := policy{
		generation:         c.Generation,
		anyGeneration:      m.registry == nil,
		accessLifetime:     m.clientAccessLifetime,
		refreshIdle:        m.refreshIdle,
		refreshLifetime:    m.refreshLifetime,
		retryWindow:        m.retryWindow,
		liveAccessTokens:   m.liveAccessTokens,
		codeTries:          m.codeTries,
		refresh:            user && c.Allows(refreshToken),
		rotate:             !c.InsecureNoRotation || c.Public && !c.InsecurePublicNoRotation,
		requireRedirectURI: !c.InsecureNoRedirectURI || c.Public,
		signed:             m.newSigned != nil,
	}
	if user {
		p.accessLifetime = m.accessLifetime
	}
	for _, own := range []struct {
		lifetime time.Duration
		of       *time.Duration
	}{
		{c.AccessLifetime, &p.accessLifetime},
		{c.RefreshIdle, &p.refreshIdle},
		{c.RefreshLifetime, &p.refreshLifetime},
	} {
		if own.lifetime != 0 {
			*own.of = own.lifetime
		}
	}
	if p.signed {
		p.accessLifetime = min(p.accessLifetime, m.longestSigned)
	}
	return p
}
