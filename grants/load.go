package grants

import (
	"context"
	"errors"
	"slices"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/view"
	"github.com/ostiary-go/ostiary/storage"
)

// LoadAccessToken returns what an access token stands for. The error is go-oauth2's
// ErrInvalidAccessToken or ErrExpiredAccessToken, as it is; any other means that the store failed.
//
// The TokenInfo is a view of the grant: its setters alter nothing but the view itself, GetRefresh is
// "", since a digest can't be turned back, and GetUserID is "" for a client's own token. It does not
// print its token. [GrantID] tells the grant.
func (m *Manager) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	l, err := m.loadAccess(ctx, access)
	if err != nil {
		return nil, err
	}
	if m.audience != nil || m.claims != nil {
		d := &described{audience: m.audienceOf(l.Audience())}
		if d.claims, err = m.claimsOf(ctx, *introspection(l, slices.Clone(d.audience))); err != nil {
			return nil, sound(err)
		}
		l.Source.described = d
	}
	return l, nil
}

func (m *Manager) loadAccess(ctx context.Context, access string) (*loaded, error) {
	if info, err := m.loadCached(ctx, access); err != nil {
		return nil, err
	} else if info != nil {
		return info, nil
	}
	readings, err := m.accessReadings(ctx, access)
	if err != nil {
		return nil, sound(err)
	}
	for _, t := range readings {
		counter := m.counter(t.id)
		g, err := m.load(ctx, t)
		if err == unknown {
			continue
		} else if err != nil {
			return nil, sound(err)
		}
		at := findAccess(g, t.digest(AccessKind))
		switch {
		case at < 0:
		case past(g.Access[at].Expires, now()):
			return nil, oerr.ErrExpiredAccessToken
		default:
			m.remember(t, g, at, counter)
			return &loaded{view.Token[shown]{Source: shown{grant: g, access: &g.Access[at], presented: access}}}, nil
		}
	}
	return nil, oerr.ErrInvalidAccessToken
}

// LoadRefreshToken returns what a refresh token stands for: the current one of its grant, or its
// predecessor while a lost answer would be repeated. It changes nothing, so a spent token ends no grant
// here. The error is go-oauth2's ErrInvalidRefreshToken or ErrExpiredRefreshToken, as it is; any other
// means that the store failed. GetAccess is "".
func (m *Manager) LoadRefreshToken(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	for _, t := range m.readings(refresh, RefreshKind) {
		g, err := m.load(ctx, t)
		if err == unknown {
			continue
		} else if err != nil {
			return nil, sound(err)
		}
		at, presented, r := now(), t.digest(RefreshKind), g.Refresh
		switch {
		case r == nil:
			continue
		case r.Current.Is(presented):
			if past(r.Expires, at) {
				return nil, oerr.ErrExpiredRefreshToken
			}
		case r.Previous.Is(presented) && repeatable(g, t, at) != nil:
		default:
			continue
		}
		info := &tokenInfo{id: g.ID, audience: slices.Clone(g.Audience)}
		info.SetClientID(g.Client)
		info.SetUserID(g.User)
		info.SetScope(g.Scope)
		info.SetRefresh(refresh)
		info.SetRefreshCreateAt(r.Created)
		info.SetRefreshExpiresIn(untilOrNever(r.Expires, r.Created))
		return info, nil
	}
	return nil, oerr.ErrInvalidRefreshToken
}

// load returns the grant of a token if it is not over; unknown says that there is none. A client's
// grants are over where its generation says so.
func (m *Manager) load(ctx context.Context, t token) (*storage.Grant, error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	g, err := m.grant(ctx, t)
	if err != nil {
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

// grant returns the grant of a token, whatever its state; unknown says that there is none.
func (m *Manager) grant(ctx context.Context, t token) (*storage.Grant, error) {
	g, err := m.store.Grant(ctx, t.id)
	if err == nil && t.imported && !g.See.IsZero() {
		g, err = m.store.Grant(ctx, g.See)
	}
	if errors.Is(err, storage.ErrNotFound) {
		return nil, unknown
	}
	return g, err
}

// grantID is the ID of a token's grant. Only for an imported token the store has to be asked.
func (m *Manager) grantID(ctx context.Context, t token) (storage.ID, error) {
	if !t.imported {
		return t.id, nil
	}
	g, err := m.grant(ctx, t)
	if err != nil {
		return storage.ID{}, err
	}
	return g.ID, nil
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
