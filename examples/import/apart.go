package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// apart refuses files that are one and the same, of which the one would be written over the other. The
// path of standard input is "".
func apart(files map[string]string) error {
	names := slices.Sorted(maps.Keys(files))
	for i, name := range names {
		for _, other := range names[:i] {
			if same(files[name], files[other]) {
				return fmt.Errorf("%s and %s are the same file", other, name)
			}
		}
	}
	return nil
}

func same(a, b string) bool {
	if a != "" && b != "" && absolute(a) == absolute(b) { // neither may be there yet
		return true
	}
	infoA, err1 := stat(a)
	infoB, err2 := stat(b)
	return err1 == nil && err2 == nil && os.SameFile(infoA, infoB)
}

// absolute is the path from the root on, without symbolic links among its folders.
func absolute(path string) string {
	if whole, err := filepath.Abs(path); err == nil {
		path = whole
	}
	if folder, err := filepath.EvalSymlinks(filepath.Dir(path)); err == nil {
		path = filepath.Join(folder, filepath.Base(path))
	}
	return path
}

func stat(path string) (os.FileInfo, error) {
	if path == "" {
		return os.Stdin.Stat()
	}
	return os.Stat(path)
}

// lifetime is a flag: a duration, or unlimited.
type lifetime time.Duration

// String implements [flag.Value].
func (l *lifetime) String() string {
	if *l == lifetime(storage.Unlimited) {
		return "unlimited"
	}
	return time.Duration(*l).String()
}

// Set implements [flag.Value].
func (l *lifetime) Set(s string) error {
	if s == "unlimited" {
		*l = lifetime(storage.Unlimited)
		return nil
	}
	d, err := time.ParseDuration(s)
	if err == nil && d < time.Second {
		err = fmt.Errorf("%v is too short", d)
	}
	*l = lifetime(d)
	return err
}
