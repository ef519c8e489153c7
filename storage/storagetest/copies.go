package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

func copiesIn(p *probe) error {
	inserted, assigned := fullGrant(1), fullGrant(2)
	assigned.ID = storage.NewID()
	want, wantAssigned := inserted.Clone(), assigned.Clone()
	if err := p.insert(inserted, &storage.Grant{ID: assigned.ID, Client: "app", Created: dawn}); err != nil {
		return err
	}
	spoil(inserted)
	if err := p.stands(want); err != nil {
		return fmt.Errorf("after Insert its argument was altered, and so was the record: %w", err)
	}
	err := p.Update(p.ctx, assigned.ID, func(g *storage.Grant) error {
		*g = *assigned
		return nil
	})
	if err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	spoil(assigned)
	if err := p.stands(wantAssigned); err != nil {
		return fmt.Errorf("after Update what change had assigned was altered, and so was the record: %w", err)
	}
	if p.clients == nil {
		return nil
	}
	c := fullClient("web", 1)
	if err := p.register(c); err != nil {
		return err
	}
	spoilClient(c)
	if err := p.registered(fullClient("web", 1)); err != nil {
		return fmt.Errorf("after PutClient its argument was altered, and so was the client: %w", err)
	}
	return nil
}

func copiesOut(p *probe) error {
	want := fullGrant(1)
	if err := p.insert(want); err != nil {
		return err
	}
	got, err := p.Grant(p.ctx, want.ID)
	if err != nil {
		return fmt.Errorf("Grant returned %w", err)
	}
	listed, err := p.list(storage.Filter{})
	if err != nil {
		return err
	}
	var client, wantClient, listedClient *storage.Client
	if p.clients != nil {
		if err := p.register(fullClient("web", 1)); err != nil {
			return err
		}
		spoiled, err := p.client("web")
		if err != nil {
			return err
		}
		spoilClient(spoiled)
		if err := p.registered(fullClient("web", 1)); err != nil {
			return fmt.Errorf("what GetByID had returned was altered, and so was the client: %w", err)
		}
		if client, err = p.client("web"); err != nil {
			return err
		}
		for c, err := range p.clients.Clients(p.ctx) {
			if err != nil {
				return fmt.Errorf("Clients yielded %w", err)
			}
			listedClient = c
		}
		wantClient = client.Clone()
	}

	// From here on the store may do with its memory what it likes, but not with what it gave away.
	err = p.Update(p.ctx, want.ID, func(g *storage.Grant) error { spoil(g); return nil })
	if err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	if n, err := p.Prune(p.ctx, dawn.Add(time.Millisecond)); n != 1 || err != nil {
		return fmt.Errorf("Prune returned %d, %v, want 1, nil", n, err)
	}
	if p.clients != nil {
		if err := errors.Join(p.clients.EndClient(p.ctx, "web"), p.clients.PutClient(p.ctx, fullClient("web", 2)), p.clients.DeleteClient(p.ctx, "web")); err != nil {
			return err
		}
	}
	if err := p.insert(fullGrant(3), fullGrant(4)); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	if len(listed) != 1 {
		return fmt.Errorf("Grants yielded %d grants, want 1", len(listed))
	}
	if err := errors.Join(same(got, want), same(listed[0], want)); err != nil || p.clients == nil {
		return err
	}
	if !reflect.DeepEqual(client, wantClient) || !reflect.DeepEqual(listedClient, wantClient) {
		return fmt.Errorf("GetByID had returned, and Clients had yielded\n%s\nand these are now\n%s\n%s", show(wantClient), show(client), show(listedClient))
	}
	return nil
}
