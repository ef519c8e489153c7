package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
)

// reject says that a line was not imported, and why. It never holds anything of the line: there may be
// tokens in it.
type reject struct {
	Line   int64  `json:"line"`
	Reason string `json:"reason"`
}

// rejects is the reject file: JSON, one object a line.
type rejects struct {
	file *os.File
	size int64
}

// openRejects opens the file and cuts it to what an earlier run had recorded of it. What stands in it
// although nothing was recorded is another import's, and is moved aside.
func openRejects(path string, size int64) (*rejects, error) {
	if info, err := os.Stat(path); err == nil && size == 0 && info.Size() > 0 && info.Mode().IsRegular() {
		aside := path + info.ModTime().UTC().Format(".20060102T150405.000Z")
		if err := os.Rename(path, aside); err != nil {
			return nil, err
		}
		fmt.Fprintf(os.Stderr, "import: what was in %s is in %s now\n", path, aside)
	}
	file, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	info, err := file.Stat()
	if err == nil {
		size = min(size, info.Size()) // somebody may have cut it himself
		err = file.Truncate(size)
	}
	if err != nil {
		file.Close()
		return nil, err
	}
	return &rejects{file: file, size: size}, nil
}

// append writes them to the disk and returns how large the file is then.
func (r *rejects) append(some []reject) (int64, error) {
	if len(some) == 0 {
		return r.size, nil
	}
	var b bytes.Buffer
	for _, one := range some {
		if err := json.NewEncoder(&b).Encode(one); err != nil {
			return r.size, err
		}
	}
	if _, err := r.file.WriteAt(b.Bytes(), r.size); err != nil {
		return r.size, err
	}
	r.size += int64(b.Len())
	return r.size, r.file.Sync()
}

// finish removes the file if there is nothing in it.
func (r *rejects) finish() error {
	if r.size > 0 {
		return nil
	}
	return os.Remove(r.file.Name())
}

// Close closes the file.
func (r *rejects) Close() error { return r.file.Close() }
