package handler

import (
	"net/http"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
)

// Token serves the token endpoint (RFC 6749 3.2): POST with a form, answered as RFC 6749 5.1 and 5.2
// say. Clients authenticate by Basic or in the body, public ones by client_id alone.
func Token(m oauth2.Manager, options ...Option) http.Handler {
	e := newEndpoint(m, options)
	served := e.dialect.grantTypes(e.manager.GrantTypes())
	return e.post(func(r *request, ask *grants.Request) (map[string]any, error) {
		switch {
		case ask.GrantType == "":
			return nil, invalidRequest("grant_type is missing")
		case !slices.Contains(served, ask.GrantType):
			return nil, &grants.Error{Code: "unsupported_grant_type", Description: "this grant type is not served here"}
		}
		if r.unreadable != nil {
			return nil, r.unreadable
		}
		info, err := e.manager.Token(r.Context(), ask)
		if err != nil {
			return nil, err
		}
		return e.dialect.members(info), nil
	})
}

// tokenMembers are the members of a successful answer (RFC 6749 5.1).
func tokenMembers(info oauth2.TokenInfo) map[string]any {
	members := map[string]any{
		"access_token": info.GetAccess(),
		"token_type":   "Bearer",
	}
	if life := info.GetAccessExpiresIn(); life > 0 { // 0 is for ever with go-oauth2's manager
		members["expires_in"] = int64((life + time.Second - 1) / time.Second)
	}
	if scope := info.GetScope(); scope != "" {
		members["scope"] = scope
	}
	if refresh := info.GetRefresh(); refresh != "" {
		members["refresh_token"] = refresh
	}
	return members
}
