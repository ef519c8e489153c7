package introspect

import (
	"errors"
	"fmt"
	"strings"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/claims"
	"github.com/ostiary-go/ostiary/internal/jws"
)

// leeway is what clocks may differ by.
const leeway = 30 * time.Second

// policy is what decides on an answer.
type policy struct {
	issuer  string // "": any
	untyped bool   // tokens of no type are taken
}

// answer is what the endpoint has said of a token: its claims, or why it is refused.
type answer struct {
	claims  *claims.Claims
	refusal error // ErrInvalidAccessToken or ErrExpiredAccessToken, bare
	until   time.Time
}

var (
	errNoActive = errors.New("introspect: the answer has no boolean member active")
	errUntyped  = fmt.Errorf("introspect: the answer has no token_type: %w", oerr.ErrInvalidAccessToken)
)

// read reads the body of an answer (RFC 7662 2.2). An error means that it is none, and says nothing of its
// text.
func (p policy) read(body []byte, now time.Time) (answer, error) {
	members, err := jws.Object(body)
	if err != nil {
		return answer{}, fmt.Errorf("introspect: the answer is %w", err)
	}
	active, ok := members["active"].(bool)
	if !ok {
		return answer{}, errNoActive
	}
	if !active {
		return answer{refusal: oerr.ErrInvalidAccessToken}, nil // whatever else is said
	}
	c, err := claims.Read(members)
	if err != nil {
		return answer{}, fmt.Errorf("introspect: the answer is wrong: %w", err)
	}
	if refusal := p.judge(c, now); refusal != nil {
		return answer{refusal: refusal}, nil
	}
	return answer{claims: c}, nil
}

// judge tells why a token that is active is refused here.
func (p policy) judge(c *claims.Claims, now time.Time) error {
	switch {
	case !c.Expires.IsZero() && !now.Before(c.Expires):
		return oerr.ErrExpiredAccessToken
	case !c.NotBefore.IsZero() && now.Add(leeway).Before(c.NotBefore):
		return oerr.ErrInvalidAccessToken
	case p.issuer != "" && told(c, "iss") && c.Issuer != p.issuer:
		return oerr.ErrInvalidAccessToken
	case c.Audience != nil && len(c.Audience) == 0: // for nobody
		return oerr.ErrInvalidAccessToken
	}
	if !told(c, "token_type") {
		if p.untyped {
			return nil
		}
		return errUntyped
	}
	if kind, ok := c.Members["token_type"].(string); !ok || !strings.EqualFold(kind, "Bearer") {
		return oerr.ErrInvalidAccessToken
	}
	return nil
}

func told(c *claims.Claims, name string) bool {
	_, ok := c.Members[name]
	return ok
}
