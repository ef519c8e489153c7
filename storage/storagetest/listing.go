package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

var listing = []promise{
	{"Grants/chosen", "Grants yields the grants that f chooses", grantsChosen},
	{"Grants/odd_names", "User and Client are any UTF-8, of any length, with any character", grantsOddNames},
	{"Grants/moved", "Grants yields the grants that f chooses", grantsMoved},
	{"Grants/order", "in the order of their IDs", grantsOrder},
	{"Grants/many", "all others are yielded exactly once, as they stand.", grantsMany},
	{"Grants/meanwhile", "A grant that is inserted, changed or removed meanwhile may be yielded either way, each at most once; all others are yielded exactly once, as they stand.", grantsMeanwhile},
	{"Grants/at_the_same_time", "A grant that is inserted, changed or removed meanwhile may be yielded either way, each at most once; all others are yielded exactly once, as they stand.", grantsAtTheSameTime},
	{"Grants/loop_body", "The loop body may call the store: nothing is held while it runs.", grantsLoopBody},
	{"Grants/break", "nothing is held", grantsBreak},
	{"Grants/error_ends", "After an error, which is yielded with a nil grant, the sequence ends", grantsErrorEnds},
	{"Grants/resumed", "Filter.After resumes it.", grantsResumed},
}

// A store reads someGrants in more than one go, and manyGrants in several.
const (
	someGrants = 600
	manyGrants = 3010
)

