package grants

import "context"

// serveClient serves client_credentials (RFC 6749 4.4). Each token is a grant of its own, which has no
// user and no refresh token.
func (m *Manager) serveClient(ctx context.Context, c *client, r *Request, e *Event) (*tokenInfo, *Error) {
	if c.Public {
		return nil, refusal(publicClient)
	}
	return m.issue(ctx, c, Issue{Scope: r.Scope}, e)
}
