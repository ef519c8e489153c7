package storage

import (
	"encoding/binary"
	"errors"
	"math"
	"time"
)

// The binary form of a grant is a version byte and fields in ascending order, each a tag, the length
// of its value and the value. Parts (code, refresh, access) are values made of fields again. A field
// that is zero is left out, a list is the same tag several times. Times and durations are
// milliseconds. A tag is never given a second meaning; a reader that meets one it does not know
// refuses the record, since writing it back would lose what a newer version put there.
const encodingVersion = 1

// MarshalBinary returns the compact form in which a key-value store keeps the grant.
func (g *Grant) MarshalBinary() ([]byte, error) {
	w := make(fields, 0, 320)
	w = append(w, encodingVersion)
	w.bytes(1, g.ID[:])
	w.bytes(2, []byte(g.Client))
	w.bytes(3, []byte(g.User))
	if g.Generation != 0 {
		w.bytes(4, binary.BigEndian.AppendUint64(nil, g.Generation))
	}
	w.bytes(5, []byte(g.Scope))
	w.list(6, g.Audience)
	w.time(7, g.Created)
	w.time(8, g.Expires)
	w.time(9, g.Ended)
	w.number(10, g.AccessLifetime.Milliseconds())
	if c := g.Code; c != nil {
		part := make(fields, 0, 160)
		part.digest(1, c.Digest)
		part.time(2, c.Expires)
		part.bytes(3, []byte(c.RedirectURI))
		if c.RedirectURISent {
			part.number(4, 1)
		}
		part.bytes(5, []byte(c.Challenge))
		part.number(6, int64(c.Tries))
		part.time(7, c.Redeemed)
		w.part(11, part)
	}
	if r := g.Refresh; r != nil {
		part := make(fields, 0, 256)
		part.digest(1, r.Family)
		part.digest(2, r.Current)
		part.time(3, r.Created)
		part.time(4, r.Expires)
		part.time(5, r.Limit)
		part.digest(6, r.Previous)
		part.time(7, r.Rotated)
		part.bytes(8, r.Salt)
		part.digest(9, r.Fingerprint)
		part.time(10, r.RetryUntil)
		part.digest(11, r.Ancestor)
		w.part(12, part)
	}
	for i := range g.Access {
		a := &g.Access[i]
		part := make(fields, 0, 64)
		part.digest(1, a.Digest)
		part.bytes(2, []byte(a.Scope))
		part.list(3, a.Audience)
		part.time(4, a.Created)
		part.time(5, a.Expires)
		w.part(13, part)
	}
	if !g.See.IsZero() {
		w.bytes(14, g.See[:])
	}
	return w, nil
}

var (
	errDamaged = errors.New("storage: damaged grant record")
	errNewer   = errors.New("storage: grant record of a newer version")
)

// UnmarshalBinary reads what MarshalBinary wrote; it keeps nothing of data.
func (g *Grant) UnmarshalBinary(data []byte) error {
	if len(data) == 0 {
		return errDamaged
	}
	if data[0] != encodingVersion {
		return errNewer
	}
	if len(data) == 1 || data[1] != 1 { // every grant has an ID
		return errDamaged
	}
	var read Grant
	err := eachField(data[1:], func(tag uint64, v value) bool {
		switch tag {
		case 1:
			return v.fixed(read.ID[:])
		case 2:
			read.Client = string(v)
		case 3:
			read.User = string(v)
		case 4:
			var b [8]byte
			ok := v.fixed(b[:])
			read.Generation = binary.BigEndian.Uint64(b[:])
			return ok
		case 5:
			read.Scope = string(v)
		case 6:
			read.Audience = append(read.Audience, string(v))
		case 7:
			return v.time(&read.Created)
		case 8:
			return v.time(&read.Expires)
		case 9:
			return v.time(&read.Ended)
		case 10:
			n, ok := v.number(math.MinInt64/1_000_000, math.MaxInt64/1_000_000)
			read.AccessLifetime = time.Duration(n) * time.Millisecond
			return ok
		case 11:
			read.Code = new(Code)
			return read.Code.decode(v)
		case 12:
			read.Refresh = new(Refresh)
			return read.Refresh.decode(v)
		case 13:
			read.Access = append(read.Access, Access{})
			return read.Access[len(read.Access)-1].decode(v)
		case 14:
			return v.fixed(read.See[:])
		default:
			return false
		}
		return true
	}, 6, 13)
	if err != nil {
		return err
	}
	*g = read
	return nil
}

