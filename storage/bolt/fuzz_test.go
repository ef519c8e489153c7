package bolt

import (
	"bytes"
	"encoding/binary"
	"hash/fnv"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// FuzzInspect alters a sound file in any way, with good checksums of its meta pages, and has the inspector
// look at it. It must not panic; and what it finds nothing wrong with, bbolt takes.
func FuzzInspect(f *testing.F) {
	sound := soundFile(f)
	edit := func(edits ...uint16) (b []byte) {
		for _, e := range edits {
			b = binary.BigEndian.AppendUint16(b, e)
		}
		return b
	}
	f.Add(edit(), true)
	f.Add(edit(0, 16, 1), false)            // magic
	f.Add(edit(0, 16+40, 3), true)          // number of pages
	f.Add(edit(0, 16+32, 2), true)          // free list
	f.Add(edit(2, 10, 200), true)           // number of entries
	f.Add(edit(3, 8, 1), true)              // kind
	f.Add(edit(4, 12, 255, 4, 20, 9), true) // pages more, place of an entry
	f.Fuzz(func(t *testing.T, edits []byte, resum bool) {
		// An edit is a page, a place in it and a byte.
		image := bytes.Clone(sound)
		for ; len(edits) >= 6; edits = edits[6:] {
			page, at := int(binary.BigEndian.Uint16(edits)), int(binary.BigEndian.Uint16(edits[2:]))
			image[(page*4096+at)%len(image)] = edits[5]
		}
		if resum {
			for _, at := range []int{16, 4096 + 16} {
				sum := fnv.New64a()
				sum.Write(image[at : at+56])
				order.PutUint64(image[at+56:], sum.Sum64())
			}
		}
		whole := wholeIn(image)
		path := filepath.Join(t.TempDir(), "auth.db")
		if err := os.WriteFile(path, image, 0o600); err != nil {
			t.Fatal(err)
		}
		err := Check(path)
		if whole != (err == nil) {
			t.Logf("by plain reads: whole %v, by Check: %v", whole, err)
			if err == nil {
				t.Error("Check finds less than the inspector")
			}
		}
		if err != nil {
			return
		}
		store, err := Open(path, PruneEvery(0))
		if err != nil {
			t.Fatalf("Check finds nothing, and it does not open: %v", err)
		}
		defer store.Close()
		for _, err := range store.Grants(t.Context(), storage.Filter{}) {
			if err != nil {
				t.Errorf("Check finds nothing, and a list has: %v", err)
			}
		}
		if _, err := store.Secret(t.Context(), "key", func(old []byte) ([]byte, error) { return old, nil }); err != nil {
			t.Errorf("Check finds nothing, and a secret has: %v", err)
		}
	})
}

// wholeIn looks at a file without a guard against panics.
func wholeIn(image []byte) bool {
	whole := true
	for _, walk := range []func(*inspector){
		func(in *inspector) { in.walkAll() },
		func(in *inspector) { in.walkBranches() },
		func(in *inspector) { in.checkAll() },
	} {
		in, err := inspect(bytes.NewReader(image), int64(len(image)))
		if err != nil {
			return false
		}
		in.most = mostFindings
		walk(in)
		whole = whole && in.err() == nil
	}
	return whole
}

// soundFile is of several pages, small enough to be altered often.
func soundFile(tb testing.TB) []byte {
	path := filepath.Join(tb.TempDir(), "auth.db")
	store, err := Open(path, PruneEvery(0))
	if err != nil {
		tb.Fatal(err)
	}
	now := time.Date(2200, 1, 1, 0, 0, 0, 0, time.UTC)
	for i := range 60 {
		var id storage.ID
		binary.BigEndian.PutUint64(id[:], uint64(i+1))
		g := &storage.Grant{ID: id, Client: "app", User: string(rune('a' + i%3)), Created: now, Expires: now.Add(time.Duration(i) * time.Second)}
		if i == 7 {
			g.Scope = string(bytes.Repeat([]byte("long "), 2000))
		}
		if err := store.Insert(tb.Context(), g); err != nil {
			tb.Fatal(err)
		}
	}
	if err := store.PutClient(tb.Context(), &storage.Client{ID: "app", Public: true, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/"}}); err != nil {
		tb.Fatal(err)
	}
	if _, err := store.Secret(tb.Context(), "key", func([]byte) ([]byte, error) { return []byte("secret"), nil }); err != nil {
		tb.Fatal(err)
	}
	if err := store.Close(); err != nil {
		tb.Fatal(err)
	}
	image, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	in, err := inspect(bytes.NewReader(image), int64(len(image)))
	if err != nil {
		tb.Fatal(err)
	}
	return image[:in.meta.pages*uint64(in.pageSize)]
}
