package bolt

import (
	"bytes"
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// A transaction of the pruner removes at most this many grants, so that others get in between.
const pruneBite = 1000

// Prune implements [storage.Store].
func (s *Store) Prune(ctx context.Context, before time.Time) (int, error) {
	removed := 0
	for {
		n := 0
		err := s.write(ctx, func(tx *bbolt.Tx) (err error) {
			n, err = pruneSome(tx, before)
			if n == 0 && err == nil {
				return errUnchanged
			}
			return err
		})
		if err != nil {
			return removed, err
		}
		removed += n
		if n < pruneBite {
			return removed, nil
		}
	}
}

func pruneSome(tx *bbolt.Tx, before time.Time) (int, error) {
	var due []storage.ID
	end := expiryPrefix(before)
	cursor := tx.Bucket(expiresBucket).Cursor()
	for k, _ := cursor.First(); k != nil && len(due) < pruneBite && bytes.Compare(k[:len(end)], end) < 0; k, _ = cursor.Next() {
		due = append(due, storage.ID(k[len(end):]))
	}
	for _, id := range due {
		g, err := decodeGrant(tx.Bucket(grantsBucket).Get(id[:]))
		if err != nil {
			return 0, err
		}
		if err := reindex(tx, id, indexKeys(g), keys{}); err != nil {
			return 0, err
		}
		if err := tx.Bucket(grantsBucket).Delete(id[:]); err != nil {
			return 0, err
		}
	}
	return len(due), nil
}
