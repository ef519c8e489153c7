package grants

import (
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// Connected is a client that has access to a user's account.
type Connected struct {
	Client *storage.Client // read only
	Scope  []string        // of all its grants together
	Since  time.Time       // when the oldest of them was made
	Used   time.Time       // the day on which it last got tokens, UTC
	Grants int             // that are alive: sign-ins on so many devices
}

// Connected returns the clients that have access to the user's account, by name. Those who only have a code
// that they have not redeemed are not among them. It tells nothing that a token could be made of.
//
// The error is an *[Error]: the store failed. The empty user is refused with [storage.ErrEmptyFilter].
func (m *Manager) Connected(ctx context.Context, user string) ([]Connected, error) {
	if user == "" {
		return nil, storage.ErrEmptyFilter
	}
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	found := make(map[string]*Connected)
	for g, err := range m.store.Grants(ctx, storage.Filter{User: user}) {
		if err != nil {
			return nil, failure(err)
		}
		c, err := m.client(ctx, g.Client)
		switch {
		case err == unknownClient:
			continue
		case err != nil:
			return nil, failure(err)
		case !m.connects(c, g):
			continue
		}
		of := found[c.ID]
		if of == nil {
			of = &Connected{Client: c.Client, Since: g.Created}
			found[c.ID] = of
		}
		of.add(g)
	}
	connected := make([]Connected, 0, len(found))
	for _, of := range found {
		connected = append(connected, *of)
	}
	slices.SortFunc(connected, func(a, b Connected) int {
		return cmp.Or(cmp.Compare(a.Client.Name, b.Client.Name), cmp.Compare(a.Client.ID, b.Client.ID))
	})
	return connected, nil
}

// connects tells whether the grant lets the client do anything.
func (m *Manager) connects(c *client, g *storage.Grant) bool {
	generation := g.Generation
	if m.registry != nil {
		generation = c.Generation
	}
	return alive(g, generation, now()) && (g.Code == nil || !g.Code.Redeemed.IsZero())
}

func (c *Connected) add(g *storage.Grant) {
	words, _ := scope.Parse(g.Scope)
	for _, word := range words {
		if !slices.Contains(c.Scope, word) {
			c.Scope = append(c.Scope, word)
		}
	}
	used := g.Created
	if g.Refresh != nil && g.Refresh.Created.After(used) {
		used = g.Refresh.Created
	}
	for i := range g.Access {
		if g.Access[i].Created.After(used) {
			used = g.Access[i].Created
		}
	}
	if used = used.UTC().Truncate(24 * time.Hour); used.After(c.Used) {
		c.Used = used
	}
	if g.Created.Before(c.Since) {
		c.Since = g.Created
	}
	c.Grants++
}
