package bolt_test

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// A damaged file gives an error and never a wrong answer, and never ends the process: so each kind of
// damage is tried in a child process, whose end would be seen.
func TestDamaged(t *testing.T) {
	kinds := []struct {
		name string
		try  func(*testing.T, *specimen)
	}{
		{"truncated", truncated},
		{"edited", edited},
		{"flipped", flipped},
	}
	if kind := os.Getenv("OSTIARY_DAMAGED"); kind != "" {
		for _, k := range kinds {
			for _, clean := range []bool{true, false} {
				if k.name == kind {
					t.Run(closedOrKilled(clean), func(t *testing.T) { k.try(t, newSpecimen(t, clean)) })
				}
			}
		}
		return
	}
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) {
			child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestDamaged$", "-test.v")
			child.Env = append(os.Environ(), "OSTIARY_DAMAGED="+k.name)
			out, err := child.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, tail(out, 6000))
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, " tried: ") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

func closedOrKilled(clean bool) string {
	if clean {
		return "closed"
	}
	return "killed"
}

func tail(b []byte, n int) []byte { return b[max(0, len(b)-n):] }

// specimen is a sound file, and what is in it.
type specimen struct {
	dir     string
	image   []byte
	grants  map[storage.ID]string // as they are encoded
	clients map[string]string     // as JSON
	secrets map[string]string
	users   map[string]int
	closed  bool

	hasty bool // most damages are only read
	stale bool // the damage may show an older state: see Check
	shut  bool // the damage is one that Open does not see in a file that was closed: see Open

	tried, opened, sound int
}

// newSpecimen makes a file of several levels that was closed, or whose process was killed.
func newSpecimen(t *testing.T, clean bool) *specimen {
	sp := &specimen{dir: t.TempDir(), closed: clean, grants: map[storage.ID]string{}, clients: map[string]string{}, users: map[string]int{}}
	path := filepath.Join(sp.dir, "sound.db")
	store, err := bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	fill(t, store, 400)
	sp.secrets = map[string]string{"key": strings.Repeat("s", 32), "long key": strings.Repeat("secret", 1000)}
	for _, name := range []string{"key", "long key"} {
		if _, err := store.Secret(t.Context(), name, setTo(sp.secrets[name])); err != nil {
			t.Fatal(err)
		}
	}
	last := &storage.Grant{ID: storage.NewID(), Client: "app", Created: time.Now()} // alone in its commit
	if err := store.Insert(t.Context(), last); err != nil {
		t.Fatal(err)
	}
	for g, err := range store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		sp.grants[g.ID] = encoded(g)
		sp.users[g.User]++
	}
	for c, err := range store.Clients(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		sp.clients[c.ID] = asJSON(c)
	}
	if clean {
		store.Close()
	} else {
		defer store.Close()
	}
	if sp.image, err = os.ReadFile(path); err != nil {
		t.Fatal(err)
	}
	sp.image = sp.image[:sp.needed()] // the rest is room to grow
	t.Cleanup(func() {
		t.Logf("%s tried: %d damages, %d opened all the same, %d of no consequence", t.Name(), sp.tried, sp.opened, sp.sound)
	})
	return sp
}

// needed is how much of the file its meta pages speak of.
func (sp *specimen) needed() int {
	pages := binary.NativeEndian.Uint64(sp.image[16+40:])
	return int(max(pages, binary.NativeEndian.Uint64(sp.image[pageSize+16+40:]))) * pageSize
}

