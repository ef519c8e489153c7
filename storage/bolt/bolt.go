// Package bolt keeps grants and clients in one bbolt file: the embedded default.
//
//	store, err := bolt.Open("auth.db")
//	if err != nil {
//		return err
//	}
//	defer store.Close()
//
// The file belongs to one process at a time and has mode 0600. Every write is on disk before it is
// answered, by two fdatasyncs a commit. Records that have expired are removed in the background. The
// file holds digests, no token, code or secret; pages that were freed keep old bytes until they are
// used again.
package bolt

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"sync"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"

	"github.com/ostiary-go/ostiary/storage"
)

// Store is a [storage.Store] and [storage.Clients] on one bbolt file.
type Store struct {
	db     *bbolt.DB
	writer chan struct{} // held by the one who writes

	mu     sync.Mutex
	closed bool
	calls  sync.WaitGroup // those that are under way; none is added once closed is set

	stopPruning context.CancelFunc
	pruning     sync.WaitGroup
}

var (
	_ storage.Store   = (*Store)(nil)
	_ storage.Clients = (*Store)(nil)
)

// Option changes how a file is opened. Later ones win.
type Option func(*config)

type config struct {
	pruneEvery time.Duration
}

// PruneEvery sets how often expired grants are removed in the background. Default a minute; 0 leaves
// it to the application to call [Store.Prune].
func PruneEvery(d time.Duration) Option {
	if d < 0 {
		panic("bolt: PruneEvery: negative interval")
	}
	return func(c *config) { c.pruneEvery = d }
}

// The buckets. Their names begin alike, so that they can share a file with others.
var (
	metaBucket    = []byte("ostiary.meta")
	grantsBucket  = []byte("ostiary.grants")  // ID -> grant
	expiresBucket = []byte("ostiary.expires") // expiry, ID -> nothing
	usersBucket   = []byte("ostiary.users")   // digest of the user, ID -> nothing
	clientsBucket = []byte("ostiary.clients") // client ID -> JSON
)

var schemaKey = []byte("schema")

const schemaVersion = "1"

// patience is how long Open waits for a file that another process holds.
const patience = 500 * time.Millisecond

// Open opens the file at path, or makes it. It fails, within a second and without having altered
// anything, where the file is held by another process, is a directory, was not made by this package
// or was made by a newer version of it.
func Open(path string, options ...Option) (*Store, error) {
	c := config{pruneEvery: time.Minute}
	for _, o := range options {
		o(&c)
	}
	db, err := openFile(path)
	if err != nil {
		return nil, fmt.Errorf("bolt: open %s: %w", path, err)
	}
	s := &Store{db: db, writer: make(chan struct{}, 1)}
	s.startPruning(c.pruneEvery)
	return s, nil
}

func openFile(path string) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	if err == nil && info.IsDir() {
		return nil, errors.New("is a directory")
	}
	if err == nil && !info.Mode().IsRegular() { // of which bbolt would begin to make one
		return nil, errors.New("is no regular file")
	}
	empty := errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0
	// With NoFreelistSync bbolt writes nothing while it opens; after that it is switched off again.
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: patience, NoFreelistSync: true, NoStatistics: true})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, errors.New("is held by another process")
	case errors.Is(err, bbolterrors.ErrInvalid), errors.Is(err, bbolterrors.ErrVersionMismatch), errors.Is(err, bbolterrors.ErrChecksum):
		return nil, fmt.Errorf("is no bbolt file, or a damaged one: %w", err)
	case err != nil:
		return nil, err
	}
	if err := prepare(db); err != nil {
		db.Close()
		return nil, err
	}
	if empty {
		err := os.Chmod(path, 0o600) // it may have been there, with another mode
		if err == nil {
			err = syncDir(filepath.Dir(path))
		}
		if err != nil {
			db.Close()
			return nil, err
		}
	}
	return db, nil
}

// prepare refuses a file of somebody else's and lays out an empty one.
func prepare(db *bbolt.DB) error {
	laidOut := false
	err := db.View(func(tx *bbolt.Tx) error {
		if meta := tx.Bucket(metaBucket); meta != nil {
			laidOut = true
			if v := string(meta.Get(schemaKey)); v != schemaVersion {
				return fmt.Errorf("has schema version %q, and this version of ostiary knows %q alone", v, schemaVersion)
			}
			return nil
		}
		if name, _ := tx.Cursor().First(); name != nil {
			return errors.New("is a bbolt file, but not of ostiary's making")
		}
		return nil
	})
	db.NoFreelistSync = false
	if err != nil || laidOut {
		return err
	}
	return db.Update(func(tx *bbolt.Tx) error {
		for _, name := range [][]byte{metaBucket, grantsBucket, expiresBucket, usersBucket, clientsBucket} {
			if _, err := tx.CreateBucket(name); err != nil {
				return err
			}
		}
		return tx.Bucket(metaBucket).Put(schemaKey, []byte(schemaVersion))
	})
}

// syncDir makes the name of a new file durable: bbolt syncs the file, not its folder.
func syncDir(dir string) error {
	if runtime.GOOS == "windows" { // has no such thing
		return nil
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	return d.Sync()
}

// Close implements [storage.Store].
func (s *Store) Close() error {
	s.stopPruning()
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	s.pruning.Wait()
	s.calls.Wait()
	if !first {
		return nil
	}
	return s.db.Close()
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
	return s.db.View(read)
}

// errUnchanged is returned by a write that has nothing to store. What it has seen is durable already:
// one transaction begins when the one before it is on disk.
var errUnchanged = errors.New("unchanged")

// write runs change alone in a transaction and returns when that is on disk. An error of change is
// returned as it is, with nothing stored; ctx.Err() means that change has not run.
func (s *Store) write(ctx context.Context, change func(tx *bbolt.Tx) error) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	select {
	case s.writer <- struct{}{}:
		defer func() { <-s.writer }()
	case <-ctx.Done():
		return ctx.Err()
	}
	if err := ctx.Err(); err != nil { // both were ready
		return err
	}
	committing := false
	err = s.db.Update(func(tx *bbolt.Tx) error {
		err := change(tx)
		committing = err == nil
		return err
	})
	switch {
	case err == errUnchanged:
		return nil
	case err != nil && committing:
		return fmt.Errorf("%w: %w", storage.ErrUnavailable, err)
	}
	return err
}

func (s *Store) startPruning(every time.Duration) {
	ctx, cancel := context.WithCancel(context.Background())
	s.stopPruning = cancel
	if every == 0 {
		return
	}
	s.pruning.Go(func() {
		tick := time.NewTicker(every)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			if _, err := s.Prune(ctx, time.Now()); err != nil && ctx.Err() == nil {
				slog.Error("bolt: pruning failed", "error", err)
			}
		}
	})
}
