package storagetest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// call is one call of a method that succeeds on what calls has put in place.
type call struct {
	name   string
	do     func(context.Context) error
	stored func() bool // whether a write has had its effect; nil for a read
}

// calls returns a call of every method but Close. None touches what another does.
func (p *probe) calls() ([]call, error) {
	standing, changing, expired, fresh := plainGrant("alice", "app"), plainGrant("alice", "app"), plainGrant("alice", "app"), plainGrant("bob", "app")
	expired.Expires = dawn
	if err := p.insert(standing, changing, expired); err != nil {
		return nil, err
	}
	grant := func(id storage.ID) *storage.Grant {
		g, _ := p.Grant(p.ctx, id)
		return g
	}
	calls := []call{
		{"Insert", func(ctx context.Context) error { return p.Insert(ctx, fresh) },
			func() bool { return grant(fresh.ID) != nil }},
		{"Grant", func(ctx context.Context) error { _, err := p.Grant(ctx, standing.ID); return err }, nil},
		{"Update", func(ctx context.Context) error { return p.Update(ctx, changing.ID, setScope("changed")) },
			func() bool { return grant(changing.ID).Scope == "changed" }},
		{"Grants", func(ctx context.Context) error { return lastError(p.Grants(ctx, storage.Filter{User: "alice"})) }, nil},
		{"Prune", func(ctx context.Context) error { _, err := p.Prune(ctx, dawn.Add(time.Millisecond)); return err },
			func() bool { return grant(expired.ID) == nil }},
	}
	if p.keys != nil {
		name := rand.Text()
		calls = append(calls, call{"Secret", func(ctx context.Context) error {
			_, err := p.keys.Secret(ctx, name, setSecret([]byte("changed")))
			return err
		}, func() bool { return p.keeps(name, []byte("changed")) == nil }})
	}
	if p.clients == nil {
		return calls, nil
	}

	read, put, end, remove := rand.Text(), rand.Text(), rand.Text(), rand.Text()
	if err := p.register(plainClient(read), plainClient(put), plainClient(end), plainClient(remove)); err != nil {
		return nil, err
	}
	before, err := p.client(end)
	if err != nil {
		return nil, err
	}
	client := func(id string) *storage.Client {
		c, _ := p.client(id)
		return c
	}
	renamed := plainClient(put)
	renamed.Name = "changed"
	return append(calls,
		call{"GetByID", func(ctx context.Context) error { _, err := p.clients.GetByID(ctx, read); return err }, nil},
		call{"PutClient", func(ctx context.Context) error { return p.clients.PutClient(ctx, renamed) },
			func() bool { return client(put).Name == "changed" }},
		call{"EndClient", func(ctx context.Context) error { return p.clients.EndClient(ctx, end) },
			func() bool { return client(end).Generation != before.Generation }},
		call{"DeleteClient", func(ctx context.Context) error { return p.clients.DeleteClient(ctx, remove) },
			func() bool { return client(remove) == nil }},
		call{"Clients", func(ctx context.Context) error { return lastError(p.clients.Clients(ctx)) }, nil},
	), nil
}

// interruptible are the calls that write all or nothing: not Prune, which may end half-way.
func (p *probe) interruptible() ([]call, error) {
	calls, err := p.calls()
	return slices.DeleteFunc(calls, func(c call) bool { return c.stored == nil || c.name == "Prune" }), err
}

// outcome compares what a write returned, when its context ended at some time, with what it did.
func (c call) outcome(err error) error {
	switch {
	case err == nil && !c.stored():
		return fmt.Errorf("%s returned nil and stored nothing", c.name)
	case err != nil && !hasEnded(err):
		return fmt.Errorf("%s returned %w", c.name, err)
	case err != nil && c.stored():
		return fmt.Errorf("%s returned %q, and yet it was stored", c.name, err)
	}
	return nil
}

func hasEnded(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded)
}
