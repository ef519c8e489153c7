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
	if err := m.sign(ctx, out.issued); err != nil {
		return nil, failure(err)
	}
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

// step applies a step of the state machine to a grant, durably. An unknown grant is a refusal. Where access
// tokens are signed, that is done before anything is stored, so that a key or a function of the application
// that fails spends nothing: for what the step comes to as the grant stands now, and once more if it has
// changed meanwhile.
func (m *Manager) step(ctx context.Context, id storage.ID, do func(*storage.Grant) outcome) (outcome, *Error) {
	var ready *issued // and signed
	if m.signed != nil {
		if g, err := m.store.Grant(ctx, id); err == nil { // else Update says why
			ready = do(g.Clone()).issued
		}
	}
	for {
		if err := m.sign(ctx, ready); err != nil {
			return outcome{}, failure(err)
		}
		var out outcome
		err := m.store.Update(ctx, id, func(g *storage.Grant) error {
			out = do(g)
			out.id, out.client, out.user = g.ID, g.Client, g.User
			if m.signed != nil && !out.issued.like(ready) {
				return errUnsigned
			}
			return nil
		})
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return refuse(unknown), nil
		case errors.Is(err, errUnsigned):
			ready = out.issued
			continue
		case err != nil:
			return outcome{}, failure(err)
		}
		if out.issued != nil && ready != nil {
			out.issued.text = ready.text
		}
		return out, nil
	}
}

var errUnsigned = errors.New("grants: what is issued was not signed before")

// like tells whether the signed access token of ready is that of i.
func (i *issued) like(ready *issued) bool {
	switch {
	case i == nil: // nothing to be signed
		return true
	case ready == nil:
		return false
	}
	return i.access == ready.access && i.scope == ready.scope && i.user == ready.user && i.client == ready.client && i.id == ready.id &&
		slices.Equal(i.audience, ready.audience) && i.accessCreated.Equal(ready.accessCreated) && i.accessExpires.Equal(ready.accessExpires)
}

// sign makes the text of an access token, where it is signed.
func (m *Manager) sign(ctx context.Context, i *issued) (err error) {
	if m.signed == nil || i == nil {
		return nil
	}
	audience := m.audienceOf(i.audience)
	claims, err := m.claimsOf(ctx, Introspection{
		Active: true, Client: i.client, User: i.user, Scope: i.scope, Audience: slices.Clone(audience), Issued: i.accessCreated, Expires: i.accessExpires,
	})
	if err != nil {
		return err
	}
	if len(audience) == 0 {
		audience = []string{m.issuer}
	}
	i.text, err = m.signed.text(ctx, i, audience, claims)
	return err
}
