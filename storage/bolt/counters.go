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

// countBatch counts operations that share a transaction.
func countBatch(ops []*operation) {
	shares := make(map[*share]int64, 1)
	for _, op := range ops {
		shares[op.of]++
	}
	for of, n := range shares {
		of.counters.batches.Add(1)
		of.counters.operations.Add(n)
	}
}

// countCommit counts a commit for all who had something in it.
func countCommit(shares map[*share]int, took time.Duration, err error) {
	for of := range shares {
		of.counters.commits.Add(1)
		of.counters.committing.Add(int64(took))
		if err != nil {
			of.counters.failures.Add(1)
		}
	}
}
