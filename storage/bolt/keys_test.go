package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage/bolt"
)

// setTo is a change that stores a value, whatever was there.
func setTo(value string) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return []byte(value), nil }
}

func same(old []byte) ([]byte, error) { return old, nil }

func secret(t *testing.T, store *bolt.Store, name, want string) {
	t.Helper()
	if got, err := store.Secret(t.Context(), name, same); err != nil || string(got) != want {
		t.Errorf("%s: %q, %v, want %q", name, got, err, want)
	}
}

func TestSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	secret(t, store, "a", "")
	if got, err := store.Secret(t.Context(), "a", setTo("one")); err != nil || string(got) != "one" {
		t.Fatalf("%q, %v", got, err)
	}
	secret(t, store, "a", "one")
	secret(t, store, "A", "")
	before, _ := store.Stats(t.Context())
	secret(t, store, "a", "one")
	if after, _ := store.Stats(t.Context()); after.Commits != before.Commits {
		t.Error("what changes nothing is written")
	}

	oops := errors.New("oops")
	if got, err := store.Secret(t.Context(), "a", func(old []byte) ([]byte, error) { return []byte("two"), oops }); err != oops || got != nil {
		t.Errorf("an error of change: %q, %v", got, err)
	}
	func() {
		defer func() {
			if recover() != oops {
				t.Error("a panic of change does not go on")
			}
		}()
		store.Secret(t.Context(), "a", func([]byte) ([]byte, error) { panic(oops) })
	}()
	gone := make(chan bool)
	go func() {
		defer close(gone)
		store.Secret(context.Background(), "a", func([]byte) ([]byte, error) { runtime.Goexit(); return nil, nil })
	}()
	<-gone
	secret(t, store, "a", "one")

	shared := []byte("three")
	got, err := store.Secret(t.Context(), "a", func(old []byte) ([]byte, error) { old[0] = 'X'; return shared, nil })
	if err != nil {
		t.Fatal(err)
	}
	got[0], shared[0] = 'X', 'X'
	secret(t, store, "a", "three")

	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := store.Secret(ended, "a", setTo("four")); !errors.Is(err, context.Canceled) {
		t.Errorf("an ended context: %v", err)
	}
	store.Secret(t.Context(), "b", setTo("gone"))
	if got, err := store.Secret(t.Context(), "b", setTo("")); err != nil || len(got) != 0 {
		t.Errorf("removing: %q, %v", got, err)
	}
	for _, name := range []string{"", strings.Repeat("n", 256), "\xff"} {
		if _, err := store.Secret(t.Context(), name, setTo("v")); err == nil {
			t.Errorf("takes the name %q", name)
		}
	}
	large := strings.Repeat("v", 64<<10)
	if _, err := store.Secret(t.Context(), "large", setTo(large)); err != nil {
		t.Error(err)
	}
	if _, err := store.Secret(t.Context(), "large", setTo(large+"v")); err == nil || strings.Contains(err.Error(), "vvv") {
		t.Errorf("takes 64 KiB and one more: %v", err)
	}
	store.Close()
	if _, err := store.Secret(t.Context(), "a", same); err == nil {
		t.Error("goes on after Close")
	}

	store = open(t, path)
	secret(t, store, "a", "three")
	secret(t, store, "b", "")
	secret(t, store, "large", large)
	store.Close()
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
	tool := open(t, path, bolt.ReadOnly())
	if _, err := tool.Secret(t.Context(), "a", setTo("five")); err == nil {
		t.Error("a read-only store writes")
	}
	tool.Close()
	tenant := open(t, path, bolt.Namespace("tenant"))
	secret(t, tenant, "a", "")
}

// Of concurrent changes, each sees what the one before it left.
func TestSecretExactlyOnce(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "auth.db"))
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			if _, err := store.Secret(t.Context(), "n", func(old []byte) ([]byte, error) { return append(old, 'x'), nil }); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	secret(t, store, "n", strings.Repeat("x", 64))
}

// A file of schema 2 has no secrets until it is opened for writing.
func TestSchema2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	g := userGrant()
	if err := store.Insert(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	store.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		return errors.Join(tx.DeleteBucket([]byte("ostiary.keys")), tx.Bucket([]byte("ostiary.meta")).Put([]byte("schema"), []byte("2")))
	})
	if err := errors.Join(err, db.Close(), bolt.Check(path)); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]bolt.Option{{bolt.ReadOnly()}, nil} {
		store = open(t, path, options...)
		if got, err := store.Grant(t.Context(), g.ID); err != nil || got.User != g.User {
			t.Errorf("%v, %v", got, err)
		}
		if options == nil {
			if got, err := store.Secret(t.Context(), "a", setTo("one")); err != nil || !bytes.Equal(got, []byte("one")) {
				t.Errorf("%q, %v", got, err)
			}
		}
		store.Close()
	}
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}
