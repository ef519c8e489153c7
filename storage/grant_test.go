package storage

import (
	"bytes"
	"encoding/json"
	"testing"
	"time"
)

// full is a grant without a zero field.
func full() *Grant {
	at := time.UnixMilli(1_800_000_000_123)
	d := func(b byte) (d Digest) { d[0], d[31] = b, b; return d }
	return &Grant{
		ID: NewID(), Client: "web", User: "alice", Generation: 1 << 60, Scope: "read write", Audience: []string{"https://a.example", ""},
		Created: at, Expires: at.Add(time.Hour), Ended: at.Add(time.Minute), AccessLifetime: 5 * time.Minute,
		Code: &Code{d(1), at, "https://web.example/cb", true, "challenge", 3, at.Add(1)},
		Refresh: &Refresh{Family: d(2), Current: d(3), Created: at, Expires: at, Limit: at, Previous: d(4), Rotated: at,
			Salt: []byte{1, 2, 3}, Fingerprint: d(5), RetryUntil: at},
		Access: []Access{{d(6), "read", []string{"x"}, at, at}, {d(7), "", nil, at, at}},
	}
}

func TestGrantEncodings(t *testing.T) {
	for name, g := range map[string]*Grant{"full": full(), "least": {ID: NewID(), Client: "web", Created: time.UnixMilli(1)}, "before 1970": {Created: time.UnixMilli(-5)}, "zero": {}} {
		data, err := g.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		var read Grant
		if err := read.UnmarshalBinary(data); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if again, _ := read.MarshalBinary(); !bytes.Equal(again, data) {
			t.Errorf("%s: binary: %x becomes %x", name, data, again)
		}
		text, err := json.Marshal(g)
		if err != nil {
			t.Fatal(err)
		}
		var fromJSON Grant
		if err := json.Unmarshal(text, &fromJSON); err != nil {
			t.Fatal(err)
		}
		if again, _ := fromJSON.MarshalBinary(); !bytes.Equal(again, data) {
			t.Errorf("%s: JSON: %s", name, text)
		}
		for i := range data { // nothing that is cut short is taken for whole, but for where a field ends
			var cut Grant
			if err := cut.UnmarshalBinary(data[:i]); err == nil {
				if again, _ := cut.MarshalBinary(); !bytes.Equal(again, data[:i]) {
					t.Errorf("%s cut at %d reads as another grant", name, i)
				}
			}
		}
		for _, newer := range [][]byte{append([]byte{2}, data[1:]...), append(bytes.Clone(data), 99, 1, 0), append(bytes.Clone(data), 1, 0)} {
			if read.UnmarshalBinary(newer) == nil {
				t.Errorf("%s: a record of a newer version is read", name)
			}
		}
	}
}

func TestCloneSharesNothing(t *testing.T) {
	g := full()
	before, _ := g.MarshalBinary()
	c := g.Clone()
	c.Audience[0], c.Code.Tries, c.Refresh.Salt[0], c.Access[0].Scope, c.Access[0].Audience[0] = "x", 9, 9, "x", "y"
	if after, _ := g.MarshalBinary(); !bytes.Equal(before, after) {
		t.Error("the clone reaches the grant")
	}
}

func TestID(t *testing.T) {
	last := ID{}
	for range 1000 {
		id := NewID()
		if bytes.Compare(id[:7], last[:7]) < 0 || id == last || id[6]>>4 != 7 || id[8]>>6 != 2 {
			t.Fatalf("%s after %s", id, last)
		}
		if read, err := ParseID(id.String()); err != nil || read != id {
			t.Fatalf("%s reads as %s, %v", id, read, err)
		}
		last = id
	}
	s := last.String()
	for _, bad := range []string{"", s[1:], s + "0", "{" + s + "}", s[:35] + "g", s[:35] + "A", s[:8] + "0" + s[9:], s[:9] + "-" + s[10:]} {
		if _, err := ParseID(bad); err == nil {
			t.Errorf("%q is an ID", bad)
		}
	}
}

// Whatever decodes encodes to something that decodes to the same.
func FuzzGrantUnmarshalBinary(f *testing.F) {
	data, _ := full().MarshalBinary()
	least, _ := new(Grant).MarshalBinary()
	for _, seed := range [][]byte{data, least, nil, {1}, {2}, {1, 1, 16}, {1, 6, 0, 6, 0}, {1, 13, 2, 1, 0xff}, append(bytes.Clone(data), data[1:]...), bytes.Repeat([]byte{0xff}, 64)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		var g, again Grant
		if g.UnmarshalBinary(data) != nil {
			return
		}
		first, err := g.MarshalBinary()
		if err != nil {
			t.Fatal(err)
		}
		if err := again.UnmarshalBinary(first); err != nil {
			t.Fatalf("%x reads, and what it encodes to, %x, does not: %v", data, first, err)
		}
		if second, _ := again.MarshalBinary(); !bytes.Equal(first, second) {
			t.Errorf("%x and %x", first, second)
		}
	})
}
