package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

func TestSecret(t *testing.T) {
	plain, generated := NewSecret()
	chosen := Hash("hunter2")
	for _, c := range []struct {
		name   string
		stored Secret
		plain  string
		want   bool
	}{
		{"generated", generated, plain, true},
		{"generated, changed", generated, plain[1:] + "x", false},
		{"generated, empty", generated, "", false},
		{"chosen", chosen, "hunter2", true},
		{"chosen, again", chosen, "hunter2", true},
		{"chosen, wrong", chosen, "hunter3", false},
		{"chosen, empty", chosen, "", false},
		{"nothing stored", "", "", false},
		{"nothing stored, something sent", "", "x", false},
		{"stored in the clear", "hunter2", "hunter2", false},
		{"its own stored form", generated, string(generated), false},
		{"damaged", "pbkdf2:0:AAAAAAAAAAA:AAAA", "x", false},
		{"costlier than any", "pbkdf2:999999999999:AAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAA", "x", false},
	} {
		if got, err := c.stored.Matches(t.Context(), c.plain); got != c.want || err != nil {
			t.Errorf("%s: %t, %v", c.name, got, err)
		}
	}
	if Hash("") != "" || HashGenerated("") != "" {
		t.Error("the hash of nothing is not nothing")
	}
	if Hash("hunter2") == chosen {
		t.Error("the slow hash has no salt")
	}
	var log bytes.Buffer
	slog.New(slog.NewTextHandler(&log, nil)).Info("x", "secret", generated)
	if seen := log.String() + fmt.Sprintf("%v %+v %#v %s", generated, generated, generated, generated); strings.Contains(seen, string(generated)) || !strings.Contains(seen, "[secret]") {
		t.Errorf("a secret prints as %s", seen)
	}
}

// Only the first right try of a chosen secret pays; others wait for their turn, as long as they may.
func TestSlowSecretIsRemembered(t *testing.T) {
	chosen := cheap("remember me")
	if ok, err := chosen.Matches(t.Context(), "remember me"); !ok || err != nil {
		t.Fatal(ok, err)
	}
	for range cap(slow.turns) { // all turns are taken
		slow.turns <- struct{}{}
		defer func() { <-slow.turns }()
	}
	if ok, err := chosen.Matches(t.Context(), "remember me"); !ok || err != nil {
		t.Errorf("a secret that was right before: %t, %v", ok, err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if ok, err := chosen.Matches(ended, "guess"); ok || !errors.Is(err, context.Canceled) {
		t.Errorf("a try that finds no turn: %t, %v", ok, err)
	}
	if len(slow.right) > rememberMost {
		t.Errorf("%d secrets are remembered", len(slow.right))
	}
}

func TestDecoy(t *testing.T) {
	for _, s := range []Secret{cheap("x"), HashGenerated("x")} {
		d := s.Decoy()
		if d.Slow() != s.Slow() || !d.wellFormed() || d == s {
			t.Errorf("the decoy of %q is %q", string(s), string(d))
		}
		if ok, err := d.Matches(t.Context(), "x"); ok || err != nil {
			t.Errorf("a decoy matches: %t, %v", ok, err)
		}
	}
}

func TestTwoLiveSecrets(t *testing.T) {
	c := &Client{ID: "web", Secret: HashGenerated("new"), OldSecret: HashGenerated("old")}
	for secret, want := range map[string]bool{"new": true, "old": true, "other": false, "": false} {
		if c.VerifyPassword(secret) != want {
			t.Errorf("%q: %t", secret, !want)
		}
	}
	public := &Client{ID: "spa", Public: true}
	if !public.VerifyPassword("") || public.VerifyPassword("x") {
		t.Error("a public client proves itself by sending no secret")
	}
	for _, c := range []*Client{public, {ID: "forgotten"}} { // hole 2: wrapped, and compared
		if c.GetSecret() == "" {
			t.Errorf("%s has an empty secret to compare with", c.ID)
		}
	}
}

// Octets have one text: what decodes is what encoding it again gives.
func FuzzDecode(f *testing.F) {
	for _, s := range []string{"", "AA", "AA==", "AB", "AAA\n", "\r\nAAAA", "A-_A", "A+/A", strings.TrimPrefix(string(HashGenerated("abc")), fastForm) + "\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		if b, err := decode(s); err == nil && encode(b) != s {
			t.Errorf("%q decodes, and encodes to %q", s, encode(b))
		}
	})
}
