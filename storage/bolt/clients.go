package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"

	"github.com/go-oauth2/oauth2/v4"
	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// GetByID implements [storage.Clients].
func (s *Store) GetByID(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	var c *storage.Client
	err := s.view(ctx, func(tx *bbolt.Tx) (err error) {
		c, err = decodeClient(id, s.layout.in(tx, clientsBucket).Get([]byte(id)))
		return err
	})
	if err != nil {
		return nil, err // not c: a nil *Client is no nil ClientInfo
	}
	return c, nil
}

// PutClient implements [storage.Clients].
func (s *Store) PutClient(ctx context.Context, c *storage.Client) error {
	if err := c.Validate(); err != nil {
		return err
	}
	id, put, generation := c.ID, c.Clone(), newGeneration()
	return s.write(ctx, func(s *staging) error {
		old, err := s.client(id)
		switch {
		case err == nil:
			put.Generation = old.Generation
		default: // new, or damaged: then nothing of it holds any more
			put.Generation = generation
		}
		return s.putClient(put)
	})
}

// EndClient implements [storage.Clients].
func (s *Store) EndClient(ctx context.Context, id string) error {
	generation := newGeneration()
	return s.write(ctx, func(s *staging) error {
		c, err := s.client(id)
		if err != nil {
			return err
		}
		c.Generation = generation
		return s.putClient(c)
	})
}

// DeleteClient implements [storage.Clients].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.write(ctx, func(s *staging) error {
		if s.get(clientsBucket, []byte(id)) == nil { // a damaged one may go
			return storage.ErrNotFound
		}
		s.delete(clientsBucket, []byte(id))
		return nil
	})
}

// Clients implements [storage.Clients].
func (s *Store) Clients(ctx context.Context) iter.Seq2[*storage.Client, error] {
	return func(yield func(*storage.Client, error) bool) {
		var after []byte
		var damaged []error
		for more := true; more; {
			var page []*storage.Client
			err := s.view(ctx, func(tx *bbolt.Tx) error {
				cursor := s.layout.in(tx, clientsBucket).Cursor()
				k, v := cursor.Seek(after)
				if after != nil && bytes.Equal(k, after) {
					k, v = cursor.Next()
				}
				looks := 0
				for ; k != nil && looks < pageSize; k, v = cursor.Next() {
					looks++
					after = bytes.Clone(k)
					c, err := decodeClient(string(k), v)
					switch {
					case err == nil:
						page = append(page, c)
					case len(damaged) < mostDamaged:
						damaged = append(damaged, err)
					}
				}
				more = k != nil
				return nil
			})
			for _, c := range page {
				if !yield(c, nil) {
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

func (s *staging) client(id string) (*storage.Client, error) {
	return decodeClient(id, s.get(clientsBucket, []byte(id)))
}

func (s *staging) putClient(c *storage.Client) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	s.put(clientsBucket, []byte(c.ID), seal([]byte(c.ID), data))
	return nil
}

func newGeneration() uint64 {
	for {
		var b [8]byte
		rand.Read(b[:])
		if g := binary.BigEndian.Uint64(b[:]); g != 0 {
			return g
		}
	}
}

func decodeClient(id string, record []byte) (*storage.Client, error) {
	if record == nil {
		return nil, storage.ErrNotFound
	}
	c := new(storage.Client)
	data, err := unseal([]byte(id), record)
	if err == nil {
		err = json.Unmarshal(data, c)
	}
	if err == nil && c.ID != id {
		err = errMisplaced
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: client %q: %w", id, err)
	}
	return c, nil
}
