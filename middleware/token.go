package middleware

import (
	"context"

	"github.com/go-oauth2/oauth2/v4"
)

// Token returns the access token that Bearer let through: whose it is, for which client, its scope
// and expiry. It is nil only after an Optional Bearer that found no token, and without any Bearer.
//
// GetUserID is "" if the token is the client's own; don't take the client's ID for that of a user
// (RFC 9700 4.15).
func Token(ctx context.Context) oauth2.TokenInfo {
	if p := passageOf(ctx); p != nil {
		return p.token
	}
	return nil
}

// passage is the context of a request that Bearer let through.
type passage struct {
	context.Context
	guard *guard
	token oauth2.TokenInfo // nil: an Optional guard, and no token

	validation deadline // is here to share an allocation
}

type passageKey struct{}

func passageOf(ctx context.Context) *passage {
	p, _ := ctx.Value(passageKey{}).(*passage)
	return p
}

func (p *passage) Value(key any) any {
	if key == (passageKey{}) {
		return p
	}
	return p.Context.Value(key)
}

// String keeps the token out of a log that a context is written to.
func (p *passage) String() string { return "middleware.Bearer" }
