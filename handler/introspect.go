package handler

import (
	"maps"
	"net/http"
	"slices"

	"github.com/ostiary-go/ostiary/grants"
)

// Introspect serves the introspection endpoint (RFC 7662): POST with a form by a confidential client, which
// authenticates as at the token endpoint. A client is told about its own tokens, one whose registration
// has Introspect set about any access token. In all other cases, whatever the reason, the answer is
// {"active":false} and nothing else.
//
// sub is left out of the answer for a client's own token (RFC 9700 4.15), token_type for a refresh token,
// which no resource server shall take for an access token. What [grants.Claims] adds stands beside it all. The
// answer is JSON, whatever is asked for: signed ones (RFC 9701) are not offered. A [Dialect] has no effect
// here.
func Introspect(m *grants.Manager, options ...Option) http.Handler {
	if m == nil {
		panic("handler: Introspect: no manager")
	}
	e := newEndpoint(m, slices.Concat(options, []Option{Dialect{}})) // the slice is the caller's
	e.origins = nil
	return e.post(func(r *request, ask *grants.Request) (map[string]any, error) {
		if r.unreadable != nil {
			return nil, r.unreadable
		}
		i, err := m.Introspect(r.Context(), ask)
		if err != nil {
			return nil, err
		}
		return introspectionMembers(m.Issuer(), i), nil
	})
}

// introspectionMembers are the members of an answer (RFC 7662 2.2).
func introspectionMembers(issuer string, i *grants.Introspection) map[string]any {
	members := map[string]any{"active": i.Active}
	if !i.Active {
		return members
	}
	maps.Copy(members, i.Claims) // none of which is one of these
	for name, value := range map[string]string{"client_id": i.Client, "sub": i.User, "scope": i.Scope, "iss": issuer, "jti": i.ID} {
		if value != "" {
			members[name] = value
		}
	}
	if !i.Refresh {
		members["token_type"] = "Bearer"
	}
	members["iat"] = i.Issued.Unix()
	if !i.Expires.IsZero() {
		members["exp"] = i.Expires.Unix()
	}
	switch len(i.Audience) {
	case 0:
	case 1:
		members["aud"] = i.Audience[0]
	default:
		members["aud"] = i.Audience
	}
	return members
}
