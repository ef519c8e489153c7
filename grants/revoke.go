package grants

import (
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// revocation is a request to revoke a token (RFC 7009). client is "" where the application asks, which
// may revoke anybody's.
type revocation struct {
	client string
	token  token
}

// revoke answers a revocation: an access token ends alone, a refresh token of any age ends its grant.
// What is dead already, a code, or a guess changes nothing and is not refused either (RFC 7009 2.2).
func revoke(g *storage.Grant, r revocation, generation uint64, now time.Time) outcome {
	if over(g, generation) {
		return outcome{}
	}
	foreign := r.client != "" && r.client != g.Client
	if r.token.is(AccessKind) {
		at := findAccess(g, r.token.digest(AccessKind))
		switch {
		case at < 0 || past(g.Access[at].Expires, now):
		case foreign:
			return refuse(otherClient)
		default:
			g.Access = slices.Delete(g.Access, at, at+1)
			tidy(g, now)
			return outcome{found: true}
		}
	}
	if r.token.is(RefreshKind) && g.Refresh != nil && !past(g.Refresh.Expires, now) {
		presented := r.token.digest(RefreshKind)
		current := g.Refresh.Current.Is(presented)
		switch {
		case foreign && current:
			return refuse(otherClient)
		case !foreign && (current || g.Refresh.Family.Is(r.token.family()) || g.Refresh.Ancestor.Is(presented)):
			end(g, now)
			return outcome{found: true, ended: true}
		}
	}
	return outcome{}
}
