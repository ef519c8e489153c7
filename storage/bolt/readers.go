package bolt

import (
	"sync"
	"sync/atomic"
)

// readers are those who have a read transaction.
type readers struct{ now atomic.Pointer[reading] }

// reading is what readers have in common between two commits that failed. They hold mu for reading.
type reading struct {
	mu    sync.RWMutex
	stale chan struct{} // closed when those who take long have to give up: the writers wait for them
}

func newReading() *reading { return &reading{stale: make(chan struct{})} }

// enter is called before a read transaction begins. The reader calls leave after it, and soon once stale
// is closed.
func (r *readers) enter() (leave func(), stale <-chan struct{}) {
	now := r.now.Load()
	now.mu.RLock()
	return now.mu.RUnlock, now.stale
}

// turn closes gone when all have left who began to read before.
func (r *readers) turn() (gone <-chan struct{}) {
	old, left := r.now.Swap(newReading()), make(chan struct{})
	close(old.stale)
	go func() {
		old.mu.Lock()
		close(left)
		old.mu.Unlock()
	}()
	return left
}
