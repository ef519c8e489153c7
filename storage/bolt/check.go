package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// mostFindings is how much Check says.
const mostFindings = 100

// Check looks at the whole of a file and returns what is wrong with it, each thing with its place, or nil.
// It says a hundred things at most. The file is not altered, and may be a backup or a copy; it must not be
// held for writing meanwhile, here or by another process, and several may check it at a time.
//
// First all pages are read, without mapping the file, so that nothing in it does any harm: lengths,
// counts, numbers and keys have to fit, and each page has to be in use once or free. Each grant, client and
// secret has to match its checksum and its key, each grant has to be found by its user and by the pruner, and
// nothing else by its user. Where all this holds, bbolt's own check follows. Buckets of an application's
// own, and all namespaces, are looked at too.
//
// What can't be noticed: a change in a record from before schema 2, which has no checksum until it is
// written again, if what is left makes sense; and, in a file that was not closed and so has no list of its
// free pages, a page number that has changed and leads to an older state of the same page, if no index
// tells. An empty file has something wrong with it, although [Open] would make a store of it.
func Check(path string) error {
	if err := check(path); err != nil {
		return fmt.Errorf("bolt: check %s: %w", path, err)
	}
	return nil
}

func check(path string) error {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return errors.New("is not there")
	case err != nil:
		return err
	case !info.Mode().IsRegular():
		return errors.New("is no regular file")
	case info.Size() == 0:
		return errEmpty
	}
	h, err := hold(path)
	if err != nil {
		return err
	}
	defer h.db.Close()
	h.most = mostFindings
	if err := guard(func() error {
		h.checkAll()
		return h.err()
	}); err != nil {
		return err
	}
	return view(h.db, func(tx *bbolt.Tx) error {
		for err := range tx.Check() {
			h.add("bbolt: %w", err)
		}
		return h.err()
	})
}

// checkAll looks at all buckets, at those of the stores with their records.
func (in *inspector) checkAll() {
	if in.spoiled != nil {
		in.add("%w: what was stored last may be missing", in.spoiled)
	}
	stores := map[string]*checker{}
	root := in.root()
	root.bucket = func(page uint64, name, header []byte) {
		namespace, b, ok := ownBucket(string(name))
		if !ok {
			other := &tree{inspector: in, name: fmt.Sprintf("bucket %q", name)}
			other.walkBucket(page, name, header, 1)
			root.broken = root.broken || other.broken
			return
		}
		if stores[namespace] == nil {
			stores[namespace] = &checker{inspector: in, layout: newLayout(namespace)}
		}
		stores[namespace].at[b] = entry{page, bytes.Clone(header)}
	}
	root.record = func(page uint64, key, _ []byte) { root.bad(page, "key %q is no bucket", key) }
	root.walk(in.meta.root, nil, nil, 0)
	broken := root.broken
	if len(stores) == 0 && !broken {
		in.add("has no store in it")
	}
	for _, namespace := range slices.Sorted(maps.Keys(stores)) {
		broken = stores[namespace].check() || broken
	}
	if !broken {
		in.checkFree()
	}
}

// ownBucket tells what a bucket's name stands for; see newLayout.
func ownBucket(name string) (namespace string, b bucket, ok bool) {
	dot := strings.LastIndexByte(name, '.')
	if dot < 0 {
		return "", 0, false
	}
	word := slices.Index(bucketWords[:], name[dot+1:])
	namespace, named := strings.CutPrefix(name[:dot], "ostiary/")
	if word < 0 || !named && name[:dot] != "ostiary" || named && namespace == "" {
		return "", 0, false
	}
	if !named {
		namespace = ""
	}
	return namespace, bucket(word), true
}

// checker looks at one store.
type checker struct {
	*inspector
	layout  *layout
	at      [buckets]entry
	schema  string
	expires []expiryEntry // by ID, then time
	users   []userEntry   // by ID
}

// entry says where a bucket is.
type entry struct {
	page   uint64
	header []byte
}

type expiryEntry struct {
	id storage.ID
	at [8]byte
}

type userEntry struct {
	id    storage.ID
	user  [16]byte
	known bool // there is such a grant, or nobody can tell
}

// check looks at the buckets in an order in which the indexes come before what they lead to. It tells
// whether not all of it could be reached.
func (c *checker) check() (broken bool) {
	noMeta := c.tree(metaBucket, func(t *tree, page uint64, k, v []byte) {
		if bytes.Equal(k, schemaKey) {
			c.schema = string(v)
		}
	})
	if !noMeta && !known(c.schema) {
		c.add("bucket %q: schema version %q is not known here", c.layout[metaBucket], c.schema)
		for b := metaBucket + 1; b < buckets; b++ {
			broken = c.tree(b, nil) || broken
		}
		return broken
	}
	for b := range c.at {
		if c.at[b].header == nil && since(c.schema, bucket(b)) {
			c.add("bucket %q is not there", c.layout[b])
			broken = true
		}
	}
	noExpires := c.tree(expiresBucket, c.expiry)
	noUsers := c.tree(usersBucket, c.user)
	slices.SortFunc(c.expires, func(a, b expiryEntry) int {
		if order := bytes.Compare(a.id[:], b.id[:]); order != 0 {
			return order
		}
		return bytes.Compare(a.at[:], b.at[:])
	})
	slices.SortFunc(c.users, func(a, b userEntry) int { return bytes.Compare(a.id[:], b.id[:]) })
	noGrants := c.tree(grantsBucket, func(t *tree, page uint64, k, v []byte) { c.grant(t, page, k, v, noExpires, noUsers) })
	if !noGrants {
		for _, e := range c.users {
			if !e.known {
				c.add("bucket %q: key %x%x: there is no grant %s of that user", c.layout[usersBucket], e.user, e.id, e.id)
			}
		}
	}
	noClients := c.tree(clientsBucket, c.client)
	noKeys := c.tree(keysBucket, c.secret)
	return broken || noMeta || noExpires || noUsers || noGrants || noClients || noKeys
}

