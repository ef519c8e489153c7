package bolt

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/binary"
	"encoding/json"
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
		c, err = getClient(tx, id)
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
	put := c.Clone()
	put.Generation = newGeneration()
	return s.write(ctx, func(tx *bbolt.Tx) error {
		old, err := getClient(tx, c.ID)
		switch {
		case err == nil:
			put.Generation = old.Generation
		case err != storage.ErrNotFound:
			return err
		}
		return putClient(tx, put)
	})
}

// EndClient implements [storage.Clients].
func (s *Store) EndClient(ctx context.Context, id string) error {
	generation := newGeneration()
	return s.write(ctx, func(tx *bbolt.Tx) error {
		c, err := getClient(tx, id)
		if err != nil {
			return err
		}
		c.Generation = generation
		return putClient(tx, c)
	})
}

// DeleteClient implements [storage.Clients].
func (s *Store) DeleteClient(ctx context.Context, id string) error {
	return s.write(ctx, func(tx *bbolt.Tx) error {
		if _, err := getClient(tx, id); err != nil {
			return err
		}
		return tx.Bucket(clientsBucket).Delete([]byte(id))
	})
}

// Clients implements [storage.Clients].
func (s *Store) Clients(ctx context.Context) iter.Seq2[*storage.Client, error] {
	return func(yield func(*storage.Client, error) bool) {
		var after []byte
		for {
			var page []*storage.Client
			err := s.view(ctx, func(tx *bbolt.Tx) error {
				cursor := tx.Bucket(clientsBucket).Cursor()
				k, v := cursor.Seek(after)
				if after != nil && bytes.Equal(k, after) {
					k, v = cursor.Next()
				}
				for ; k != nil && len(page) < pageSize; k, v = cursor.Next() {
					c, err := decodeClient(v)
					if err != nil {
						return err
					}
					page = append(page, c)
				}
				return nil
			})
			for _, c := range page {
				if !yield(c, nil) {
					return
				}
				after = []byte(c.ID)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if len(page) < pageSize {
				return
			}
		}
	}
}

func getClient(tx *bbolt.Tx, id string) (*storage.Client, error) {
	data := tx.Bucket(clientsBucket).Get([]byte(id))
	if data == nil {
		return nil, storage.ErrNotFound
	}
	return decodeClient(data)
}

func putClient(tx *bbolt.Tx, c *storage.Client) error {
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return tx.Bucket(clientsBucket).Put([]byte(c.ID), data)
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

func decodeClient(data []byte) (*storage.Client, error) {
	c := new(storage.Client)
	if err := json.Unmarshal(data, c); err != nil {
		return nil, fmt.Errorf("bolt: damaged client record: %w", err)
	}
	return c, nil
}
