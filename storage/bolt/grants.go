package bolt

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// Insert implements [storage.Store].
func (s *Store) Insert(ctx context.Context, g *storage.Grant) error {
	data, err := g.MarshalBinary()
	if err != nil {
		return err
	}
	return s.write(ctx, func(tx *bbolt.Tx) error {
		if tx.Bucket(grantsBucket).Get(g.ID[:]) != nil {
			return storage.ErrExists
		}
		if err := tx.Bucket(grantsBucket).Put(g.ID[:], data); err != nil {
			return err
		}
		return reindex(tx, g.ID, keys{}, indexKeys(g))
	})
}

// Grant implements [storage.Store].
func (s *Store) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	var g *storage.Grant
	err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
		g, err = decodeGrant(tx.Bucket(grantsBucket).Get(id[:]))
		return err
	})
	return g, err
}

// Update implements [storage.Store].
func (s *Store) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	return s.write(ctx, func(tx *bbolt.Tx) error {
		before := tx.Bucket(grantsBucket).Get(id[:])
		g, err := decodeGrant(before)
		if err != nil {
			return err
		}
		old := indexKeys(g)
		if err := change(g); err != nil {
			return err
		}
		if g.ID != id {
			return errors.New("bolt: a change must not alter the ID of a grant")
		}
		after, err := g.MarshalBinary()
		if err != nil {
			return err
		}
		if bytes.Equal(before, after) {
			return errUnchanged
		}
		if err := reindex(tx, id, old, indexKeys(g)); err != nil {
			return err
		}
		return tx.Bucket(grantsBucket).Put(id[:], after)
	})
}

// A list reads its grants in transactions of at most this many records looked at and grants kept, and
// of about this many bytes kept; between them it holds nothing.
const (
	pageLooks = 1000
	pageSize  = 256
	pageBytes = 4 << 20
)

// Grants implements [storage.Store]. Those of a user are found by an index, those of a client by
// looking at every grant.
func (s *Store) Grants(ctx context.Context, f storage.Filter) iter.Seq2[*storage.Grant, error] {
	return func(yield func(*storage.Grant, error) bool) {
		if !f.Grant.IsZero() {
			g, err := s.Grant(ctx, f.Grant)
			switch {
			case errors.Is(err, storage.ErrNotFound):
			case err != nil:
				yield(nil, err)
			case f.Matches(g):
				yield(g, nil)
			}
			return
		}
		for more := true; more; {
			var page []*storage.Grant
			err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
				page, f.After, more, err = readPage(tx, f)
				return err
			})
			for _, g := range page {
				if !yield(g, nil) {
					return
				}
			}
			if err != nil {
				yield(nil, err)
				return
			}
		}
	}
}

// readPage returns the next grants that f chooses, where it got to, and whether there may be more.
func readPage(tx *bbolt.Tx, f storage.Filter) (page []*storage.Grant, last storage.ID, more bool, err error) {
	bucket, prefix := grantsBucket, []byte(nil)
	if f.User != "" {
		bucket, prefix = usersBucket, userPrefix(f.User)
	}
	last = f.After
	size := 0
	cursor := tx.Bucket(bucket).Cursor()
	from := append(bytes.Clone(prefix), last[:]...)
	k, v := cursor.Seek(from)
	for looks := 0; bytes.HasPrefix(k, prefix) && k != nil; k, v = cursor.Next() {
		id := storage.ID(k[len(prefix):])
		if id == f.After {
			continue
		}
		if looks == pageLooks || len(page) == pageSize || size >= pageBytes {
			return page, last, true, nil
		}
		looks++
		if f.User != "" {
			v = tx.Bucket(grantsBucket).Get(id[:])
		}
		g, err := decodeGrant(v)
		if err != nil {
			return page, last, false, fmt.Errorf("bolt: grant %s: %w", id, err)
		}
		if f.Matches(g) {
			page, size = append(page, g), size+len(v)
		}
		last = id
	}
	return page, last, false, nil
}

// keys are the keys under which a grant stands in the indexes; nil means it does not.
type keys struct{ expires, user []byte }

func indexKeys(g *storage.Grant) keys {
	var k keys
	if !g.Expires.IsZero() {
		k.expires = append(expiryPrefix(g.Expires), g.ID[:]...)
	}
	if g.User != "" {
		k.user = append(userPrefix(g.User), g.ID[:]...)
	}
	return k
}

func reindex(tx *bbolt.Tx, id storage.ID, before, after keys) error {
	for _, index := range []struct{ bucket, before, after []byte }{
		{expiresBucket, before.expires, after.expires},
		{usersBucket, before.user, after.user},
	} {
		if bytes.Equal(index.before, index.after) {
			continue
		}
		b := tx.Bucket(index.bucket)
		if index.before != nil {
			if err := b.Delete(index.before); err != nil {
				return err
			}
		}
		if index.after != nil {
			if err := b.Put(index.after, nil); err != nil {
				return err
			}
		}
	}
	return nil
}

// expiryPrefix sorts as bytes as the times sort, those before 1970 included.
func expiryPrefix(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(t.UnixMilli())^1<<63)
}

// userPrefix is of one length for all users, so that none is the beginning of another's.
func userPrefix(user string) []byte {
	sum := sha256.Sum256([]byte(user))
	return sum[:16]
}

func decodeGrant(data []byte) (*storage.Grant, error) {
	if data == nil {
		return nil, storage.ErrNotFound
	}
	g := new(storage.Grant)
	if err := g.UnmarshalBinary(data); err != nil {
		return nil, err
	}
	return g, nil
}
