package bolt_test

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
	"github.com/ostiary-go/ostiary/storage/storagetest"
)

func TestStore(t *testing.T) {
	storagetest.Run(t, func(t *testing.T) func() storage.Store {
		path := filepath.Join(t.TempDir(), "auth.db")
		return func() storage.Store { return open(t, path) }
	})
}

func open(t testing.TB, path string, options ...bolt.Option) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(path, options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func TestOpenMakesAPrivateFile(t *testing.T) {
	isPrivate(t, filepath.Join(t.TempDir(), "auth.db"))
}

func isPrivate(t *testing.T, path string) {
	t.Helper()
	open(t, path)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode != 0o600 && runtime.GOOS != "windows" {
		t.Errorf("mode %o, want 600", mode)
	}
}

// An empty file that somebody made beforehand becomes a store, and private.
func TestOpenTakesAnEmptyFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	if err := os.WriteFile(path, nil, 0o666); err != nil {
		t.Fatal(err)
	}
	isPrivate(t, path)
}

// Close does not wait for the pruner while that waits for Close.
func TestCloseMeetsThePruner(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	for range 30 {
		store, err := bolt.Open(path, bolt.PruneEvery(time.Microsecond))
		if err != nil {
			t.Fatal(err)
		}
		runtime.Gosched()
		store.Close()
	}
}

// What can't be opened gives a clear error within a second and is left as it was.
func TestOpenRefuses(t *testing.T) {
	foreign := func(t *testing.T, path string, fill func(tx *bbolt.Tx) error, options *bbolt.Options) {
		db, err := bbolt.Open(path, 0o600, options)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		if err := db.Update(fill); err != nil {
			t.Fatal(err)
		}
	}
	bucket := func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("recipes"))
		return err
	}
	for _, c := range []struct {
		name  string
		make  func(t *testing.T, path string)
		words string
	}{
		{"a directory", func(t *testing.T, path string) { os.Mkdir(path, 0o700) }, "is a directory"},
		{"a device", func(t *testing.T, path string) { os.Symlink(os.DevNull, path) }, "no regular file"},
		{"a text file", func(t *testing.T, path string) {
			os.WriteFile(path, []byte(strings.Repeat("all work and no play\n", 2000)), 0o600)
		}, "no bbolt file"},
		{"a short text file", func(t *testing.T, path string) { os.WriteFile(path, []byte("hello"), 0o600) }, "no bbolt file"},
		{"somebody else's bbolt file", func(t *testing.T, path string) { foreign(t, path, bucket, nil) }, "not of ostiary's making"},
		{"one without a free list", func(t *testing.T, path string) {
			foreign(t, path, bucket, &bbolt.Options{NoFreelistSync: true})
		}, "not of ostiary's making"},
		{"a file of a newer version", func(t *testing.T, path string) {
			foreign(t, path, func(tx *bbolt.Tx) error {
				b, err := tx.CreateBucket([]byte("ostiary.meta"))
				if err != nil {
					return err
				}
				return b.Put([]byte("schema"), []byte("999"))
			}, nil)
		}, "schema version"},
		{"a file in use", func(t *testing.T, path string) { open(t, path) }, "held by another process"},
		{"a folder that isn't there", func(t *testing.T, path string) {}, "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.db")
			if c.words == "no such file" {
				path = filepath.Join(t.TempDir(), "nowhere", "auth.db")
			}
			c.make(t, path)
			before, _ := os.ReadFile(path)
			began := time.Now()
			store, err := bolt.Open(path)
			if err == nil {
				store.Close()
				t.Fatal("it opened")
			}
			if !strings.Contains(err.Error(), c.words) || !strings.Contains(err.Error(), path) {
				t.Errorf("the error does not say %q and where: %v", c.words, err)
			}
			if took := time.Since(began); took > time.Second {
				t.Errorf("took %v", took)
			}
			if after, _ := os.ReadFile(path); string(after) != string(before) {
				t.Error("the file has changed")
			}
		})
	}
}

// A child process that is killed, not closed, has lost nothing that it was told is stored.
func TestAcknowledgedSurvivesKill(t *testing.T) {
	if path := os.Getenv("OSTIARY_KILL_ME"); path != "" {
		writeUntilKilled(path)
	}
	path := filepath.Join(t.TempDir(), "auth.db")
	for range 3 {
		child := exec.Command(os.Args[0], "-test.run=^TestAcknowledgedSurvivesKill$")
		child.Env = append(os.Environ(), "OSTIARY_KILL_ME="+path)
		out, err := child.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		var told []string
		for lines := bufio.NewScanner(out); lines.Scan(); {
			told = append(told, lines.Text())
			if len(told) == 50 {
				child.Process.Kill()
			}
		}
		child.Wait()
		if len(told) < 50 {
			t.Fatalf("the child stored %d grants and went", len(told))
		}
		store, err := bolt.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range told {
			id, err := storage.ParseID(line)
			if err != nil {
				continue // the kill cut the line
			}
			if g, err := store.Grant(t.Context(), id); err != nil || g.Scope != "changed" {
				t.Errorf("grant %s, of which the child was told that it is stored: %v, %v", id, g, err)
			}
		}
		store.Close()
	}
}

func writeUntilKilled(path string) {
	store, err := bolt.Open(path)
	if err != nil {
		panic(err)
	}
	for {
		g := &storage.Grant{ID: storage.NewID(), Client: "web", User: "alice", Created: time.Now()}
		if err := store.Insert(context.Background(), g); err != nil {
			panic(err)
		}
		err := store.Update(context.Background(), g.ID, func(g *storage.Grant) error {
			g.Scope = "changed"
			return nil
		})
		if err != nil {
			panic(err)
		}
		fmt.Println(g.ID)
	}
}

func TestPrunesByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := open(t, filepath.Join(t.TempDir(), "auth.db"))
		now := time.Now()
		soon := &storage.Grant{ID: storage.NewID(), Client: "web", Created: now, Expires: now.Add(30 * time.Second)}
		later := &storage.Grant{ID: storage.NewID(), Client: "web", Created: now, Expires: now.Add(time.Hour)}
		for _, g := range []*storage.Grant{soon, later} {
			if err := store.Insert(t.Context(), g); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(61 * time.Second)
		synctest.Wait()
		if _, err := store.Grant(t.Context(), soon.ID); err != storage.ErrNotFound {
			t.Errorf("the expired grant: %v", err)
		}
		if _, err := store.Grant(t.Context(), later.ID); err != nil {
			t.Errorf("the live grant: %v", err)
		}
		store.Close()
	})
}

func ExampleOpen() {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	plain, secret := storage.NewSecret()
	err = store.PutClient(context.Background(), &storage.Client{
		ID: "reports", Secret: secret, GrantTypes: []string{"client_credentials"}, Scope: "orders:read",
	})
	fmt.Println("stored:", err == nil, "shown once:", len(plain), "characters")
	// Output: stored: true shown once: 43 characters
}

func ExamplePruneEvery() {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)

	store, err := bolt.Open(filepath.Join(dir, "auth.db"), bolt.PruneEvery(0)) // only when the application says so
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	ctx := context.Background()
	store.Insert(ctx, &storage.Grant{ID: storage.NewID(), Client: "app", Expires: time.Now().Add(-time.Hour)})
	n, err := store.Prune(ctx, time.Now())
	fmt.Println(n, err)
	// Output: 1 <nil>
}
