package bolt_test

import (
	"errors"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// A damaged record is told of, and hides and stops nothing else.
func TestBesideDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	var want []storage.ID
	for range 5 {
		g := userGrant()
		g.User = "alice"
		if err := store.Insert(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		want = append(want, g.ID)
	}
	client := &storage.Client{ID: "web", Secret: storage.HashGenerated("x"), GrantTypes: []string{"client_credentials"}}
	for _, id := range []string{"app", "web", "zoo"} {
		client.ID = id
		if err := store.PutClient(t.Context(), client); err != nil {
			t.Fatal(err)
		}
	}
	client.ID = "web"
	store.Close()
	damaged := want[1]
	want = slices.Delete(want, 1, 2)
	spoilRecords(t, path, map[string][]byte{"ostiary.grants": damaged[:], "ostiary.clients": []byte("web")})

	store = open(t, path)
	for _, f := range []storage.Filter{{}, {User: "alice"}, {Client: "reports"}} {
		var got []storage.ID
		var told error
		for g, err := range store.Grants(t.Context(), f) {
			if err != nil {
				told = err
				continue
			}
			got = append(got, g.ID)
		}
		if !slices.Equal(got, want) || told == nil || !strings.Contains(told.Error(), damaged.String()) {
			t.Errorf("%+v: got %v and %v, want %v", f, got, told, want)
		}
	}

	var clients []string
	var told error
	for c, err := range store.Clients(t.Context()) {
		if told = err; err == nil {
			clients = append(clients, c.ID)
		}
	}
	if !slices.Equal(clients, []string{"app", "zoo"}) || told == nil || !strings.Contains(told.Error(), `"web"`) {
		t.Errorf("lists %v and %v", clients, told)
	}
	if _, err := store.GetByID(t.Context(), "web"); err == nil || errors.Is(err, storage.ErrNotFound) {
		t.Errorf("the damaged client: %v", err)
	}
	if err := store.PutClient(t.Context(), client); err != nil {
		t.Errorf("can not be replaced: %v", err)
	}
	if info, err := store.GetByID(t.Context(), "web"); err != nil || info.GetID() != "web" {
		t.Errorf("after it was replaced: %v", err)
	}
	store.Close()
	spoilRecords(t, path, map[string][]byte{"ostiary.clients": []byte("web")})
	store = open(t, path)
	if err := store.DeleteClient(t.Context(), "web"); err != nil {
		t.Errorf("can not be deleted: %v", err)
	}
}

// spoilRecords changes a bit in the last byte of records.
func spoilRecords(t *testing.T, path string, records map[string][]byte) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	err = db.Update(func(tx *bbolt.Tx) error {
		for bucket, key := range records {
			b := tx.Bucket([]byte(bucket))
			record := slices.Clone(b.Get(key))
			record[len(record)-1] ^= 1
			if err := b.Put(key, record); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// A database that writes its list of free pages could destroy itself after a commit that failed.
func TestNewRefusesASyncedFreeList(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "app.db"), 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := bolt.New(db); err == nil || !strings.Contains(err.Error(), "NoFreelistSync") {
		t.Errorf("got %v", err)
	}
}
