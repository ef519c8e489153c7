package grants

import (
	"context"

	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// refresh serves refresh_token (RFC 6749 6).
func (m *Manager) refresh(ctx context.Context, c *client, r *Request, e *Event) (*tokenInfo, *Error) {
	if r.RefreshToken == "" {
		return nil, missing("refresh_token")
	}
	words, ok := scope.Parse(r.Scope)
	if !ok {
		return nil, refusal(malformedScope)
	}
	audience, refused := c.audience(r.Resource)
	if refused != nil {
		return nil, refused
	}
	p, d, at := m.policyFor(c, true), newDraw(), now()
	out := refuse(malformedToken)
	for _, t := range m.readings(r.RefreshToken, RefreshKind) {
		id, err := m.grantID(ctx, t)
		if err == unknown {
			out = refuse(unknown)
			continue
		} else if err != nil {
			return nil, failure(err)
		}
		req := refreshment{client: c.ID, token: t, scope: words, resource: audience}
		var failed *Error
		out, failed = m.step(ctx, id, func(g *storage.Grant) outcome { return rotate(g, req, p, d, at) })
		if failed != nil {
			return nil, failed
		}
		if out.refused != unknown {
			break
		}
	}
	return m.answer(out, nil, EventRefreshed, at, e)
}
