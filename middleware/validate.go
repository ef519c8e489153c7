package middleware

import (
	"errors"
	"net/http"
	"slices"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/absent"
)

// validate asks the Validator about the token access, and whether what it says will do here.
func (g *guard) validate(r *http.Request, access string, ctx *deadline) (token oauth2.TokenInfo, refusal *answer) {
	ctx.start(r.Context(), g.timeout)
	defer ctx.end()
	defer func() {
		if p := recover(); p != nil {
			g.logPanic(r.Context(), p)
			token, refusal = nil, broken
		}
	}()

	token, err := g.validator.LoadAccessToken(ctx, access)
	switch {
	case g.says401(token, err):
		return nil, invalidToken
	case err != nil:
		g.logFailure(r.Context(), err, access)
		return nil, unavailable
	case isBound(token):
		return nil, boundToKey
	case !g.isFor(token):
		return nil, otherAudience
	}
	return token, nil
}

// says401 tells whether the Validator's answer is that the token isn't good.
func (g *guard) says401(token oauth2.TokenInfo, err error) bool {
	if err == nil {
		return absent.Nil(token)
	}
	return errors.Is(err, oerr.ErrInvalidAccessToken) ||
		errors.Is(err, oerr.ErrExpiredAccessToken) ||
		errors.Is(err, oerr.ErrExpiredRefreshToken) || // go-oauth2 looks at both halves of a pair
		g.notFound(err)
}

// isBound tells whether token is worth something only with a proof of possession.
func isBound(token oauth2.TokenInfo) bool {
	t, ok := ability[interface{ Confirmation() map[string]string }](token)
	return ok && len(t.Confirmation()) > 0
}

// isFor tells whether token may be used here.
func (g *guard) isFor(token oauth2.TokenInfo) bool {
	t, ok := ability[interface{ Audience() []string }](token)
	if !ok {
		return true
	}
	names := t.Audience()
	return len(names) == 0 || slices.ContainsFunc(names, func(name string) bool {
		return slices.Contains(g.audience, name)
	})
}

// ability finds the outermost value with the methods of T: token, or what it wraps.
func ability[T any](token oauth2.TokenInfo) (T, bool) {
	for {
		if t, ok := token.(T); ok {
			return t, true
		}
		wrapper, ok := token.(interface{ Unwrap() oauth2.TokenInfo })
		if !ok {
			return *new(T), false
		}
		token = wrapper.Unwrap()
	}
}
