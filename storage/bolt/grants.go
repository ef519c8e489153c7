package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"iter"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// Insert implements [storage.Store].
func (s *Store) Insert(ctx context.Context, g *storage.Grant) error {
	data, err := g.MarshalBinary()
	if err != nil {
		return err
	}
	id, user, record := g.ID, g.User, seal(g.ID[:], data)
	expires := g.Expires
	return s.write(ctx, func(s *staging) error {
		if s.get(grantsBucket, id[:]) != nil {
			return storage.ErrExists
		}
		s.put(grantsBucket, id[:], record)
		s.fileExpiry(id, expires)
		s.fileUser(id, user)
		return nil
	})
}

// Grant implements [storage.Store].
func (s *Store) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	var g *storage.Grant
	err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
		g, err = decodeGrant(id, s.layout.in(tx, grantsBucket).Get(id[:]))
		return err
	})
	return g, err
}

// Update implements [storage.Store].
func (s *Store) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	return s.write(ctx, func(s *staging) error {
		before := s.get(grantsBucket, id[:])
		g, err := decodeGrant(id, before)
		if err != nil {
			return err
		}
		user, expires := g.User, g.Expires
		if err := change(g); err != nil {
			return err
		}
		if g.ID != id {
			return errors.New("bolt: a change must not alter the ID of a grant")
		}
		data, err := g.MarshalBinary()
		if err != nil {
			return err
		}
		after := seal(id[:], data)
		if bytes.Equal(before, after) {
			return nil
		}
		s.put(grantsBucket, id[:], after)
		if expires.IsZero() || g.Expires.Before(expires) {
			s.fileExpiry(id, g.Expires)
		}
		if g.User != user {
			s.unfileUser(id, user)
			s.fileUser(id, g.User)
		}
		return nil
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
		var damaged []error
		for more := true; more; {
			var page []*storage.Grant
			err := s.view(ctx, func(tx *bbolt.Tx) error {
				var bad []error
				page, bad, f.After, more = s.layout.readPage(tx, f)
				damaged = append(damaged, bad...)[:min(len(damaged)+len(bad), mostDamaged)]
				return nil
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
		if damaged != nil { // last, so that one does not hide the others
			yield(nil, errors.Join(damaged...))
		}
	}
}

// mostDamaged is how many damaged grants a list tells of.
const mostDamaged = 10

// readPage returns the next grants that f chooses, what is wrong with others that it might, where it got
// to, and whether there may be more.
func (l *layout) readPage(tx *bbolt.Tx, f storage.Filter) (page []*storage.Grant, damaged []error, last storage.ID, more bool) {
	bucket, prefix := grantsBucket, []byte(nil)
	if f.User != "" {
		bucket, prefix = usersBucket, userPrefix(f.User)
	}
	last = f.After
	size := 0
	cursor := l.in(tx, bucket).Cursor()
	from := append(bytes.Clone(prefix), last[:]...)
	k, v := cursor.Seek(from)
	for looks := 0; bytes.HasPrefix(k, prefix) && k != nil; k, v = cursor.Next() {
		if len(k) != len(prefix)+len(last) {
			damaged = append(damaged, fmt.Errorf("bolt: the key %x of the bucket %s: %w", k, bucketWords[bucket], errDamaged))
			continue
		}
		id := storage.ID(k[len(prefix):])
		if id == f.After {
			continue
		}
		if looks == pageLooks || len(page) == pageSize || size >= pageBytes {
			return page, damaged, last, true
		}
		looks++
		if f.User != "" {
			v = l.in(tx, grantsBucket).Get(id[:])
		}
		g, err := decodeGrant(id, v)
		switch {
		case err != nil:
			damaged = append(damaged, err)
		case f.Matches(g):
			page, size = append(page, g), size+len(v)
		}
		last = id
	}
	return page, damaged, last, false
}

func decodeGrant(id storage.ID, record []byte) (*storage.Grant, error) {
	if record == nil {
		return nil, storage.ErrNotFound
	}
	g := new(storage.Grant)
	data, err := unseal(id[:], record)
	if err == nil {
		err = g.UnmarshalBinary(data)
	}
	if err == nil && g.ID != id {
		err = errMisplaced
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: grant %s: %w", id, err)
	}
	return g, nil
}
