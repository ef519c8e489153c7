package claims

import (
	"maps"
	"time"

	"github.com/ostiary-go/ostiary/internal/view"
)

// Token is a view of Claims that others may share: a TokenInfo of one presented access token. It does not
// print its token.
type Token struct {
	view.Token[shown]
}

// Show returns a view of c for an access token. Its setters alter nothing of c.
func (c *Claims) Show(access string) Token {
	return Token{view.Token[shown]{Source: shown{c, access}}}
}

// Claims returns all members that came, as a copy of the caller's own. Numbers are json.Number.
func (t *Token) Claims() map[string]any { return clone(t.Source.claims.Members).(map[string]any) }

// Confirmation returns the key that the token is bound to (RFC 7800), nil if to none.
func (t *Token) Confirmation() map[string]string { return maps.Clone(t.Source.claims.Confirmation) }

type shown struct {
	claims    *Claims
	presented string
}

func (s shown) Client() string { return s.claims.Client }
func (s shown) User() string   { return s.claims.User() }
func (s shown) Scope() string  { return s.claims.Scope }
func (s shown) Access() string { return s.presented }

// Created is 1970 where iat is not told, so that it and Life tell the end.
func (s shown) Created() time.Time {
	if s.claims.Issued.IsZero() {
		return time.Unix(0, 0)
	}
	return s.claims.Issued
}

func (s shown) Life() time.Duration {
	if s.claims.Expires.IsZero() {
		return 0
	}
	return s.claims.Expires.Sub(s.Created())
}

func clone(value any) any {
	switch value := value.(type) {
	case map[string]any:
		object := make(map[string]any, len(value))
		for name, member := range value {
			object[name] = clone(member)
		}
		return object
	case []any:
		array := make([]any, len(value))
		for i := range value {
			array[i] = clone(value[i])
		}
		return array
	}
	return value
}
