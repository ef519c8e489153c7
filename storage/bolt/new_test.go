package bolt_test

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
	"github.com/ostiary-go/ostiary/storage/storagetest"
)

// The suite passes over a database of the application's own, and in a namespace beside others.
func TestNew(t *testing.T) {
	for name, options := range map[string][]bolt.Option{"whole": nil, "namespace": {bolt.Namespace("tenant.1")}} {
		t.Run(name, func(t *testing.T) {
			storagetest.Run(t, func(t *testing.T) func() storage.Store {
				db := application(t, filepath.Join(t.TempDir(), "app.db"))
				neighbour, err := bolt.New(db, bolt.Namespace("neighbour"))
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { neighbour.Close() })
				fill(t, neighbour, 10)
				return func() storage.Store {
					store, err := bolt.New(db, options...)
					if err != nil {
						t.Fatal(err)
					}
					return store
				}
			})
		})
	}
}

// application opens a database that has something in it.
func application(t *testing.T, path string) *bbolt.DB {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { db.Close() })
	if err := db.Update(func(tx *bbolt.Tx) error {
		recipes, err := tx.CreateBucketIfNotExists([]byte("recipes"))
		if err != nil {
			return err
		}
		for i := range 300 {
			if err := recipes.Put(fmt.Appendf(nil, "recipe %d", i), bytes.Repeat([]byte("salt "), i)); err != nil {
				return err
			}
		}
		inner, err := recipes.CreateBucketIfNotExists([]byte("cakes"))
		if err != nil {
			return err
		}
		small, err := inner.CreateBucketIfNotExists([]byte("small"))
		if err != nil {
			return err
		}
		return small.Put([]byte("scone"), []byte("flour"))
	}); err != nil {
		t.Fatal(err)
	}
	return db
}

