package grants

import (
	"context"
	"encoding/json"
	"errors"
	"slices"

	"github.com/ostiary-go/ostiary/internal/jws"
)

// Claims adds members of the application's own to what is told of an access token: in a JWT when it is
// issued, in answers to introspection (RFC 7662 2.2), opaque tokens' too, and for routes that the Manager
// guards. of says what the token stands for, the same each time: without an ID, and without an Audience where
// neither the request nor [DefaultAudience] names one. members are what encoding/json can write.
//
// The members of RFC 9068 2.2, RFC 7662 2.2 and RFC 7800 are not the application's: a token with one of
// them in it is not issued and not told of, which is answered server_error and logged. An error of claims is
// answered temporarily_unavailable; nothing is issued then, and nothing spent. ctx ends with [StoreTimeout].
//
// A JWT can be read by whoever has it, the client included: what it has in it is no secret.
func Claims(claims func(ctx context.Context, of Introspection) (members map[string]any, err error)) Option {
	if claims == nil {
		panic("grants: Claims: no function")
	}
	return func(m *Manager) {
		m.claims = func(ctx context.Context, of Introspection) (map[string]any, error) {
			members, err := claims(ctx, of)
			if err != nil {
				return nil, err
			}
			return claimed(members)
		}
	}
}

// reserved are members that say what a token is.
var reserved = []string{"iss", "sub", "aud", "exp", "nbf", "iat", "jti", "client_id", "scope", "cnf", "active", "token_type", "username"}

// errClaims is a mistake of the application.
var errClaims = errors.New("grants: Claims: a member that is not the application's, or that is no JSON")

// claimed is what members are once they were written and read, so that they are the same for all.
func claimed(members map[string]any) (map[string]any, error) {
	for name := range members {
		if name == "" || slices.Contains(reserved, name) {
			return nil, errClaims
		}
	}
	if len(members) == 0 {
		return nil, nil
	}
	text, err := json.Marshal(members)
	if err != nil {
		return nil, errClaims
	}
	read, err := jws.Object(text)
	if err != nil {
		return nil, errClaims
	}
	return read, nil
}

// claimsOf asks the application, if it has something to say.
func (m *Manager) claimsOf(ctx context.Context, of Introspection) (map[string]any, error) {
	if m.claims == nil {
		return nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	return m.claims(ctx, of)
}
