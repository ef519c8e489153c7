package grants

import (
	"context"

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
	readings, failed := m.accessReadings(ctx, r.Token, RefreshKind)
	if failed != nil {
		return failure(failed)
	}
	return m.revoke(ctx, c.ID, readings, e)
}

// revoke revokes the first of several readings of a token that is alive. client is as in revocation.
func (m *Manager) revoke(ctx context.Context, client string, readings []token, e *Event) *Error {
	for _, t := range readings {
		g, err := m.grant(ctx, t)
		if err == unknown {
			continue
		} else if err != nil {
			return failure(err)
		}
		generation, err := m.generation(ctx, g)
		if err == unknownClient { // which has ended all its grants
			continue
		} else if err != nil {
			return failure(err)
		}
		r, at := revocation{client: client, token: t}, now()
		out, failed := m.step(ctx, g.ID, func(g *storage.Grant) outcome { return revoke(g, r, generation, at) })
		switch {
		case failed != nil:
			return failed
		case out.refused == otherClient:
			return &Error{Code: "unauthorized_client", Description: "the token was given to another client", Cause: otherClient}
		case out.found:
			e.Kind, e.Client, e.User, e.Grant = EventRevoked, out.client, out.user, out.id
			if out.ended {
				e.Kind = EventEnded
			}
			return nil
		}
	}
	return nil
}
