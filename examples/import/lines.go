package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"os"
)

// maxLine is the longest line that is looked at. A longer one is rejected, and never held in memory.
const maxLine = 1 << 20

// lines is an input with one record a line. Empty lines are counted and nothing else; the last line
// may lack its end, and an end may be CR LF.
type lines struct {
	odometer
	file  *os.File
	r     *bufio.Reader
	start int64 // where the input begins in file; -1: it can't be read twice
	total int64
}

func openLines(f *os.File, size int64) (input, error) {
	in := &lines{odometer: newOdometer(), file: f, r: bufio.NewReaderSize(f, 1<<16), start: -1, total: size}
	if start, left, ok := rest(f); ok {
		in.start, in.total = start, left
	}
	return in, nil
}

func (in *lines) size() int64 { return in.total }

func (in *lines) restart() error {
	switch {
	case in.bytes == 0:
		return nil
	case in.start < 0:
		return errNoRestart
	}
	if _, err := in.file.Seek(in.start, io.SeekStart); err != nil {
		return err
	}
	in.r.Reset(in.file)
	in.odometer = newOdometer()
	return nil
}

func (in *lines) next() (record, error) {
	from := in.bytes
	for {
		text, fits, err := in.line()
		if err != nil {
			return record{}, err
		}
		in.lines++
		rec := record{line: in.lines, text: text, bytes: in.bytes - from}
		switch {
		case !fits:
			rec.text, rec.wrong = nil, fmt.Sprintf("longer than %d bytes", maxLine)
		case len(bytes.TrimSpace(text)) == 0:
			continue
		}
		return rec, nil
	}
}

// line reads a line without its end. It fits if it is no longer than maxLine.
func (in *lines) line() (text []byte, fits bool, err error) {
	fits = true
	for {
		part, err := in.r.ReadSlice('\n')
		in.read(part)
		if fits {
			text = append(text, part...)
			fits = len(text) <= maxLine+len("\r\n")
		}
		switch {
		case err == bufio.ErrBufferFull:
			continue
		case err == io.EOF && (len(part) > 0 || len(text) > 0 || !fits):
		case err != nil:
			return nil, false, err
		}
		text = bytes.TrimSuffix(bytes.TrimSuffix(text, []byte("\n")), []byte("\r"))
		return text, fits && len(text) <= maxLine, nil
	}
}
