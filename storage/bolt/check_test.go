package bolt_test

import (
	"bytes"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// What no page shows, Check finds in the records: each of these files is whole to bbolt.
func TestCheckFinds(t *testing.T) {
	now := time.Now()
	grant := &storage.Grant{ID: storage.NewID(), Client: "app", User: "ann", Created: now, Expires: now.Add(time.Hour)}
	other := &storage.Grant{ID: storage.NewID(), Client: "app", User: "bob", Created: now, Expires: now.Add(time.Hour)}
	alias := &storage.Grant{ID: storage.NewID(), See: grant.ID, Created: now, Expires: now.Add(time.Hour)}
	first := func(tx *bbolt.Tx, bucket string, of storage.ID) (b *bbolt.Bucket, key, value []byte) {
		b = tx.Bucket([]byte(bucket))
		for c, k, v := b.Cursor(), []byte(nil), []byte(nil); ; {
			if k == nil {
				k, v = c.First()
			} else {
				k, v = c.Next()
			}
			if k == nil || bytes.HasSuffix(k, of[:]) {
				return b, bytes.Clone(k), bytes.Clone(v)
			}
		}
	}
	without := func(bucket string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			b, key, _ := first(tx, bucket, grant.ID)
			return b.Delete(key)
		}
	}
	// plain is a record without a checksum, as schema 1 had them.
	plain := func(key storage.ID, g storage.Grant) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error {
			data, err := g.MarshalBinary()
			if err != nil {
				return err
			}
			return tx.Bucket([]byte("ostiary.grants")).Put(key[:], data)
		}
	}
	with := func(alter func(*storage.Grant)) storage.Grant {
		g := *grant
		alter(&g)
		return g
	}
	put := func(bucket, key, value string) func(*bbolt.Tx) error {
		return func(tx *bbolt.Tx) error { return tx.Bucket([]byte(bucket)).Put([]byte(key), []byte(value)) }
	}
	for _, c := range []struct {
		name  string
		alter func(tx *bbolt.Tx) error
		words []string // none: it is sound
	}{
		{"nothing", func(*bbolt.Tx) error { return nil }, nil},
		{"a grant that has gone", without("ostiary.grants"), []string{`"ostiary.users"`, "there is no grant " + grant.ID.String()}},
		{"no entry of a user", without("ostiary.users"), []string{grant.ID.String() + ": has no entry in the user index"}},
		{"no entry in the expiry index", without("ostiary.expires"), []string{grant.ID.String() + ": has no entry in the expiry index"}},
		{"an entry after the expiry", func(tx *bbolt.Tx) error {
			b, key, _ := first(tx, "ostiary.expires", grant.ID)
			if err := b.Delete(key); err != nil {
				return err
			}
			key[2]++
			return b.Put(key, nil)
		}, []string{grant.ID.String() + ": is in the expiry index after its expiry"}},
		{"an entry before the expiry", func(tx *bbolt.Tx) error {
			b, key, _ := first(tx, "ostiary.expires", grant.ID)
			if err := b.Delete(key); err != nil {
				return err
			}
			key[2]--
			return b.Put(key, nil)
		}, nil},
		{"an entry of a grant that was pruned", put("ostiary.expires", strings.Repeat("x", 24), ""), nil},
		{"a user's entry of no grant", put("ostiary.users", strings.Repeat("x", 32), ""), []string{"there is no grant 78787878-"}},
		{"a user's entry of another's grant", func(tx *bbolt.Tx) error {
			b, key, _ := first(tx, "ostiary.users", grant.ID)
			return b.Put(append(key[:16], other.ID[:]...), nil)
		}, []string{"there is no grant " + other.ID.String() + " of that user"}},
		{"another user", plain(grant.ID, with(func(g *storage.Grant) { g.User = "eve" })), []string{"has no entry in the user index", "of that user"}},
		{"a record under another's ID", plain(grant.ID, *other), []string{grant.ID.String() + ": record of another ID"}},
		{"two records swapped", func(tx *bbolt.Tx) error {
			b, key, value := first(tx, "ostiary.grants", grant.ID)
			_, key2, value2 := first(tx, "ostiary.grants", other.ID)
			if err := b.Put(key, value2); err != nil {
				return err
			}
			return b.Put(key2, value)
		}, []string{grant.ID.String() + ": damaged record", other.ID.String() + ": damaged record"}},
		{"a record without a checksum", plain(grant.ID, *grant), nil},
		{"a record of nothing", put("ostiary.grants", string(grant.ID[:]), ""), []string{grant.ID.String()}},
		{"a key that is no ID", put("ostiary.grants", "short", "x"), []string{"is no grant's ID"}},
		{"a short key in the expiry index", put("ostiary.expires", "short", ""), []string{`"ostiary.expires"`, "is no entry"}},
		{"a short key in the user index", put("ostiary.users", "short", ""), []string{`"ostiary.users"`, "is no entry"}},
		{"an alias with a user", plain(alias.ID, storage.Grant{ID: alias.ID, See: grant.ID, User: "ann"}), []string{"is another name of"}},
		{"an alias of what has gone", plain(alias.ID, storage.Grant{ID: alias.ID, See: storage.NewID()}), nil},
		{"a client of another ID", put("ostiary.clients", "tv", `{"id":"app","generation":1}`), []string{`client "tv": record of another ID`}},
		{"a client without generation", put("ostiary.clients", "tv", `{"id":"tv"}`), []string{`client "tv": has no generation`}},
		{"a secret that is no record", put("ostiary.keys", "k", "v"), []string{`secret "k"`}},
		{"a secret of another name", put("ostiary.keys", "k", "\xc2\x00\x00\x00\x00v"), []string{`secret "k"`}},
		{"no secrets", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("ostiary.keys")) }, []string{`bucket "ostiary.keys" is not there`}},
		{"a client that is no JSON", put("ostiary.clients", "tv", `{"id":`), []string{`client "tv"`}},
		{"a newer schema", put("ostiary.meta", "schema", "999"), []string{`schema version "999"`}},
		{"no index of users", func(tx *bbolt.Tx) error { return tx.DeleteBucket([]byte("ostiary.users")) }, []string{`bucket "ostiary.users" is not there`}},
		{"no store", func(tx *bbolt.Tx) error {
			for _, word := range []string{"meta", "grants", "users", "expires", "clients", "keys"} {
				if err := tx.DeleteBucket([]byte("ostiary." + word)); err != nil {
					return err
				}
			}
			return nil
		}, []string{"has no store in it"}},
		{"a bucket among the grants", func(tx *bbolt.Tx) error {
			_, err := tx.Bucket([]byte("ostiary.grants")).CreateBucket([]byte("strange"))
			return err
		}, []string{`"ostiary.grants"`, "is a bucket"}},
		{"half a namespace", func(tx *bbolt.Tx) error {
			_, err := tx.CreateBucket([]byte("ostiary/tenant.grants"))
			return err
		}, []string{`bucket "ostiary/tenant.meta" is not there`}},
		{"buckets of others", func(tx *bbolt.Tx) error {
			for _, name := range []string{"ostiary", "ostiary.", "ostiary.other", "ostiary/.grants", "x.grants", "grants"} {
				if _, err := tx.CreateBucket([]byte(name)); err != nil {
					return err
				}
			}
			return nil
		}, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "auth.db")
			store := open(t, path)
			for _, g := range []*storage.Grant{grant, other, alias} {
				if err := store.Insert(t.Context(), g); err != nil {
					t.Fatal(err)
				}
			}
			if err := store.PutClient(t.Context(), &storage.Client{ID: "app", Public: true, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/"}}); err != nil {
				t.Fatal(err)
			}
			store.Close()
			db, err := bbolt.Open(path, 0o600, nil)
			if err != nil {
				t.Fatal(err)
			}
			if err := db.Update(c.alter); err != nil {
				t.Fatal(err)
			}
			db.Close()
			err = bolt.Check(path)
			if (err == nil) != (c.words == nil) {
				t.Fatalf("got %v", err)
			}
			for _, words := range c.words {
				if !strings.Contains(err.Error(), words) {
					t.Errorf("it does not say %q: %v", words, err)
				}
			}
			if err != nil && strings.Count(err.Error(), "\n") > 3 {
				t.Errorf("it says too much: %v", err)
			}
		})
	}
}

// A file with a thousand faults is told of with a hundred.
func TestCheckKeepsItShort(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store := open(t, path)
	fill(t, store, 10)
	store.Close()
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := db.Update(func(tx *bbolt.Tx) error {
		for i := range 1000 {
			if err := tx.Bucket([]byte("ostiary.users")).Put(fmt.Appendf(nil, "%032d", i), nil); err != nil {
				return err
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	db.Close()
	err = bolt.Check(path)
	if err == nil {
		t.Fatal("it finds nothing")
	}
	all, ok := err.(interface{ Unwrap() error }).Unwrap().(interface{ Unwrap() []error })
	if !ok || len(all.Unwrap()) != 101 || !strings.HasSuffix(err.Error(), "and more") {
		t.Errorf("got %d bytes of it: %.300s", len(err.Error()), err)
	}
}
