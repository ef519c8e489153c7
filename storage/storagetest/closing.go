package storagetest

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

var closing = []promise{
	{"Close/drains", "Close lets the calls that are under way finish", closeDrains},
	{"Close/under_load", "refuses those that come later with ErrClosed", closeUnderLoad},
	{"Close/in_a_loop", "The loop body may call the store: nothing is held while it runs.", closeInALoop},
	{"Close/releases", "and releases everything.", closeReleases},
	{"Close/again", "A second Close returns nil.", closeAgain},
}

func closeDrains(p *probe) error {
	g := plainGrant("alice", "app")
	if err := p.insert(g); err != nil {
		return err
	}
	update, release, err := p.slowUpdate(g.ID)
	if err != nil {
		return err
	}
	defer release()
	closed := async(p.Close)
	select {
	case err := <-closed:
		return fmt.Errorf("Close returned %v while an Update was under way", err)
	case <-time.After(50 * time.Millisecond):
	}
	release()
	if err := <-update; err != nil {
		return fmt.Errorf("an Update that was under way when Close was called returned %w", err)
	}
	if err := <-closed; err != nil {
		return fmt.Errorf("Close returned %w", err)
	}
	p.start()
	g.Audience = []string{"held"}
	return p.stands(g)
}

func closeUnderLoad(p *probe) error {
	const workers = 16
	var acknowledged, refused [workers][]*storage.Grant
	var closed atomic.Bool
	enough := make(chan struct{}, 50)
	working := async(func() error {
		return atOnce(workers, func(w int) error {
			for {
				late := closed.Load()
				g := plainGrant("alice", "app")
				g.Code = &storage.Code{}
				err := p.Insert(p.ctx, g)
				if err != nil {
					refused[w] = append(refused[w], g)
				} else {
					acknowledged[w] = append(acknowledged[w], g)
					err = p.Update(p.ctx, g.ID, func(g *storage.Grant) error { g.Code.Tries++; return nil })
				}
				switch {
				case err != nil:
					return wantErr("a write while the store was closed", err, storage.ErrClosed)
				case late:
					return errors.New("a write that began after Close was acknowledged")
				}
				g.Code.Tries++
				select {
				case enough <- struct{}{}:
				default:
				}
			}
		})
	})
	for range cap(enough) {
		select {
		case <-enough:
		case err := <-working:
			return err
		}
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("Close returned %w", err)
	}
	closed.Store(true)
	if err := <-working; err != nil {
		return err
	}
	p.start()
	for w := range workers {
		if err := p.stands(acknowledged[w]...); err != nil {
			return fmt.Errorf("acknowledged before Close: %w", err)
		}
		for _, g := range refused[w] {
			if err := p.absent(g.ID); err != nil {
				return fmt.Errorf("refused with ErrClosed: %w", err)
			}
		}
	}
	return nil
}

// closeInALoop accepts both ways for a listing in progress: it finishes, or it ends with ErrClosed.
func closeInALoop(p *probe) error {
	all := plainGrants(someGrants, "alice", "app")
	if err := p.insert(all...); err != nil {
		return err
	}
	later := p.Grants(p.ctx, storage.Filter{})
	n := 0
	err := lastError(func(yield func(*storage.Grant, error) bool) {
		for g, err := range p.Grants(p.ctx, storage.Filter{}) {
			if n++; n == 2 {
				if err := p.Close(); err != nil {
					yield(nil, fmt.Errorf("Close returned %w", err))
					return
				}
			}
			if !yield(g, err) {
				return
			}
		}
	})
	if err == nil && n != len(all) {
		return fmt.Errorf("Grants ended without an error after %d of %d grants", n, len(all))
	}
	if err != nil && !errors.Is(err, storage.ErrClosed) {
		return fmt.Errorf("Grants yielded %w, want ErrClosed", err)
	}
	return wantErr("a loop that began after Close", lastError(later), storage.ErrClosed)
}

func closeReleases(p *probe) error {
	var all []*storage.Grant
	for i := range 5 {
		g := fullGrant(i)
		if err := p.insert(g); err != nil {
			return err
		}
		all = append(all, g)
		if err := p.reopen(); err != nil {
			return err
		}
	}
	return p.lists(storage.Filter{}, all...)
}

func closeAgain(p *probe) error {
	if err := atOnce(4, func(int) error { return p.Close() }); err != nil {
		return fmt.Errorf("Close, called several times at once, returned %w", err)
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("Close of a closed store returned %w", err)
	}
	return nil
}
