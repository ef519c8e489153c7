package middleware

import (
	"context"
	"sync"
	"time"
)

// deadline is what context.WithTimeout returns, but for the timer, which is set when Done is first
// called. A Validator that answers from memory never does, and then no allocation takes the place of 4,
// and no lock of the request's context is taken. See BenchmarkDeadline.
type deadline struct {
	context.Context // the request's

	mu     sync.Mutex
	at     time.Time
	timed  context.Context // of WithDeadline; nil until Done is called
	cancel context.CancelFunc
}

func (d *deadline) start(parent context.Context, after time.Duration) {
	d.Context, d.at = parent, time.Now().Add(after)
}

func (d *deadline) Deadline() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if at, ok := d.Context.Deadline(); ok && at.Before(d.at) {
		return at, true
	}
	return d.at, true
}

func (d *deadline) Done() <-chan struct{} {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed == nil {
		d.timed, d.cancel = context.WithDeadline(d.Context, d.at)
	}
	return d.timed.Done()
}

func (d *deadline) Err() error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.timed != nil {
		return d.timed.Err()
	}
	if err := d.Context.Err(); err != nil {
		return err
	}
	if !time.Now().Before(d.at) {
		return context.DeadlineExceeded
	}
	return nil
}

// Value asks the timed context too, by which package context finds it: what is derived from d is then
// cancelled with it, and not by a goroutine that waits.
func (d *deadline) Value(key any) any {
	d.mu.Lock()
	ctx := d.timed
	d.mu.Unlock()
	if ctx == nil {
		ctx = d.Context
	}
	return ctx.Value(key)
}

// end stops the timer; for whoever still holds d the time is over.
func (d *deadline) end() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.at = time.Time{}
	if d.cancel != nil {
		d.cancel()
	}
}
