package storage

import (
	"context"
	"crypto/rand"
	"math"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"
)

// Unlimited is a lifetime without end.
const Unlimited time.Duration = math.MaxInt64

// Client is a registered client (RFC 6749 2). It implements go-oauth2's [oauth2.ClientInfo] and
// [oauth2.ClientPasswordVerifier]. A Client that others can see is read only.
type Client struct {
	ID   string `json:"id"`
	Name string `json:"name,omitzero"` // shown to users

	// Public says that the client can't keep a secret (RFC 6749 2.1): it names itself and proves
	// nothing. It is never derived from a missing secret.
	Public bool `json:"public,omitzero"`

	// Either secret is accepted, so that one is replaced without an outage: move Secret to OldSecret,
	// set the new one, and empty OldSecret once every instance of the client has it.
	Secret    Secret `json:"secret,omitzero"`
	OldSecret Secret `json:"old_secret,omitzero"`

	RedirectURIs []string `json:"redirect_uris,omitzero"` // compared byte by byte; loopback ones on any port (RFC 8252 7.3)
	GrantTypes   []string `json:"grant_types,omitzero"`
	Scope        string   `json:"scope,omitzero"` // all it may ask for, and what it gets if it asks for nothing

	// Resources are the resource servers (RFC 8707) that it may ask for tokens for, as URIs; nil: none. A
	// token that names none is good at all of them.
	Resources []string `json:"resources,omitzero"`

	// Introspect lets the client ask the introspection endpoint (RFC 7662) about any access token, as
	// resource servers do. Without it a client learns about its own tokens alone.
	Introspect bool `json:"introspect,omitzero"`

	// Audience is what the client is called where it is a resource server itself. With it set, Introspect
	// tells it nothing of tokens that are for others.
	Audience []string `json:"audience,omitzero"`

	// Lifetimes that override the Manager's where they are not 0. The two of the refresh token may be
	// Unlimited.
	AccessLifetime  time.Duration `json:"access_lifetime,omitzero"`
	RefreshIdle     time.Duration `json:"refresh_idle,omitzero"`     // from each rotation
	RefreshLifetime time.Duration `json:"refresh_lifetime,omitzero"` // of the whole grant

	// InsecureNoPKCE no longer demands PKCE (RFC 7636) of a confidential client; a challenge that is
	// sent is still checked.
	//
	// Warning: whoever gets hold of a code can inject it into a session of this client (RFC 9700 4.5).
	InsecureNoPKCE bool `json:"insecure_no_pkce,omitzero"`

	// InsecureNoRedirectURI no longer demands of a confidential client that it repeats at the token
	// endpoint the redirect URI of an authorization request without PKCE (RFC 6749 4.1.3).
	//
	// Warning: a code that was sent to another of the client's URIs is accepted.
	InsecureNoRedirectURI bool `json:"insecure_no_redirect_uri,omitzero"`

	// InsecureNoRotation lets a refresh token be used again and again instead of being replaced at each
	// use (RFC 9700 2.2.2).
	//
	// Warning: the theft of a refresh token is never noticed. For a public client
	// InsecurePublicNoRotation must be set as well, since there the token alone is enough to use it.
	InsecureNoRotation       bool `json:"insecure_no_rotation,omitzero"`
	InsecurePublicNoRotation bool `json:"insecure_public_no_rotation,omitzero"`

	Generation uint64            `json:"generation,omitzero"` // the store's; see Clients.PutClient
	Metadata   map[string]string `json:"metadata,omitzero"`   // the application's, never looked at
}

var (
	_ oauth2.ClientInfo             = (*Client)(nil)
	_ oauth2.ClientPasswordVerifier = (*Client)(nil)
)

// GetID returns the client's ID.
func (c *Client) GetID() string { return c.ID }

// GetSecret returns the stored form of the secret, and where there is none a value that nobody knows:
// a caller that compares it with what a client sent, instead of calling VerifyPassword, lets nobody in.
func (c *Client) GetSecret() string {
	if c.Secret == "" {
		return unmatched
	}
	return string(c.Secret)
}

var unmatched = rand.Text()

// GetDomain returns the redirect URI if exactly one is registered, else "".
func (c *Client) GetDomain() string {
	if len(c.RedirectURIs) != 1 {
		return ""
	}
	return c.RedirectURIs[0]
}

// IsPublic returns Public.
func (c *Client) IsPublic() bool { return c.Public }

// GetUserID returns "": a client belongs to no user.
func (c *Client) GetUserID() string { return "" }

// VerifyPassword tells whether secret proves the client: for a confidential one if it matches either
// secret, for a public one if it is empty. It is VerifySecret without a bound on the time it waits.
func (c *Client) VerifyPassword(secret string) bool {
	ok, _ := c.VerifySecret(context.Background(), secret)
	return ok
}

// VerifySecret tells whether secret proves the client (RFC 6749 2.3.1), as VerifyPassword does. An
// error is that of ctx: it ended before the secret could be looked at; see [Secret.Matches].
func (c *Client) VerifySecret(ctx context.Context, secret string) (bool, error) {
	if c.Public {
		return secret == "", nil
	}
	for _, s := range []Secret{c.Secret, c.OldSecret} {
		if ok, err := s.Matches(ctx, secret); ok || err != nil {
			return ok, err
		}
	}
	return false, nil
}

// Allows tells whether the client is registered for the grant type.
func (c *Client) Allows(grantType string) bool { return slices.Contains(c.GrantTypes, grantType) }

// Clone returns a copy that shares no memory with c which either could alter.
func (c *Client) Clone() *Client {
	d := *c
	d.RedirectURIs = slices.Clone(c.RedirectURIs)
	d.GrantTypes = slices.Clone(c.GrantTypes)
	d.Resources = slices.Clone(c.Resources)
	d.Audience = slices.Clone(c.Audience)
	if c.Metadata != nil {
		d.Metadata = make(map[string]string, len(c.Metadata))
		for k, v := range c.Metadata {
			d.Metadata[k] = v
		}
	}
	return &d
}