// fill stores grants of all kinds, changed, removed and long ones among them, and some clients.
func fill(t testing.TB, store *bolt.Store, n int) {
	t.Helper()
	var wait []chan error
	do := func(write func() error) {
		done := make(chan error, 1)
		wait = append(wait, done)
		go func() { done <- write() }()
	}
	settle := func() {
		t.Helper()
		for _, done := range wait {
			if err := <-done; err != nil {
				t.Fatal(err)
			}
		}
		wait = nil
	}
	for _, id := range []string{"app", "reports", "tv"} {
		do(func() error {
			_, secret := storage.NewSecret()
			return store.PutClient(t.Context(), &storage.Client{ID: id, Secret: secret, GrantTypes: []string{"client_credentials"}, Scope: "read write"})
		})
	}
	now := time.Now().Truncate(time.Millisecond)
	for i := range n {
		g := &storage.Grant{ID: storage.NewID(), Client: "reports", Scope: "read", Created: now, Expires: now.Add(time.Hour)}
		g.Access = []storage.Access{{Digest: storage.Digest{1, byte(i)}, Created: now, Expires: g.Expires}}
		switch i % 5 {
		case 1, 2:
			g.Client, g.User = "app", fmt.Sprintf("user-%d", i%7)
			g.Refresh = &storage.Refresh{Family: storage.Digest{2}, Current: storage.Digest{3, byte(i)}, Created: now, Expires: g.Expires}
		case 3:
			g.Expires = time.Time{}
		case 4:
			g.Expires = now.Add(-time.Hour)
		}
		if i == n/2 {
			g.Scope = strings.Repeat("long ", 3000)
		}
		do(func() error {
			err := store.Insert(t.Context(), g)
			if err == nil && i%10 == 1 {
				err = store.Update(t.Context(), g.ID, func(g *storage.Grant) error {
					g.Expires = g.Expires.Add(time.Hour)
					return nil
				})
			}
			return err
		})
	}
	settle()
	if _, err := store.Prune(t.Context(), now); err != nil {
		t.Fatal(err)
	}
}

func asJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

func encoded(g *storage.Grant) string {
	b, err := g.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return string(b)
}

// try damages a copy and looks at what the package makes of it. It returns what Check says.
func (sp *specimen) try(t *testing.T, name string, damage func(image []byte) []byte) error {
	t.Helper()
	path := filepath.Join(sp.dir, "damaged.db")
	image := damage(bytes.Clone(sp.image))
	os.Remove(path) // some file systems sync what replaces a file
	if err := os.WriteFile(path, image, 0o600); err != nil {
		t.Fatal(err)
	}
	fmt.Printf("%s %s\n", t.Name(), name) // if it is the last one, it ended the process
	sp.tried++
	damaged := bolt.Check(path)
	if damaged == nil {
		sp.sound++
	} else if !strings.Contains(damaged.Error(), path) {
		t.Errorf("%s: Check does not say where: %v", name, damaged)
	}
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(after, image) {
		t.Errorf("%s: Check has altered the file, %v", name, err)
	}
	for _, writing := range []bool{false, true} {
		option := bolt.ReadOnly()
		if writing {
			if sp.shut && sp.closed {
				continue
			}
			if sp.hasty && sp.tried%8 > 0 { // it syncs, which takes long
				continue
			}
			option = bolt.PruneEvery(0)
		}
		store, err := bolt.Open(path, option)
		if err != nil {
			if damaged == nil {
				t.Errorf("%s: Check finds nothing, and it does not open: %v", name, err)
			}
			if !strings.Contains(err.Error(), path) {
				t.Errorf("%s: Open does not say where: %v", name, err)
			}
			continue
		}
		sp.opened++
		if !sp.stale {
			sp.read(t, name, store, damaged)
		}
		if writing {
			if !sp.stale {
				sp.readSecrets(t, name, store, damaged)
			}
			write(t, store)
		}
		store.Close()
	}
	return damaged
}

// read has whatever a store answers compared with what was stored.
func (sp *specimen) read(t *testing.T, name string, store *bolt.Store, damaged error) {
	t.Helper()
	lost := func(what string, err error) {
		if damaged == nil {
			t.Errorf("%s: Check finds nothing, and %s: %v", name, what, err)
		}
	}
	for id, want := range sp.grants {
		g, err := store.Grant(t.Context(), id)
		if err != nil {
			lost("grant "+id.String(), err)
		} else if encoded(g) != want {
			t.Errorf("%s: grant %s is\n%s\nnot\n%q", name, id, asJSON(g), want)
		}
	}
	for id, want := range sp.clients {
		c, err := store.GetByID(t.Context(), id)
		if err != nil {
			lost("client "+id, err)
		} else if got := asJSON(c); got != want {
			t.Errorf("%s: client %s is\n%s\nnot\n%s", name, id, got, want)
		}
	}
	list := func(f storage.Filter, want int) {
		n := 0
		for g, err := range store.Grants(t.Context(), f) {
			if err != nil {
				lost("a list", err)
				return
			}
			if n++; encoded(g) != sp.grants[g.ID] {
				t.Errorf("%s: the list has %s, not %q", name, asJSON(g), sp.grants[g.ID])
			}
		}
		if n != want {
			lost("a list", fmt.Errorf("has %d grants, not %d", n, want))
		}
	}
	list(storage.Filter{}, len(sp.grants))
	for user, n := range sp.users {
		if user != "" {
			list(storage.Filter{User: user}, n)
		}
	}
	n := 0
	for c, err := range store.Clients(t.Context()) {
		if err != nil {
			lost("the clients", err)
			break
		}
		if n++; asJSON(c) != sp.clients[c.ID] {
			t.Errorf("%s: the list has client %s, not %s", name, asJSON(c), sp.clients[c.ID])
		}
	}
	if n != len(sp.clients) {
		lost("the clients", fmt.Errorf("are %d, not %d", n, len(sp.clients)))
	}
	if _, err := store.Stats(t.Context()); err != nil {
		lost("the figures", err)
	}
}