func (c *Code) decode(data value) bool {
	return eachField(data, func(tag uint64, v value) bool {
		switch tag {
		case 1:
			return v.fixed(c.Digest[:])
		case 2:
			return v.time(&c.Expires)
		case 3:
			c.RedirectURI = string(v)
		case 4:
			n, ok := v.number(1, 1)
			c.RedirectURISent = n == 1
			return ok
		case 5:
			c.Challenge = string(v)
		case 6:
			n, ok := v.number(0, math.MaxInt32)
			c.Tries = int(n)
			return ok
		case 7:
			return v.time(&c.Redeemed)
		default:
			return false
		}
		return true
	}) == nil
}

func (r *Refresh) decode(data value) bool {
	return eachField(data, func(tag uint64, v value) bool {
		switch tag {
		case 1:
			return v.fixed(r.Family[:])
		case 2:
			return v.fixed(r.Current[:])
		case 3:
			return v.time(&r.Created)
		case 4:
			return v.time(&r.Expires)
		case 5:
			return v.time(&r.Limit)
		case 6:
			return v.fixed(r.Previous[:])
		case 7:
			return v.time(&r.Rotated)
		case 8:
			r.Salt = append([]byte(nil), v...)
		case 9:
			return v.fixed(r.Fingerprint[:])
		case 10:
			return v.time(&r.RetryUntil)
		case 11:
			return v.fixed(r.Ancestor[:])
		default:
			return false
		}
		return true
	}) == nil
}

func (a *Access) decode(data value) bool {
	return eachField(data, func(tag uint64, v value) bool {
		switch tag {
		case 1:
			return v.fixed(a.Digest[:])
		case 2:
			a.Scope = string(v)
		case 3:
			a.Audience = append(a.Audience, string(v))
		case 4:
			return v.time(&a.Created)
		case 5:
			return v.time(&a.Expires)
		default:
			return false
		}
		return true
	}, 3) == nil
}

// fields is a record or a part of one while it is written.
type fields []byte

func (w *fields) put(tag uint64, v []byte) {
	*w = binary.AppendUvarint(*w, tag)
	*w = binary.AppendUvarint(*w, uint64(len(v)))
	*w = append(*w, v...)
}

func (w *fields) part(tag uint64, v fields) { w.put(tag, v) }

func (w *fields) bytes(tag uint64, v []byte) {
	if len(v) > 0 {
		w.put(tag, v)
	}
}

func (w *fields) list(tag uint64, v []string) {
	for _, s := range v {
		w.put(tag, []byte(s))
	}
}

func (w *fields) digest(tag uint64, d Digest) {
	if !d.IsZero() {
		w.put(tag, d[:])
	}
}

func (w *fields) number(tag uint64, n int64) {
	if n != 0 {
		var b [binary.MaxVarintLen64]byte
		w.put(tag, b[:binary.PutVarint(b[:], n)])
	}
}

func (w *fields) time(tag uint64, t time.Time) {
	if !t.IsZero() {
		var b [binary.MaxVarintLen64]byte
		w.put(tag, b[:binary.PutVarint(b[:], t.UnixMilli())])
	}
}

// eachField calls read for each field of data. A field that read refuses, a tag out of order, or one
// that stands twice without being in lists is damage or of a newer version.
func eachField(data []byte, read func(tag uint64, v value) bool, lists ...uint64) error {
	last := uint64(0)
	for len(data) > 0 {
		tag, n := binary.Uvarint(data)
		if n <= 0 {
			return errDamaged
		}
		data = data[n:]
		size, n := binary.Uvarint(data)
		if n <= 0 || size > uint64(len(data)-n) {
			return errDamaged
		}
		v := value(data[n : n+int(size)])
		data = data[n+int(size):]
		repeats := false
		for _, l := range lists {
			repeats = repeats || l == tag
		}
		if tag < last || tag == last && !repeats || !read(tag, v) {
			return errDamaged
		}
		last = tag
	}
	return nil
}

// value is the value of one field while it is read.
type value []byte

func (v value) fixed(into []byte) bool { return copy(into, v) == len(v) && len(v) == len(into) }

func (v value) number(least, most int64) (int64, bool) {
	n, size := binary.Varint(v)
	return n, size > 0 && size == len(v) && least <= n && n <= most
}

func (v value) time(into *time.Time) bool {
	n, ok := v.number(math.MinInt64, math.MaxInt64)
	*into = time.UnixMilli(n)
	return ok && !into.IsZero()
}
