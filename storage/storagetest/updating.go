package storagetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"

	"github.com/ostiary-go/ostiary/storage"
)

var updating = []promise{
	{"Update/stores", "Update applies change to the grant and stores what it leaves", updateStores},
	{"Update/neighbours", "Update applies change to the grant and stores what it leaves", updateNeighbours},
	{"Update/one_step", "in one atomic step", updateOneStep},
	{"Update/exactly_once", "of concurrent updates of one grant, each sees what the one before it left.", updateExactlyOnce},
	{"Update/not_found", "It returns ErrNotFound, and does not call change, if there is no such grant.", updateNotFound},
	{"Update/own_grant", "change gets a grant of its own, which it may alter in every field but ID.", updateOwnGrant},
	{"Update/fresh_grant", "It may be called more than once, each time with a fresh grant as it stands then", updateFreshGrant},
	{"Update/error_as_it_is", "If change returns an error, nothing is stored and Update returns that error as it is.", updateErrorAsItIs},
	{"Update/panic", "If change panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called Update; the store serves on.", updatePanic},
	{"Update/goexit", "If change panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called Update; the store serves on.", updateGoexit},
	{"Update/no_change", "also where it changed nothing", updateNoChange},
}

func updateStores(p *probe) error {
	before, after := fullGrant(1), fullGrant(2)
	after.ID = before.ID
	if err := p.insert(before); err != nil {
		return err
	}
	bare := &storage.Grant{ID: before.ID, Created: dawn}
	for _, next := range []*storage.Grant{after, bare, before} {
		err := p.Update(p.ctx, before.ID, func(g *storage.Grant) error {
			*g = *next.Clone()
			return nil
		})
		if err != nil {
			return fmt.Errorf("Update returned %w", err)
		}
		if err := errors.Join(p.stands(next), p.lists(storage.Filter{}, next)); err != nil {
			return err
		}
	}
	return nil
}

func updateNeighbours(p *probe) error {
	const grants, each = 16, 6
	all := make([]*storage.Grant, grants)
	for i := range all {
		all[i] = fullGrant(i)
		all[i].Code.Tries = 0
	}
	if err := p.insert(all...); err != nil {
		return err
	}
	errChange := errors.New("change failed")
	err := atOnce(grants*each, func(i int) error {
		g, kind := all[i%grants], i/grants
		var err error
		switch kind {
		case 0: // fails
			err = p.Update(p.ctx, g.ID, func(g *storage.Grant) error { spoil(g); return errChange })
			if err == errChange {
				return nil
			}
		case 1: // panics
			if v := recovered(func() {
				err = p.Update(p.ctx, g.ID, func(g *storage.Grant) error { spoil(g); panic(errChange) })
			}); v == errChange {
				return nil
			}
		default:
			err = p.Update(p.ctx, g.ID, func(g *storage.Grant) error { g.Code.Tries++; return nil })
			if err == nil {
				return nil
			}
		}
		return fmt.Errorf("among others, Update returned %w", err)
	})
	if err != nil {
		return err
	}
	for _, g := range all {
		g.Code.Tries = each - 2
	}
	return p.lists(storage.Filter{}, all...)
}

func updateOneStep(p *probe) error {
	const steps = 10
	g := plainGrant("user before", "client before")
	if err := p.insert(g); err != nil {
		return err
	}
	return during(func() error {
		return atOnce(steps, func(i int) error {
			return p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
				g.User, g.Client, g.Scope = fmt.Sprint("user ", i), fmt.Sprint("client ", i), "changed"
				g.Access = []storage.Access{{Scope: fmt.Sprint("client ", i)}}
				return nil
			})
		})
	}, func() error {
		got, err := p.Grant(p.ctx, g.ID)
		if err != nil {
			return fmt.Errorf("Grant returned %w", err)
		}
		if got.User[len("user "):] != got.Client[len("client "):] || got.Access != nil && got.Access[0].Scope != got.Client {
			return fmt.Errorf("Grant returned a change by halves: %s", show(got))
		}
		return nil
	})
}

