package grants

import (
	"context"
	"errors"

	"github.com/ostiary-go/ostiary/storage"
)

// End ends the grants that f chooses, with all their tokens and codes, and returns how many were alive.
// A Filter that names nothing is refused with [storage.ErrEmptyFilter].
//
// A Filter that names a client alone ends all that client's grants by one write, however many there are
// (see storage.Clients.EndClient), unless clients live in a table of the application's; only counting
// them, and marking those without an expiry for pruning, takes time. Otherwise grants are ended one by one: after an error, or where ctx ends, those
// counted have ended, and the call may be repeated.
func (m *Manager) End(ctx context.Context, f storage.Filter) (int, error) {
	if f.Empty() {
		return 0, storage.ErrEmptyFilter
	}
	if m.registry != nil && f == (storage.Filter{Client: f.Client}) {
		return m.endClient(ctx, f)
	}
	return m.each(ctx, f, func(g *storage.Grant, generation uint64) bool {
		was := alive(g, generation, now())
		end(g, now())
		return was
	})
}

// Forget ends the grants of a user and erases his name from them; the store's pruning then removes the
// records. It returns how many there were. The empty user is refused with [storage.ErrEmptyFilter].
func (m *Manager) Forget(ctx context.Context, user string) (int, error) {
	if user == "" {
		return 0, storage.ErrEmptyFilter
	}
	return m.each(ctx, storage.Filter{User: user}, func(g *storage.Grant, _ uint64) bool {
		end(g, now())
		g.User, g.Expires = "", now()
		return true
	})
}

// each changes every grant that f chooses, reports those of which change says that it ended them, and
// counts them.
func (m *Manager) each(ctx context.Context, f storage.Filter, change func(g *storage.Grant, generation uint64) bool) (int, error) {
	n := 0
	for g, err := range m.store.Grants(ctx, f) {
		if err != nil {
			return n, err
		}
		generation, err := m.generation(ctx, g)
		if err != nil && err != unknownClient {
			return n, err
		}
		ended := false
		err = m.store.Update(ctx, g.ID, func(g *storage.Grant) error {
			ended = change(g, generation)
			return nil
		})
		switch {
		case errors.Is(err, storage.ErrNotFound): // pruned meanwhile
		case err != nil:
			return n, err
		case ended:
			n++
			m.event(ctx, Event{Kind: EventEnded, Client: g.Client, User: g.User, Grant: g.ID})
		}
	}
	return n, nil
}

func (m *Manager) endClient(ctx context.Context, f storage.Filter) (int, error) {
	c, err := m.client(ctx, f.Client)
	if err == unknownClient {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	if err := m.registry.EndClient(ctx, f.Client); errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	} else if err != nil {
		return 0, err
	}
	m.event(ctx, Event{Kind: EventEnded, Client: f.Client})
	n := 0
	for g, err := range m.store.Grants(ctx, f) {
		if err != nil {
			return n, err
		}
		if alive(g, c.Generation, now()) {
			n++
		}
		if !g.Expires.IsZero() {
			continue
		}
		err = m.store.Update(ctx, g.ID, func(g *storage.Grant) error { // or it would never be pruned
			end(g, now())
			return nil
		})
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return n, err
		}
	}
	return n, nil
}
