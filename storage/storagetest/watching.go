package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

var watching = []promise{
	{"Watch/names", "with the records that it alters", watchNames},
	{"Watch/before", "Watch has changing called before the store commits a change,", watchBefore},
	{"Watch/through", "and the function that changing returned after the commit, or its failure, before anybody is answered.", watchThrough},
	{"Watch/stop", "stop ends it.", watchStop},
	{"Watch/concurrent", "Watch is safe for concurrent use.", watchConcurrent},
}

var errNoWatcher = errors.New("the store tells nobody of its changes")

func (p *probe) watcher() (storage.Watcher, error) {
	w, ok := p.Store.(storage.Watcher)
	if !ok {
		return nil, errNoWatcher
	}
	return w, nil
}

// told is what a watcher was told.
type told struct {
	mu   sync.Mutex
	all  []storage.Changes
	open int // changes that are not through
}

func (t *told) changing(c storage.Changes) (changed func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.all = append(t.all, c)
	t.open++
	return func() {
		t.mu.Lock()
		defer t.mu.Unlock()
		t.open--
	}
}

// since returns an error unless the grant or client was named since the last call, and all is through.
func (t *told) since(what string, id storage.ID, client string) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	all := t.all
	t.all = nil
	switch {
	case t.open != 0:
		return fmt.Errorf("%s has returned, and nobody was told that it is through", what)
	case slices.ContainsFunc(all, func(c storage.Changes) bool {
		return c.All || client != "" && slices.Contains(c.Clients, client) || client == "" && slices.Contains(c.Grants, id)
	}):
		return nil
	}
	return fmt.Errorf("%s was told as %+v", what, all)
}

func watchNames(p *probe) error {
	w, err := p.watcher()
	if err != nil {
		return err
	}
	var t told
	defer w.Watch(t.changing)()
	g, expired := plainGrant("alice", "app"), plainGrant("bob", "app")
	expired.Expires = dawn
	steps := []struct {
		name   string
		do     func() error
		id     storage.ID
		client string
	}{
		{"Insert", func() error { return p.Insert(p.ctx, g) }, g.ID, ""},
		{"Update", func() error { return p.Update(p.ctx, g.ID, setScope("changed")) }, g.ID, ""},
		{"Insert", func() error { return p.Insert(p.ctx, expired) }, expired.ID, ""},
		{"Prune", func() error { _, err := p.Prune(p.ctx, dawn.Add(time.Millisecond)); return err }, expired.ID, ""},
	}
	if p.clients != nil {
		put := func() error { return p.clients.PutClient(p.ctx, plainClient("web")) }
		steps = append(steps, []struct {
			name   string
			do     func() error
			id     storage.ID
			client string
		}{
			{"PutClient", put, g.ID, "web"},
			{"EndClient", func() error { return p.clients.EndClient(p.ctx, "web") }, g.ID, "web"},
			{"DeleteClient", func() error { return p.clients.DeleteClient(p.ctx, "web") }, g.ID, "web"},
		}...)
	}
	for _, step := range steps {
		if err := step.do(); err != nil {
			return fmt.Errorf("%s returned %w", step.name, err)
		}
		if err := t.since(step.name, step.id, step.client); err != nil {
			return err
		}
	}
	return nil
}

func watchBefore(p *probe) error {
	return p.counting(func(seen, _, told int64) error {
		if seen > told {
			return fmt.Errorf("a reader sees change %d when %d were told of", seen, told)
		}
		return nil
	})
}

func watchThrough(p *probe) error {
	return p.counting(func(seen, through, _ int64) error {
		if seen < through {
			return fmt.Errorf("a reader sees change %d after %d were said to be through", seen, through)
		}
		return nil
	})
}

// counting changes a grant again and again, and judges what readers see: how many were through before they
// read, and how many were told of after it.
func (p *probe) counting(judge func(seen, through, told int64) error) error {
	w, err := p.watcher()
	if err != nil {
		return err
	}
	g := plainGrant("alice", "app")
	g.Code = &storage.Code{}
	if err := p.insert(g); err != nil {
		return err
	}
	var next, told, through atomic.Int64
	defer w.Watch(func(storage.Changes) func() {
		n := next.Load()
		told.Store(n)
		return func() { through.Store(n) }
	})()
	return during(func() error {
		for range 50 {
			n := next.Add(1)
			if err := p.Update(p.ctx, g.ID, func(g *storage.Grant) error { g.Code.Tries = int(n); return nil }); err != nil {
				return fmt.Errorf("Update returned %w", err)
			}
			if through.Load() != n {
				return fmt.Errorf("Update %d has returned, and was not said to be through", n)
			}
			pace()
		}
		return nil
	}, func() error {
		before := through.Load()
		got, err := p.Grant(p.ctx, g.ID)
		if err != nil {
			return fmt.Errorf("Grant returned %w", err)
		}
		return judge(int64(got.Code.Tries), before, told.Load())
	})
}

func watchStop(p *probe) error {
	w, err := p.watcher()
	if err != nil {
		return err
	}
	var stopped, stays told
	stop := w.Watch(stopped.changing)
	defer w.Watch(stays.changing)()
	stop()
	g := plainGrant("alice", "app")
	if err := p.insert(g); err != nil {
		return err
	}
	if len(stopped.all) > 0 {
		return errors.New("a watcher that was stopped is told")
	}
	return stays.since("Insert", g.ID, "")
}

func watchConcurrent(p *probe) error {
	w, err := p.watcher()
	if err != nil {
		return err
	}
	watchers := make([]told, 32)
	err = atOnce(2*len(watchers), func(i int) error {
		if i < len(watchers) {
			w.Watch(watchers[i].changing)
			w.Watch(func(storage.Changes) func() { return func() {} })()
			return nil
		}
		return p.insert(plainGrant("alice", "app"))
	})
	if err != nil {
		return err
	}
	g := plainGrant("alice", "app")
	if err := p.insert(g); err != nil {
		return err
	}
	for i := range watchers {
		if err := watchers[i].since("Insert", g.ID, ""); err != nil {
			return err
		}
	}
	return nil
}
