// Package bolt keeps grants, clients and the server's own secrets in one bbolt file: the embedded default.
//
//	store, err := bolt.Open("auth.db")
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// The file belongs to one process at a time and has mode 0600. Every write is on disk before it is
// answered, by two fdatasyncs that all writes share which wait at that moment. Records that have expired
// are removed in the background. Of tokens, codes and the secrets of clients the file holds digests; what
// [Store.Secret] keeps stands there as it is. Pages that were freed keep old bytes until they are used again.
//
// Where a commit fails, as on a full disk, the callers get [storage.ErrUnavailable] and the store serves
// on. bbolt syncs twice, so a failed commit may have happened: the store makes sure of it before it
// answers or writes anything else.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// Store is a [storage.Store], [storage.Clients], [storage.Keys] and [storage.Watcher] on one bbolt file.
type Store struct {
	db        *bbolt.DB
	layout    *layout
	committer *committer // nil: read only
	share     *share     // of the database; nil: read only
	namespace string
	closeDB   func() error

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // those that are under way; none is added once closed is set

	counted     counted
	stopPruning context.CancelFunc
	pruning     sync.WaitGroup
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Clients = (*Store)(nil)
	_ storage.Keys    = (*Store)(nil)
	_ storage.Watcher = (*Store)(nil)
)

// Option changes how a file is opened. Later ones win.
type Option func(*config)

type config struct {
	pruneEvery time.Duration
	namespace  string
	readOnly   bool
}

const defaultPruneEvery = time.Minute

// PruneEvery sets how often expired grants are removed in the background. Default a minute; 0 leaves
// it to the application to call [Store.Prune].
func PruneEvery(d time.Duration) Option {
	if d < 0 {
		panic("bolt: PruneEvery: negative interval")
	}
	return func(c *config) { c.pruneEvery = d }
}

// Namespace puts a store's buckets under names of their own, so that several stores, one for each tenant
// say, can share a database: see [New]. Stores of different namespaces know nothing of each other.
func Namespace(name string) Option {
	if name == "" {
		panic("bolt: Namespace: no name")
	}
	return func(c *config) { c.namespace = name }
}

// ReadOnly opens a file, which has to be there, without altering it, for tools. Several processes may
// read a file at a time, and none while it is held for writing; every write is refused, as is [Store.Secret]
// even where it would change nothing.
func ReadOnly() Option {
	return func(c *config) { c.readOnly = true }
}

func configOf(options []Option) config {
	c := config{pruneEvery: defaultPruneEvery}
	for _, o := range options {
		o(&c)
	}
	return c
}

// Open opens the file at path, or makes it. It fails, within a second and without having altered
// anything, where the file is held by another process, is a directory or a device, was not made by this
// package or was made by a newer version of it. A file of an older version is brought up to date. An empty
// one is taken for a new one.
//
// It also fails where the file is truncated or damaged, as far as that can be seen from its meta pages, its
// free list and the pages that lead to others, which are all that is read of a file that was closed. After
// a crash, and for [ReadOnly], all pages are read. Damage that Open does not see is an error when a record
// is read, but for a leaf that has become a page which leads to others, by two changed bits in one place:
// that can end the process. [Check] looks at everything, and says what nobody can notice.
func Open(path string, options ...Option) (*Store, error) {
	c := configOf(options)
	db, err := openFile(path, c)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	s := &Store{db: db, layout: newLayout(c.namespace), closeDB: func() error { return closeFile(db, c.readOnly) }}
	if err := s.start(c); err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	s.startPruning(c.pruneEvery)
	return s, nil
}

// New puts a store into a database of the application's own, beside its buckets, under names that begin
// with "ostiary". Close leaves the database open. The application's transactions are its own: it can't
// share one with the store, and one that writes keeps the store waiting. One that reads while a commit
// fails, the store's or its own, must not be read on: bbolt then reuses pages that it sees.
//
// Several stores can share a database if each has a [Namespace] of its own, or none: a second one of the
// same is refused as long as the first is open. Of [ReadOnly] the database decides.
//
// New refuses a database without NoFreelistSync: after a commit that failed it is not known which state is
// on the disk, and the list of free pages that the next one then writes could go over pages of the other.
// For the same reason the application makes no commit after one of its own that failed, but opens the
// database anew.
func New(db *bbolt.DB, options ...Option) (*Store, error) {
	c := configOf(options)
	c.readOnly = db.IsReadOnly()
	if !db.NoFreelistSync && !c.readOnly {
		return nil, fmt.Errorf("bolt: %s: has to be open with NoFreelistSync", db.Path())
	}
	s := &Store{db: db, layout: newLayout(c.namespace), closeDB: func() error { return nil }}
	err := s.start(c)
	if err == nil {
		if err = s.layIn(); err != nil {
			s.Close()
		}
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: %s: %w", db.Path(), err)
	}
	s.startPruning(c.pruneEvery)
	return s, nil
}

// start has the store take part in what is written to its database.
func (s *Store) start(c config) (err error) {
	s.namespace, s.stopPruning = c.namespace, func() {}
	if c.readOnly {
		return nil
	}
	if s.committer, s.share, err = join(s.db, c.namespace, s.layout); err != nil {
		return err
	}
	return nil
}

// layIn sees to it that the buckets are there, by a commit like any other: stores that are open there may
// have one whose outcome is not known.
func (s *Store) layIn() error {
	var schema string
	err := s.view(context.Background(), func(tx *bbolt.Tx) (err error) {
		schema, err = s.layout.check(tx, func(string) bool { return true })
		return err
	})
	switch {
	case err != nil || schema == schemaNow:
		return err
	case s.committer == nil && schema == "":
		return errNoStore
	case s.committer == nil:
		return nil
	}
	return s.write(context.Background(), func(st *staging) error {
		if err := st.layout.makeBuckets(st.tx); err != nil {
			return err
		}
		st.put(metaBucket, schemaKey, []byte(schemaNow))
		return nil
	})
}

// Close implements [storage.Store].
func (s *Store) Close() error {
	s.stopPruning()
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first && s.share != nil {
		close(s.share.closing)
	}
	s.pruning.Wait()
	s.calls.Wait()
	if !first {
		return nil
	}
	if s.committer != nil {
		s.committer.leave(s.namespace)
		if s.committer.isStuck() {
			return fmt.Errorf("bolt: close %s: %w", s.db.Path(), errStuck)
		}
	}
	return s.closeDB()
}

// enter begins a call; leave ends it.
func (s *Store) enter(ctx context.Context) (leave func(), err error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, storage.ErrClosed
	}
	s.calls.Add(1)
	return s.calls.Done, nil
}

// view runs read in a read transaction. What it takes out of it, it copies.
func (s *Store) view(ctx context.Context, read func(tx *bbolt.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.committer != nil {
		left, _ := s.committer.readers.enter()
		defer left()
	}
	return view(s.db, read)
}

var errReadOnly = errors.New("bolt: the file is open for reading only")

// write stages a change and returns when it is on disk. An error of change is returned as it is, with
// nothing stored; ctx.Err() means that nothing was.
func (s *Store) write(ctx context.Context, change func(*staging) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	if s.committer == nil {
		return errReadOnly
	}
	return s.committer.commit(ctx, s.share, change)
}
