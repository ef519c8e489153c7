package bolt

import (
	"errors"
	"fmt"
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
	options := &bbolt.Options{
		Timeout:         patience,
		FreelistType:    bbolt.FreelistMapType,
		NoFreelistSync:  true, // with it bbolt writes nothing while it opens, and less at each commit
		NoStatistics:    true,
		InitialMmapSize: initialMap(),
		ReadOnly:        c.readOnly,
	}
	db, err := bbolt.Open(path, 0o600, options)
	if err != nil && options.InitialMmapSize > 0 && !refused(err) { // address space may be limited
		options.InitialMmapSize = 0
		db, err = bbolt.Open(path, 0o600, options)
	}
	switch {
	case errors.Is(err, bbolterrors.ErrTimeout):
		return nil, errors.New("is held by another process")
	case refused(err):
		return nil, fmt.Errorf("is no bbolt file, or a damaged one: %w", err)
	case err != nil:
		return nil, err
	}
	db.AllocSize = growBy
	if err := prepare(db, c, false); err != nil {
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

// refused tells whether bbolt does not take the file, whatever the options.
func refused(err error) bool {
	for _, is := range []error{bbolterrors.ErrTimeout, bbolterrors.ErrInvalid, bbolterrors.ErrVersionMismatch, bbolterrors.ErrChecksum} {
		if errors.Is(err, is) {
			return true
		}
	}
	return false
}

// initialMap is the size of the map, 0 where it can't be larger than the file.
func initialMap() int {
	if math.MaxInt < mapSize || runtime.GOOS == "windows" { // which would make the file as large
		return 0
	}
	return mapSize
}

// prepare refuses a file of somebody else's, and lays out one that is empty or of an older version.
func prepare(db *bbolt.DB, c config, shared bool) error {
	l := newLayout(c.namespace)
	var schema string
	err := db.View(func(tx *bbolt.Tx) (err error) {
		schema, err = l.check(tx, shared || c.namespace != "")
		return err
	})
	switch {
	case err != nil || schema == schemaNow:
		return err
	case c.readOnly && schema == "":
		return errors.New("has no store in it")
	case c.readOnly:
		return nil
	}
	return db.Update(l.lay)
}

// closeFile writes the list of free pages, without which opening has to look at all pages, and closes.
func closeFile(db *bbolt.DB, readOnly bool) error {
	var err error
	if !readOnly {
		db.NoFreelistSync = false
		err = db.Update(func(*bbolt.Tx) error { return nil })
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
