package grants

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"

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
// damaged token names no grant.
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
	opaqueBytes  = 16 + 32 + 4
	opaqueText   = (opaqueBytes*8 + 5) / 6 // characters
	opaquePrefix = 5                       // "osta_"
)

var opaqueBase64 = base64.RawURLEncoding.Strict()

func opaquePrefixOf(kind Kind) [opaquePrefix]byte {
	return [opaquePrefix]byte{'o', 's', 't', byte(kind), '_'}
}

func (opaque) Encode(kind Kind, id storage.ID, secret [32]byte) string {
	prefix := opaquePrefixOf(kind)
	body := make([]byte, 0, opaqueBytes)
	body = append(body, id[:]...)
	body = append(body, secret[:]...)
	body = binary.BigEndian.AppendUint32(body, opaqueChecksum(prefix, body))
	return string(opaqueBase64.AppendEncode(prefix[:], body))
}

func (opaque) Decode(token string) (kind Kind, id storage.ID, secret [32]byte, ok bool) {
	if len(token) != opaquePrefix+opaqueText {
		return 0, id, secret, false
	}
	kind = Kind(token[3])
	prefix := opaquePrefixOf(kind)
	if token[:opaquePrefix] != string(prefix[:]) || kind != AccessKind && kind != RefreshKind && kind != CodeKind {
		return 0, id, secret, false
	}
	var text [opaqueText]byte
	copy(text[:], token[opaquePrefix:])
	var body [opaqueBytes]byte
	n, err := opaqueBase64.Decode(body[:], text[:]) // which skips line ends
	if err != nil || n != len(body) {
		return 0, id, secret, false
	}
	if binary.BigEndian.Uint32(body[48:]) != opaqueChecksum(prefix, body[:48]) {
		return 0, id, secret, false
	}
	return kind, storage.ID(body[:16]), [32]byte(body[16:48]), true
}

func opaqueChecksum(prefix [opaquePrefix]byte, body []byte) uint32 {
	return crc32.Update(crc32.ChecksumIEEE(prefix[:]), crc32.IEEETable, body)
}

// token is a token that was presented: one of this server's shape or, if imported, one of an older
// system, of which nothing is known but the string.
type token struct {
	kind     Kind       // UnknownKind if it can't be told
	id       storage.ID // of the record to look for
	secret   []byte     // 32 octets; of an imported token, the string
	imported bool
}

// native is a token of this server's.
func native(kind Kind, id storage.ID, secret [32]byte) token {
	return token{kind: kind, id: id, secret: secret[:]}
}

// is tells whether t may be of that kind.
func (t token) is(kind Kind) bool { return t.kind == kind || t.kind == UnknownKind }

// digest is what a record keeps of t where it is of that kind.
func (t token) digest(kind Kind) storage.Digest {
	if t.imported {
		return sha256.Sum256(t.secret)
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
	if t.imported {
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

// text is t as a token of that kind.
func (m *Manager) text(kind Kind, t token) string {
	if t.imported {
		return string(t.secret)
	}
	return m.encoding.Encode(kind, t.id, [32]byte(t.secret))
}