func updateExactlyOnce(p *probe) error {
	const n = 50
	g := plainGrant("alice", "app")
	g.Code = &storage.Code{}
	if err := p.insert(g); err != nil {
		return err
	}
	saw := make([]int, n)
	err := atOnce(n, func(i int) error {
		return p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
			saw[i] = g.Code.Tries
			g.Code.Tries = saw[i] + 1
			g.Audience = append(g.Audience, fmt.Sprint(i))
			return nil
		})
	})
	if err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	got, err := p.Grant(p.ctx, g.ID)
	if err != nil {
		return fmt.Errorf("Grant returned %w", err)
	}
	if got.Code.Tries != n || len(got.Audience) != n {
		return fmt.Errorf("%d updates left %d effects of one kind and %d of another", n, got.Code.Tries, len(got.Audience))
	}
	slices.Sort(saw)
	for i := range saw {
		if saw[i] != i {
			return fmt.Errorf("the updates saw %d, want each number once", saw)
		}
	}
	return nil
}

func updateNotFound(p *probe) error {
	pruned := plainGrant("alice", "app")
	pruned.Expires = dawn
	if err := p.insert(pruned, plainGrant("alice", "app")); err != nil {
		return err
	}
	if n, err := p.Prune(p.ctx, dawn.AddDate(1, 0, 0)); n != 1 || err != nil {
		return fmt.Errorf("Prune returned %d, %v, want 1, nil", n, err)
	}
	for _, id := range []storage.ID{storage.NewID(), pruned.ID} {
		called := false
		err := p.Update(p.ctx, id, func(*storage.Grant) error {
			called = true
			return nil
		})
		if called {
			return errors.New("change was called")
		}
		if err := errors.Join(wantErr("Update", err, storage.ErrNotFound), p.absent(id)); err != nil {
			return err
		}
	}
	return nil
}

func updateOwnGrant(p *probe) error {
	for _, fail := range []error{errors.New("change failed"), nil} {
		g := fullGrant(1)
		if err := p.insert(g); err != nil {
			return err
		}
		shared, err := p.Grant(p.ctx, g.ID)
		if err != nil {
			return fmt.Errorf("Grant returned %w", err)
		}
		listed, err := p.list(storage.Filter{Grant: g.ID})
		if err != nil {
			return err
		}
		err = p.Update(p.ctx, g.ID, func(own *storage.Grant) error {
			spoil(own)
			return fail
		})
		if err != fail {
			return fmt.Errorf("Update returned %v, want %v", err, fail)
		}
		if err := errors.Join(same(shared, g), same(listed[0], g)); err != nil {
			return fmt.Errorf("change altered what Grant and Grants had given to others: %w", err)
		}
		if fail != nil {
			if err := p.stands(g); err != nil {
				return fmt.Errorf("change altered the grant and returned an error, and that was stored: %w", err)
			}
		}
	}
	return nil
}

// updateFreshGrant can't make a store call change again; but where one does, a trace of the call
// before would show.
func updateFreshGrant(p *probe) error {
	const n = 30
	start := fullGrant(1)
	start.Code.Tries = 0
	if err := p.insert(start); err != nil {
		return err
	}
	err := atOnce(n, func(i int) error {
		mine := fmt.Sprint("mine ", i)
		var trace error
		err := p.Update(p.ctx, start.ID, func(g *storage.Grant) error {
			if g.Scope == mine || g.Audience[0] == mine || g.Access[0].Audience[0] == mine || string(g.Refresh.Salt) == mine || g.Code.Challenge == mine {
				trace = fmt.Errorf("change was called again with what it had left of the grant before: %s", show(g))
			}
			g.Code.Tries++
			g.Scope, g.Audience[0], g.Access[0].Audience[0], g.Code.Challenge = mine, mine, mine, mine
			g.Refresh.Salt = append(g.Refresh.Salt[:0], mine...)
			return nil
		})
		return errors.Join(err, trace)
	})
	if err != nil {
		return err
	}
	got, err := p.Grant(p.ctx, start.ID)
	if err != nil {
		return fmt.Errorf("Grant returned %w", err)
	}
	if got.Code.Tries != n {
		return fmt.Errorf("%d updates left %d effects", n, got.Code.Tries)
	}
	return nil
}