// readSecrets is read for what is read by writing.
func (sp *specimen) readSecrets(t *testing.T, name string, store *bolt.Store, damaged error) {
	t.Helper()
	for key, want := range sp.secrets {
		got, err := store.Secret(t.Context(), key, same)
		switch {
		case got != nil && string(got) != want:
			t.Errorf("%s: secret %q is %.60q, not %.60q", name, key, got, want)
		case got == nil && damaged == nil:
			t.Errorf("%s: Check finds nothing, and there is no secret %q: %v", name, key, err)
		}
	}
}

// write has a store with some damage written to: what it answers is the disk's matter, as long as it does.
func write(t *testing.T, store *bolt.Store) {
	now := time.Now()
	ctx := t.Context()
	for i := range 3 {
		store.Insert(ctx, &storage.Grant{ID: storage.NewID(), Client: "app", User: "user-1", Created: now, Expires: now.Add(time.Hour)})
		store.PutClient(ctx, &storage.Client{ID: fmt.Sprint("new-", i), GrantTypes: []string{"client_credentials"}, Public: false})
	}
	for g, err := range store.Grants(ctx, storage.Filter{User: "user-1"}) {
		if err != nil {
			break
		}
		store.Update(ctx, g.ID, func(g *storage.Grant) error { g.Scope = "read write"; return nil })
		break
	}
	store.Prune(ctx, now.Add(100*time.Hour))
}

const pageSize = 4096 // of the specimens, where that is the machine's

// pages returns the first bytes of the pages of a kind that are in use.
func (sp *specimen) pages(t *testing.T, flags uint16) (at []int) {
	for _, page := range sp.inUse(t) {
		if binary.NativeEndian.Uint16(sp.image[page*pageSize+8:]) == flags {
			at = append(at, page*pageSize)
		}
	}
	if len(at) < 2 {
		t.Fatalf("the specimen has %d pages of kind %d", len(at), flags)
	}
	return at
}

// inUse asks bbolt which pages are in use.
func (sp *specimen) inUse(t *testing.T) (pages []int) {
	path := filepath.Join(sp.dir, "used.db")
	if err := os.WriteFile(path, sp.image, 0o600); err != nil {
		t.Fatal(err)
	}
	db, err := bbolt.Open(path, 0o600, nil)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	db.View(func(tx *bbolt.Tx) error {
		for i := 2; ; i++ {
			info, err := tx.Page(i)
			if err != nil || info == nil {
				return err
			}
			if info.Type == "leaf" || info.Type == "branch" {
				pages = append(pages, i)
				i += info.OverflowCount // what a free page says of itself is no longer so
			}
		}
	})
	return pages
}

// isPageNumber tells whether a byte may be one of a page number: in a branch, or in the list of buckets.
func (sp *specimen) isPageNumber(at int) bool {
	page := sp.image[at-at%pageSize:][:pageSize]
	word := func(i int) uint16 { return binary.NativeEndian.Uint16(page[i:]) }
	return word(8) == 1 && at%pageSize < 16+16*int(word(10)) || word(8) == 2 && bytes.Contains(page, []byte("ostiary.grants"))
}

