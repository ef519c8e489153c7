package bolt_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage/bolt"
)

// A second store of one namespace would not be told of what the first one writes.
func TestNewTwice(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "app.db"), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, options := range [][]bolt.Option{nil, {bolt.Namespace("tenant")}} {
		first, err := bolt.New(db, options...)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := bolt.New(db, options...); err == nil || !strings.Contains(err.Error(), "open already") {
			t.Errorf("a second one: %v", err)
		}
		if err := first.Insert(t.Context(), userGrant()); err != nil {
			t.Errorf("and then the first: %v", err)
		}
		first.Close()
		again, err := bolt.New(db, options...)
		if err != nil {
			t.Fatalf("after the first was closed: %v", err)
		}
		again.Close()
	}
}

// A namespace makes no store of a file that has none.
func TestNamespaceInForeignFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "orders.db")
	db, err := bbolt.Open(path, 0o600, nil)
	if err == nil {
		err = db.Update(func(tx *bbolt.Tx) error { _, err := tx.CreateBucket([]byte("orders")); return err })
	}
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	before, _ := os.ReadFile(path)
	if _, err := bolt.Open(path, bolt.Namespace("tenant")); err == nil || !strings.Contains(err.Error(), "not of ostiary's making") {
		t.Errorf("got %v", err)
	}
	if after, _ := os.ReadFile(path); string(after) != string(before) {
		t.Error("the file was altered")
	}

	path = filepath.Join(t.TempDir(), "auth.db") // but beside others, and in a new one
	for _, options := range [][]bolt.Option{{bolt.Namespace("a")}, {bolt.Namespace("b")}} {
		open(t, path, options...).Close()
	}
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}
