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
