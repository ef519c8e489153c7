package bolt

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// committer makes commits of all operations that wait, without delay: while one commit is on its way to
// the disk, the next one gathers. No answer leaves before the commit it rests on, be it a refusal.
//
// Stores that share a database share its committer: what a commit of one did has to be known before another
// writes.
type committer struct {
	db *bbolt.DB

	mu      sync.Mutex
	shares  map[string]*share // by namespace
	queue   []*operation
	inDoubt bool // a commit failed, and what it did is not known: nothing is taken on until it is
	stuck   bool // bbolt can't end a transaction, for the file is damaged: it keeps its lock for ever

	wake    chan struct{} // something is queued
	ending  chan struct{} // closed when a doubt need not be settled any more
	closing chan struct{} // closed when nothing will be queued any more
	stopped chan struct{} // closed when all is answered

	readers readers
}

// share is what a store has to itself of a database.
type share struct {
	layout   *layout
	watchers watchers
	counters counters
	closing  chan struct{} // closed when the store is about to
}

// A commit takes at most so many operations, and ends after so many bytes to be put.
const (
	mostOperations = 4096
	mostBytes      = 16 << 20
)

// operation is a write that waits for its commit.
type operation struct {
	of    *share
	do    func(*staging) error // may run more than once, each time on what stands there then
	state atomic.Int32
	again bool          // it is claimed, and its commit did not come about
	done  chan struct{} // closed when it is answered
	doubt chan struct{} // closed when its commit failed and could not be settled at once

	// The answer, to be read when done is closed:
	err      error
	panicked any
	exited   bool // do called runtime.Goexit
}

// The states of an operation. Who takes it from waiting decides what becomes of it.
const (
	waiting int32 = iota
	claimed
	withdrawn
)

func newCommitter(db *bbolt.DB) *committer {
	c := &committer{db: db, shares: make(map[string]*share), wake: make(chan struct{}, 1), ending: make(chan struct{}), closing: make(chan struct{}), stopped: make(chan struct{})}
	c.readers.now.Store(newReading())
	go c.run()
	return c
}

var errInDoubt = errors.New("the outcome of an earlier write is not known yet")

// commit has an operation done and returns when that is on disk. ctx.Err() means that it was not done.
func (c *committer) commit(ctx context.Context, of *share, do func(*staging) error) error {
	op := &operation{of: of, do: do, done: make(chan struct{}), doubt: make(chan struct{})}
	c.mu.Lock()
	if c.inDoubt {
		c.mu.Unlock()
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, errInDoubt)
	}
	c.queue = append(c.queue, op)
	c.mu.Unlock()
	select {
	case c.wake <- struct{}{}:
	default: // it is awake
	}
	select {
	case <-op.done:
		return op.answer()
	case <-ctx.Done():
		if op.state.CompareAndSwap(waiting, withdrawn) {
			return ctx.Err()
		}
	case <-of.closing: // nobody waits for the end of an outage any more
	}
	select {
	case <-op.done:
		return op.answer()
	case <-op.doubt:
		return fmt.Errorf("%w: the outcome of the write is not known yet", storage.ErrUnavailable)
	}
}

// answer returns what became of an operation; what went wrong in do goes on in its caller's goroutine.
func (op *operation) answer() error {
	switch {
	case op.panicked != nil:
		panic(op.panicked)
	case op.exited:
		runtime.Goexit()
	}
	return op.err
}

// close answers what is queued and stops. Nothing may be queued any more.
func (c *committer) close() {
	close(c.closing)
	<-c.stopped
}

func (c *committer) run() {
	debug.SetPanicOnFault(true) // see guard
	ended := false
	defer func() {
		if ended {
			close(c.stopped)
			return
		}
		go c.run() // an operation took the goroutine along, with runtime.Goexit
	}()
	for {
		c.mu.Lock()
		queue := c.queue
		c.queue = nil
		c.mu.Unlock()
		if len(queue) > 0 {
			c.process(queue)
			continue
		}
		select {
		case <-c.wake:
		case <-c.closing:
			ended = true
			return
		}
	}
}

// process makes one commit of the first operations of queue, and puts the rest back.
func (c *committer) process(queue []*operation) {
	tx, err := begin(c.db)
	if err != nil {
		refuse(queue, err)
		return
	}
	defer func() { c.note(rollback(tx)) }()
	b := newBatch(tx)
	taken := c.claim(queue, b)
	countBatch(taken)
	if len(b.staged) == 0 { // all of it rests on commits that are through
		finish(taken)
		return
	}
	changed := changing(b.changes())
	if err := c.store(tx, b); err != nil {
		taken, changed = c.settle(taken, b, err, changed)
	}
	changed()
	finish(taken)
}