// Close of a store leaves the application its database, and what the store made passes Check beside what
// the application did.
func TestNewLeavesTheDatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db := application(t, path)
	store, err := bolt.New(db)
	if err != nil {
		t.Fatal(err)
	}
	fill(t, store, 50)
	if err := store.Close(); err != nil {
		t.Fatal(err)
	}
	if err := db.View(func(tx *bbolt.Tx) error {
		if got := tx.Bucket([]byte("recipes")).Get([]byte("recipe 2")); string(got) != "salt salt " {
			t.Errorf("the application's bucket has %q", got)
		}
		return nil
	}); err != nil {
		t.Errorf("after Close of the store: %v", err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}

// Stores of different namespaces know nothing of each other.
func TestNamespacesAreApart(t *testing.T) {
	path := filepath.Join(t.TempDir(), "app.db")
	db := application(t, path)
	names := []string{"", "a", "b", "a.b", "a/b", "grants", "a.grants"}
	stores := map[string]*bolt.Store{}
	now := time.Now()
	id := storage.NewID() // the same in all
	for _, name := range names {
		var options []bolt.Option
		if name != "" {
			options = append(options, bolt.Namespace(name))
		}
		store, err := bolt.New(db, options...)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		stores[name] = store
		if _, err := store.Grant(t.Context(), id); err != storage.ErrNotFound {
			t.Errorf("a new store in namespace %q has %v", name, err)
		}
		g := &storage.Grant{ID: id, Client: "of " + name, User: "ann", Created: now, Expires: now.Add(time.Hour)}
		if err := store.Insert(t.Context(), g); err != nil {
			t.Fatal(err)
		}
		if err := store.PutClient(t.Context(), &storage.Client{ID: "app", Name: name, Public: true, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/"}}); err != nil {
			t.Fatal(err)
		}
	}
	for name, store := range stores {
		secret(t, store, "key", "")
		if _, err := store.Secret(t.Context(), "key", setTo("of "+name)); err != nil {
			t.Error(err)
		}
	}
	for name, store := range stores {
		secret(t, store, "key", "of "+name)
		n := 0
		for g, err := range store.Grants(t.Context(), storage.Filter{User: "ann"}) {
			if n++; err != nil || g.Client != "of "+name {
				t.Errorf("namespace %q: %v, %v", name, g, err)
			}
		}
		c, err := store.GetByID(t.Context(), "app")
		if n != 1 || err != nil || c.(*storage.Client).Name != name {
			t.Errorf("namespace %q has %d grants and client %v, %v", name, n, c, err)
		}
		if figures, err := store.Stats(t.Context()); err != nil || figures.Grants != 1 || figures.Clients != 1 {
			t.Errorf("namespace %q: figures %+v, %v", name, figures, err)
		}
	}
	if n, err := stores["a"].Prune(t.Context(), now.Add(2*time.Hour)); n != 1 || err != nil {
		t.Errorf("pruned %d, %v", n, err)
	}
	if err := stores["b"].DeleteClient(t.Context(), "app"); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"", "a.b", "a/b", "grants"} {
		if _, err := stores[name].Grant(t.Context(), id); err != nil {
			t.Errorf("namespace %q, after another's was pruned: %v", name, err)
		}
		if _, err := stores[name].GetByID(t.Context(), "app"); err != nil {
			t.Errorf("namespace %q, after another's client went: %v", name, err)
		}
	}
	for _, store := range stores {
		store.Close()
	}
	db.Close()
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}

// A tool reads, alters nothing, and is refused what would; others may read at the same time.
func TestReadOnly(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	fill(t, store, 30)
	if tool, err := bolt.Open(path, bolt.ReadOnly()); err == nil {
		tool.Close()
		t.Error("it opened while the file is held")
	} else if !strings.Contains(err.Error(), "held by another process") {
		t.Error(err)
	}
	store.Close()
	before, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var logged strings.Builder
	defer slog.SetDefault(slog.Default())
	slog.SetDefault(slog.New(slog.NewTextHandler(&logged, nil)))
	tool, err := bolt.Open(path, bolt.ReadOnly(), bolt.PruneEvery(time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	other, err := bolt.Open(path, bolt.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if err := bolt.Check(path); err != nil {
		t.Errorf("beside two who read: %v", err)
	}
	var some *storage.Grant
	for g, err := range tool.Grants(t.Context(), storage.Filter{User: "user-1"}) {
		if err != nil {
			t.Fatal(err)
		}
		some = g
	}
	if some == nil {
		t.Fatal("no grant of the user")
	}
	stop := tool.Watch(func(storage.Changes) func() { t.Error("something changes"); return func() {} })
	defer stop()
	for name, err := range map[string]error{
		"Insert":       tool.Insert(t.Context(), &storage.Grant{ID: storage.NewID(), Client: "app", Created: time.Now()}),
		"Update":       tool.Update(t.Context(), some.ID, func(*storage.Grant) error { t.Error("a change is asked for"); return nil }),
		"PutClient":    tool.PutClient(t.Context(), &storage.Client{ID: "new", Public: true, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/"}}),
		"EndClient":    tool.EndClient(t.Context(), "app"),
		"DeleteClient": tool.DeleteClient(t.Context(), "app"),
		"Secret": func() error {
			_, err := tool.Secret(t.Context(), "key", func(old []byte) ([]byte, error) { t.Error("a change is asked for"); return old, nil })
			return err
		}(),
		"Prune": func() error { _, err := tool.Prune(t.Context(), time.Now().Add(1000*time.Hour)); return err }(),
	} {
		if err == nil || !strings.Contains(err.Error(), "reading only") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if figures, err := tool.Stats(t.Context()); err != nil || figures.Grants == 0 || figures.Commits != 0 {
		t.Errorf("figures %+v, %v", figures, err)
	}
	if writer, err := bolt.Open(path); err == nil {
		writer.Close()
		t.Error("it opened for writing while others read")
	}
	if err := tool.Close(); err != nil {
		t.Error(err)
	}
	if err := tool.Close(); err != nil {
		t.Error(err)
	}
	if after, _ := os.ReadFile(path); !bytes.Equal(before, after) {
		t.Error("the file has changed")
	}
	if logged.Len() > 0 { // of pruning, which is not tried
		t.Errorf("logged %.200s", logged.String())
	}
}

// Where there is no store, one that only reads makes none.
func TestReadOnlyMakesNothing(t *testing.T) {
	dir := t.TempDir()
	empty := filepath.Join(dir, "empty.db")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	bare := filepath.Join(dir, "bare.db")
	db, err := bbolt.Open(bare, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	db.Close()
	for path, words := range map[string]string{filepath.Join(dir, "missing.db"): "is not there", empty: "is empty", bare: "no store in it"} {
		for what, err := range map[string]error{
			"Open": func() error { _, err := bolt.Open(path, bolt.ReadOnly()); return err }(), "Check": bolt.Check(path),
		} {
			if err == nil || !strings.Contains(err.Error(), words) || !strings.Contains(err.Error(), path) {
				t.Errorf("%s does not say that %s %s: %v", what, path, words, err)
			}
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 2 {
		t.Errorf("the folder has %v, %v", entries, err)
	}
	db, err = bbolt.Open(bare, 0o600, &bbolt.Options{ReadOnly: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	if _, err := bolt.New(db); err == nil || !strings.Contains(err.Error(), "no store in it") {
		t.Errorf("New on a database that only reads: %v", err)
	}
}

// Check is refused a file that somebody may write to.
func TestCheckOfAHeldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	if err := bolt.Check(path); err == nil || !strings.Contains(err.Error(), "held by another process") {
		t.Errorf("while it is held: %v", err)
	}
	store.Close()
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
}
