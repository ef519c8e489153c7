package storage

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"slices"
	"time"
)

// Grant is one authorization: what a user, on one device, has allowed one client to do, or what a
// client may do on its own. It is one record with all that is ever issued under it; every code and
// token carries the grant's ID beside its secret, and the record keeps only digests of the secrets.
//
// A zero time means never, a nil pointer that the part does not exist. Strings are UTF-8.
type Grant struct {
	ID         ID       `json:"id"`
	Client     string   `json:"client"`
	User       string   `json:"user,omitzero"`       // "": a client's own grant (client_credentials)
	Generation uint64   `json:"generation,omitzero"` // the client's when the grant was made
	Scope      string   `json:"scope,omitzero"`
	Audience   []string `json:"audience,omitzero"` // resource servers the tokens are for (RFC 8707); nil: any

	Created time.Time `json:"created"`
	Expires time.Time `json:"expires,omitzero"` // when nothing of it can be alive any more and it may be pruned
	Ended   time.Time `json:"ended,omitzero"`   // when it was ended before its time: nothing of it is alive since

	AccessLifetime time.Duration `json:"access_lifetime,omitzero"` // of its access tokens, where it is shorter than the client's

	Code    *Code    `json:"code,omitzero"`
	Refresh *Refresh `json:"refresh,omitzero"`
	Access  []Access `json:"access,omitzero"` // oldest first

	See ID `json:"see,omitzero"` // not zero: an alias, a further name of that grant; it has no client and no user
}

// Code is the authorization code of a grant (RFC 6749 4.1). It outlives its redemption, so that a
// replay is recognised and judged by the same challenge.
type Code struct {
	Digest          Digest    `json:"digest"`
	Expires         time.Time `json:"expires"`
	RedirectURI     string    `json:"redirect_uri,omitzero"`
	RedirectURISent bool      `json:"redirect_uri_sent,omitzero"` // in the authorization request; else it was the one registered
	Challenge       string    `json:"challenge,omitzero"`         // S256 (RFC 7636 4.2); "": none was sent
	Tries           int       `json:"tries,omitzero"`             // wrong verifiers so far
	Redeemed        time.Time `json:"redeemed,omitzero"`
}

// Refresh is the refresh token of a grant: the current one, its predecessor, and the family that all
// of them have in common. An imported one has an Ancestor instead of a family until it is first used.
type Refresh struct {
	Family   Digest    `json:"family"`
	Current  Digest    `json:"current"`
	Created  time.Time `json:"created"`          // of the current one
	Expires  time.Time `json:"expires,omitzero"` // of the current one: idle time, within Limit
	Limit    time.Time `json:"limit,omitzero"`   // the absolute end, which rotation never moves
	Previous Digest    `json:"previous,omitzero"`
	Rotated  time.Time `json:"rotated,omitzero"` // when Previous made way for Current

	// While a lost answer may be repeated: the salt under which the successors were derived from the
	// previous token, a digest of the request that rotated, and when the window shuts by its time.
	Salt        []byte    `json:"salt,omitzero"`
	Fingerprint Digest    `json:"fingerprint,omitzero"`
	RetryUntil  time.Time `json:"retry_until,omitzero"`

	Ancestor Digest `json:"ancestor,omitzero"` // of the imported token from which the family descends
}

// Access is one live access token of a grant.
type Access struct {
	Digest   Digest    `json:"digest"`
	Scope    string    `json:"scope,omitzero"`    // "": the grant's
	Audience []string  `json:"audience,omitzero"` // nil: the grant's
	Created  time.Time `json:"created"`
	Expires  time.Time `json:"expires,omitzero"`
}

// Clone returns a copy that shares no memory with g which either could alter.
func (g *Grant) Clone() *Grant {
	c := *g
	c.Audience = slices.Clone(g.Audience)
	if g.Code != nil {
		code := *g.Code
		c.Code = &code
	}
	if g.Refresh != nil {
		refresh := *g.Refresh
		refresh.Salt = slices.Clone(refresh.Salt)
		c.Refresh = &refresh
	}
	c.Access = slices.Clone(g.Access)
	for i := range c.Access {
		c.Access[i].Audience = slices.Clone(c.Access[i].Audience)
	}
	return &c
}

// Digest is the SHA-256 of a secret, as a record keeps it.
type Digest [sha256.Size]byte

// Is compares in constant time. The zero Digest stands for no secret and equals nothing.
func (d Digest) Is(other Digest) bool {
	return subtle.ConstantTimeCompare(d[:], other[:]) == 1 && !d.IsZero()
}

// IsZero tells whether d is the zero Digest, which stands for no secret.
func (d Digest) IsZero() bool { return d == Digest{} }

// MarshalText writes Base64url without padding.
func (d Digest) MarshalText() ([]byte, error) {
	return base64.RawURLEncoding.AppendEncode(nil, d[:]), nil
}

// UnmarshalText reads what MarshalText writes.
func (d *Digest) UnmarshalText(text []byte) error {
	b, err := decode(string(text))
	if err != nil || len(b) != len(d) {
		return errors.New("storage: not a digest")
	}
	*d = Digest(b)
	return nil
}
