package introspect

import (
	"slices"

	"github.com/ostiary-go/ostiary/internal/claims"
)

// token is a view of an answer that others may share.
type token struct {
	claims.Token
	claims *claims.Claims
}

// Audience returns the resource servers that the token is for (RFC 7662 2.2); none: any.
func (t *token) Audience() []string { return slices.Clone(t.claims.Audience) }
