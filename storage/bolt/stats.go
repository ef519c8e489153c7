package bolt

import (
	"context"
	"os"
	"sync"
	"time"

	"go.etcd.io/bbolt"
)

// Stats are figures for metrics. Those that count events count from Open on. What the cache of validated
// tokens does, the manager that has it says: see CacheStats of package grants.
type Stats struct {
	Grants     int // records, those that have expired and wait for the pruner included
	UserGrants int // of them, those that have a user
	Clients    int

	FileBytes int64 // the length of the file
	FreeBytes int64 // of them, those that writes will use before the file grows, but for a few pages and those that a backup still reads

	// Counted is when the figures above were counted. For that all pages of the file are looked at: some
	// 40 ms for a million grants in memory, and what reading the file takes where it is not. A hundredth of
	// the time at most is spent on it, so the figures may be a hundred times as old as counting takes.
	// Zero: another call is counting for the first time.
	Counted time.Time

	Operations    int64         // writes that were answered, those refused by a change of their caller's included
	Batches       int64         // transactions that they shared
	Commits       int64         // of them, those that had something to write
	FailedCommits int64         // of those, the ones that failed, whatever was found out about them then
	CommitTime    time.Duration // that all commits took together
	Pruned        int64         // grants that were removed because they had expired
}

// MeanBatch is how many operations shared a transaction on average.
func (s Stats) MeanBatch() float64 { return float64(s.Operations) / float64(max(s.Batches, 1)) }

// Stats returns the store's figures. It may be called as often as you like: see [Stats.Counted]. Beside an
// error, which is that of counting, the figures that need no counting are there all the same.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	leave, err := s.enter(ctx)
	if err != nil {
		return Stats{}, err
	}
	defer leave()
	figures, err := s.counted.figures(ctx, s)
	if s.committer != nil {
		c := &s.share.counters
		figures.Operations, figures.Batches = c.operations.Load(), c.batches.Load()
		figures.Commits, figures.FailedCommits = c.commits.Load(), c.failures.Load()
		figures.CommitTime = time.Duration(c.committing.Load())
		figures.Pruned = c.pruned.Load()
	}
	return figures, err
}

// counted is what counting came to.
type counted struct {
	counting sync.Mutex // held while somebody counts

	mu   sync.Mutex
	last Stats
	next time.Time // when to count again
}

// A hundredth of the time, at most, is spent on counting, but for what takes no time.
const (
	countingShare = 100
	noTime        = time.Millisecond
)

func (c *counted) figures(ctx context.Context, s *Store) (Stats, error) {
	if c.counting.TryLock() {
		defer c.counting.Unlock()
		began := time.Now()
		if !began.Before(c.next) {
			figures, err := s.count(ctx)
			if err != nil {
				return Stats{}, err
			}
			figures.Counted = began
			c.mu.Lock()
			c.last = figures
			c.mu.Unlock()
			if took := time.Since(began); took > noTime {
				c.next = time.Now().Add(countingShare * took)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.last, nil
}

// count looks at all pages.
func (s *Store) count(ctx context.Context) (figures Stats, err error) {
	if s.committer != nil {
		left, _ := s.committer.readers.enter()
		defer left()
	}
	used := 0
	err = view(s.db, func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, b *bbolt.Bucket) error {
			if err := ctx.Err(); err != nil {
				return err
			}
			in := b.Stats()
			used += in.BranchAlloc + in.LeafAlloc
			switch string(name) {
			case string(s.layout[grantsBucket]):
				figures.Grants = in.KeyN
			case string(s.layout[usersBucket]):
				figures.UserGrants = in.KeyN
			case string(s.layout[clientsBucket]):
				figures.Clients = in.KeyN
			}
			return nil
		})
	})
	if err != nil {
		return Stats{}, err
	}
	info, err := os.Stat(s.db.Path())
	if err != nil {
		return Stats{}, err
	}
	figures.FileBytes = info.Size()
	const metaPages = 2
	figures.FreeBytes = max(0, info.Size()-int64(used)-metaPages*int64(s.db.Info().PageSize))
	return figures, nil
}
