package grants

import (
	"context"
	"errors"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/storage"
)

// LoadAccessToken returns what an access token stands for. The error is go-oauth2's
// ErrInvalidAccessToken or ErrExpiredAccessToken, as it is; any other means that the store failed.
//
// The TokenInfo is a view of the grant: its setters alter nothing but the view itself, GetRefresh is
// "", since a digest can't be turned back, and GetUserID is "" for a client's own token. It does not
// print its token. [GrantID] tells the grant.
func (m *Manager) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	t, ok := m.decode(access, AccessKind)
	if !ok {
		return nil, oerr.ErrInvalidAccessToken
	}
	g, err := m.load(ctx, t.id)
	if err == unknown {
		return nil, oerr.ErrInvalidAccessToken
	} else if err != nil {
		return nil, err
	}
	at := findAccess(g, digest(AccessKind, t.secret[:]))
	switch {
	case at < 0:
		return nil, oerr.ErrInvalidAccessToken
	case past(g.Access[at].Expires, now()):
		return nil, oerr.ErrExpiredAccessToken
	}
	return &loaded{grant: g, access: &g.Access[at], presented: access}, nil
}

// LoadRefreshToken returns what a refresh token stands for: the current one of its grant, or its
// predecessor while a lost answer would be repeated. It changes nothing, so a spent token ends no grant
// here. The error is go-oauth2's ErrInvalidRefreshToken or ErrExpiredRefreshToken, as it is; any other
// means that the store failed. GetAccess is "".
func (m *Manager) LoadRefreshToken(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	t, ok := m.decode(refresh, RefreshKind)
	if !ok {
		return nil, oerr.ErrInvalidRefreshToken
	}
	g, err := m.load(ctx, t.id)
	if err == unknown {
		return nil, oerr.ErrInvalidRefreshToken
	} else if err != nil {
		return nil, err
	}
	at, presented := now(), digest(RefreshKind, t.secret[:])
	r := g.Refresh
	switch {
	case r == nil:
		return nil, oerr.ErrInvalidRefreshToken
	case r.Current.Is(presented):
		if past(r.Expires, at) {
			return nil, oerr.ErrExpiredRefreshToken
		}
	case r.Previous.Is(presented) && repeatable(g, t.secret, at) != nil:
	default:
		return nil, oerr.ErrInvalidRefreshToken
	}
	info := &tokenInfo{id: g.ID, audience: g.Audience}
	info.SetClientID(g.Client)
	info.SetUserID(g.User)
	info.SetScope(g.Scope)
	info.SetRefresh(refresh)
	info.SetRefreshCreateAt(r.Created)
	info.SetRefreshExpiresIn(untilOrNever(r.Expires, r.Created))
	return info, nil
}

// load returns a grant that is not over; unknown says that there is none. A client's grants are over
// where its generation says so.
func (m *Manager) load(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	g, err := m.store.Grant(ctx, id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil, unknown
	} else if err != nil {
		return nil, err
	}
	generation, err := m.generation(ctx, g)
	if err == unknownClient || err == nil && over(g, generation) {
		return nil, unknown
	} else if err != nil {
		return nil, err
	}
	return g, nil
}

// generation is that of the grant's client as it is now; unknownClient says that there is none. A
// client in a table of the application's has the one that the grant was made under.
func (m *Manager) generation(ctx context.Context, g *storage.Grant) (uint64, error) {
	if m.registry == nil {
		return g.Generation, nil
	}
	c, err := m.client(ctx, g.Client)
	if err != nil {
		return 0, err
	}
	return c.Generation, nil
}
