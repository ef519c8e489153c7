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
	t, ok := m.decode(r.RefreshToken, RefreshKind)
	if !ok {
		return nil, refusal(malformedToken)
	}
	req := refreshment{client: c.ID, secret: t.secret, scope: words, resource: r.Resource}
	p, d, at := m.policyFor(c, true), newDraw(), now()
	out, err := m.step(ctx, t.id, func(g *storage.Grant) outcome { return rotate(g, req, p, d, at) })
	return m.answer(out, err, EventRefreshed, t.id, at, e)
}
