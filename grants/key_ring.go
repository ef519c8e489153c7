package grants

import (
	"bytes"
	"crypto"
	"crypto/aes"
	"crypto/cipher"
	"crypto/x509"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// ring is what the store keeps of the keys, the oldest first. Which of them signs is decided by the clock:
// the last whose time has come. The one after it is the next, those before it are retired.
type ring []ringKey

type ringKey struct {
	Algorithm string    `json:"alg"`
	Private   []byte    `json:"private,omitempty"` // PKCS #8; gone once it is retired
	Public    []byte    `json:"public"`            // PKIX
	Created   time.Time `json:"created"`
	From      time.Time `json:"from"` // when it signs
}

// spare makes a key for a ring, which no change may do: it takes too long.
func spare(algorithm string) (k ringKey, err error) {
	signer, err := methodOf(algorithm).generate()
	if err != nil {
		return k, err
	}
	k.Algorithm = algorithm
	if k.Private, err = x509.MarshalPKCS8PrivateKey(signer); err == nil {
		k.Public, err = x509.MarshalPKIXPublicKey(signer.Public())
	}
	return k, err
}

// key is k as it is used.
func (k ringKey) key() (*signingKey, error) {
	public, err := x509.ParsePKIXPublicKey(k.Public)
	if err != nil {
		return nil, errors.New("grants: the ring has a public key that can't be read")
	}
	var signer crypto.Signer
	if k.Private != nil {
		private, err := x509.ParsePKCS8PrivateKey(k.Private)
		if err != nil { // which may quote what it read
			return nil, errors.New("grants: the ring has a private key that can't be read")
		}
		signer, _ = private.(crypto.Signer)
		if same, ok := public.(interface{ Equal(crypto.PublicKey) bool }); !ok || signer == nil || !same.Equal(signer.Public()) {
			return nil, errRing
		}
	}
	return newSigningKey(k.Algorithm, public, signer)
}

var errRing = errors.New("grants: the ring has a private key that can't be its own")

// The times of a ring. A key is told for a while before it signs, so that whoever keeps the answer of the
// keys endpoint has it by then; and after it, as long as what it signed may live, the clocks of several
// servers differ, and one of them has not yet read that another signs.
const (
	// KeysMaxAge is how long the answer of the keys endpoint may be kept.
	KeysMaxAge = 5 * time.Minute

	toldBefore  = 2 * KeysMaxAge
	toldAfter   = 2 * KeysMaxAge
	mostKeys    = 32
	reloadAfter = time.Minute
)

// schedule says when keys change.
type schedule struct {
	rotateEvery time.Duration // storage.Unlimited: never
	keepRetired time.Duration // the longest that what a key has signed may live
}

// active is the index of the key that signs, or -1 if there is none. A key whose private half is gone signs
// no more, though the clock may have been set back.
func (r ring) active(now time.Time) int {
	at := 0
	for i := range r {
		if !r[i].From.After(now) || r[i].Private != nil && r[at].Private == nil {
			at = i
		}
	}
	return min(at, len(r)-1)
}

// spares are keys that were made for a ring before it was known whether it needs them.
type spares []ringKey

// take takes the first of them; ok is false if there is none.
func (s *spares) take() (k ringKey, ok bool) {
	if len(*s) == 0 {
		return k, false
	}
	k, *s = (*s)[0], (*s)[1:]
	return k, true
}

// turn is the ring as it has to be now. What is missing comes from left; more says that it does not suffice.
// It is a pure function, like the steps of a grant.
func (r ring) turn(left *spares, s schedule, now time.Time) (turned ring, more bool) {
	r = slices.Clone(r)
	r.hasten(s, now)
	active := r.active(now)
	var kept ring
	for i, k := range r {
		if i < active { // retired
			if past(r[i+1].From.Add(s.keepRetired+toldAfter), now) {
				continue
			}
			k.Private = nil
		}
		kept = append(kept, k)
	}
	r = kept
	if active = r.active(now); active < 0 {
		first, ok := left.take()
		if !ok {
			return nil, true
		}
		first.Created, first.From = now, now
		r, active = ring{first}, 0
	}
	if active == len(r)-1 {
		next, ok := left.take()
		if !ok {
			return nil, true
		}
		next.Created = now
		next.From = r[active].nextFrom(next, s)
		r = append(r, next)
	}
	return r, false
}

// nextFrom is when next signs, by the schedule alone.
func (k ringKey) nextFrom(next ringKey, s schedule) time.Time {
	if s.rotateEvery == storage.Unlimited {
		return never
	}
	return later(next.Created.Add(toldBefore), k.From.Add(s.rotateEvery))
}

// hasten has the next key sign as early as the schedule says, where it was made under a slower one.
func (r ring) hasten(s schedule, now time.Time) {
	active := r.active(now)
	if active < 0 || active+1 == len(r) {
		return
	}
	next := &r[active+1]
	if at := later(now, r[active].nextFrom(*next, s)); at.Before(next.From) {
		next.From = at
	}
}

var never = time.Date(9999, 1, 1, 0, 0, 0, 0, time.UTC)

// rotate has the next key sign: at once or, if it is not told long enough, as soon as it is.
func (r ring) rotate(now time.Time) {
	if next := r.active(now) + 1; next < len(r) {
		if at := later(now, r[next].Created.Add(toldBefore)); at.Before(r[next].From) {
			r[next].From = at
		}
	}
}

// without is the ring without a key. If that one signs, the next does from now on.
func (r ring) without(public []byte, now time.Time) ring {
	active := r.active(now)
	at := slices.IndexFunc(r, func(k ringKey) bool { return bytes.Equal(k.Public, public) })
	if at == active && active+1 < len(r) {
		r[active+1].From = now
	}
	return slices.Delete(r, at, at+1)
}

// locker encodes rings: in the clear or, where there are keys for it, encrypted under the first of them.
type locker [][32]byte

// The first octet of an encoded ring, which says how it is encoded.
const (
	ringInTheClear = '{'
	ringEncrypted  = 1 // AES-256-GCM with a random nonce before
)

type ringRecord struct {
	Keys ring `json:"keys"`
}

func (l locker) encode(r ring) ([]byte, error) {
	text, err := json.Marshal(ringRecord{r})
	if err != nil || len(l) == 0 {
		return text, err
	}
	return l.aead(0).Seal([]byte{ringEncrypted}, nil, text, []byte(ringName)), nil
}

// decode reads a ring. again says that it has to be encoded anew, since it is not as encode would do it.
func (l locker) decode(b []byte) (r ring, again bool, err error) {
	text, again := b, len(l) > 0
	if len(b) > 0 && b[0] == ringEncrypted {
		if len(l) == 0 {
			return nil, false, errors.New("grants: the key ring is encrypted, and EncryptKeys is not set")
		}
		for i := range l {
			if text, err = l.aead(i).Open(nil, nil, b[1:], []byte(ringName)); err == nil {
				again = i > 0
				break
			}
		}
		if err != nil {
			return nil, false, errors.New("grants: the key ring is encrypted under another key, or damaged")
		}
	}
	var record ringRecord
	if json.Unmarshal(text, &record) != nil || len(record.Keys) == 0 { // whose error may quote it
		return nil, false, errors.New("grants: the key ring can't be read")
	}
	return record.Keys, again, nil
}

func (l locker) aead(i int) cipher.AEAD {
	block, err := aes.NewCipher(l[i][:])
	if err == nil {
		var aead cipher.AEAD
		if aead, err = cipher.NewGCMWithRandomNonce(block); err == nil {
			return aead
		}
	}
	panic(err) // only for keys of another size
}