// tree walks a bucket of the store, and tells whether not all of it could be reached.
func (c *checker) tree(b bucket, record func(t *tree, page uint64, k, v []byte)) (broken bool) {
	if c.at[b].header == nil {
		return since(c.schema, b)
	}
	t := &tree{inspector: c.inspector, name: fmt.Sprintf("bucket %q", c.layout[b])}
	if record != nil {
		t.record = func(page uint64, k, v []byte) { record(t, page, k, v) }
	}
	t.bucket = func(page uint64, k, _ []byte) { t.bad(page, "key %x is a bucket", k) }
	t.walkBucket(c.at[b].page, c.layout[b], c.at[b].header, 1)
	return t.broken
}

func (c *checker) expiry(t *tree, page uint64, k, v []byte) {
	var e expiryEntry
	if len(k) != len(e.at)+len(e.id) || len(v) != 0 {
		t.add("%s: page %d: key %x: is no entry", t.name, page, k)
		return
	}
	copy(e.id[:], k[copy(e.at[:], k):])
	c.expires = append(c.expires, e)
}

func (c *checker) user(t *tree, page uint64, k, v []byte) {
	var e userEntry
	if len(k) != len(e.user)+len(e.id) || len(v) != 0 {
		t.add("%s: page %d: key %x: is no entry", t.name, page, k)
		return
	}
	copy(e.id[:], k[copy(e.user[:], k):])
	c.users = append(c.users, e)
}

func (c *checker) grant(t *tree, page uint64, k, v []byte, noExpires, noUsers bool) {
	bad := func(format string, args ...any) {
		t.add("%s: page %d: %w", t.name, page, fmt.Errorf(format, args...))
	}
	if len(k) != len(storage.ID{}) {
		bad("key %x: is no grant's ID", k)
		return
	}
	id := storage.ID(k)
	users := c.usersOf(id)
	g, err := decodeGrant(id, v)
	if err != nil {
		bad("%w", err)
		for i := range users {
			users[i].known = true // as far as anybody can tell
		}
		return
	}
	if !g.See.IsZero() && (g.See == id || g.Client != "" || g.User != "") {
		bad("grant %s: is another name of %s and has a client, a user or its own ID", id, g.See)
	}
	if !g.Expires.IsZero() && !noExpires {
		first, ok := c.expiryOf(id)
		switch {
		case !ok:
			bad("grant %s: has no entry in the expiry index", id)
		case bytes.Compare(first[:], expiryPrefix(g.Expires)) > 0:
			bad("grant %s: is in the expiry index after its expiry", id)
		}
	}
	if g.User == "" {
		return
	}
	found := false
	for i := range users {
		if bytes.Equal(users[i].user[:], userPrefix(g.User)) {
			users[i].known, found = true, true
		}
	}
	if !found && !noUsers {
		bad("grant %s: has no entry in the user index", id)
	}
}

// expiryOf returns the first time of a grant in the expiry index.
func (c *checker) expiryOf(id storage.ID) (first [8]byte, ok bool) {
	i, found := slices.BinarySearchFunc(c.expires, id, func(e expiryEntry, id storage.ID) int { return bytes.Compare(e.id[:], id[:]) })
	if !found {
		return first, false
	}
	return c.expires[i].at, true
}

// usersOf returns a grant's entries in the user index.
func (c *checker) usersOf(id storage.ID) []userEntry {
	from, _ := slices.BinarySearchFunc(c.users, id, func(e userEntry, id storage.ID) int { return bytes.Compare(e.id[:], id[:]) })
	to := from
	for to < len(c.users) && c.users[to].id == id {
		to++
	}
	return c.users[from:to]
}

func (c *checker) client(t *tree, page uint64, k, v []byte) {
	client, err := decodeClient(string(k), v)
	if err == nil && client.Generation == 0 {
		err = fmt.Errorf("bolt: client %q: has no generation", k)
	}
	if err != nil {
		t.add("%s: page %d: %w", t.name, page, err)
	}
}

func (c *checker) secret(t *tree, page uint64, k, v []byte) {
	if _, err := decodeSecret(string(k), v); err != nil {
		t.add("%s: page %d: %w", t.name, page, err)
	}
}
