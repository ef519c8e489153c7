package storage

import (
	"context"
	"crypto/pbkdf2"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"log/slog"
	"strconv"
	"strings"
)

// Secret is the stored form of a client's secret: a hash from which the secret can't be told. The
// empty Secret matches nothing. A Secret prints as "[secret]".
type Secret string

// The two stored forms are "sha256:" and the digest, and "pbkdf2:" and rounds, salt and key of
// PBKDF2-HMAC-SHA256 (RFC 8018 5.2), separated by colons; all octets in Base64url without padding.
const (
	fastForm   = "sha256:"
	slowForm   = "pbkdf2:"
	slowRounds = 600_000
	slowMost   = 10_000_000 // more rounds than that are a mistake or an attack
)

// Hash returns the stored form of a secret that a person may have chosen. It is slow by intent, about
// a tenth of a second, and salted: 600,000 rounds of PBKDF2-HMAC-SHA256. The hash of "" is "", which
// matches nothing, so that a forgotten environment variable can't become an open door.
func Hash(chosen string) Secret {
	if chosen == "" {
		return ""
	}
	salt := make([]byte, 16)
	rand.Read(salt)
	key := slowKey(chosen, salt, slowRounds, sha256.Size)
	return Secret(slowForm + strconv.Itoa(slowRounds) + ":" + encode(salt) + ":" + encode(key))
}

// HashGenerated returns the stored form of a secret made of at least 256 random bits, such as
// [NewSecret] makes: one SHA-256, so that checking it costs nothing. Never use it for anything a
// person may have chosen; whoever reads the file would find that by trying. The hash of "" is "".
func HashGenerated(random string) Secret {
	if random == "" {
		return ""
	}
	sum := sha256.Sum256([]byte(random))
	return Secret(fastForm + encode(sum[:]))
}

// NewSecret makes a secret of 256 random bits and its stored form. Show plain once and keep it
// nowhere. It consists of letters, digits, "-" and "_", which no encoding alters: many clients leave
// out the form-encoding that RFC 6749 2.3.1 asks for in Basic credentials.
func NewSecret() (plain string, stored Secret) {
	plain = encode(randomKey())
	return plain, HashGenerated(plain)
}

// Matches tells, in time that does not depend on how much of plain is right, whether s is the stored
// form of plain. The empty Secret and the empty plain match nothing.
//
// A slow hash is computed only for the first right try: later ones are recognised by a keyed hash
// that is remembered in memory. Concurrent slow computations are bounded by the number of processors;
// Matches waits for its turn until ctx ends and then returns ctx.Err().
func (s Secret) Matches(ctx context.Context, plain string) (bool, error) {
	if plain == "" {
		return false, nil
	}
	switch {
	case strings.HasPrefix(string(s), fastForm):
		want := HashGenerated(plain)
		return subtle.ConstantTimeCompare([]byte(s), []byte(want)) == 1, nil
	case strings.HasPrefix(string(s), slowForm):
		return slow.matches(ctx, s, plain)
	}
	return false, nil
}

// Slow tells whether checking a wrong try against s costs the slow hash of [Hash].
func (s Secret) Slow() bool { return strings.HasPrefix(string(s), slowForm) }

// wellFormed tells whether s is a stored form at all, and not a secret in the clear.
func (s Secret) wellFormed() bool {
	if digest, ok := strings.CutPrefix(string(s), fastForm); ok {
		b, err := decode(digest)
		return err == nil && len(b) == sha256.Size
	}
	_, _, _, ok := s.slowParts()
	return ok
}

func (s Secret) slowParts() (rounds int, salt, key []byte, ok bool) {
	parts := strings.Split(strings.TrimPrefix(string(s), slowForm), ":")
	if !s.Slow() || len(parts) != 3 {
		return 0, nil, nil, false
	}
	rounds, err1 := strconv.Atoi(parts[0])
	salt, err2 := decode(parts[1])
	key, err3 := decode(parts[2])
	ok = err1 == nil && err2 == nil && err3 == nil && 0 < rounds && rounds <= slowMost && len(salt) >= 8 && len(key) >= 16
	return rounds, salt, key, ok
}

// String returns "[secret]".
func (s Secret) String() string { return "[secret]" }

// GoString returns "[secret]".
func (s Secret) GoString() string { return "[secret]" }

// LogValue implements [slog.LogValuer] with "[secret]".
func (s Secret) LogValue() slog.Value { return slog.StringValue("[secret]") }

func slowKey(plain string, salt []byte, rounds, size int) []byte {
	key, err := pbkdf2.Key(sha256.New, plain, salt, rounds, size)
	if err != nil {
		panic(err) // only for sizes and salts that FIPS 140 forbids, which none of ours are
	}
	return key
}

func encode(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func decode(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err == nil && encode(b) != s { // it skips line ends
		err = base64.CorruptInputError(len(s))
	}
	return b, err
}

// Decoy returns a stored form that costs as much to try as s and matches nothing. Trying it for a
// client that does not exist keeps the time of the answer from telling so.
func (s Secret) Decoy() Secret {
	nobodys := encode(randomKey())
	if rounds, salt, _, ok := s.slowParts(); ok {
		return Secret(slowForm + strconv.Itoa(rounds) + ":" + encode(salt) + ":" + nobodys)
	}
	return Secret(fastForm + nobodys)
}

func randomKey() []byte {
	key := make([]byte, sha256.Size)
	rand.Read(key)
	return key
}
