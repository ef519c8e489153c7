package handler

import (
	"encoding/json"
	"net/http"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/document"
)

// JWKS serves the keys that verify the Manager's JWT access tokens (RFC 7517 5): the one that signs, the next
// one, and those that have signed what may still live, each with its public members alone.
//
//	mux.Handle("/oauth/keys", handler.JWKS(manager))
//
// [Paths] tells validators where it is. It may be read from any origin, and kept for [grants.KeysMaxAge].
// Where the store fails, the keys that were known last are told.
//
// JWKS panics if the manager was made without [grants.JWT].
func JWKS(m *grants.Manager) http.Handler {
	if m == nil || !m.Signs() {
		panic("handler: JWKS: the manager was made without grants.JWT")
	}
	return document.Func(grants.KeysMaxAge, func(r *http.Request) []byte {
		keys, err := m.PublicKeys(r.Context())
		if err != nil {
			m.Logger().WarnContext(r.Context(), "the keys that sign could not be looked at; those known are told", "error", err.Error())
		}
		set := map[string][]map[string]string{"keys": {}}
		for _, key := range keys {
			set["keys"] = append(set["keys"], key.JWK())
		}
		body, err := json.Marshal(set)
		if err != nil {
			panic(err) // maps of strings
		}
		return body
	})
}
