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
	token    token
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
	case p.over(g):
		return refuse(grantEnded)
	case g.Refresh == nil:
		return refuse(unknown)
	}
	switch presented := r.token.digest(RefreshKind); {
	case g.Refresh.Current.Is(presented):
		return advance(g, r, p, d, now)
	case g.Refresh.Previous.Is(presented):
		if again := lostAnswer(g, r, now); again != nil {
			return *again
		}
	case !g.Refresh.Family.Is(r.token.family()) && !g.Refresh.Ancestor.Is(presented):
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
	audience, ok := forGrant(g, r.resource)
	if !ok {
		return refuse(resourceBeyondGrant)
	}
	shutRetry(refresh)
	refresh.Created = now
	refresh.Expires = earlier(after(now, p.refreshIdle), refresh.Limit)

	next, access := r.token, d.access
	if p.rotate {
		secret := heir(r.token, func() []byte { return d.family[:] }, d.own[:])
		if p.retryWindow > 0 {
			secret, access = successors(r.token, d.salt[:])
			refresh.Salt = append([]byte(nil), d.salt[:]...)
			refresh.Fingerprint = fingerprint(g, r)
		}
		refresh.Previous, refresh.Rotated = refresh.Current, now
		refresh.Family, refresh.Current = familyOf(secret), digest(RefreshKind, secret[:])
		next = native(RefreshKind, g.ID, secret)
	}
	a := addAccess(g, access, narrowed(g, r), audience, p, now)
	if refresh.Salt != nil {
		refresh.RetryUntil = earlier(now.Add(p.retryWindow), a.Expires)
	}
	setExpires(g)
	i := hand(g, a, access)
	i.refresh, i.refreshExpires = &next, refresh.Expires
	return outcome{issued: i}
}

// lostAnswer answers the previous refresh token within the window: the same request gets the same pair
// again, another one is refused. It returns nil if the window is shut.
func lostAnswer(g *storage.Grant, r refreshment, now time.Time) *outcome {
	i := repeatable(g, r.token, now)
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
func repeatable(g *storage.Grant, previous token, now time.Time) *issued {
	refresh := g.Refresh
	if refresh.Salt == nil || past(refresh.RetryUntil, now) || past(refresh.Expires, now) {
		return nil
	}
	secret, access := successors(previous, refresh.Salt)
	at := findAccess(g, digest(AccessKind, access[:]))
	if at < 0 {
		return nil
	}
	i, next := hand(g, &g.Access[at], access), native(RefreshKind, g.ID, secret)
	i.refresh, i.refreshExpires = &next, refresh.Expires
	return i
}

// successors derives the tokens that follow a refresh token under a salt that the record keeps (HKDF,
// RFC 5869): whoever has the token gets the same ones again, whoever has the record alone gets none.
func successors(old token, salt []byte) (refresh, access [32]byte) {
	family := func() []byte { return derive(old, salt, "ostiary family", 16) }
	refresh = heir(old, family, derive(old, salt, "ostiary refresh", 16))
	copy(access[:], derive(old, salt, "ostiary access", 32))
	return refresh, access
}

// heir is the secret of a refresh token that follows old: of the same family or, where old was imported
// and has none, of a new one.
func heir(old token, family func() []byte, own []byte) (secret [32]byte) {
	if old.imported {
		copy(secret[:16], family())
	} else {
		copy(secret[:16], old.secret)
	}
	copy(secret[16:], own)
	return secret
}

func derive(old token, salt []byte, info string, size int) []byte {
	key, err := hkdf.Key(sha256.New, old.secret, salt, info, size)
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
