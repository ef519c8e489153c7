package bolt_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// folder is where an example keeps its files; done removes it.
func folder() (dir string, done func()) {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	return dir, func() { os.RemoveAll(dir) }
}

// opened is a store in a folder of its own.
func opened() (store *bolt.Store, done func()) {
	dir, remove := folder()
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		panic(err)
	}
	return store, func() { store.Close(); remove() }
}

// granted stores a grant of ann's.
func granted(store *bolt.Store, id storage.ID) {
	now := time.Now()
	err := store.Insert(context.Background(), &storage.Grant{ID: id, Client: "app", User: "ann", Created: now, Expires: now.Add(time.Hour)})
	if err != nil {
		panic(err)
	}
}

// A file is looked at while nobody writes to it: before a start after an accident, or each night in a copy.
func ExampleCheck() {
	dir, done := folder()
	defer done()
	path := filepath.Join(dir, "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	granted(store, storage.NewID())
	store.Close()

	fmt.Println("sound:", bolt.Check(path) == nil)

	os.Truncate(path, 10000) // a copy that was cut short
	err = bolt.Check(path)
	fmt.Println("truncated:", strings.Contains(err.Error(), "is truncated"))
	// Output:
	// sound: true
	// truncated: true
}

// A copy is written beside its final name, looked at, and only then given that name.
func ExampleStore_Backup() {
	dir, done := folder()
	defer done()
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	granted(store, storage.NewID())

	backup := func(path string) error {
		f, err := os.OpenFile(path+".part", os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := store.Backup(context.Background(), f, func(written, total int64) {
			if written == total {
				fmt.Println("written")
			}
		}); err != nil {
			return err
		}
		if err := f.Sync(); err != nil {
			return err
		}
		if err := bolt.Check(path + ".part"); err != nil {
			return err
		}
		return os.Rename(path+".part", path)
	}
	fmt.Println(backup(filepath.Join(dir, "auth-monday.db")))
	// Output:
	// written
	// <nil>
}

// The handler asks nobody who he is: the application's guard for administrators stands before it.
func ExampleStore_BackupHandler() {
	dir, done := folder()
	defer done()
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()

	administrators := func(next http.Handler) http.Handler { // yours
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Admin") == "" {
				http.Error(w, "administrators only", http.StatusForbidden)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	mux := http.NewServeMux()
	mux.Handle("/admin/backup", administrators(store.BackupHandler()))

	server := httptest.NewServer(mux)
	defer server.Close()
	for _, who := range []string{"", "carol"} {
		request, _ := http.NewRequest(http.MethodGet, server.URL+"/admin/backup", nil)
		request.Header.Set("X-Admin", who)
		answer, err := http.DefaultClient.Do(request)
		if err != nil {
			fmt.Println(err)
			return
		}
		body, err := io.ReadAll(answer.Body)
		answer.Body.Close()
		fmt.Println(answer.StatusCode, answer.Header.Get("Content-Type"), err == nil && int64(len(body)) == answer.ContentLength)
	}
	// Output:
	// 403 text/plain; charset=utf-8 true
	// 200 application/octet-stream true
}

func ExampleStore_Stats() {
	dir, done := folder()
	defer done()
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close()
	granted(store, storage.NewID())
	granted(store, storage.NewID())

	figures, err := store.Stats(context.Background())
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("grants:", figures.Grants, "of users:", figures.UserGrants)
	fmt.Println("writes:", figures.Operations, "failed commits:", figures.FailedCommits)
	// Output:
	// grants: 2 of users: 2
	// writes: 2 failed commits: 0
}

// An application that has a bbolt file already keeps its grants in it, beside its own buckets.
func ExampleNew() {
	dir, done := folder()
	defer done()
	db, err := bbolt.Open(filepath.Join(dir, "app.db"), 0o600, &bbolt.Options{Timeout: time.Second, NoFreelistSync: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close() // the store does not

	store, err := bolt.New(db)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer store.Close() // first

	db.Update(func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucketIfNotExists([]byte("orders"))
		return err
	})
	db.View(func(tx *bbolt.Tx) error {
		return tx.ForEach(func(name []byte, _ *bbolt.Bucket) error {
			fmt.Println(string(name))
			return nil
		})
	})
	// Output:
	// orders
	// ostiary.clients
	// ostiary.expires
	// ostiary.grants
	// ostiary.keys
	// ostiary.meta
	// ostiary.users
}

// Two tenants share a database and know nothing of each other.
func ExampleNamespace() {
	dir, done := folder()
	defer done()
	db, err := bbolt.Open(filepath.Join(dir, "tenants.db"), 0o600, &bbolt.Options{Timeout: time.Second, NoFreelistSync: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer db.Close()

	tenants := map[string]*bolt.Store{}
	for _, name := range []string{"red", "blue"} {
		store, err := bolt.New(db, bolt.Namespace(name))
		if err != nil {
			fmt.Println(err)
			return
		}
		defer store.Close()
		tenants[name] = store
	}
	id := storage.NewID()
	granted(tenants["red"], id)

	_, err = tenants["red"].Grant(context.Background(), id)
	fmt.Println("red:", err)
	_, err = tenants["blue"].Grant(context.Background(), id)
	fmt.Println("blue:", err)
	// Output:
	// red: <nil>
	// blue: storage: not found
}

// A tool that only reads leaves the file as it is, byte by byte.
func ExampleReadOnly() {
	dir, done := folder()
	defer done()
	path := filepath.Join(dir, "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		fmt.Println(err)
		return
	}
	granted(store, storage.NewID())
	store.Close() // while it is held for writing no tool gets in
	before, _ := os.ReadFile(path)

	tool, err := bolt.Open(path, bolt.ReadOnly())
	if err != nil {
		fmt.Println(err)
		return
	}
	defer tool.Close()
	for g, err := range tool.Grants(context.Background(), storage.Filter{User: "ann"}) {
		fmt.Println(g.Client, err)
	}
	_, err = tool.Prune(context.Background(), time.Now())
	fmt.Println(err)
	after, _ := os.ReadFile(path)
	fmt.Println("as it was:", bytes.Equal(before, after))
	// Output:
	// app <nil>
	// bolt: the file is open for reading only
	// as it was: true
}

// A store tells of its changes before it makes them, and when they are through.
func ExampleStore_Watch() {
	store, done := opened()
	defer done()
	stop := store.Watch(func(c storage.Changes) (changed func()) {
		fmt.Println("about to change:", len(c.Grants), "grant")
		return func() { fmt.Println("through") }
	})
	store.Insert(context.Background(), &storage.Grant{ID: storage.NewID(), Client: "app", Created: time.Now()})
	stop()
	// Output:
	// about to change: 1 grant
	// through
}

func ExampleStats_MeanBatch() {
	fmt.Println(bolt.Stats{Operations: 640, Batches: 20}.MeanBatch(), "writes shared a transaction")
	// Output: 32 writes shared a transaction
}

// Who needs a key first makes it, and everybody gets the same.
func ExampleStore_Secret() {
	store, done := opened()
	defer done()

	key := func() ([]byte, error) {
		fresh := make([]byte, 32)
		rand.Read(fresh) // out here, for the store may ask more than once
		return store.Secret(context.Background(), "cookies", func(old []byte) ([]byte, error) {
			if old != nil {
				return old, nil
			}
			return fresh, nil
		})
	}
	first, err := key()
	if err != nil {
		fmt.Println(err)
		return
	}
	second, err := key()
	fmt.Println(len(first), bytes.Equal(first, second), err)

	none, err := store.Secret(context.Background(), "cookies", func([]byte) ([]byte, error) { return nil, nil })
	fmt.Println("removed:", none == nil, err)
	// Output:
	// 32 true <nil>
	// removed: true <nil>
}
