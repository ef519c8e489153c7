package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"hash"
	"io"
	"os"
)

// input is the records of an older system, one after the other, always in the same order.
type input interface {
	// next returns the next record, and io.EOF after the last one.
	next() (record, error)

	// mark is the place after what next has returned.
	mark() mark

	// restart goes back to the beginning, or returns errNoRestart.
	restart() error

	// size is how many bytes there are in all, or 0 where that is not known.
	size() int64
}

// record is one thing to import. What it stands for is made of text alone.
type record struct {
	line  int64  // its number, from 1
	text  []byte // its JSON
	bytes int64  // that it takes in the input
	wrong string // why it can't be imported, where that is clear without a look into text
}

// mark is a place in an input: how far it is from the beginning, and a digest of all before it.
type mark struct {
	Bytes  int64  `json:"bytes"`
	Lines  int64  `json:"lines"`
	SHA256 string `json:"sha256"`
}

// odometer keeps the mark of an input.
type odometer struct {
	bytes, lines int64
	hash         hash.Hash
}

func newOdometer() odometer { return odometer{hash: sha256.New()} }

func (o *odometer) read(b []byte) {
	o.bytes += int64(len(b))
	o.hash.Write(b)
}

func (o *odometer) mark() mark {
	return mark{Bytes: o.bytes, Lines: o.lines, SHA256: hex.EncodeToString(o.hash.Sum(nil))}
}

var errNoRestart = errors.New("the input can not be read twice")

// rest is how many bytes of a regular file are left to read, and where they begin; ok is false for a
// pipe or a terminal.
func rest(f *os.File) (start, left int64, ok bool) {
	info, err := f.Stat()
	if err != nil || !info.Mode().IsRegular() {
		return 0, 0, false
	}
	start, err = f.Seek(0, io.SeekCurrent)
	return start, info.Size() - start, err == nil
}