func truncated(t *testing.T, sp *specimen) {
	needed := len(sp.image)
	for n := 0; n <= len(sp.image); n += 1237 + n/64 {
		err := sp.try(t, fmt.Sprint(n, " bytes"), func(b []byte) []byte { return b[:n] })
		if n < needed && err == nil {
			t.Errorf("Check finds nothing in the first %d of %d bytes", n, needed)
		}
		if n == 0 && !strings.Contains(fmt.Sprint(err), "is empty") {
			t.Errorf("Check of an empty file: %v", err)
		}
		if n >= 2*pageSize && n < needed && !strings.Contains(fmt.Sprint(err), "truncated") {
			t.Errorf("%d of %d bytes: %v", n, needed, err)
		}
	}
}

func edited(t *testing.T, sp *specimen) {
	leaves, branches := sp.pages(t, 2), sp.pages(t, 1)
	put16 := func(at int, v uint16) func([]byte) []byte {
		return func(b []byte) []byte { binary.NativeEndian.PutUint16(b[at:], v); return b }
	}
	put32 := func(at int, v uint32) func([]byte) []byte {
		return func(b []byte) []byte { binary.NativeEndian.PutUint32(b[at:], v); return b }
	}
	put64 := func(at int, v uint64) func([]byte) []byte {
		return func(b []byte) []byte { binary.NativeEndian.PutUint64(b[at:], v); return b }
	}
	both := func(edits ...func([]byte) []byte) func([]byte) []byte {
		return func(b []byte) []byte {
			for _, edit := range edits {
				b = edit(b)
			}
			return b
		}
	}
	swap := func(x, y int) func([]byte) []byte {
		return func(b []byte) []byte {
			page := bytes.Clone(b[x : x+pageSize])
			copy(b[x:x+pageSize], b[y:y+pageSize])
			copy(b[y:y+pageSize], page)
			return b
		}
	}
	// relabel gives a page that was moved the number of its new place.
	relabel := func(at int) func([]byte) []byte { return put64(at, uint64(at/pageSize)) }
	meta := func(edit func(meta []byte)) func([]byte) []byte { // with a good checksum, in both
		return func(b []byte) []byte {
			for _, at := range []int{16, pageSize + 16} {
				edit(b[at:])
				sum := fnv64(b[at : at+56])
				binary.NativeEndian.PutUint64(b[at+56:], sum)
			}
			return b
		}
	}
	word := func(at int, v uint64) func([]byte) {
		return func(m []byte) { binary.NativeEndian.PutUint64(m[at:], v) }
	}
	values := slices.DeleteFunc(slices.Clone(leaves), func(at int) bool { return binary.NativeEndian.Uint32(sp.image[at+16:]) != 0 })
	leaf, other, branch := values[0], values[1], branches[0]
	cases := []struct {
		name  string
		edit  func([]byte) []byte
		words string // of Check
	}{
		{"nothing", func(b []byte) []byte { return b }, ""},
		{"magic of both", both(put32(16, 1), put32(pageSize+16, 1)), "no bbolt file"},
		{"version of both", both(put32(20, 3), put32(pageSize+20, 3)), "version mismatch"},
		{"checksum of both", both(put64(16+56, 1), put64(pageSize+16+56, 1)), "checksum"},
		{"magic of the first", put32(16, 1), "meta page 0: "},
		{"checksum of the second", put64(pageSize+16+56, 1), "meta page 1: "},
		{"page size 0", meta(func(m []byte) { binary.NativeEndian.PutUint32(m[8:], 0) }), "page size of 0"},
		{"page size of another file", meta(func(m []byte) { binary.NativeEndian.PutUint32(m[8:], 8192) }), ""},
		{"page size of a gigabyte", meta(func(m []byte) { binary.NativeEndian.PutUint32(m[8:], 1<<30) }), "page size"},
		{"root is a meta page", meta(word(16, 1)), "names page 1"},
		{"root beyond the end", meta(word(16, 1<<40)), "as the root"},
		{"root is another leaf", meta(word(16, uint64(leaf/pageSize))), "page"},
		{"more pages than the file has", meta(word(40, 1<<33)), "truncated"},
		{"more pages than numbers", meta(word(40, 1<<63)), "truncated"},
		{"fewer pages than there are", meta(word(40, 5)), "page"},
		{"no pages", meta(word(40, 0)), "as the root"},
		{"free list beyond the end", meta(word(32, 1<<40)), "free list"},
		{"free list is a leaf", meta(word(32, uint64(leaf/pageSize))), "free list"},
		{"free list is a meta page", meta(word(32, 0)), "free list"},
		{"no free list", meta(word(32, 1<<64-1)), ""},
		{"leaf with more entries than it has room for", put16(leaf+10, 60000), "page"},
		{"leaf with one entry more", func(b []byte) []byte { return put16(leaf+10, binary.NativeEndian.Uint16(b[leaf+10:])+1)(b) }, "page"},
		{"leaf with one entry less", func(b []byte) []byte { return put16(leaf+10, binary.NativeEndian.Uint16(b[leaf+10:])-1)(b) }, ""},
		{"leaf without entries", put16(leaf+10, 0), ""},
		{"branch with more entries than it has room for", put16(branch+10, 60000), "page"},
		{"branch without entries", put16(branch+10, 0), "leads nowhere"},
		{"branch that leads to itself", put64(branch+16+8, uint64(branch/pageSize)), "in use twice"},
		{"branch that leads to the meta page", put64(branch+16+8, 0), "is not in the file"},
		{"branch that leads beyond the end", put64(branch+16+8, 1<<50), "is not in the file"},
		{"branch that leads to one page twice", func(b []byte) []byte { copy(b[branch+32+8:branch+48], b[branch+16+8:branch+32]); return b }, "page"},
		{"branch that is a leaf", put16(branch+8, 2), "page"},
		{"leaf that is a branch", put16(leaf+8, 1), "page"},
		{"leaf that is a meta page", put16(leaf+8, 4), "flags 0x4"},
		{"leaf that is nothing", put16(leaf+8, 0), "flags 0x0"},
		{"leaf of another number", put64(leaf, 7777), "calls itself page 7777"},
		{"leaf with pages more", put32(leaf+12, 7), "page"},
		{"leaf with four billion pages more", put32(leaf+12, 1<<32-1), "pages more"},
		{"entry beyond its page", put32(leaf+16+4, 1<<31), "page"},
		{"entry with a huge key", put32(leaf+16+8, 1<<32-1), "page"},
		{"entry with a huge value", put32(leaf+16+12, 1<<32-1), "page"},
		{"entry without a key", put32(leaf+16+8, 0), "has no key"},
		{"entry of no kind", put32(leaf+16, 1<<31), "neither a value nor a bucket"},
		{"value that is a bucket", put32(leaf+16, 1), "bucket"},
		{"two leaves swapped", swap(leaf, other), "calls itself"},
		{"two leaves swapped and renumbered", both(swap(leaf, other), relabel(leaf), relabel(other)), "page"},
		{"a leaf over a branch", func(b []byte) []byte { copy(b[branch:branch+pageSize], b[leaf:leaf+pageSize]); return b }, "calls itself"},
		{"a page of zeros", func(b []byte) []byte { clear(b[leaf : leaf+pageSize]); return b }, "calls itself page 0"},
		{"a page of ones", func(b []byte) []byte { copy(b[leaf:leaf+pageSize], bytes.Repeat([]byte{0xff}, pageSize)); return b }, "page"},
	}
	if sp.closed {
		cases = append(cases, struct {
			name  string
			edit  func([]byte) []byte
			words string
		}{"free list with a page in use", sp.freeUsed(t), "is in use and on the free list"})
	}
	for _, page := range slices.Concat(leaves, branches) { // whatever it is of
		cases = append(cases, struct {
			name  string
			edit  func([]byte) []byte
			words string
		}{fmt.Sprintf("page %d is zeros", page/pageSize), func(b []byte) []byte { clear(b[page : page+pageSize]); return b }, "page"})
	}
	for _, c := range cases {
		sp.shut = c.name == "leaf that is a branch"
		err := sp.try(t, c.name, c.edit)
		if c.words != "" && !strings.Contains(fmt.Sprint(err), c.words) {
			t.Errorf("%s: Check says %v, not %q", c.name, err, c.words)
		}
		if strings.HasPrefix(c.name, "free list") && sp.opens(t, c.edit) {
			t.Errorf("%s: it opens", c.name)
		}
		if c.name == "nothing" && err != nil {
			t.Errorf("Check of a sound file: %v", err)
		}
	}
}

