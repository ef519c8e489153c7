package grants

import (
	"context"
	"crypto/rand"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// Issue says what [Manager.Issue] is to issue.
type Issue struct {
	Client    string   // its ID
	User      string   // "": the client's own token, as by client_credentials
	Scope     string   // "": all that the client is registered for
	Audience  []string // resource servers that the tokens are for (RFC 8707); nil: any
	NoRefresh bool     // an access token alone
}

// Issue makes a grant without a request: for a user whom the application knows, or for a client. A
// refresh token comes with it if there is a user and the client is registered for refresh_token.
//
// The error is an *[Error] whose code is invalid_client for an unknown client, invalid_scope for a
// scope beyond the client's, unauthorized_client for a public client without a user, and
// temporarily_unavailable if the store failed.
func (m *Manager) Issue(ctx context.Context, i Issue) (oauth2.TokenInfo, error) {
	var e Event
	info, err := m.issueFor(ctx, i, &e)
	m.report(ctx, e, err)
	if err != nil {
		return nil, err
	}
	return info, nil
}

func (m *Manager) issueFor(ctx context.Context, i Issue, e *Event) (*tokenInfo, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.client(ctx, i.Client)
	switch {
	case err == unknownClient:
		return nil, refusal(unknownClient)
	case err != nil:
		return nil, failure(err)
	}
	e.Client = c.ID
	return m.issue(ctx, c, i, e)
}

// issue makes a grant for a client that may have it, and its first tokens.
func (m *Manager) issue(ctx context.Context, c *client, i Issue, e *Event) (*tokenInfo, *Error) {
	if i.User == "" && c.Public {
		return nil, refusal(publicClient)
	}
	if !utf8.ValidString(i.User) {
		return nil, refusal(malformedUser)
	}
	granted, err := grantable(c, i.Scope)
	if err != nil {
		return nil, err
	}
	at := now()
	g := &storage.Grant{
		ID:         storage.NewID(),
		Client:     c.ID,
		User:       i.User,
		Generation: c.Generation,
		Scope:      granted,
		Audience:   slices.Clone(i.Audience),
		Created:    at,
	}
	p := m.policyFor(c, i.User != "")
	p.refresh = p.refresh && !i.NoRefresh
	out := begin(g, nil, p, newDraw(), at)
	if err := m.store.Insert(ctx, g); err != nil {
		return nil, failure(err)
	}
	e.about(EventIssued, out.issued)
	return m.info(out.issued, at), nil
}

// grantable is the scope that a client gets if it asks for requested (RFC 6749 3.3): exactly that, each
// word once, and all it is registered for if it asks for nothing. It is never silently cut down.
func grantable(c *client, requested string) (string, *Error) {
	words, ok := scope.Parse(requested)
	if !ok {
		return "", refusal(malformedScope)
	}
	if words == nil {
		words, _ = scope.Parse(c.Scope)
	} else if !scope.Within(words, c.Scope) {
		return "", refusal(scopeBeyondClient)
	}
	return strings.Join(words, " "), nil
}

func newDraw() (d draw) {
	rand.Read(d.access[:])
	rand.Read(d.family[:])
	rand.Read(d.own[:])
	rand.Read(d.salt[:])
	return d
}

// step applies a step of the state machine to a grant, durably. An unknown grant is a refusal.
func (m *Manager) step(ctx context.Context, id storage.ID, do func(*storage.Grant) outcome) (outcome, *Error) {
	var out outcome
	err := m.store.Update(ctx, id, func(g *storage.Grant) error {
		out = do(g)
		out.id, out.client, out.user = g.ID, g.Client, g.User
		return nil
	})
	switch {
	case errors.Is(err, storage.ErrNotFound):
		return refuse(unknown), nil
	case err != nil:
		return outcome{}, failure(err)
	}
	return out, nil
}
