package handler

import (
	"net/http"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
)

// Revoke serves the revocation endpoint (RFC 7009): POST with a form. A refresh token ends its grant, an
// access token ends alone. An unknown token is answered 200 (2.2), another client's is refused (2.1),
// and token_type_hint is never a filter.
func Revoke(m oauth2.Manager, options ...Option) http.Handler {
	e := newEndpoint(m, options)
	return e.post(func(r *request, ask *grants.Request) (map[string]any, error) {
		if r.unreadable != nil {
			return nil, r.unreadable
		}
		return nil, e.manager.Revoke(r.Context(), ask)
	})
}