// claim runs the first operations of queue, puts the rest back and returns those that it ran.
func (c *committer) claim(queue []*operation, b *batch) (taken []*operation) {
	var running *operation
	defer func() {
		if running != nil { // it called runtime.Goexit: the others have another go, without it
			running.exited = true
			close(running.done)
			for _, op := range taken {
				op.again = true
			}
			queue = append(taken, queue...)
		}
		c.mu.Lock()
		c.queue = append(queue, c.queue...)
		c.mu.Unlock()
	}()
	for len(queue) > 0 && len(taken) < mostOperations && b.bytes < mostBytes {
		op := queue[0]
		queue = queue[1:]
		if !op.again && !op.state.CompareAndSwap(waiting, claimed) {
			continue
		}
		running = op
		op.try(b)
		running = nil
		taken = append(taken, op)
	}
	return taken
}

// try runs an operation and stages what it did, if it returned nil.
func (op *operation) try(b *batch) {
	op.err, op.panicked = nil, nil
	defer func() {
		switch p := recover().(type) {
		case fault: // of ours, not of do
			op.err = p
		default:
			op.panicked = p
		}
	}()
	s := b.stage(op.of)
	if op.err = op.do(s); op.err == nil {
		b.merge(s)
	}
}

// store puts a batch into the file. A panic of bbolt's, which it has for a damaged file, is an error.
func (c *committer) store(tx *bbolt.Tx, b *batch) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("bbolt: %v", p)
		}
	}()
	if err := b.flush(); err != nil {
		return err
	}
	began := time.Now()
	defer func() { countCommit(b.shares(), time.Since(began), err) }()
	return tx.Commit()
}

// settle finds out what became of a commit that failed: bbolt syncs twice, so it may have happened. Once
// an empty commit is through, what the file shows is durable, and that is the answer to every waiter.
// Until then nothing else is written and the caches are empty. It returns those that have to be answered
// yet, and what lets the caches fill again.
func (c *committer) settle(taken []*operation, b *batch, failed error, changed func()) (left []*operation, settled func()) {
	c.note(rollback(b.tx))
	all := changing(c.everything())
	changed()
	gone := c.readers.turn()
	applied, err := c.settled(b, gone)
	if err != nil {
		c.setDoubt(true)
		for _, op := range taken {
			close(op.doubt)
		}
	}
	for pause := 10 * time.Millisecond; err != nil; pause = min(2*pause, time.Second) {
		if errors.Is(err, errFault) { // no outage, which an end can be hoped of: nobody waits for it
			unavailable(taken, failed)
			finish(taken)
			taken = nil
		}
		if c.isStuck() {
			unavailable(taken, failed)
			return taken, func() {}
		}
		select {
		case <-time.After(pause):
			if applied, err = c.settled(b, gone); err == nil {
				c.setDoubt(false)
			}
		case <-c.ending: // it stays unknown, and whatever rests on it is refused
			unavailable(taken, failed)
			return taken, func() {}
		}
	}
	if !applied {
		unavailable(taken, failed)
	}
	return taken, all
}

// unavailable is the answer to operations whose commit failed.
func unavailable(ops []*operation, failed error) {
	for _, op := range ops {
		op.err, op.panicked = fmt.Errorf("%w: %w", storage.ErrUnavailable, failed), nil
	}
}

// note keeps in mind that bbolt is stuck, if that is what err says: nothing is taken on any more.
func (c *committer) note(err error) {
	if !errors.Is(err, errStuck) {
		return
	}
	c.setDoubt(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stuck = true
}

// isStuck tells whether bbolt keeps its lock for ever.
func (c *committer) isStuck() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.stuck
}

// settled makes an empty commit and tells whether the file has what b was to put.
func (c *committer) settled(b *batch, gone <-chan struct{}) (applied bool, err error) {
	select {
	case <-gone:
	case <-time.After(readersPatience):
		return false, errReaders
	}
	if c.isStuck() {
		return false, errStuck
	}
	if err := update(c.db, func(*bbolt.Tx) error { return nil }); err != nil {
		c.note(err)
		return false, err
	}
	err = view(c.db, func(tx *bbolt.Tx) error {
		applied = b.standsIn(tx)
		return nil
	})
	return applied, err
}

// readersPatience is how long a failed commit waits for readers before the writers are told.
const readersPatience = 100 * time.Millisecond

var errReaders = errors.New("the file is being read")

// setDoubt refuses operations, those that wait included, or takes them on again.
func (c *committer) setDoubt(inDoubt bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inDoubt = inDoubt
	if inDoubt {
		refuse(c.queue, errInDoubt)
		c.queue = nil
	}
}

// refuse answers operations that nobody has begun.
func refuse(ops []*operation, why error) {
	for _, op := range ops {
		if op.again || op.state.CompareAndSwap(waiting, claimed) {
			op.err = fmt.Errorf("%w: %w", storage.ErrUnavailable, why)
			close(op.done)
		}
	}
}

func finish(ops []*operation) {
	for _, op := range ops {
		close(op.done)
	}
}
