package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// An operation of the pruner looks at so many grants at most, so that others get in between.
const pruneBite = 250

// Prune implements [storage.Store].
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	total, bite := 0, pruneBite
	var damaged error
	var last []byte
	for {
		first, looked, removed, bad := []byte(nil), 0, 0, error(nil)
		err := s.write(ctx, func(s *staging) error {
			return guard(func() error {
				first, looked, removed, bad = s.prune(before, bite)
				return nil
			})
		})
		switch {
		case errors.Is(err, storage.ErrUnavailable) && bite > 1: // a full disk may have room for less
			bite = max(bite/8, 1)
			continue
		case err != nil:
			return total, err
		}
		total, damaged = total+removed, errors.Join(damaged, bad)
		s.share.counters.pruned.Add(int64(removed))
		if looked < bite {
			return total, damaged
		}
		if bytes.Equal(first, last) { // it was deleted, and is there
			return total, errors.Join(damaged, fmt.Errorf("bolt: the bucket %s: %w", bucketWords[expiresBucket], errDamaged))
		}
		last = first
		bite = min(2*bite, pruneBite)
	}
}

// prune takes the first entries that are due out of the expiry index, with their grants. One that lives
// longer than its entry says is filed anew; a damaged one stays, without an entry.
func (s *staging) prune(before time.Time, bite int) (first []byte, looked, removed int, damaged error) {
	var due [][]byte
	end := expiryPrefix(before)
	cursor := s.layout.in(s.tx, expiresBucket).Cursor()
	for k, _ := cursor.First(); k != nil && len(due) < bite && bytes.Compare(k[:min(len(k), len(end))], end) < 0; k, _ = cursor.Next() {
		due = append(due, bytes.Clone(k))
	}
	for _, key := range due {
		s.delete(expiresBucket, key)
		if len(key) != len(end)+len(storage.ID{}) {
			damaged = errors.Join(damaged, fmt.Errorf("bolt: expiry index: %x: %w", key, errDamaged))
			continue
		}
		id := storage.ID(key[len(end):])
		record := s.get(grantsBucket, id[:])
		if record == nil { // a further entry of one that has gone
			continue
		}
		g, err := decodeGrant(id, record)
		switch {
		case err != nil:
			damaged = errors.Join(damaged, err)
		case g.Expires.IsZero() || !g.Expires.Truncate(time.Millisecond).Before(before):
			s.fileExpiry(id, g.Expires)
		default:
			s.delete(grantsBucket, id[:])
			s.unfileUser(id, g.User)
			removed++
		}
	}
	if len(due) > 0 {
		first = due[0]
	}
	return first, len(due), removed, damaged
}

func (s *Store) startPruning(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopPruning = cancel
	if every == 0 || s.committer == nil {
		return
	}
	s.pruning.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.Prune(ctx, time.Now()); err != nil && ctx.Err() == nil {
				slog.Error("bolt: pruning failed", "error", err)
			}
		}
	})
}
