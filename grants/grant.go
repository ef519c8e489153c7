package grants

import (
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// The life of a grant is a state machine of pure functions of (grant, request, policy, random octets,
// time): redeem, rotate and revoke, each in a file of its own, and what they share here. They know no
// store, clock, log or random source, and may be run more than once. A refusal that has to be
// remembered is a change of the grant, not an error.

// policy is what the manager's settings and the client's registration say about its grants.
type policy struct {
	generation         uint64        // of the client
	anyGeneration      bool          // the client has none: it lives in a table of the application's
	accessLifetime     time.Duration // of an access token
	refreshIdle        time.Duration // of a refresh token, from its rotation
	refreshLifetime    time.Duration // of all refresh tokens of a grant
	retryWindow        time.Duration // how long a lost answer is repeated; never beyond accessLifetime
	liveAccessTokens   int           // the oldest ends first
	codeTries          int           // wrong verifiers that kill a code
	refresh            bool          // the client gets refresh tokens
	rotate             bool          // and they are replaced at each use
	signed             bool          // access tokens are signed: their times are seconds
	requireRedirectURI bool          // to be repeated at the token endpoint, without PKCE
}

// draw is randomness, drawn before a step.
type draw struct {
	access [32]byte
	family [16]byte
	own    [16]byte // of a refresh secret
	salt   [32]byte
}

// outcome is what came of a step.
type outcome struct {
	refused reason  // "": not refused
	issued  *issued // what was issued, or is again
	ended   bool    // the step ended the grant
	found   bool    // revoke: something was alive and is no more

	// Of the grant, set by step:
	id           storage.ID
	client, user string
}

func refuse(r reason) outcome { return outcome{refused: r} }

// issued is what a step hands out. It shares nothing with the grant.
type issued struct {
	id             storage.ID
	client, user   string
	scope          string
	audience       []string
	access         [32]byte
	text           string // of the access token, where it is signed
	accessCreated  time.Time
	accessExpires  time.Time
	refresh        *token    // nil: none
	refreshExpires time.Time // zero: never
}

// over tells whether nothing of the grant is alive whatever its expiries say.
func (p policy) over(g *storage.Grant) bool {
	return !g.Ended.IsZero() || !p.anyGeneration && g.Generation != p.generation
}

// over is policy.over of a generation that is known to count.
func over(g *storage.Grant, generation uint64) bool {
	return !g.Ended.IsZero() || g.Generation != generation
}

// past tells whether t has come; the zero time never does.
func past(t, now time.Time) bool { return !t.IsZero() && !now.Before(t) }

// after is the time d after now; it is zero, never, for an unlimited d.
func after(now time.Time, d time.Duration) time.Time {
	if d == storage.Unlimited {
		return time.Time{}
	}
	return now.Add(d)
}

// earlier is the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// later is the later of two times, of which zero is never.
func later(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && !b.After(a) {
		return a
	}
	return b
}

// alive tells whether anything of the grant can still be used.
func alive(g *storage.Grant, generation uint64, now time.Time) bool {
	if over(g, generation) {
		return false
	}
	if g.Code != nil && g.Code.Redeemed.IsZero() && !past(g.Code.Expires, now) {
		return true
	}
	if g.Refresh != nil && !past(g.Refresh.Expires, now) {
		return true
	}
	for i := range g.Access {
		if !past(g.Access[i].Expires, now) {
			return true
		}
	}
	return false
}

// end ends the grant and tells whether it had not ended before.
func end(g *storage.Grant, now time.Time) bool {
	if !g.Ended.IsZero() {
		return false
	}
	g.Ended = now
	if g.Expires.IsZero() { // pruned like the others
		g.Expires = now
	}
	if g.Refresh != nil {
		shutRetry(g.Refresh)
	}
	return true
}

// addAccess puts a new access token into the grant. Expired ones leave, and the oldest if there are
// too many.
func addAccess(g *storage.Grant, secret [32]byte, scope string, audience []string, p policy, now time.Time) *storage.Access {
	tidy(g, now)
	lifetime := p.accessLifetime
	if g.AccessLifetime > 0 {
		lifetime = min(lifetime, g.AccessLifetime)
	}
	expires := now.Add(lifetime)
	if p.signed {
		expires = later(expires.Truncate(time.Second), now.Truncate(time.Second).Add(time.Second))
	}
	g.Access = append(g.Access, storage.Access{
		Digest:   digest(AccessKind, secret[:]),
		Scope:    scope,
		Audience: audience,
		Created:  now,
		Expires:  expires,
	})
	if extra := len(g.Access) - p.liveAccessTokens; extra > 0 {
		g.Access = g.Access[extra:]
	}
	return &g.Access[len(g.Access)-1]
}

// tidy drops what has no use any more: expired access tokens, and the salt once the window is shut.
func tidy(g *storage.Grant, now time.Time) {
	kept := g.Access[:0]
	for _, a := range g.Access {
		if !past(a.Expires, now) {
			kept = append(kept, a)
		}
	}
	g.Access = kept
	if r := g.Refresh; r != nil && past(r.RetryUntil, now) {
		shutRetry(r)
	}
}

func shutRetry(r *storage.Refresh) {
	r.Salt, r.Fingerprint, r.RetryUntil = nil, storage.Digest{}, time.Time{}
}

// findAccess returns the index of the access token with that digest, or -1. It looks at all of them,
// each in constant time.
func findAccess(g *storage.Grant, d storage.Digest) int {
	found := -1
	for i := range g.Access {
		if g.Access[i].Digest.Is(d) {
			found = i
		}
	}
	return found
}

// setExpires says when nothing of the grant can be alive any more.
func setExpires(g *storage.Grant) {
	last := g.Created
	if g.Code != nil {
		last = g.Code.Expires
	}
	for i := range g.Access {
		last = later(last, g.Access[i].Expires)
	}
	if r := g.Refresh; r != nil {
		last = later(last, r.Expires)
		if !r.Ancestor.IsZero() { // as long as its token could be imported once more
			last = later(last, g.Expires)
		}
	}
	g.Expires = last
}

// hand makes an issued of the grant and one of its access tokens.
func hand(g *storage.Grant, a *storage.Access, access [32]byte) *issued {
	i := &issued{
		id: g.ID, client: g.Client, user: g.User,
		scope: g.Scope, audience: append([]string(nil), audienceOf(g, a)...),
		access: access, accessCreated: a.Created, accessExpires: a.Expires,
	}
	if a.Scope != "" {
		i.scope = a.Scope
	}
	return i
}

func audienceOf(g *storage.Grant, a *storage.Access) []string {
	if a.Audience != nil {
		return a.Audience
	}
	return g.Audience
}
