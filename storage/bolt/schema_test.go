package bolt_test

import (
	"encoding/binary"
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// A file of schema 1, as the first version wrote it, opens and is one of the present schema then, with all
// that is in it.
func TestSchema1(t *testing.T) {
	var want struct {
		Grants  []*storage.Grant
		Clients []*storage.Client
	}
	listing, err := os.ReadFile("testdata/schema1.json")
	if err == nil {
		err = json.Unmarshal(listing, &want)
	}
	if err != nil || len(want.Grants) == 0 || len(want.Clients) == 0 {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "auth.db")
	image, err := os.ReadFile("testdata/schema1.db")
	if err == nil {
		err = os.WriteFile(path, image, 0o600)
	}
	if err != nil {
		t.Fatal(err)
	}
	if binary.NativeEndian.AppendUint16(nil, 1)[0] != 1 {
		t.Skip("the file is of a machine with another byte order")
	}
	sound := func(when string) {
		t.Helper()
		if err := bolt.Check(path); err != nil {
			t.Errorf("%s: %v", when, err)
		}
	}
	all := func(store *bolt.Store, when string, scope string) {
		t.Helper()
		i := 0
		for g, err := range store.Grants(t.Context(), storage.Filter{}) {
			if err != nil {
				t.Fatal(when, err)
			}
			want := want.Grants[i].Clone()
			want.Scope += scope
			if asJSON(g) != asJSON(want) {
				t.Errorf("%s: got\n%s, want\n%s", when, asJSON(g), asJSON(want))
			}
			i++
		}
		if i != len(want.Grants) {
			t.Errorf("%s: %d grants, want %d", when, i, len(want.Grants))
		}
		for _, c := range want.Clients {
			if got, err := store.GetByID(t.Context(), c.ID); err != nil || asJSON(got) != asJSON(c) {
				t.Errorf("%s: client %v, %v, want %s", when, got, err, asJSON(c))
			}
		}
	}
	sound("before")

	tool, err := bolt.Open(path, bolt.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	all(tool, "for a tool", "")
	tool.Close()
	if after, _ := os.ReadFile(path); string(after) != string(image) {
		t.Error("a tool has altered the file")
	}

	store, err := bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	all(store, "opened", "")
	store.Close()
	sound("opened")

	store, err = bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, g := range want.Grants {
		if err := store.Update(t.Context(), g.ID, func(g *storage.Grant) error { g.Scope += " more"; return nil }); err != nil {
			t.Fatal(err)
		}
	}
	for _, c := range want.Clients {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	all(store, "changed", " more")
	secret(t, store, "key", "")
	if _, err := store.Secret(t.Context(), "key", setTo("made")); err != nil {
		t.Error(err)
	}
	store.Close()
	sound("changed")

	store, err = bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	secret(t, store, "key", "made")
	due, users := 0, map[string]int{}
	now := time.Date(2026, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, g := range want.Grants {
		if !g.Expires.IsZero() && g.Expires.Before(now) {
			due++
		} else if g.User != "" {
			users[g.User]++
		}
	}
	if n, err := store.Prune(t.Context(), now); n != due || err != nil || due == 0 {
		t.Errorf("pruned %d, %v, want %d", n, err, due)
	}
	for user, n := range users {
		for _, err := range store.Grants(t.Context(), storage.Filter{User: user}) {
			if n--; err != nil {
				t.Error(err)
			}
		}
		if n != 0 {
			t.Errorf("%d grants too few of user %s", n, user)
		}
	}
	store.Close()
	sound("pruned")
}
