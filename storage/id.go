package storage

import (
	"crypto/rand"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"time"
)

// ID names a grant. IDs are time-ordered: sorted as bytes they are sorted by the time they were made,
// to a quarter of a microsecond. They have the layout of a version 7 UUID (RFC 9562 5.7) and are no
// secret: every token carries the ID of its grant in the clear.
type ID [16]byte

// NewID returns an ID of the present time with 62 random bits. It is safe for concurrent use.
func NewID() ID {
	var id ID
	rand.Read(id[8:])
	now := time.Now()
	millis, fraction := now.UnixMilli(), now.Nanosecond()%1e6
	binary.BigEndian.PutUint64(id[:8], uint64(millis)<<16|7<<12|uint64(fraction)<<12/1e6)
	id[8] = id[8]&0x3f | 0x80
	return id
}

// IsZero tells whether id is the zero ID, which names no grant.
func (id ID) IsZero() bool { return id == ID{} }

// String returns the usual text of a UUID: 36 characters, lower-case.
func (id ID) String() string {
	text, _ := id.MarshalText()
	return string(text)
}

// ParseID is the inverse of [ID.String]. It accepts exactly what String writes.
func ParseID(s string) (ID, error) {
	var id ID
	err := id.UnmarshalText([]byte(s))
	return id, err
}

// MarshalText implements [encoding.TextMarshaler] with the text of [ID.String].
func (id ID) MarshalText() ([]byte, error) {
	text := make([]byte, 0, 36)
	for i := range id {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			text = append(text, '-')
		}
		text = hex.AppendEncode(text, id[i:i+1])
	}
	return text, nil
}

var errID = errors.New("storage: not a grant ID")

// UnmarshalText implements [encoding.TextUnmarshaler]. It accepts exactly what MarshalText writes.
func (id *ID) UnmarshalText(text []byte) error {
	if len(text) != 36 {
		return errID
	}
	var digits []byte
	for i, c := range text {
		dash := i == 8 || i == 13 || i == 18 || i == 23
		upper := 'A' <= c && c <= 'F'
		if dash != (c == '-') || upper {
			return errID
		}
		if !dash {
			digits = append(digits, c)
		}
	}
	var read ID
	if _, err := hex.Decode(read[:], digits); err != nil {
		return errID
	}
	*id = read
	return nil
}
