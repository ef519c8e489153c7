package grants

import (
	"context"
	"time"

	"github.com/ostiary-go/ostiary/internal/pkce"
	"github.com/ostiary-go/ostiary/storage"
)

// redeemCode serves authorization_code (RFC 6749 4.1.3).
func (m *Manager) redeemCode(ctx context.Context, c *client, r *Request, e *Event) (*tokenInfo, *Error) {
	if r.Code == "" {
		return nil, missing("code")
	}
	if r.CodeVerifier != "" && !pkce.WellFormedVerifier(r.CodeVerifier) {
		return nil, refusal(malformedVerifier)
	}
	audience, refused := c.audience(r.Resource)
	if refused != nil {
		return nil, refused
	}
	kind, id, secret, ok := m.encoding.Decode(r.Code)
	code := native(kind, id, secret)
	if !ok || !code.is(CodeKind) {
		return nil, refusal(malformedToken)
	}
	req := redemption{client: c.ID, code: code, redirectURI: r.RedirectURI, verifier: r.CodeVerifier, resource: audience}
	p, d, at := m.policyFor(c, true), newDraw(), now()
	out, err := m.step(ctx, code.id, func(g *storage.Grant) outcome { return redeem(g, req, p, d, at) })
	return m.answer(out, err, EventIssued, at, e)
}

// answer turns the outcome of a step into what Token returns, and notes what happened.
func (m *Manager) answer(out outcome, err *Error, kind EventKind, at time.Time, e *Event) (*tokenInfo, *Error) {
	switch {
	case err != nil:
		return nil, err
	case out.ended:
		e.Kind, e.Grant, e.User = EventReuseDetected, out.id, out.user
	case out.refused != "" && out.refused != unknown:
		e.Grant = out.id
	}
	if out.refused != "" {
		return nil, refusal(out.refused)
	}
	e.about(kind, out.issued)
	return m.info(out.issued, at), nil
}
