package bolt

import (
	"errors"
	"fmt"
	"runtime/debug"

	"go.etcd.io/bbolt"
)

// errFault is in what guard returns.
var errFault = errors.New("the file is damaged, or can't be read any more")

// guard runs do, and returns as an error what goes wrong in bbolt where the file is not as it should be: it
// panics, and its map ends where the file does or the drive fails.
func guard(do func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		switch p := recover().(type) {
		case nil:
		case fault:
			err = p
		default:
			err = fault{fmt.Errorf("bbolt: %w: %v", errFault, p)}
		}
	}()
	return do()
}

// fault is an error that is also a panic's value, by which it passes through a change of a caller's.
type fault struct{ error }

func (f fault) Unwrap() error { return f.error }

func view(db *bbolt.DB, read func(*bbolt.Tx) error) error {
	return guard(func() error { return db.View(read) })
}

// update is bbolt's, but for what it does after a panic: that looks at all pages in a goroutine of its own.
func update(db *bbolt.DB, write func(*bbolt.Tx) error) error {
	tx, err := begin(db)
	if err != nil {
		return err
	}
	err = guard(func() error {
		if err := write(tx); err != nil {
			return err
		}
		return tx.Commit()
	})
	return errors.Join(err, rollback(tx))
}

func begin(db *bbolt.DB) (tx *bbolt.Tx, err error) {
	err = guard(func() error {
		tx, err = db.Begin(true)
		return err
	})
	return tx, err
}

// errStuck says that bbolt could not end a transaction: it keeps its lock, and must not be asked for
// another one, nor to close.
var errStuck = fmt.Errorf("%w: nothing can be written before it is opened anew", errFault)

// rollback ends a transaction; after a commit it is nothing.
func rollback(tx *bbolt.Tx) error {
	if errors.Is(guard(tx.Rollback), errFault) {
		return errStuck
	}
	return nil
}
