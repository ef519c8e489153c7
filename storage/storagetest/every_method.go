package storagetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// everyMethod holds what the package comment promises for all methods of all interfaces.
var everyMethod = []promise{
	{"Every/concurrent", "They are safe for concurrent use.", concurrent},
	{"Every/durable", "A write that returned nil is durable", durable},
	{"Every/seen", "The next read, by whoever, sees it.", seen},
	{"Every/never_stale", "The next read, by whoever, sees it.", neverStale},
	{"Every/ended_context", "Where the context has ended before the work has begun they return an error that [errors.Is] context.Canceled or context.DeadlineExceeded", endedContext},
	{"Every/ended_stores_nothing", "that error means: nothing was stored", endedStoresNothing},
	{"Every/ended_while_waiting", "that error means: nothing was stored", endedWhileWaiting},
	{"Every/closed", "After Close they return [ErrClosed].", everyClosed},
	{"Every/absent", "An absent grant or client is [ErrNotFound].", everyAbsent},
	{"Every/copies_in", "Strings and slices that go in or come out are the caller's: an implementation copies what it keeps.", copiesIn},
	{"Every/copies_out", "Strings and slices that go in or come out are the caller's: an implementation copies what it keeps.", copiesOut},
	{"Every/milliseconds", "Times are kept to the millisecond.", milliseconds},
}

