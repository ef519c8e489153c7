package bolt

import (
	"errors"
	"fmt"
)

// findings are what is wrong with a file, as far as anybody wants to know.
type findings struct {
	most int
	all  []error
}

func (f *findings) add(format string, args ...any) {
	switch {
	case len(f.all) < f.most:
		f.all = append(f.all, fmt.Errorf(format, args...))
	case len(f.all) == f.most && f.most > 1:
		f.all = append(f.all, errors.New("and more"))
	}
}

// full tells that looking on is of no use.
func (f *findings) full() bool { return len(f.all) >= f.most }

func (f *findings) err() error { return errors.Join(f.all...) }
