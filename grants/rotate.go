package grants

import (
	"crypto/hkdf"
	"crypto/sha256"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// refreshment is a request to refresh (RFC 6749 6).
type refreshment struct {
	client   string
	secret   [32]byte
	scope    []string // nil: as first granted
	resource []string
}

// rotate answers a refreshment. The order of the cases is what makes it safe: a thief who is another
// client ends nothing; a lost answer is repeated, never forked; a spent token of any age ends the
// grant (RFC 9700 4.14.2); a guess under a known grant ID ends nothing.
func rotate(g *storage.Grant, r refreshment, p policy, d draw, now time.Time) outcome {
	switch {
	case g.Client != r.client:
		return refuse(otherClient)
	case over(g, p.generation):
		return refuse(grantEnded)
	case g.Refresh == nil:
		return refuse(unknown)
	}
	switch presented := digest(RefreshKind, r.secret[:]); {
	case g.Refresh.Current.Is(presented):
		return advance(g, r, p, d, now)
	case g.Refresh.Previous.Is(presented):
		if again := lostAnswer(g, r, now); again != nil {
			return *again
		}
	case !g.Refresh.Family.Is(family(r.secret)):
		return refuse(unknown)
	}
	end(g, now)
	return outcome{refused: refreshReused, ended: true}
}

// advance answers the current refresh token.
func advance(g *storage.Grant, r refreshment, p policy, d draw, now time.Time) outcome {
	refresh := g.Refresh
	switch {
	case past(refresh.Expires, now):
		return refuse(expired)
	case !scope.Within(r.scope, g.Scope):
		return refuse(scopeBeyondGrant)
	}
	shutRetry(refresh)
	refresh.Created = now
	refresh.Expires = earlier(after(now, p.refreshIdle), refresh.Limit)

	next, access := r.secret, d.access
	if p.rotate {
		copy(next[16:], d.own[:])
		if p.retryWindow > 0 {
			next, access = successors(r.secret, d.salt[:])
			refresh.Salt = append([]byte(nil), d.salt[:]...)
			refresh.Fingerprint = fingerprint(g, r)
		}
		refresh.Previous, refresh.Rotated = refresh.Current, now
		refresh.Current = digest(RefreshKind, next[:])
	}
	a := addAccess(g, access, narrowed(g, r), p, now)
	if refresh.Salt != nil {
		refresh.RetryUntil = earlier(now.Add(p.retryWindow), a.Expires)
	}
	setExpires(g)
	i := hand(g, a, access)
	i.refresh, i.hasRefresh, i.refreshExpires = next, true, refresh.Expires
	return outcome{issued: i}
}

// lostAnswer answers the previous refresh token within the window: the same request gets the same pair
// again, another one is refused. It returns nil if the window is shut.
func lostAnswer(g *storage.Grant, r refreshment, now time.Time) *outcome {
	i := repeatable(g, r.secret, now)
	switch {
	case i == nil:
		return nil
	case !g.Refresh.Fingerprint.Is(fingerprint(g, r)):
		return &outcome{refused: retryDiffers}
	}
	return &outcome{issued: i}
}

// repeatable is what the previous refresh token brought, while it would be handed out again: until the
// window shuts by its time, or the access token was revoked.
func repeatable(g *storage.Grant, previous [32]byte, now time.Time) *issued {
	refresh := g.Refresh
	if refresh.Salt == nil || past(refresh.RetryUntil, now) || past(refresh.Expires, now) {
		return nil
	}
	next, access := successors(previous, refresh.Salt)
	at := findAccess(g, digest(AccessKind, access[:]))
	if at < 0 {
		return nil
	}
	i := hand(g, &g.Access[at], access)
	i.refresh, i.hasRefresh, i.refreshExpires = next, true, refresh.Expires
	return i
}

// successors derives the tokens that follow a refresh token under a salt that the record keeps (HKDF,
// RFC 5869): whoever has the token gets the same ones again, whoever has the record alone gets none.
func successors(old [32]byte, salt []byte) (refresh, access [32]byte) {
	copy(refresh[:16], old[:16])
	copy(refresh[16:], derive(old, salt, "ostiary refresh", 16))
	copy(access[:], derive(old, salt, "ostiary access", 32))
	return refresh, access
}

func derive(old [32]byte, salt []byte, info string, size int) []byte {
	key, err := hkdf.Key(sha256.New, old[:], salt, info, size)
	if err != nil {
		panic(err) // only for sizes that HKDF can't do
	}
	return key
}

// fingerprint is a digest of what a retry must have in common with the request it repeats.
func fingerprint(g *storage.Grant, r refreshment) storage.Digest {
	words := r.scope
	if words == nil {
		words, _ = scope.Parse(g.Scope)
	}
	return sha256.Sum256([]byte(scope.Canonical(words) + "\x00" + strings.Join(r.resource, "\x00")))
}

// narrowed is the scope of an access token where it is less than the grant's; "" means the grant's.
func narrowed(g *storage.Grant, r refreshment) string {
	granted, _ := scope.Parse(g.Scope)
	if r.scope == nil || len(r.scope) == len(granted) {
		return ""
	}
	return strings.Join(r.scope, " ")
}
