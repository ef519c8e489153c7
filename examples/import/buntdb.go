package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/go-oauth2/oauth2/v4/models"
)

// buntDB is the file of go-oauth2's store.NewFileTokenStore as an input: its tokens in the order of
// their keys. It is held in memory, as buntdb itself does.
//
// Under each token of a record go-oauth2 keeps an entry that names the record. It removes a token, when
// it is refreshed or revoked, by removing that entry alone and leaves the record until it expires; so
// the token of a record counts only if it has its entry.
type buntDB struct {
	odometer
	entries map[string]string
	keys    []string // of the records, sorted
	at      int
	total   int64
}

func openBuntDB(f *os.File, _ int64) (input, error) {
	entries, torn, err := readBuntDB(f)
	if err != nil {
		return nil, err
	}
	if torn {
		fmt.Fprintln(os.Stderr, "import: the file ends within an entry, as after a crash; all before it is read")
	}
	return newBuntDB(entries), nil
}

func newBuntDB(entries map[string]string) *buntDB {
	in := &buntDB{odometer: newOdometer(), entries: entries}
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		if strings.HasPrefix(entries[key], "{") { // else it names a record
			in.keys = append(in.keys, key)
			in.total += int64(len(key) + len(entries[key]))
		}
	}
	return in
}

func (in *buntDB) size() int64 { return in.total }

func (in *buntDB) restart() error {
	in.at, in.odometer = 0, newOdometer()
	return nil
}

func (in *buntDB) next() (record, error) {
	if in.at == len(in.keys) {
		return record{}, io.EOF
	}
	key := in.keys[in.at]
	value := in.entries[key]
	in.at++
	in.lines++
	in.read([]byte(key))
	in.read([]byte(value))
	return record{line: in.lines, text: in.alive(key, value), bytes: int64(len(key) + len(value))}, nil
}

// alive is the record without the tokens that go-oauth2 has removed. Expired ones may have lost their
// entry by that alone, and stay.
func (in *buntDB) alive(key, value string) []byte {
	var t models.Token
	if json.Unmarshal([]byte(value), &t) != nil {
		return []byte(value) // the parser will say what is wrong
	}
	now, changed := time.Now(), false
	for _, token := range []struct {
		value *string
		end   time.Time
	}{{&t.Access, accessEnd(&t)}, {&t.Refresh, refreshEnd(&t)}} {
		if *token.value != "" && in.entries[*token.value] != key && (token.end.IsZero() || now.Before(token.end)) {
			*token.value, changed = "", true
		}
	}
	if !changed {
		return []byte(value)
	}
	text, err := json.Marshal(t)
	if err != nil { // it was just read
		panic(err)
	}
	return text
}

// errBuntDB is what is wrong with an input that is no file of buntdb's.
var errBuntDB = errors.New("this is no file of buntdb's, or a damaged one")

// readBuntDB reads a file of buntdb's: commands in the form of Redis' append-only file, each an array
// of strings, to set a key, to delete one, or to delete all. Unlike buntdb's own Load it does not look
// at lifetimes, which in some versions count from the file's time on the disk: the records say
// themselves when they end, and they come in the same order whenever they are read. torn says that the
// last command is not whole.
func readBuntDB(r io.Reader) (entries map[string]string, torn bool, err error) {
	entries = make(map[string]string)
	in := bufio.NewReaderSize(r, 1<<16)
	for {
		command, err := readCommand(in)
		switch {
		case err == io.EOF:
			return entries, false, nil
		case err == io.ErrUnexpectedEOF:
			return entries, true, nil
		case err != nil:
			return nil, false, err
		}
		switch name := strings.ToLower(command[0]); {
		case name == "set" && (len(command) == 3 || len(command) == 5):
			entries[command[1]] = command[2]
		case name == "del" && len(command) == 2:
			delete(entries, command[1])
		case name == "flushdb" && len(command) == 1:
			clear(entries)
		default:
			return nil, false, errBuntDB
		}
	}
}

// readCommand reads "*2\r\n$3\r\ndel\r\n$1\r\nk\r\n". The error is io.EOF between commands and
// io.ErrUnexpectedEOF within one.
func readCommand(r *bufio.Reader) ([]string, error) {
	for { // buntdb steps over what a crash can leave between commands
		c, err := r.ReadByte()
		if err != nil {
			return nil, err
		}
		if c != 0 {
			break
		}
	}
	r.UnreadByte()
	n, err := readLength(r, '*', 5)
	if err != nil {
		return nil, err
	}
	if n == 0 {
		return nil, errBuntDB
	}
	command := make([]string, n)
	for i := range command {
		size, err := readLength(r, '$', maxLine)
		if err != nil {
			return nil, err
		}
		b := make([]byte, size+len("\r\n"))
		if _, err := io.ReadFull(r, b); err == io.EOF {
			return nil, io.ErrUnexpectedEOF
		} else if err != nil {
			return nil, err
		}
		command[i] = string(b[:size])
	}
	return command, nil
}

// readLength reads a line that is a sign and a number.
func readLength(r *bufio.Reader, sign byte, most int) (int, error) {
	b, err := r.ReadSlice('\n')
	switch {
	case err == io.EOF:
		return 0, io.ErrUnexpectedEOF
	case err == bufio.ErrBufferFull:
		return 0, errBuntDB
	case err != nil:
		return 0, err
	}
	n, err := strconv.Atoi(strings.TrimSuffix(string(b[1:]), "\r\n"))
	if b[0] != sign || err != nil || n < 0 || n > most {
		return 0, errBuntDB
	}
	return n, nil
}
