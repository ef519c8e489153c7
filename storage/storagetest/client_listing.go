package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// clientListing holds the promises of Clients.Clients.
var clientListing = ofClients([]promise{
	{"Clients/order", "Clients yields all clients in the order of their IDs", clientsOrder},
	{"Clients/many", "Clients yields all clients in the order of their IDs, under the rules of Store.Grants.", clientsMany},
	{"Clients/loop_body", "under the rules of Store.Grants", clientsLoopBody},
	{"Clients/break", "under the rules of Store.Grants", clientsBreak},
})

// listClients returns all clients, as the store yields them.
func (p *probe) listClients() ([]*storage.Client, error) {
	var clients []*storage.Client
	for c, err := range p.clients.Clients(p.ctx) {
		if err != nil {
			return nil, fmt.Errorf("Clients yielded %w", err)
		}
		clients = append(clients, c)
	}
	return clients, nil
}

// listsClients returns an error unless the store yields exactly these clients, in order.
func (p *probe) listsClients(want ...*storage.Client) error {
	got, err := p.listClients()
	if err != nil {
		return err
	}
	id := func(c *storage.Client) string { return c.ID }
	want = slices.SortedFunc(slices.Values(want), func(a, b *storage.Client) int { return strings.Compare(a.ID, b.ID) })
	if got, want := mapped(got, id), mapped(want, id); !slices.Equal(got, want) {
		return fmt.Errorf("Clients yielded %d clients\n%.1000q\nwant these %d\n%.1000q", len(got), got, len(want), want)
	}
	for i := range got {
		if err := sameClient(got[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

func mapped[A, B any](from []A, f func(A) B) []B {
	to := make([]B, len(from))
	for i, a := range from {
		to[i] = f(a)
	}
	return to
}

func clientsOrder(p *probe) error {
	if err := p.listsClients(); err != nil {
		return err
	}
	var clients []*storage.Client
	for _, id := range []string{"b", "a", "B", "~", "ab", "a b", "a~", "10", "9", "!"} {
		clients = append(clients, plainClient(id))
		if err := p.register(plainClient(id)); err != nil {
			return err
		}
	}
	return p.listsClients(clients...)
}

func clientsMany(p *probe) error {
	clients := make([]*storage.Client, 300)
	for i := range clients {
		clients[i] = plainClient(fmt.Sprint("client ", i))
	}
	if err := p.register(clients...); err != nil {
		return err
	}
	return p.listsClients(clients...)
}

func clientsLoopBody(p *probe) error {
	clients := []*storage.Client{plainClient("a"), plainClient("b"), plainClient("c"), plainClient("d")}
	if err := p.register(clients...); err != nil {
		return err
	}
	calls, err := p.calls()
	if err != nil {
		return err
	}
	turns := map[string]int{}
	for c, err := range p.clients.Clients(p.ctx) {
		if err != nil {
			return fmt.Errorf("Clients yielded %w", err)
		}
		turns[c.ID]++
		if c.ID != "b" {
			continue
		}
		for _, c := range calls {
			if err := c.do(p.ctx); err != nil {
				return fmt.Errorf("%s in the loop body returned %w", c.name, err)
			}
		}
		err := errors.Join(
			p.register(plainClient("a0"), plainClient("b0")),
			p.clients.DeleteClient(p.ctx, "a"), p.clients.DeleteClient(p.ctx, "b"), p.clients.DeleteClient(p.ctx, "c"))
		if err != nil {
			return err
		}
	}
	for id, n := range turns {
		if n > 1 {
			return fmt.Errorf("Clients yielded %q %d times", id, n)
		}
	}
	if turns["a"] != 1 || turns["b"] != 1 || turns["d"] != 1 {
		return fmt.Errorf("Clients yielded %v, want a, b and d once", turns)
	}
	return nil
}

func clientsBreak(p *probe) error {
	if err := p.register(plainClient("a"), plainClient("b"), plainClient("c")); err != nil {
		return err
	}
	for range 20 {
		for _, err := range p.clients.Clients(p.ctx) {
			if err != nil {
				return fmt.Errorf("Clients yielded %w", err)
			}
			break
		}
	}
	if err := p.register(plainClient("d")); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.listsClients(plainClient("a"), plainClient("b"), plainClient("c"), plainClient("d"))
}
