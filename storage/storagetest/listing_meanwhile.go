package storagetest

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// listingMeanwhile holds the promises of a list while others, or its own loop body, go on.
var listingMeanwhile = []promise{
	{"Grants/meanwhile", "A grant that is inserted, changed or removed meanwhile may be yielded either way, each at most once; all others are yielded exactly once, as they stand.", grantsMeanwhile},
	{"Grants/at_the_same_time", "A grant that is inserted, changed or removed meanwhile may be yielded either way, each at most once; all others are yielded exactly once, as they stand.", grantsAtTheSameTime},
	{"Grants/loop_body", "The loop body may call the store: nothing is held while it runs.", grantsLoopBody},
	{"Grants/break", "nothing is held", grantsBreak},
}

// grantsMeanwhile writes from the loop body, before and behind the place where the loop is.
func grantsMeanwhile(p *probe) error {
	const everyFew = 150
	all := plainGrants(someGrants, "alice", "app")
	near := func(pass, i int, offsets ...int) []*storage.Grant {
		var grants []*storage.Grant
		for _, d := range offsets {
			if n := i + d + 5*pass; 0 <= n && n < len(all) {
				grants = append(grants, all[n])
			}
		}
		return grants
	}
	moved := func(pass, i int) []*storage.Grant { return near(pass, i, -30, 30, 340) }
	pruned := func(pass, i int) []*storage.Grant { return near(pass, i, -20, 20, 310) }
	due := func(pass, i int) time.Time { return dawn.Add(time.Duration(pass*len(all)+i) * time.Second) }

	filters := []storage.Filter{{}, {User: "alice"}}
	touched := map[storage.ID]bool{}
	for pass := range filters {
		for i := 0; i < len(all); i += everyFew {
			for _, g := range moved(pass, i) {
				touched[g.ID] = true
			}
			for _, g := range pruned(pass, i) {
				touched[g.ID] = true
				g.Expires = due(pass, i)
			}
		}
	}
	if err := p.insert(all...); err != nil {
		return err
	}

	write := func(pass, i int) error {
		before, behind := plainGrant("alice", "app"), plainGrant("alice", "app")
		before.ID, behind.ID = idAt(i, -1-pass), idAt(i, 1+pass)
		if err := p.insert(before, behind); err != nil {
			return err
		}
		for _, g := range moved(pass, i) {
			if err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error { g.User = "bob"; return nil }); err != nil {
				return fmt.Errorf("Update returned %w", err)
			}
		}
		return p.prune(due(pass, i).Add(time.Millisecond), len(pruned(pass, i)))
	}
	for pass, f := range filters {
		untouched := 0
		var last storage.ID
		for g, err := range p.Grants(p.ctx, f) {
			if err != nil {
				return fmt.Errorf("Grants(%s) yielded %w", show(f), err)
			}
			if bytes.Compare(g.ID[:], last[:]) <= 0 {
				return fmt.Errorf("Grants(%s) yielded %v after %v", show(f), g.ID, last)
			}
			last = g.ID
			i, first := slices.BinarySearchFunc(all, g, byID)
			if !first || touched[g.ID] {
				continue
			}
			if err := same(g, all[i]); err != nil {
				return err
			}
			if untouched++; i%everyFew == 0 {
				if err := write(pass, i); err != nil {
					return err
				}
			}
		}
		if want := len(all) - len(touched); untouched != want {
			return fmt.Errorf("Grants(%s) yielded %d of the %d grants that nobody touched", show(f), untouched, want)
		}
	}
	return nil
}

// grantsAtTheSameTime writes from another goroutine.
func grantsAtTheSameTime(p *probe) error {
	const n = 60
	all := plainGrants(n, "alice", "app")
	changing := map[storage.ID]bool{}
	for i, g := range all {
		if i%3 != 0 {
			changing[g.ID] = true
			g.Expires = dawn.Add(time.Duration(i) * time.Second)
		}
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	write := func() error {
		for i := 1; i < n; i += 6 {
			fresh := plainGrant("alice", "app")
			fresh.ID = idAt(i, 1)
			_, err := p.Prune(p.ctx, all[i].Expires.Add(time.Millisecond))
			err = errors.Join(err, p.Insert(p.ctx, fresh), p.Update(p.ctx, all[i+1].ID, func(g *storage.Grant) error {
				g.User, g.Expires = "bob", time.Time{}
				return nil
			}))
			if err != nil {
				return fmt.Errorf("a write returned %w", err)
			}
			pace()
		}
		return nil
	}
	return during(write, func() error {
		for _, f := range []storage.Filter{{}, {User: "alice"}} {
			got, err := p.list(f)
			if err != nil {
				return err
			}
			untouched := 0
			for i, g := range got {
				if i > 0 && byID(got[i-1], g) >= 0 {
					return fmt.Errorf("Grants yielded %v after %v", g.ID, got[i-1].ID)
				}
				if !f.Matches(g) {
					return fmt.Errorf("Grants(%s) yielded %s", show(f), show(g))
				}
				if place, ok := slices.BinarySearchFunc(all, g, byID); ok && !changing[g.ID] {
					untouched++
					if err := same(g, all[place]); err != nil {
						return err
					}
				}
			}
			if untouched != n/3 {
				return fmt.Errorf("Grants yielded %d of %d grants that nobody touched", untouched, n/3)
			}
		}
		return nil
	})
}

func grantsLoopBody(p *probe) error {
	all := plainGrants(3, "alice", "loop")
	if err := p.insert(all...); err != nil {
		return err
	}
	calls, err := p.calls()
	if err != nil {
		return err
	}
	body := func(g *storage.Grant) error {
		for _, c := range calls {
			if err := c.do(p.ctx); err != nil {
				return fmt.Errorf("%s in the loop body returned %w", c.name, err)
			}
		}
		calls = nil // once will do
		if err := p.lists(storage.Filter{Client: "loop"}, all...); err != nil {
			return fmt.Errorf("a loop within the loop: %w", err)
		}
		if err := p.Update(p.ctx, g.ID, setScope("looped")); err != nil {
			return fmt.Errorf("Update in the loop body returned %w", err)
		}
		g, err := p.Grant(p.ctx, g.ID)
		if err != nil {
			return fmt.Errorf("Grant in the loop body returned %w", err)
		}
		i, _ := slices.BinarySearchFunc(all, g, byID)
		all[i].Scope = "looped"
		return p.stands(all...)
	}
	turns := 0
	for g, err := range p.Grants(p.ctx, storage.Filter{Client: "loop"}) {
		if err != nil {
			return fmt.Errorf("Grants yielded %w", err)
		}
		if err := body(g); err != nil {
			return err
		}
		turns++
	}
	if turns != len(all) {
		return fmt.Errorf("Grants yielded %d grants, want %d", turns, len(all))
	}
	return nil
}

func grantsBreak(p *probe) error {
	all := plainGrants(20, "alice", "app")
	if err := p.insert(all...); err != nil {
		return err
	}
	for i := range 50 {
		for g, err := range p.Grants(p.ctx, storage.Filter{}) {
			if err != nil {
				return fmt.Errorf("Grants yielded %w", err)
			}
			if g.ID == all[i%len(all)].ID {
				break
			}
		}
	}
	if err := p.Update(p.ctx, all[0].ID, setScope("changed")); err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	all[0].Scope = "changed"
	if err := p.reopen(); err != nil {
		return err
	}
	return p.lists(storage.Filter{}, all...)
}
