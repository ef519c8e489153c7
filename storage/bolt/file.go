package bolt

import (
	"errors"
	"fmt"
	"log/slog"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"go.etcd.io/bbolt"
	bbolterrors "go.etcd.io/bbolt/errors"
)

// patience is how long Open waits for a file that another process holds.
const patience = 500 * time.Millisecond

const (
	// A map that is large enough is never made anew, for which a write would have to wait until all
	// readers are done, a slow backup among them. It takes address space alone.
	mapSize = 64 << 30

	// The file grows by so much.
	growBy = 1 << 20
)

func openFile(path string, c config) (*bbolt.DB, error) {
	info, err := os.Stat(path)
	missing := errors.Is(err, os.ErrNotExist)
	switch {
	case missing && c.readOnly:
		return nil, errors.New("is not there")
	case err != nil && !missing:
		return nil, err
	case err == nil && info.IsDir():
		return nil, errors.New("is a directory")
	case err == nil && !info.Mode().IsRegular(): // of which bbolt would begin to make one
		return nil, errors.New("is no regular file")
	}
	empty := missing || info.Size() == 0
	if empty && c.readOnly {
		return nil, errEmpty
	}
	if !empty {
		if err := look(path, !c.readOnly); err != nil {
			return nil, err
		}
	}
	options := &bbolt.Options{
		Timeout:         patience,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true, // with it bbolt writes nothing while it opens, and less at each commit
		NoStatistics:    true,
		InitialMmapSize: initialMap(),
		ReadOnly:        c.readOnly,
	}
	db, _, err := openBbolt(path, options)
	if err != nil && options.InitialMmapSize > 0 && !refused(err) { // address space may be limited
		options.InitialMmapSize = 0
		db, _, err = openBbolt(path, options)
	}
	switch {
	case refused(err):
		return nil, fmt.Errorf("is no bbolt file, or a damaged one: %w", err)
	case err != nil:
		return nil, err
	}
	db.AllocSize = growBy
	if err := prepare(db, c); err != nil {
		if !errors.Is(err, errStuck) {
			db.Close()
		}
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

var (
	errNoStore = errors.New("has no store in it")

	errEmpty = errors.New("is empty")
	errHeld  = errors.New("is held by another process")
)

// openBbolt has bbolt open a file, and returns what it reads it by, too.
func openBbolt(path string, options *bbolt.Options) (db *bbolt.DB, file *os.File, err error) {
	options.OpenFile = func(name string, flag int, mode os.FileMode) (_ *os.File, err error) {
		file, err = os.OpenFile(name, flag, mode)
		return file, err
	}
	err = guard(func() (err error) {
		db, err = bbolt.Open(path, 0o600, options)
		return err
	})
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, nil, errHeld
	case err != nil:
		if errors.Is(err, errFault) {
			file.Close() // and with it goes the lock; bbolt has closed it after an error
		}
		return nil, nil, err
	}
	return db, file, nil
}

// look tells what would keep bbolt from reading a file, before bbolt maps it.
func look(path string, writing bool) error {
	h, err := hold(path)
	if err != nil {
		return err
	}
	defer h.db.Close()
	if h.spoiled != nil { // after a crash, as it should be; else the drive's doing
		slog.Warn("bolt: one of two meta pages is damaged, so the last commit may be missing", "path", path, "error", h.spoiled)
	}
	return guard(func() error {
		// Of a file that was not closed bbolt, too, will look at all pages; who only reads has the time.
		if !writing || h.meta.freelist == noFreelist {
			return damagedBy(h.walkAll())
		}
		return damagedBy(h.walkBranches())
	})
}

// held is a file that is looked at by plain reads while nobody can write to it.
type held struct {
	*inspector
	db *bbolt.DB
}

// hold takes bbolt's shared lock of a file, for which bbolt reads nothing but the meta pages, and looks at
// what the file says of itself.
func hold(path string) (*held, error) {
	db, file, err := openBbolt(path, &bbolt.Options{ReadOnly: true, Timeout: patience, NoStatistics: true, FreelistType: bbolt.FreelistMapType})
	var in *inspector
	switch {
	case err == nil:
		in, err = inspectFile(file)
	case err != errHeld: // bbolt's words say little
		if plain, err2 := os.Open(path); err2 == nil {
			defer plain.Close()
			if _, err2 := inspectFile(plain); err2 != nil {
				err = err2
			}
		}
	}
	if err != nil {
		if db != nil {
			db.Close()
		}
		return nil, err
	}
	return &held{in, db}, nil
}

func inspectFile(file *os.File) (*inspector, error) {
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	return inspect(file, info.Size())
}

func damagedBy(err error) error {
	if err != nil {
		err = fmt.Errorf("is damaged: %w", err)
	}
	return err
}

// refused tells whether bbolt does not take the file, whatever the options.
func refused(err error) bool {
	for _, is := range []error{errHeld, errFault, bbolterrors.ErrInvalid, bbolterrors.ErrVersionMismatch, bbolterrors.ErrChecksum} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// initialMap is the size of the map, 0 where it can't be larger than the file.
func initialMap() int {
	size := int64(mapSize)
	if size > math.MaxInt || runtime.GOOS == "windows" { // which would make the file as large
		return 0
	}
	return int(size)
}

// prepare refuses a file of somebody else's, and lays out one that is empty or of an older version.
func prepare(db *bbolt.DB, c config) error {
	l := newLayout(c.namespace)
	var schema string
	err := view(db, func(tx *bbolt.Tx) (err error) {
		schema, err = l.check(tx, func(bucket string) bool {
			_, _, own := ownBucket(bucket)
			return own && c.namespace != ""
		})
		return err
	})
	switch {
	case err != nil || schema == schemaNow:
		return err
	case c.readOnly && schema == "":
		return errNoStore
	case c.readOnly:
		return nil
	}
	return update(db, l.lay)
}

// closeFile writes the list of free pages, without which opening has to look at all pages, and closes.
func closeFile(db *bbolt.DB, readOnly bool) error {
	var err error
	if !readOnly {
		// The list must not take pages of the last state that is surely on disk, so that has to be the
		// present one first: a commit may have failed.
		if err = update(db, func(*bbolt.Tx) error { return nil }); err == nil {
			db.NoFreelistSync = false
			err = update(db, func(*bbolt.Tx) error { return nil })
		}
	}
	if errors.Is(err, errStuck) {
		return err
	}
	return errors.Join(err, db.Close())
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
