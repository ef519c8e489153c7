package storagetest

import (
	"errors"
	"fmt"
	"strings"
	"sync/atomic"

	"github.com/ostiary-go/ostiary/storage"
)

var inserting = []promise{
	{"Insert/round_trip", "Insert stores a new grant", insertRoundTrip},
	{"Insert/megabyte", "A record may have a megabyte.", insertMegabyte},
	{"Insert/taken", "If its ID is taken, whatever the rest, it returns ErrExists and leaves what is there as it was.", insertTaken},
	{"Insert/one_of_many", "If its ID is taken, whatever the rest, it returns ErrExists", insertOneOfMany},
}

func insertRoundTrip(p *probe) error {
	full, code, refresh, access := fullGrant(1), fullGrant(2), fullGrant(3), fullGrant(4)
	code.Refresh, code.Access = nil, nil
	refresh.Code, refresh.Access = nil, nil
	access.Code, access.Refresh = nil, nil
	empty := fullGrant(5)
	empty.Code, empty.Refresh, empty.Access = &storage.Code{}, &storage.Refresh{}, make([]storage.Access, 2)
	grants := []*storage.Grant{full, code, refresh, access, empty, {ID: storage.NewID(), Client: "app", Created: dawn}}
	if err := p.insert(grants...); err != nil {
		return err
	}
	for _, g := range grants {
		err := p.Update(p.ctx, g.ID, func(got *storage.Grant) error { return same(got, g) })
		if err := errors.Join(err, p.stands(g), p.lists(storage.Filter{Grant: g.ID}, g)); err != nil {
			return err
		}
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.lists(storage.Filter{}, grants...)
}

func insertMegabyte(p *probe) error {
	large, neighbour := fullGrant(1), fullGrant(2)
	large.Scope = strings.Repeat("scope ", 1<<20/6)
	if err := p.insert(neighbour, large); err != nil {
		return err
	}
	if err := p.stands(large, neighbour); err != nil {
		return err
	}
	large.Scope += "more"
	if err := p.Update(p.ctx, large.ID, setScope(large.Scope)); err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.lists(storage.Filter{}, large, neighbour)
}

func insertTaken(p *probe) error {
	g, other := fullGrant(1), fullGrant(2)
	other.ID = g.ID
	if err := p.insert(g); err != nil {
		return err
	}
	for _, second := range []*storage.Grant{g, other, {ID: g.ID}} {
		if err := wantErr("Insert of an ID that is taken", p.Insert(p.ctx, second), storage.ErrExists); err != nil {
			return err
		}
		err := errors.Join(p.stands(g), p.lists(storage.Filter{User: g.User}, g), p.lists(storage.Filter{User: other.User}))
		if err != nil {
			return err
		}
	}
	return p.lists(storage.Filter{}, g)
}

func insertOneOfMany(p *probe) error {
	id := storage.NewID()
	var winner atomic.Pointer[storage.Grant]
	err := atOnce(30, func(i int) error {
		g := fullGrant(i)
		g.ID = id
		err := p.Insert(p.ctx, g)
		if err != nil {
			return wantErr("Insert of an ID that is taken", err, storage.ErrExists)
		}
		if !winner.CompareAndSwap(nil, g) {
			return errors.New("Insert returned nil for two grants of one ID")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return p.lists(storage.Filter{}, winner.Load())
}
