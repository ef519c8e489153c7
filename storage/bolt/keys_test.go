package bolt_test

import (
	"errors"
	"path/filepath"
	"strings"
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

// What changes nothing makes no commit, and what there is none of is not removed by one.
func TestSecretThatStands(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "auth.db"))
	commits := func() int64 {
		t.Helper()
		figures, err := store.Stats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		return figures.Commits
	}
	if _, err := store.Secret(t.Context(), "a", setTo("one")); err != nil {
		t.Fatal(err)
	}
	before := commits()
	secret(t, store, "a", "one")
	secret(t, store, "absent", "")
	for name, value := range map[string]string{"a": "one", "absent": ""} {
		if got, err := store.Secret(t.Context(), name, setTo(value)); err != nil || string(got) != value {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
	if after := commits(); after != before {
		t.Errorf("%d commits for what changes nothing", after-before)
	}
	if _, err := store.Secret(t.Context(), "a", setTo("")); err != nil || commits() != before+1 {
		t.Errorf("removing: %v, %d commits", err, commits()-before)
	}
}

// A damaged secret is told of without what is left of it, and nothing takes its place.
func TestDamagedSecret(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	for _, name := range []string{"a", "b"} {
		if _, err := store.Secret(t.Context(), name, setTo("Rumpelstiltskin of "+name)); err != nil {
			t.Fatal(err)
		}
	}
	store.Close()
	spoilRecords(t, path, map[string][]byte{"ostiary.keys": []byte("a")})
	told := func(err error) {
		t.Helper()
		if err == nil || !strings.Contains(err.Error(), `secret "a": damaged record`) || strings.Contains(err.Error(), "Rumpel") {
			t.Errorf("got %v", err)
		}
	}
	told(bolt.Check(path))
	store = open(t, path)
	for range 2 {
		_, err := store.Secret(t.Context(), "a", func(old []byte) ([]byte, error) {
			t.Errorf("change got %q", old)
			return []byte("new"), nil
		})
		told(err)
	}
	secret(t, store, "b", "Rumpelstiltskin of b")
}

// A file of schema 2 has no secrets until it is opened for writing. One of schema 3 that has lost them does
// not open.
func TestSchema2(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	g := userGrant()
	if err := store.Insert(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	store.Close()
	alter := func(how func(tx *bbolt.Tx) error) {
		t.Helper()
		db, err := bbolt.Open(path, 0o600, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(db.Update(how), db.Close()); err != nil {
			t.Fatal(err)
		}
	}
	alter(func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("ostiary.keys")) })
	for _, options := range [][]bolt.Option{{bolt.ReadOnly()}, nil} {
		if lost, err := bolt.Open(path, options...); err == nil {
			lost.Close()
			t.Error("a file of schema 3 without secrets opens")
		} else if !strings.Contains(err.Error(), "lacks the bucket keys") {
			t.Error(err)
		}
	}
	alter(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("ostiary.meta")).Put([]byte("schema"), []byte("2")) })
	if err := bolt.Check(path); err != nil {
		t.Fatal(err)
	}
	for _, options := range [][]bolt.Option{{bolt.ReadOnly()}, nil} {
		store = open(t, path, options...)
		if got, err := store.Grant(t.Context(), g.ID); err != nil || got.User != g.User {
			t.Errorf("%v, %v", got, err)
		}
		got, err := store.Secret(t.Context(), "a", setTo("one"))
		if options == nil && (err != nil || string(got) != "one") || options != nil && (err == nil || !strings.Contains(err.Error(), "reading only")) {
			t.Errorf("%d options: %q, %v", len(options), got, err)
		}
		store.Close()
	}
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}
