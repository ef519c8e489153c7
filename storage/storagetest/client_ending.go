package storagetest

import (
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/ostiary-go/ostiary/storage"
)

// clientEnding holds the promises of how clients, and with them their grants, end.
var clientEnding = ofClients([]promise{
	{"EndClient/generation", "EndClient ends all grants of the client, whatever their number, by drawing its generation anew", endClientGeneration},
	{"EndClient/at_the_same_time", "a grant holds only under the generation it was made in.", endClientAtTheSameTime},
	{"EndClient/unknown", "It returns ErrNotFound for an unknown ID.", endClientUnknown},
	{"DeleteClient/again", "DeleteClient removes the client, which ends all its grants; registering the ID again revives none of them.", deleteClientAgain},
	{"DeleteClient/unknown", "It returns ErrNotFound for an unknown ID.", deleteClientUnknown},
})

func endClientGeneration(p *probe) error {
	want, other := fullClient("web", 1), fullClient("other", 2)
	if err := p.register(want, other); err != nil {
		return err
	}
	neighbour, err := p.client("other")
	if err != nil {
		return err
	}
	seen := []uint64{neighbour.Generation}
	for range 4 {
		c, err := p.client("web")
		if err != nil {
			return err
		}
		if err := sameClient(c, want); err != nil {
			return err
		}
		if !random(c.Generation, seen) {
			return fmt.Errorf("after EndClient the client has generation %d, want a random one", c.Generation)
		}
		seen = append(seen, c.Generation)
		if err := p.clients.EndClient(p.ctx, "web"); err != nil {
			return fmt.Errorf("EndClient returned %w", err)
		}
	}
	return p.hasGeneration("other", neighbour.Generation)
}

// endClientAtTheSameTime replaces the client meanwhile: that must not bring an old generation back.
func endClientAtTheSameTime(p *probe) error {
	if err := p.register(plainClient("web")); err != nil {
		return err
	}
	before, err := p.client("web")
	if err != nil {
		return err
	}
	var ended atomic.Bool
	return atOnce(20, func(i int) error {
		if i == 0 {
			pace()
			if err := p.clients.EndClient(p.ctx, "web"); err != nil {
				return fmt.Errorf("EndClient returned %w", err)
			}
			ended.Store(true)
		} else if err := p.register(fullClient("web", i)); err != nil {
			return err
		}
		over := ended.Load()
		after, err := p.client("web")
		if err == nil && over && after.Generation == before.Generation {
			err = errors.New("EndClient returned nil, and then a concurrent PutClient brought the generation back")
		}
		return err
	})
}

func endClientUnknown(p *probe) error {
	if err := wantErr("EndClient", p.clients.EndClient(p.ctx, "web"), storage.ErrNotFound); err != nil {
		return err
	}
	return p.listsClients()
}

func deleteClientAgain(p *probe) error {
	other := fullClient("other", 2)
	if err := p.register(fullClient("web", 1), other); err != nil {
		return err
	}
	before, err := p.client("web")
	if err != nil {
		return err
	}
	if err := p.clients.DeleteClient(p.ctx, "web"); err != nil {
		return fmt.Errorf("DeleteClient returned %w", err)
	}
	_, err = p.clients.GetByID(p.ctx, "web")
	err = errors.Join(
		wantErr("GetByID of a deleted client", err, storage.ErrNotFound),
		wantErr("DeleteClient of a deleted client", p.clients.DeleteClient(p.ctx, "web"), storage.ErrNotFound),
		wantErr("EndClient of a deleted client", p.clients.EndClient(p.ctx, "web"), storage.ErrNotFound),
		p.listsClients(other))
	if err != nil {
		return err
	}
	if err := p.register(before); err != nil {
		return err
	}
	after, err := p.client("web")
	if err != nil {
		return err
	}
	if after.Generation == before.Generation {
		return errors.New("a client that was registered again has the generation from before")
	}
	return p.listsClients(before, other)
}

func deleteClientUnknown(p *probe) error {
	if err := p.register(plainClient("web")); err != nil {
		return err
	}
	if err := wantErr("DeleteClient", p.clients.DeleteClient(p.ctx, "Web"), storage.ErrNotFound); err != nil {
		return err
	}
	return p.listsClients(plainClient("web"))
}