// opens tells whether a damaged copy opens.
func (sp *specimen) opens(t *testing.T, damage func([]byte) []byte) bool {
	path := filepath.Join(t.TempDir(), "damaged.db")
	if err := os.WriteFile(path, damage(bytes.Clone(sp.image)), 0o600); err != nil {
		t.Fatal(err)
	}
	store, err := bolt.Open(path)
	if err == nil {
		store.Close()
	}
	return err == nil
}

// freeUsed puts a branch page on the free list, where there is a place for it in the order.
func (sp *specimen) freeUsed(t *testing.T) func([]byte) []byte {
	word := func(at int) int { return int(binary.NativeEndian.Uint64(sp.image[at:])) }
	meta := 16
	if word(pageSize+16+48) > word(16+48) {
		meta += pageSize
	}
	list := word(meta+32) * pageSize
	n := int(binary.NativeEndian.Uint16(sp.image[list+10:]))
	for _, page := range sp.pages(t, 1) {
		for i := range n {
			at := list + 16 + 8*i
			if (i == 0 || word(at-8) < page/pageSize) && (i == n-1 || word(at+8) > page/pageSize) {
				return func(b []byte) []byte { binary.NativeEndian.PutUint64(b[at:], uint64(page/pageSize)); return b }
			}
		}
	}
	t.Fatal("no place in the free list")
	return nil
}

