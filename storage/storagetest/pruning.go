package storagetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

var pruning = []promise{
	{"Prune/before", "Prune removes the grants whose Expires is not zero and is before the given time", pruneBefore},
	{"Prune/moved", "Prune removes the grants whose Expires is not zero and is before the given time", pruneMoved},
	{"Prune/writes_in_between", "Prune removes the grants whose Expires is not zero and is before the given time", pruneWritesInBetween},
	{"Prune/until", "until none is left or ctx ends. It returns how many it removed, also beside an error.", pruneUntil},
}

// prune returns an error unless Prune removes n grants.
func (p *probe) prune(before time.Time, n int) error {
	got, err := p.Prune(p.ctx, before)
	if err != nil || got != n {
		return fmt.Errorf("Prune returned %d, %v, want %d, nil", got, err, n)
	}
	return nil
}

func pruneBefore(p *probe) error {
	at := func(t time.Time) *storage.Grant {
		g := fullGrant(1)
		g.Expires = t
		return g
	}
	never, early, before, exactly, after := at(time.Time{}), at(dawn.AddDate(-1, 0, 0)), at(dawn.Add(-time.Millisecond)), at(dawn), at(dawn.Add(time.Millisecond))
	user := storage.Filter{User: never.User}
	if err := p.insert(after, before, exactly, early, never); err != nil {
		return err
	}
	err := errors.Join(
		p.prune(early.Expires, 0),
		p.lists(storage.Filter{}, never, early, before, exactly, after),
		p.prune(dawn, 2),
		p.absent(early.ID), p.absent(before.ID),
		p.lists(storage.Filter{}, never, exactly, after),
		p.lists(user, never, exactly, after),
		p.prune(dawn, 0),
		p.prune(dawn.AddDate(1, 0, 0), 2),
		p.lists(storage.Filter{}, never),
		p.lists(user, never))
	if err != nil {
		return err
	}
	if err := p.Insert(p.ctx, before); err != nil {
		return fmt.Errorf("Insert of a grant that had been pruned returned %w", err)
	}
	return p.lists(user, never, before)
}

func pruneMoved(p *probe) error {
	later := dawn.AddDate(1, 0, 0)
	never := time.Time{}
	moves := []struct {
		steps []time.Time
		goes  bool
	}{
		{[]time.Time{dawn, later}, false},
		{[]time.Time{dawn, never}, false},
		{[]time.Time{later, dawn}, true},
		{[]time.Time{never, dawn}, true},
		{[]time.Time{dawn, later, dawn}, true},
		{[]time.Time{later, dawn, later}, false},
		{[]time.Time{never, dawn, never}, false},
	}
	grants := make([]*storage.Grant, len(moves))
	left, gone := []*storage.Grant(nil), 0
	for i, move := range moves {
		grants[i] = plainGrant("alice", "app")
		grants[i].Expires = move.steps[0]
		if move.goes {
			gone++
		} else {
			left = append(left, grants[i])
		}
	}
	if err := p.insert(grants...); err != nil {
		return err
	}
	err := atOnce(len(moves), func(i int) error {
		for _, t := range moves[i].steps[1:] {
			err := p.Update(p.ctx, grants[i].ID, func(g *storage.Grant) error { g.Expires = t; return nil })
			if err != nil {
				return fmt.Errorf("Update returned %w", err)
			}
			grants[i].Expires = t
		}
		return nil
	})
	if err != nil {
		return err
	}
	if err := errors.Join(p.prune(dawn.Add(time.Millisecond), gone), p.lists(storage.Filter{}, left...)); err != nil {
		return err
	}
	// What was moved later goes when that time has come.
	return errors.Join(p.prune(later.Add(time.Millisecond), 2), p.prune(later.Add(time.Millisecond), 0))
}

// pruneWritesInBetween puts grants off while they are pruned: whoever did is told by Update whether
// he came in time.
func pruneWritesInBetween(p *probe) error {
	expired := plainGrants(200, "alice", "app")
	for _, g := range expired {
		g.Expires = dawn
	}
	if err := p.insert(expired...); err != nil {
		return err
	}
	saved := make([]bool, len(expired))
	var removed atomic.Int64
	err := during(func() error {
		return atOnce(len(expired), func(i int) error {
			if i%2 == 0 {
				fresh := plainGrant("bob", "app")
				return p.Insert(p.ctx, fresh)
			}
			err := p.Update(p.ctx, expired[i].ID, func(g *storage.Grant) error {
				g.Expires = dawn.AddDate(1, 0, 0)
				return nil
			})
			if saved[i] = err == nil; !saved[i] {
				return wantErr("Update", err, storage.ErrNotFound)
			}
			return nil
		})
	}, func() error {
		n, err := p.Prune(p.ctx, dawn.Add(time.Millisecond))
		removed.Add(int64(n))
		return err
	})
	if err != nil {
		return err
	}
	n, err := p.Prune(p.ctx, dawn.Add(time.Millisecond))
	if err != nil {
		return fmt.Errorf("Prune returned %w", err)
	}
	var left []*storage.Grant
	for i, g := range expired {
		if saved[i] {
			g.Expires = dawn.AddDate(1, 0, 0)
			left = append(left, g)
		}
	}
	if want := len(expired) - len(left); int(removed.Load())+n != want {
		return fmt.Errorf("Prune returned %d in all, want %d, for %d were put off in time", int(removed.Load())+n, want, len(left))
	}
	return p.lists(storage.Filter{User: "alice"}, left...)
}

func pruneUntil(p *probe) error {
	all := plainGrants(1100, "alice", "app")
	for _, g := range all[1:] {
		g.Expires = dawn
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	left := len(all)
	for nth := range int64(8) {
		n, err := p.Prune(p.endingAt(nth), dawn.Add(time.Millisecond))
		if err != nil && !hasEnded(err) {
			return fmt.Errorf("Prune returned %w", err)
		}
		rest, listErr := p.list(storage.Filter{})
		if listErr != nil {
			return listErr
		}
		if n != left-len(rest) || err == nil && len(rest) > 1 || nth == 0 && n > 0 {
			return fmt.Errorf("Prune returned %d, %v; it removed %d and left %d", n, err, left-len(rest), len(rest))
		}
		left = len(rest)
	}
	return errors.Join(p.prune(dawn.Add(time.Millisecond), left-1), p.lists(storage.Filter{}, all[0]))
}
