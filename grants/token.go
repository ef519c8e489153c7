package grants

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"sync"

	"github.com/ostiary-go/ostiary/storage"
)

// Kind says what a token is for. The digest of a secret depends on it, so that no token passes as one
// of another kind.
type Kind byte

// The kinds of tokens. An [Encoding] whose shape does not tell returns UnknownKind.
const (
	UnknownKind Kind = 0
	AccessKind  Kind = 'a'
	RefreshKind Kind = 'r'
	CodeKind    Kind = 'c'

	familyKind Kind = 'f' // what the refresh tokens of one grant have in common; never a token
)

// Encoding is the shape of tokens: how the kind, the ID of the grant and 32 secret octets become a
// string. It is pure and safe for concurrent use.
//
// Decode accepts exactly the strings that Encode returns, so that one token is one string, and says
// whether token is one. A shape without room for the kind returns UnknownKind: then the digest that
// matches decides. A shape without a checksum should mask the ID with a hash of the secret, so that a
// damaged token names no grant. Refresh tokens of one grant have the first half of the secret in common; a
// shape that is not to show it masks that too.
type Encoding interface {
	Encode(kind Kind, id storage.ID, secret [32]byte) string
	Decode(token string) (kind Kind, id storage.ID, secret [32]byte, ok bool)
}

// opaque is the default shape:
//
//	"ost" kind "_" Base64url( ID 16, secret 32, CRC-32 of all before it 4 )
//
// Secret scanners find it by its prefix, and garbage is told from a token without asking the store.
type opaque struct{}

const (
	opaquePrefix = len("osta_")
	opaqueBody   = 16 + 32 // ID and secret
	opaqueBytes  = opaquePrefix + opaqueBody + crc32.Size
	opaqueText   = opaquePrefix + ((opaqueBody+crc32.Size)*8+5)/6 // characters
)

var opaqueBase64 = base64.RawURLEncoding.Strict()

func (opaque) Encode(kind Kind, id storage.ID, secret [32]byte) string {
	b := make([]byte, 0, opaqueBytes)
	b = append(b, 'o', 's', 't', byte(kind), '_')
	b = append(b, id[:]...)
	b = append(b, secret[:]...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b))
	return string(opaqueBase64.AppendEncode(b[:opaquePrefix:opaquePrefix], b[opaquePrefix:]))
}

// scratch is what Decode works on. Made anew each time it would go to the heap.
type scratch struct {
	octets [opaqueBytes]byte
	text   [opaqueText - opaquePrefix]byte
}

var scratches = sync.Pool{New: func() any { return new(scratch) }}

func (opaque) Decode(token string) (kind Kind, id storage.ID, secret [32]byte, ok bool) {
	if len(token) != opaqueText || token[:3] != "ost" || token[4] != '_' {
		return 0, id, secret, false
	}
	kind = Kind(token[3])
	if kind != AccessKind && kind != RefreshKind && kind != CodeKind {
		return 0, id, secret, false
	}
	s := scratches.Get().(*scratch)
	defer scratches.Put(s)
	octets := s.octets[:]
	copy(octets, token)
	copy(s.text[:], token[opaquePrefix:])
	n, err := opaqueBase64.Decode(octets[opaquePrefix:], s.text[:]) // which skips line ends
	sum := len(octets) - crc32.Size
	if err != nil || n != len(octets)-opaquePrefix || binary.BigEndian.Uint32(octets[sum:]) != crc32.ChecksumIEEE(octets[:sum]) {
		return 0, id, secret, false
	}
	return kind, storage.ID(octets[opaquePrefix:]), [32]byte(octets[opaquePrefix+16:]), true
}

// token is a token that was presented: one of this server's shape or, if imported, one of an older
// system, of which nothing is known but the string.
type token struct {
	kind     Kind       // UnknownKind if it can't be told
	id       storage.ID // of the record to look for
	secret   []byte     // 32 octets; of an imported token, the string
	imported bool
	signed   bool // its secret is the digest, by the signature of this server
}

// native is a token of this server's.
func native(kind Kind, id storage.ID, secret [32]byte) token {
	return token{kind: kind, id: id, secret: secret[:]}
}

// is tells whether t may be of that kind.
func (t token) is(kind Kind) bool { return t.kind == kind || t.kind == UnknownKind }

// digest is what a record keeps of t where it is of that kind.
func (t token) digest(kind Kind) storage.Digest {
	switch {
	case t.imported:
		return sha256.Sum256(t.secret)
	case t.signed && kind == AccessKind:
		return storage.Digest(t.secret)
	}
	return digest(kind, t.secret)
}

// digest is what a record keeps of a secret: SHA-256(kind ‖ secret), one block of it.
func digest(kind Kind, secret []byte) storage.Digest {
	var in [33]byte
	in[0] = byte(kind)
	return sha256.Sum256(in[:1+copy(in[1:], secret)])
}

// A refresh secret is 16 octets of the family, drawn once a grant, and 16 of its own.
func familyOf(secret [32]byte) storage.Digest { return digest(familyKind, secret[:16]) }

// family is the digest of the family of a refresh token. An imported one has none: the zero Digest.
func (t token) family() storage.Digest {
	if t.imported || t.signed {
		return storage.Digest{}
	}
	return digest(familyKind, t.secret[:16])
}

// imported is s as a token of an older system: its record is named by the first half of its SHA-256.
func imported(s string) token {
	return token{id: importedID(sha256.Sum256([]byte(s))), secret: []byte(s), imported: true}
}

func importedID(d storage.Digest) storage.ID { return storage.ID(d[:16]) }

// readings are what s may be, the likelier first: a token of this server's shape and of one of kinds,
// and one of an older system, if imported ones are looked for.
func (m *Manager) readings(s string, kinds ...Kind) []token {
	readings := make([]token, 0, 2)
	kind, id, secret, ok := m.encoding.Decode(s)
	if ok && (kind == UnknownKind || slices.Contains(kinds, kind)) {
		readings = append(readings, native(kind, id, secret))
	}
	if m.importedTokens && s != "" {
		readings = append(readings, imported(s))
	}
	return readings
}

// accessReadings are what s may be as an access token, or as a token of one of the other kinds: a signed
// one, too. The error is that of the store.
func (m *Manager) accessReadings(ctx context.Context, s string, others ...Kind) ([]token, error) {
	readings := m.readings(s, append(others, AccessKind)...)
	if m.signed == nil {
		return readings, nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	t, ok, err := m.signed.read(ctx, s)
	if ok {
		readings = append(readings, t)
	}
	return readings, err
}

// text is t as a token of that kind.
func (m *Manager) text(kind Kind, t token) string {
	if t.imported {
		return string(t.secret)
	}
	return m.encoding.Encode(kind, t.id, [32]byte(t.secret))
}