// fnv64 is FNV-1a.
func fnv64(b []byte) uint64 {
	h := uint64(14695981039346656037)
	for _, c := range b {
		h = (h ^ uint64(c)) * 1099511628211
	}
	return h
}

// flipped changes one bit each time, mostly in what is in use. OSTIARY_FLIPS sets how long it goes on.
func flipped(t *testing.T, sp *specimen) {
	limit := 4 * time.Second
	if long, err := time.ParseDuration(os.Getenv("OSTIARY_FLIPS")); err == nil {
		limit = long
	}
	sp.hasty = true
	pages := append([]int{0, 1}, sp.inUse(t)...)
	random := rand.New(rand.NewPCG(5, uint64(len(sp.image))))
	for began := time.Now(); time.Since(began) < limit && !t.Failed(); {
		at := random.IntN(len(sp.image))
		switch page := pages[random.IntN(len(pages))] * pageSize; random.IntN(3) {
		case 0:
			at = page + random.IntN(pageSize)
		case 1:
			at = page + random.IntN(200) // headers
		}
		bit := random.IntN(8)
		sp.stale = !sp.closed && sp.isPageNumber(at)
		sp.try(t, fmt.Sprintf("bit %d of byte %d (page %d, byte %d)", bit, at, at/pageSize, at%pageSize), func(b []byte) []byte {
			b[at] ^= 1 << bit
			return b
		})
	}
}

// Every byte of a record is under its checksum: whichever changes, the record is an error when it is read.
func TestDamagedRecord(t *testing.T) {
	dir := t.TempDir()
	path := filepath.Join(dir, "auth.db")
	store := open(t, path)
	g := &storage.Grant{ID: storage.NewID(), Client: "the-client", Scope: "read", Created: time.Now()}
	if err := store.Insert(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	store.Close()
	image, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	encoded := []byte(encoded(g))
	tried := 0
	for from := 0; ; {
		i := bytes.Index(image[from:], encoded)
		if i < 0 {
			break
		}
		from += i + len(encoded)
		for at := from - len(encoded) - 5; at < from; at += 3 { // mark and checksum, too
			damaged := bytes.Clone(image)
			damaged[at] ^= 0x20
			if err := os.WriteFile(path, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			store, err := bolt.Open(path, bolt.ReadOnly())
			if err != nil {
				t.Fatal(err)
			}
			got, err := store.Grant(t.Context(), g.ID)
			store.Close()
			checked := bolt.Check(path)
			if err == nil && checked == nil && got.Scope == g.Scope && got.Client == g.Client {
				continue // a copy that is free
			}
			tried++
			if err == nil || errors.Is(err, storage.ErrNotFound) {
				t.Errorf("byte %d: got %v, %v", at, got, err)
			}
			if checked == nil || !strings.Contains(checked.Error(), g.ID.String()) || !strings.Contains(checked.Error(), `"ostiary.grants": page`) {
				t.Errorf("byte %d: Check does not say which: %v", at, checked)
			}
		}
	}
	if tried < len(encoded)/3 {
		t.Errorf("tried %d bytes", tried)
	}
}