// errorsOfChange are errors that a change may return, each to be returned as it is.
var errorsOfChange = []error{
	errors.New("change failed"),
	fmt.Errorf("change: %w", storage.ErrNotFound),
	storage.ErrNotFound,
	storage.ErrExists,
	storage.ErrClosed,
	storage.ErrUnavailable,
	context.Canceled,
	context.DeadlineExceeded,
}

// changeError is compared by identity, and can't be.
type changeError []string

func (changeError) Error() string { return "change failed" }

func updateErrorAsItIs(p *probe) error {
	g := fullGrant(1)
	if err := p.insert(g); err != nil {
		return err
	}
	for _, want := range errorsOfChange {
		err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
			spoil(g)
			return want
		})
		if err != want {
			return fmt.Errorf("Update returned the error %v, want the very error %v", err, want)
		}
		if err := errors.Join(p.stands(g), p.lists(storage.Filter{}, g)); err != nil {
			return err
		}
	}
	err := p.Update(p.ctx, g.ID, func(*storage.Grant) error { return changeError{"not comparable"} })
	if _, ok := err.(changeError); !ok {
		return fmt.Errorf("Update returned a %T, want the very error that change returned", err)
	}
	if err := p.Update(p.ctx, g.ID, setScope(g.Scope)); err != nil {
		return fmt.Errorf("after an error of change, Update returned %w", err)
	}
	return p.stands(g)
}

// recovered returns the value that do panics with.
func recovered(do func()) (v any) {
	defer func() { v = recover() }()
	do()
	return nil
}

func updatePanic(p *probe) error {
	g, other := fullGrant(1), fullGrant(2)
	if err := p.insert(g, other); err != nil {
		return err
	}
	want := &struct{ int }{}
	var err error
	got := recovered(func() {
		err = p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
			spoil(g)
			panic(want)
		})
	})
	if got != want {
		return fmt.Errorf("the caller of Update recovered %v and got the error %v, want the value of the panic", got, err)
	}
	return p.servesOn(g, other)
}

func updateGoexit(p *probe) error {
	g, other := fullGrant(1), fullGrant(2)
	if err := p.insert(g, other); err != nil {
		return err
	}
	err := <-async(func() error {
		return p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
			spoil(g)
			runtime.Goexit()
			return nil
		})
	})
	if err == nil {
		return errors.New("change called runtime.Goexit and Update returned nil")
	}
	return p.servesOn(g, other)
}

// servesOn returns an error unless the store has the grants, takes changes of them and a new one.
func (p *probe) servesOn(g, other *storage.Grant) error {
	if err := p.lists(storage.Filter{}, g, other); err != nil {
		return err
	}
	changed, changedOther, inserted := g.Clone(), other.Clone(), fullGrant(3)
	changed.Scope, changedOther.Scope = "changed", "changed"
	err := errors.Join(
		p.Update(p.ctx, g.ID, setScope("changed")),
		p.Update(p.ctx, other.ID, setScope("changed")),
		p.Insert(p.ctx, inserted))
	if err != nil {
		return fmt.Errorf("the store does not serve on: %w", err)
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.lists(storage.Filter{}, changed, changedOther, inserted)
}

func updateNoChange(p *probe) error {
	g := fullGrant(1)
	if err := p.insert(g); err != nil {
		return err
	}
	var saw *storage.Grant
	err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error {
		saw = g.Clone()
		return nil
	})
	if err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return errors.Join(same(saw, g), p.lists(storage.Filter{}, g))
}
