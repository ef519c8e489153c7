package grants

import (
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/internal/pkce"
	"github.com/ostiary-go/ostiary/storage"
)

// redemption is a request to redeem a code (RFC 6749 4.1.3, RFC 7636 4.5). Its verifier is well
// formed or empty.
type redemption struct {
	client      string
	code        token
	redirectURI string
	verifier    string
	resource    []string
}

// redeem answers a redemption. A wrong verifier does not spend the code; a number of them kills it. A
// replay ends the grant only if it is valid otherwise (OAuth 2.1 7.5.2), so that a stolen code does not
// log its owner out.
func redeem(g *storage.Grant, r redemption, p policy, d draw, now time.Time) outcome {
	c := g.Code
	switch {
	case c == nil || !c.Digest.Is(r.code.digest(CodeKind)):
		return refuse(unknown)
	case g.Client != r.client:
		return refuse(otherClient)
	case p.over(g):
		return refuse(grantEnded)
	}

	redeemed := !c.Redeemed.IsZero()
	if !redeemed {
		switch {
		case c.Tries >= p.codeTries:
			return refuse(tooManyTries)
		case past(c.Expires, now):
			return refuse(expired)
		}
	}
	if wrong := mistakeOf(c, r, p); wrong != "" {
		if wrong == wrongVerifier && !redeemed {
			c.Tries++
		}
		return refuse(wrong)
	}
	if redeemed {
		end(g, now)
		return outcome{refused: codeReplayed, ended: true}
	}

	audience, ok := forGrant(g, r.resource)
	if !ok {
		return refuse(resourceBeyondGrant)
	}
	c.Redeemed = now
	return begin(g, audience, p, d, now)
}

// mistakeOf says what in the request does not prove that it comes from where the code was asked for.
func mistakeOf(c *storage.Code, r redemption, p policy) reason {
	switch {
	case r.redirectURI != "" && r.redirectURI != c.RedirectURI:
		return wrongRedirectURI
	case r.redirectURI == "" && c.RedirectURISent && c.Challenge == "" && p.requireRedirectURI:
		return wrongRedirectURI
	case c.Challenge == "" && r.verifier != "":
		return unboundVerifier // RFC 9700 4.8.2
	case c.Challenge != "" && r.verifier == "":
		return missingVerifier
	case c.Challenge != "" && !pkce.Meets(r.verifier, c.Challenge):
		return wrongVerifier
	}
	return ""
}

// begin issues the first tokens of a grant. audience is that of the access token; nil: the grant's.
func begin(g *storage.Grant, audience []string, p policy, d draw, now time.Time) outcome {
	i := hand(g, addAccess(g, d.access, "", audience, p, now), d.access)
	if p.refresh {
		secret := [32]byte(slices.Concat(d.family[:], d.own[:]))
		limit := after(now, p.refreshLifetime)
		g.Refresh = &storage.Refresh{
			Family:  familyOf(secret),
			Current: digest(RefreshKind, secret[:]),
			Created: now,
			Expires: earlier(after(now, p.refreshIdle), limit),
			Limit:   limit,
		}
		first := native(RefreshKind, g.ID, secret)
		i.refresh, i.refreshExpires = &first, g.Refresh.Expires
	}
	setExpires(g)
	return outcome{issued: i}
}