func concurrent(p *probe) error {
	const workers, rounds = 16, 4
	grants := make([]*storage.Grant, workers*rounds)
	kept := make([]*storage.Client, workers*rounds)
	err := atOnce(workers, func(w int) error {
		for i := w * rounds; i < (w+1)*rounds; i++ {
			g := plainGrant(fmt.Sprint("user", w), "app")
			if err := p.Insert(p.ctx, g); err != nil {
				return fmt.Errorf("Insert returned %w", err)
			}
			if err := p.Update(p.ctx, g.ID, setScope("changed")); err != nil {
				return fmt.Errorf("Update returned %w", err)
			}
			g.Scope = "changed"
			grants[i] = g
			if err := p.lists(storage.Filter{User: g.User}, grants[w*rounds:i+1]...); err != nil {
				return err
			}
			if n, err := p.Prune(p.ctx, dawn); n != 0 || err != nil {
				return fmt.Errorf("Prune returned %d, %v with nothing to prune", n, err)
			}
			if p.keys != nil {
				if err := p.keep(fmt.Sprint("key ", i), []byte(fmt.Sprint("secret ", i))); err != nil {
					return err
				}
			}
			if p.clients == nil {
				continue
			}
			kept[i] = fullClient(fmt.Sprintf("client %d kept", i), i)
			gone := plainClient(fmt.Sprintf("client %d gone", i))
			if err := p.register(kept[i], gone); err != nil {
				return err
			}
			if err := errors.Join(p.clients.EndClient(p.ctx, kept[i].ID), p.clients.DeleteClient(p.ctx, gone.ID)); err != nil {
				return err
			}
			if err := lastError(p.clients.Clients(p.ctx)); err != nil {
				return fmt.Errorf("Clients yielded %w", err)
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, c := range kept {
		if c == nil {
			break
		}
		if err := p.registered(c); err != nil {
			return err
		}
	}
	for i := range grants {
		if p.keys == nil {
			break
		}
		if err := p.keeps(fmt.Sprint("key ", i), []byte(fmt.Sprint("secret ", i))); err != nil {
			return err
		}
	}
	return p.lists(storage.Filter{}, grants...)
}

func durable(p *probe) error {
	kept, changed, pruned := fullGrant(1), fullGrant(2), fullGrant(3)
	kept.Expires, changed.Expires = time.Time{}, time.Time{}
	if err := p.insert(kept, changed, pruned); err != nil {
		return err
	}
	if n, err := p.Prune(p.ctx, pruned.Expires.Add(time.Millisecond)); n != 1 || err != nil {
		return fmt.Errorf("Prune returned %d, %v, want 1, nil", n, err)
	}
	if err := p.Update(p.ctx, changed.ID, setScope("changed")); err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	changed.Scope = "changed"
	if p.clients != nil {
		if err := p.register(plainClient("deleted"), plainClient("replaced"), plainClient("ended"), fullClient("new", 1)); err != nil {
			return err
		}
		err := errors.Join(
			p.clients.DeleteClient(p.ctx, "deleted"),
			p.clients.PutClient(p.ctx, fullClient("replaced", 2)),
			p.clients.EndClient(p.ctx, "ended"))
		if err != nil {
			return err
		}
	}
	if p.keys != nil {
		err := errors.Join(
			p.keep("new", []byte("1")), p.keep("replaced", []byte("1")), p.keep("removed", []byte("1")),
			p.keep("replaced", []byte("2")), p.keep("removed", nil))
		if err != nil {
			return err
		}
	}
	before, err := p.dump()
	if err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	after, err := p.dump()
	if err != nil {
		return err
	}
	if before != after {
		return fmt.Errorf("before Close the store had\n%s\nand opened again\n%s", before, after)
	}
	if p.clients != nil {
		if err := errors.Join(p.registered(fullClient("new", 1)), p.registered(fullClient("replaced", 2))); err != nil {
			return err
		}
	}
	if p.keys != nil {
		if err := errors.Join(p.keeps("new", []byte("1")), p.keeps("replaced", []byte("2")), p.keeps("removed", nil)); err != nil {
			return err
		}
	}
	return errors.Join(p.stands(kept, changed), p.absent(pruned.ID), p.lists(storage.Filter{User: changed.User}, changed))
}

func seen(p *probe) error {
	g := plainGrant("alice", "app")
	alice, bob := storage.Filter{User: "alice"}, storage.Filter{User: "bob"}
	g2 := g.Clone()
	g2.User, g2.Scope, g2.Expires = "bob", "changed", dawn
	steps := []struct {
		write, read func() error
	}{
		{
			func() error { return nil },
			func() error { return errors.Join(p.absent(g.ID), p.lists(alice)) },
		}, {
			func() error { return p.Insert(p.ctx, g) },
			func() error { return errors.Join(p.stands(g), p.lists(alice, g), p.lists(bob)) },
		}, {
			func() error {
				return p.Update(p.ctx, g.ID, func(g *storage.Grant) error { *g = *g2.Clone(); return nil })
			},
			func() error { return errors.Join(p.stands(g2), p.lists(alice), p.lists(bob, g2)) },
		}, {
			func() error { _, err := p.Prune(p.ctx, dawn.Add(time.Millisecond)); return err },
			func() error { return errors.Join(p.absent(g.ID), p.lists(bob)) },
		},
	}
	if p.clients != nil {
		generation := uint64(0)
		put := func(seed int) func() error {
			return func() error { return p.clients.PutClient(p.ctx, fullClient("web", seed)) }
		}
		has := func(seed int) func() error {
			return func() error {
				if err := p.registered(fullClient("web", seed)); err != nil {
					return err
				}
				c, err := p.client("web")
				if err == nil {
					generation = c.Generation
				}
				return err
			}
		}
		gone := func() error {
			_, err := p.client("web")
			return wantErr("GetByID", err, storage.ErrNotFound)
		}
		steps = append(steps, []struct{ write, read func() error }{
			{func() error { return nil }, gone},
			{put(1), has(1)},
			{put(2), has(2)},
			{func() error { return p.clients.EndClient(p.ctx, "web") }, func() error {
				c, err := p.client("web")
				if err == nil && c.Generation == generation {
					err = errors.New("after EndClient the client is read with the generation from before")
				}
				return err
			}},
			{func() error { return p.clients.DeleteClient(p.ctx, "web") }, gone},
		}...)
	}
	if p.keys != nil {
		for _, value := range [][]byte{[]byte("first"), []byte("second"), nil} {
			steps = append(steps, struct{ write, read func() error }{
				func() error { return p.keep("key", value) },
				func() error { return p.keeps("key", value) },
			})
		}
	}
	for i, step := range steps {
		if err := step.write(); err != nil {
			return fmt.Errorf("write %d returned %w", i, err)
		}
		for range 2 { // the second may come out of a cache
			if err := <-async(step.read); err != nil {
				return fmt.Errorf("after write %d: %w", i, err)
			}
		}
	}
	return nil
}

func neverStale(p *probe) error {
	g := plainGrant("alice", "app")
	g.Code = &storage.Code{}
	if err := p.insert(g); err != nil {
		return err
	}
	var stored atomic.Int64
	return during(func() error {
		for n := range 50 {
			err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error { g.Code.Tries = n; return nil })
			if err != nil {
				return fmt.Errorf("Update returned %w", err)
			}
			stored.Store(int64(n))
			pace()
		}
		return nil
	}, func() error {
		least := int(stored.Load())
		got, err := p.Grant(p.ctx, g.ID)
		if err != nil {
			return fmt.Errorf("Grant returned %w", err)
		}
		if got.Code.Tries < least {
			return fmt.Errorf("Grant returned what update %d left, after update %d had returned", got.Code.Tries, least)
		}
		return nil
	})
}

func everyClosed(p *probe) error {
	calls, err := p.calls()
	if err != nil {
		return err
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("Close returned %w", err)
	}
	for _, c := range calls {
		if err := wantErr(c.name+" after Close", c.do(p.ctx), storage.ErrClosed); err != nil {
			return err
		}
	}
	p.start()
	for _, c := range calls {
		if c.stored != nil && c.stored() {
			return fmt.Errorf("%s after Close was stored", c.name)
		}
	}
	return nil
}

func everyAbsent(p *probe) error {
	if err := p.insert(plainGrant("alice", "app")); err != nil {
		return err
	}
	for _, id := range []storage.ID{{}, storage.NewID()} {
		_, err := p.Grant(p.ctx, id)
		if err := wantErr("Grant of an unknown ID", err, storage.ErrNotFound); err != nil {
			return err
		}
		if err := wantErr("Update of an unknown ID", p.Update(p.ctx, id, setScope("")), storage.ErrNotFound); err != nil {
			return err
		}
		if err := p.absent(id); !id.IsZero() && err != nil {
			return err
		}
	}
	if p.clients == nil {
		return nil
	}
	if err := p.register(plainClient("web")); err != nil {
		return err
	}
	for _, id := range []string{"", "unknown", "we"} {
		_, err := p.clients.GetByID(p.ctx, id)
		err = errors.Join(
			wantErr("GetByID of an unknown ID", err, storage.ErrNotFound),
			wantErr("EndClient of an unknown ID", p.clients.EndClient(p.ctx, id), storage.ErrNotFound),
			wantErr("DeleteClient of an unknown ID", p.clients.DeleteClient(p.ctx, id), storage.ErrNotFound))
		if err != nil {
			return err
		}
	}
	return p.registered(plainClient("web"))
}

func milliseconds(p *probe) error {
	exact, fine := plainGrant("alice", "app"), plainGrant("alice", "app")
	exact.Created, exact.Expires = time.UnixMilli(0), dawn.Add(time.Millisecond)
	exact.Code = &storage.Code{Expires: dawn.In(time.FixedZone("", 3600)), Redeemed: time.UnixMilli(-1)}
	exact.Access = []storage.Access{{Created: time.Date(9999, 12, 31, 23, 59, 59, 999e6, time.UTC), Expires: time.Date(1, 1, 1, 0, 0, 0, 1e6, time.UTC)}}
	fine.Created = dawn.Add(123456 * time.Nanosecond)
	fine.Expires = dawn.Add(999999 * time.Nanosecond)
	if err := p.insert(exact, fine); err != nil {
		return err
	}
	if err := p.stands(exact); err != nil {
		return err
	}
	got, err := p.Grant(p.ctx, fine.ID)
	if err != nil {
		return fmt.Errorf("Grant returned %w", err)
	}
	if off := got.Created.Sub(fine.Created).Abs(); off >= time.Millisecond {
		return fmt.Errorf("%v became %v", fine.Created, got.Created)
	}
	if off := got.Expires.Sub(fine.Expires).Abs(); off >= time.Millisecond {
		return fmt.Errorf("%v became %v", fine.Expires, got.Expires)
	}
	return nil
}
