package grants

import "context"

// Extension is a grant type of the application's own (RFC 6749 4.5). [Extend] adds it to a Manager.
type Extension struct {
	// Name is the value of grant_type: an absolute URI, or password for those who still have clients
	// that send it.
	Name string

	// Params are the parameters of the body that the grant type takes beside those that every token
	// request may have. They are refused twice or in the URL, as the known ones are.
	Params []string

	// Grant decides. The client is proven and registered for the grant type by then; Grant proves
	// whatever else the request brings and returns what to issue, of which Client is not looked at. To
	// refuse it returns an *Error, or go-oauth2's ErrInvalidGrant and its like; any other error is a
	// failure, answered temporarily_unavailable. A public client gets no token without a user. ctx ends
	// with the Manager's StoreTimeout.
	Grant func(ctx context.Context, r *Request) (Issue, error)
}

func (m *Manager) extend(ctx context.Context, e Extension, c *client, r *Request, ev *Event) (*tokenInfo, *Error) {
	i, err := e.Grant(ctx, r)
	if err != nil {
		return nil, fromApplication(err)
	}
	i.Client = c.ID
	return m.issue(ctx, c, i, ev)
}
