package grants

import (
	"context"
	"errors"

	"github.com/ostiary-go/ostiary/storage"
)

// Revoke answers a request to the revocation endpoint (RFC 7009): it proves the client, then ends the
// access token, or the grant of the refresh token, in r.Token. r.TokenTypeHint is never a filter. What
// is unknown or dead already, and a code, is no error and changes nothing (2.2).
//
// The error is an *[Error], under the codes of [Manager.Token]; a live token of another client's is
// unauthorized_client and lives on.
func (m *Manager) Revoke(ctx context.Context, r *Request) error {
	e := Event{RemoteAddr: r.RemoteAddr}
	err := m.revokeFor(ctx, r, &e)
	m.report(ctx, e, err)
	if err != nil {
		return err
	}
	return nil
}

func (m *Manager) revokeFor(ctx context.Context, r *Request, e *Event) *Error {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.authenticate(ctx, r, e)
	if err != nil {
		return err
	}
	if r.Token == "" {
		return missing("token")
	}
	t, ok := m.decode(r.Token, AccessKind, RefreshKind)
	if !ok {
		return nil
	}
	return m.revoke(ctx, revocation{client: c.ID, token: t}, e)
}

func (m *Manager) revoke(ctx context.Context, r revocation, e *Event) *Error {
	g, err := m.store.Grant(ctx, r.token.id)
	if errors.Is(err, storage.ErrNotFound) {
		return nil
	} else if err != nil {
		return failure(err)
	}
	generation, err := m.generation(ctx, g)
	if err == unknownClient { // which has ended all its grants
		return nil
	} else if err != nil {
		return failure(err)
	}
	at := now()
	out, failed := m.step(ctx, g.ID, func(g *storage.Grant) outcome { return revoke(g, r, generation, at) })
	switch {
	case failed != nil:
		return failed
	case out.refused == otherClient:
		return &Error{Code: "unauthorized_client", Description: "the token was given to another client", Cause: otherClient}
	case out.found:
		e.Kind, e.Client, e.User, e.Grant = EventRevoked, g.Client, out.user, g.ID
		if out.ended {
			e.Kind = EventEnded
		}
	}
	return nil
}
