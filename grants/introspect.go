package grants

import (
	"context"
	"errors"
	"slices"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

// Introspection is what a token stands for (RFC 7662 2.2). All but Active is zero where that is false.
type Introspection struct {
	Active   bool
	Refresh  bool   // it is a refresh token
	Client   string // it was issued to
	User     string // "": the client's own
	Scope    string
	Audience []string // resource servers that it is for; nil: any
	Issued   time.Time
	Expires  time.Time // zero: never

	ID     string         // jti, of a JWT (RFC 9068 2.2)
	Claims map[string]any // what the function of [Claims] adds
}

// Introspect answers a request to the introspection endpoint (RFC 7662 2): it proves the client, then
// tells what r.Token stands for. A client learns about its own tokens and, if its registration has
// Introspect set, about any access token. Whatever else there may be to a token, dead, foreign or unknown,
// it is not active. Nothing is changed by it: a spent refresh token ends no grant here.
//
// The error is an *[Error]. Its code is invalid_client for a public client too, and
// temporarily_unavailable if the store failed.
func (m *Manager) Introspect(ctx context.Context, r *Request) (*Introspection, error) {
	e := Event{RemoteAddr: r.RemoteAddr}
	i, err := m.introspect(ctx, r, &e)
	m.report(ctx, e, err)
	if err != nil {
		return nil, err
	}
	return i, nil
}

func (m *Manager) introspect(ctx context.Context, r *Request, e *Event) (*Introspection, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, refused := m.authenticate(ctx, r, e)
	switch {
	case refused != nil:
		return nil, refused
	case c.Public: // which has proven nothing
		return nil, &Error{Code: "invalid_client", Description: wrongClient, Cause: publicClient}
	case r.Token == "":
		return nil, missing("token")
	}
	i, of, err := m.introspectAccess(ctx, r.Token)
	if err == nil && !i.Active {
		i, err = m.introspectRefresh(ctx, r.Token)
	}
	switch {
	case err != nil:
		return nil, failure(err)
	case !i.Active:
		return i, nil
	case i.Client != c.ID && (i.Refresh || !c.Introspect || !i.isFor(c.Audience)):
		return &Introspection{}, nil
	}
	if !i.Refresh {
		if i.Claims, err = m.claimsOf(ctx, of); err != nil {
			return nil, failure(err)
		}
	}
	return i, nil
}

// isFor tells whether a resource server of one of these names may take the token.
func (i *Introspection) isFor(names []string) bool {
	return len(names) == 0 || len(i.Audience) == 0 || slices.ContainsFunc(names, func(name string) bool { return slices.Contains(i.Audience, name) })
}

// introspectAccess says with it what [Claims] is asked about.
func (m *Manager) introspectAccess(ctx context.Context, access string) (i *Introspection, of Introspection, err error) {
	l, err := m.loadAccess(ctx, access)
	switch {
	case errors.Is(err, oerr.ErrInvalidAccessToken) || errors.Is(err, oerr.ErrExpiredAccessToken):
		return &Introspection{}, of, nil
	case err != nil:
		return nil, of, err
	}
	i = introspection(l, m.audienceOf(l.Audience()))
	of = *i
	of.Audience = slices.Clone(i.Audience) // the application's own
	if m.signed == nil {
		return i, of, nil
	}
	t, ok, err := m.signed.read(ctx, access)
	if ok {
		i.ID = t.jti()
		if len(i.Audience) == 0 {
			i.Audience = []string{m.issuer} // as it says itself
		}
	}
	return i, of, err
}

func introspection(l *loaded, audience []string) *Introspection {
	i := &Introspection{
		Active: true, Client: l.GetClientID(), User: l.GetUserID(), Scope: l.GetScope(), Audience: audience, Issued: l.GetAccessCreateAt(),
	}
	if life := l.GetAccessExpiresIn(); life > 0 {
		i.Expires = i.Issued.Add(life)
	}
	return i
}

// introspectRefresh knows the current refresh token of a grant alone.
func (m *Manager) introspectRefresh(ctx context.Context, refresh string) (*Introspection, error) {
	for _, t := range m.readings(refresh, RefreshKind) {
		g, err := m.load(ctx, t)
		switch {
		case err == unknown:
			continue
		case err != nil:
			return nil, err
		case g.Refresh == nil || !g.Refresh.Current.Is(t.digest(RefreshKind)) || past(g.Refresh.Expires, now()):
			continue
		}
		return &Introspection{
			Active: true, Refresh: true, Client: g.Client, User: g.User, Scope: g.Scope, Audience: slices.Clone(g.Audience),
			Issued: g.Refresh.Created, Expires: g.Refresh.Expires,
		}, nil
	}
	return &Introspection{}, nil
}
