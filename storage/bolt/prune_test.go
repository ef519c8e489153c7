package bolt_test

import (
	"context"
	"encoding/binary"
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
)

// Entries of a damaged index that can be met and not be deleted end the pruning: else it would meet them
// for ever.
func TestPruneOfDamagedIndex(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	open(t, path).Close()
	root := fillExpiryIndex(t, path, 30_000)
	store := open(t, path)
	misguide(t, path, root)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	if _, err := store.Prune(ctx, time.Now()); err == nil || ctx.Err() != nil {
		t.Errorf("got %v", err)
	}
}

// fillExpiryIndex files entries that are due and have no grant any more, and returns the root page.
func fillExpiryIndex(t *testing.T, path string, entries uint64) (root int64) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket([]byte("ostiary.expires"))
		for n := range entries {
			key := binary.BigEndian.AppendUint64(nil, n) // in 1970
			if err := b.Put(append(key, make([]byte, 16)...), nil); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(func(tx *bbolt.Tx) error {
		root = int64(tx.Bucket([]byte("ostiary.expires")).Root())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return root
}

// misguide gives the second element of a branch page the key of the first, so that what the first one
// leads to is looked for under the second.
func misguide(t *testing.T, path string, page int64) {
	t.Helper()
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	const head, element = 16, 16 // octets
	b := make([]byte, os.Getpagesize())
	at := page * int64(len(b))
	if _, err := file.ReadAt(b, at); err != nil {
		t.Fatal(err)
	}
	key := func(n int) []byte {
		header := b[head+n*element:]
		return header[binary.NativeEndian.Uint32(header):][:binary.NativeEndian.Uint32(header[4:])]
	}
	copy(key(1), key(0))
	if _, err := file.WriteAt(b, at); err != nil {
		t.Fatal(err)
	}
}
