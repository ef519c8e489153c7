package bolt

import (
	"sync/atomic"
	"time"
)

// counters count what a store does.
type counters struct {
	operations, batches, commits, failures, pruned atomic.Int64
	committing                                     atomic.Int64 // nanoseconds
}

func (c *counters) batch(operations int) {
	c.batches.Add(1)
	c.operations.Add(int64(operations))
}

func (c *counters) commit(took time.Duration, err error) {
	c.commits.Add(1)
	c.committing.Add(int64(took))
	if err != nil {
		c.failures.Add(1)
	}
}
