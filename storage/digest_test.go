package storage

import (
	"crypto/sha256"
	"strings"
	"testing"
)

func TestDigest(t *testing.T) {
	a, zero := Digest(sha256.Sum256([]byte("a"))), Digest{}
	b := a
	b[31] ^= 1
	if !a.Is(a) || a.Is(b) || b.Is(a) || a.Is(zero) || zero.Is(a) {
		t.Error("digests are not compared as a whole")
	}
	if zero.Is(zero) || !zero.IsZero() || a.IsZero() {
		t.Error("the zero digest stands for no secret and equals nothing")
	}
	text, err := a.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	var read Digest
	if err := read.UnmarshalText(text); err != nil || read != a {
		t.Errorf("%s reads as %v, %v", text, read, err)
	}
	s := string(text)
	for _, bad := range []string{"", s[1:], s + "A", s + "=", s[:42] + "_", strings.Replace(s, s[:1], "+", 1), s + "\n", s[:9] + "\r\n" + s[9:]} {
		if read.UnmarshalText([]byte(bad)) == nil {
			t.Errorf("%q is a digest", bad)
		}
	}
	if read != a {
		t.Error("what was refused altered the digest")
	}
}
