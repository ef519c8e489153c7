package storagetest

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

func endedContext(p *probe) error {
	cancelled, cancel := context.WithCancelCause(p.ctx)
	cancel(errors.New("a cause"))
	expired, cancelExpired := context.WithDeadline(p.ctx, time.Unix(0, 0))
	defer cancelExpired()

	calls, err := p.calls()
	if err != nil {
		return err
	}
	for _, c := range calls {
		if err := wantErr(c.name+" with a cancelled context", c.do(cancelled), context.Canceled); err != nil {
			return err
		}
		if err := wantErr(c.name+" with an expired context", c.do(expired), context.DeadlineExceeded); err != nil {
			return err
		}
	}
	return nil
}

// observed is a context that tells when it is asked whether it has ended.
type observed struct {
	context.Context
	asked func()
}

func (o observed) Done() <-chan struct{} { o.asked(); return o.Context.Done() }
func (o observed) Err() error            { o.asked(); return o.Context.Err() }

// endingAt returns a context that ends when it is asked for the nth time; at 0 it has ended.
func (p *probe) endingAt(nth int64) context.Context {
	ctx, cancel := context.WithCancel(p.ctx)
	if nth == 0 {
		cancel()
	}
	var asked atomic.Int64
	return observed{ctx, func() {
		if asked.Add(1) == nth {
			cancel()
		}
	}}
}

func endedStoresNothing(p *probe) error {
	calls, err := p.calls()
	if err != nil {
		return err
	}
	for _, c := range calls {
		if err := c.do(p.endingAt(0)); err != nil && c.stored != nil && c.stored() {
			return fmt.Errorf("%s returned %q, and yet it was stored", c.name, err)
		}
	}
	for nth := range int64(8) {
		calls, err := p.interruptible()
		if err != nil {
			return err
		}
		err = atOnce(len(calls), func(i int) error { return calls[i].outcome(calls[i].do(p.endingAt(nth))) })
		if err != nil {
			return fmt.Errorf("the context ended when it was asked for the %d. time: %w", nth, err)
		}
	}
	return nil
}

func endedWhileWaiting(p *probe) error {
	calls, err := p.interruptible()
	if err != nil {
		return err
	}
	g := plainGrant("alice", "app")
	if err := p.insert(g); err != nil {
		return err
	}
	calls = append(calls, call{"Update of the same grant",
		func(ctx context.Context) error { return p.Update(ctx, g.ID, setScope("second")) },
		func() bool { g, err := p.Grant(p.ctx, g.ID); return err == nil && g.Scope == "second" }})

	first, release, err := p.slowUpdate(g.ID)
	if err != nil {
		return err
	}
	defer release()
	ctx, cancel := context.WithCancel(p.ctx)
	defer cancel()
	results := make([]<-chan error, len(calls))
	for i, c := range calls {
		results[i] = async(func() error { return c.do(ctx) })
	}
	settle()
	cancel()
	settle()
	release()
	if err := <-first; err != nil {
		return fmt.Errorf("Update returned %w", err)
	}
	returned := make([]error, len(calls))
	for i, result := range results {
		returned[i] = <-result
	}
	settle()
	for i, c := range calls {
		if err := c.outcome(returned[i]); err != nil {
			return fmt.Errorf("the context ended while another Update was under way: %w", err)
		}
	}
	return nil
}