func grantsChosen(p *probe) error {
	if err := p.lists(storage.Filter{}); err != nil {
		return err
	}
	var all []*storage.Grant
	for range 3 {
		for _, user := range []string{"", "alice", "bob"} {
			for _, client := range []string{"app", "web"} {
				all = append(all, plainGrant(user, client))
			}
		}
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	for _, grant := range []storage.ID{{}, all[0].ID, all[9].ID, storage.NewID()} {
		for _, user := range []string{"", "alice", "bob", "carol", "ali"} {
			for _, client := range []string{"", "app", "web", "we"} {
				for _, after := range []storage.ID{{}, all[5].ID} {
					f := storage.Filter{Grant: grant, User: user, Client: client, After: after}
					want := slices.DeleteFunc(slices.Clone(all), func(g *storage.Grant) bool { return !f.Matches(g) })
					if err := p.lists(f, want...); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

func grantsOddNames(p *probe) error {
	names := []string{
		"a", "ab", "a\x00", "a\x00b", "a\x00\x00", "\x00", "\x00a", "A", "a ", " a", "á", "a\u0301",
		"a/b", "a/", "/", "..", "%", "a%", "_", "*", "'; --", `\`, "\n", "a\xc2\x80", "\U0010ffff",
		strings.Repeat("u", 4096), strings.Repeat("u", 4095), strings.Repeat("u", 4096) + "\x00",
	}
	var all []*storage.Grant
	for _, name := range names {
		all = append(all, plainGrant(name, "app"), plainGrant("alice", name), plainGrant(name, name))
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	for i, name := range names {
		err := errors.Join(
			p.lists(storage.Filter{User: name}, all[3*i], all[3*i+2]),
			p.lists(storage.Filter{Client: name}, all[3*i+1], all[3*i+2]),
			p.lists(storage.Filter{User: name, Client: name}, all[3*i+2]))
		if err != nil {
			return err
		}
	}
	return nil
}

func grantsMoved(p *probe) error {
	g, stays := plainGrant("", "app"), plainGrant("bob", "app")
	if err := p.insert(g, stays); err != nil {
		return err
	}
	for _, to := range [][2]string{{"alice", "app"}, {"bob", "app"}, {"bob", "web"}, {"", "web"}, {"", "app"}, {"alice", "app"}, {"", "app"}} {
		err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
			g.User, g.Client = to[0], to[1]
			return nil
		})
		if err != nil {
			return fmt.Errorf("Update returned %w", err)
		}
		g.User, g.Client = to[0], to[1]
		for _, f := range []storage.Filter{{}, {User: "alice"}, {User: "bob"}, {Client: "app"}, {Client: "web"}, {User: "bob", Client: "web"}} {
			var want []*storage.Grant
			for _, g := range []*storage.Grant{g, stays} {
				if f.Matches(g) {
					want = append(want, g)
				}
			}
			if err := p.lists(f, want...); err != nil {
				return fmt.Errorf("after an update to user %q and client %q: %w", to[0], to[1], err)
			}
		}
	}
	return nil
}

func grantsOrder(p *probe) error {
	var all []*storage.Grant
	for _, first := range []byte{0x80, 0, 0xff, 0x7f, 1} {
		for _, last := range []byte{0xff, 1, 0x80, 0x7f} {
			g := plainGrant("alice", "app")
			g.ID = storage.ID{0: first, 15: last}
			all = append(all, g)
		}
	}
	all[0].ID = storage.ID(bytes.Repeat([]byte{0xff}, 16))
	for range 10 {
		all = append(all, plainGrant("alice", "app"))
	}
	for _, g := range all { // one by one, for the order in which they come matters
		g.Created = dawn.Add(-time.Duration(g.ID[15]) * time.Hour) // and must not
		if err := p.insert(g); err != nil {
			return err
		}
	}
	return errors.Join(
		p.lists(storage.Filter{}, all...),
		p.lists(storage.Filter{User: "alice"}, all...),
		p.lists(storage.Filter{Client: "app"}, all...))
}

func grantsMany(p *probe) error {
	all := plainGrants(manyGrants, "alice", "app")
	for i, g := range all {
		if i%2 == 0 {
			g.User = "bob"
		}
		if i%3 == 0 {
			g.Client = "web"
		}
	}
	last := all[manyGrants-1]
	last.User, last.Client = "carol", "cli" // which a store may find only after thousands of others
	if err := p.insert(all...); err != nil {
		return err
	}
	for _, f := range []storage.Filter{{}, {User: "alice"}, {Client: "app"}, {User: "alice", Client: "app"}, {User: "carol"}, {Client: "cli"}, {Client: "none"}} {
		want := slices.DeleteFunc(slices.Clone(all), func(g *storage.Grant) bool { return !f.Matches(g) })
		if err := p.lists(f, want...); err != nil {
			return err
		}
	}
	return nil
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

func grantsErrorEnds(p *probe) error {
	all := plainGrants(20, "alice", "app")
	if err := p.insert(all...); err != nil {
		return err
	}
	if err := lastError(p.Grants(p.endingAt(0), storage.Filter{})); !hasEnded(err) {
		return fmt.Errorf("with a context that had ended, Grants yielded %v", err)
	}
	for i := range all {
		ctx, cancel := context.WithCancel(p.ctx)
		var got []*storage.Grant
		err := lastError(func(yield func(*storage.Grant, error) bool) {
			for g, err := range p.Grants(ctx, storage.Filter{}) {
				if !yield(g, err) {
					return
				}
				if got = append(got, g); g == nil || g.ID == all[i].ID {
					cancel()
				}
			}
		})
		cancel()
		got = slices.DeleteFunc(got, func(g *storage.Grant) bool { return g == nil })
		switch {
		case err != nil && !hasEnded(err):
			return fmt.Errorf("with a context that was cancelled in the loop body, Grants yielded %w", err)
		case err == nil && len(got) != len(all):
			return fmt.Errorf("cancelled in the loop body, Grants ended without an error after %d of %d grants", len(got), len(all))
		case !slices.Equal(ids(got), ids(all[:len(got)])):
			return errors.New("cancelled in the loop body, Grants skipped a grant")
		}
	}
	return nil
}

func grantsResumed(p *probe) error {
	var all []*storage.Grant
	for i, g := range plainGrants(24, "alice", "app") {
		if i%2 == 0 {
			g.User = "bob"
		}
		if i%3 == 0 {
			g.Client = "web"
		}
		all = append(all, g)
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	last := storage.ID(bytes.Repeat([]byte{0xff}, 16))
	for _, f := range []storage.Filter{{}, {User: "alice"}, {Client: "app"}, {User: "alice", Client: "app"}, {Grant: all[7].ID}} {
		for i := range all {
			for _, f.After = range []storage.ID{idAt(i, -1), all[i].ID, idAt(i, 1), last} {
				want := slices.DeleteFunc(slices.Clone(all), func(g *storage.Grant) bool { return !f.Matches(g) })
				if err := p.lists(f, want...); err != nil {
					return err
				}
			}
		}
	}
	return nil
}
