package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"

	"github.com/ostiary-go/ostiary/storage"
)

// state is what the state file says: how far an import has come.
type state struct {
	Format string `json:"format"`
	mark
	Counts      counts     `json:"counts"`
	Rejects     string     `json:"rejects"`        // path of the reject file
	RejectBytes int64      `json:"reject_bytes"`   // size of it
	Grant       storage.ID `json:"grant,omitzero"` // one that was imported, to tell the database from another one
}

// resume reads the state file and brings the input to where it says. Where that does not fit, for
// another input, say, it begins at the beginning: an import may be repeated, and nothing happens twice.
func resume(ctx context.Context, o options, in input, store storage.Store) (state, error) {
	fresh := state{Format: o.format, Rejects: absolute(o.rejects)}
	s, err := loadState(o.state)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return fresh, nil
	case err == nil:
		err = s.fits(ctx, fresh, in, store)
	}
	switch {
	case errors.Is(err, errUnfit):
		fmt.Fprintf(os.Stderr, "import: %v; starting from the beginning\n", err)
		if err := in.restart(); err != nil {
			return state{}, errors.Join(err, removeState(o.state))
		}
		return fresh, nil
	case err != nil:
		return state{}, err
	}
	fmt.Fprintf(os.Stderr, "import: going on after line %d\n", s.Lines)
	return s, nil
}

// errUnfit is why a state can't be used.
var errUnfit = errors.New("the state file does not fit")

// fits tells whether s is of an import that began as fresh did, and of this input and store, and moves the
// input to where s says.
func (s state) fits(ctx context.Context, fresh state, in input, store storage.Store) error {
	switch {
	case s.Format != fresh.Format:
		return fmt.Errorf("%w: it is of another format", errUnfit)
	case s.Rejects != fresh.Rejects: // what is in it would be cut as if it were this import's
		return fmt.Errorf("%w: it is of another reject file", errUnfit)
	}
	if !s.Grant.IsZero() {
		_, err := store.Grant(ctx, s.Grant)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			return fmt.Errorf("%w: what it says is imported is not in the database", errUnfit)
		case err != nil:
			return err
		}
	}
	for in.mark().Bytes < s.Bytes { // the digest alone is too dear to take at every line
		_, err := in.next()
		if err == io.EOF {
			break
		} else if err = errors.Join(err, ctx.Err()); err != nil {
			return err
		}
	}
	if in.mark() != s.mark {
		return fmt.Errorf("%w: the input is another one", errUnfit)
	}
	return nil
}

func loadState(path string) (s state, err error) {
	data, err := os.ReadFile(path)
	if err != nil {
		return state{}, err
	}
	if err := json.Unmarshal(data, &s); err != nil {
		return state{}, fmt.Errorf("%w: it is damaged", errUnfit)
	}
	return s, nil
}

// save replaces the state file in one step, so that there is a whole one after a crash, too.
func (s state) save(path string) (err error) {
	data, err := json.Marshal(s)
	if err != nil {
		return err
	}
	temporary := path + ".new"
	file, err := os.OpenFile(temporary, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = file.Write(append(data, '\n'))
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return err
	}
	if err := os.Rename(temporary, path); err != nil {
		return err
	}
	return syncFolder(path)
}

// removeState removes the state file, and what a crash may have left beside it.
func removeState(path string) error {
	for _, name := range []string{path, path + ".new"} {
		if err := os.Remove(name); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return syncFolder(path)
}

// syncFolder writes to the disk that a file in the folder was renamed or removed.
func syncFolder(path string) error {
	if runtime.GOOS == "windows" { // has no such thing
		return nil
	}
	folder, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
