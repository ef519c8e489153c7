package grants

import (
	"context"
	"unicode/utf8"
)

// OnBehalf lets clients act for users by client_credentials: allowed says whether the client may act for
// the user, and an error that it could not find out. The grant is then the user's, with a refresh token
// if the client is registered for refresh_token. Users come from a dialect of the endpoint alone (see
// handler.Dialect), never from a parameter of OAuth, so that elsewhere on the same Manager
// client_credentials stays what RFC 6749 4.4 says.
//
// Warning: the user is not asked. A client whose secret is stolen opens every account that allowed
// lets it open.
func OnBehalf(allowed func(ctx context.Context, client, user string) (bool, error)) Option {
	if allowed == nil {
		panic("grants: OnBehalf: no function")
	}
	return func(m *Manager) { m.onBehalf = allowed }
}

// serveClient serves client_credentials (RFC 6749 4.4). Each token is a grant of its own, which has no
// user and no refresh token unless the request is on behalf of a user.
func (m *Manager) serveClient(ctx context.Context, c *client, r *Request, e *Event) (*tokenInfo, *Error) {
	audience, refused := c.audience(r.Resource)
	switch {
	case refused != nil:
		return nil, refused
	case r.User == "":
		return m.issue(ctx, c, Issue{Scope: r.Scope, Audience: audience}, e)
	case c.Public:
		return nil, refusal(publicClient)
	case m.onBehalf == nil:
		return nil, refusal(notOnBehalf)
	case !utf8.ValidString(r.User): // which an application's database may take for a failure
		return nil, refusal(notForUser)
	}
	switch allowed, err := m.onBehalf(ctx, c.ID, r.User); {
	case err != nil:
		return nil, failure(err)
	case !allowed:
		return nil, refusal(notForUser)
	}
	return m.issue(ctx, c, Issue{User: r.User, Scope: r.Scope, Audience: audience}, e)
}
