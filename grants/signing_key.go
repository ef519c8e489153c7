package grants

import (
	"cmp"
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"

	"github.com/golang-jwt/jwt/v5"
)

// signingKey is one key of a Keys.
type signingKey struct {
	PublicKey
	method *method
	signer crypto.Signer // nil: it verifies only
	places chan struct{} // of a signer that is elsewhere: for calls of it; nil: it is here
}

// method is a way to sign JWTs (RFC 7518 3.1, RFC 8037 3.1). It is golang-jwt's, but for signing: that one
// takes no crypto.Signer which is not the key itself.
type method struct {
	jwt.SigningMethod
	options  crypto.SignerOpts
	generate func() (crypto.Signer, error)
	fits     func(crypto.PublicKey) bool
}

const (
	defaultAlgorithm = "ES256"
	rsaBits          = 2048 // RFC 7518 3.3
)

// methodOf is the method of that name, or nil. (A table would have every program link what makes keys.)
func methodOf(name string) *method {
	switch name {
	case "EdDSA":
		return &method{jwt.SigningMethodEdDSA, crypto.Hash(0), generateEd25519, isEd25519}
	case "ES256":
		return &method{jwt.SigningMethodES256, crypto.SHA256, generateP256, isP256}
	case "RS256":
		return &method{jwt.SigningMethodRS256, crypto.SHA256, generateRSA, isRSA}
	case "PS256":
		return &method{jwt.SigningMethodPS256, &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash, Hash: crypto.SHA256}, generateRSA, isRSA}
	}
	return nil
}

func generateEd25519() (crypto.Signer, error) {
	_, key, err := ed25519.GenerateKey(rand.Reader)
	return key, err
}

func generateP256() (crypto.Signer, error) { return ecdsa.GenerateKey(elliptic.P256(), rand.Reader) }

func generateRSA() (crypto.Signer, error) { return rsa.GenerateKey(rand.Reader, rsaBits) }

func isEd25519(key crypto.PublicKey) bool {
	k, ok := key.(ed25519.PublicKey)
	return ok && len(k) == ed25519.PublicKeySize
}

func isP256(key crypto.PublicKey) bool {
	k, ok := key.(*ecdsa.PublicKey)
	return ok && k.Curve == elliptic.P256()
}

func isRSA(key crypto.PublicKey) bool {
	k, ok := key.(*rsa.PublicKey)
	return ok && k.N.BitLen() >= rsaBits
}

// Sign implements jwt.SigningMethod for a crypto.Signer.
func (m *method) Sign(text string, key any) ([]byte, error) {
	signature, err := crypto.SignMessage(key.(crypto.Signer), rand.Reader, []byte(text), m.options)
	if err != nil || m.Alg() != "ES256" {
		return signature, err
	}
	var point struct{ R, S *big.Int } // RFC 7518 3.4 has them side by side, without ASN.1
	if rest, err := asn1.Unmarshal(signature, &point); err != nil || len(rest) > 0 || point.R.Sign() < 0 || point.S.Sign() < 0 || point.R.BitLen() > 256 || point.S.BitLen() > 256 {
		return nil, errors.New("the signer returned no ECDSA signature")
	}
	plain := make([]byte, 64)
	point.R.FillBytes(plain[:32])
	point.S.FillBytes(plain[32:])
	return plain, nil
}

// methodFor is the way to sign with a key where none is named: PS256 has to be.
func methodFor(key crypto.PublicKey) string {
	for _, name := range []string{"EdDSA", "ES256", "RS256"} {
		if methodOf(name).fits(key) {
			return name
		}
	}
	return ""
}

// newSigningKey is a key that signs by that algorithm; signer may be nil.
func newSigningKey(algorithm string, public crypto.PublicKey, signer crypto.Signer) (*signingKey, error) {
	m := methodOf(algorithm)
	if m == nil || !m.fits(public) {
		return nil, fmt.Errorf("grants: a %T can't be a key of %s: Ed25519, ECDSA on P-256, or RSA of %d bits and more", public, cmp.Or(algorithm, "any algorithm served"), rsaBits)
	}
	k := &signingKey{PublicKey: PublicKey{Algorithm: algorithm, Key: public}, method: m, signer: signer}
	k.ID = thumbprint(k.PublicKey)
	return k, nil
}

// sign makes a token of that type. A signer that is elsewhere is waited for until ctx ends, and is called so
// often at a time, whatever became of those who asked.
func (k *signingKey) sign(ctx context.Context, typ string, claims map[string]any) (text string, err error) {
	t := jwt.NewWithClaims(k.method, jwt.MapClaims(claims))
	t.Header["typ"], t.Header["kid"] = typ, k.ID
	if k.places == nil {
		return t.SignedString(k.signer)
	}
	select {
	case k.places <- struct{}{}:
	case <-ctx.Done():
		return "", ctx.Err()
	}
	done := make(chan func() (string, error), 1)
	go func() {
		defer func() { <-k.places }()
		defer func() {
			if p := recover(); p != nil {
				done <- func() (string, error) { return "", errors.New("grants: the signer has panicked") }
			}
		}()
		text, err := t.SignedString(k.signer)
		done <- func() (string, error) { return text, err }
	}()
	select {
	case result := <-done:
		return result()
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

// mostSigning is how many calls of a signer that is elsewhere there are at a time.
const mostSigning = 64

// JWK returns the key as a JSON Web Key (RFC 7517 4): its public members alone.
func (k PublicKey) JWK() map[string]string {
	members := map[string]string{"kid": k.ID, "use": "sig", "alg": k.Algorithm}
	b64 := base64.RawURLEncoding.EncodeToString
	switch key := k.Key.(type) {
	case ed25519.PublicKey:
		members["kty"], members["crv"], members["x"] = "OKP", "Ed25519", b64(key) // RFC 8037 2
	case *ecdsa.PublicKey:
		point, err := key.Bytes() // 4, x, y (SEC 1 2.3.3)
		if err != nil {
			panic(err) // only for curves and points that newSigningKey refuses
		}
		members["kty"], members["crv"], members["x"], members["y"] = "EC", "P-256", b64(point[1:33]), b64(point[33:])
	case *rsa.PublicKey:
		members["kty"], members["n"], members["e"] = "RSA", b64(key.N.Bytes()), b64(big.NewInt(int64(key.E)).Bytes())
	}
	return members
}

// thumbprint names a key by what it is (RFC 7638 3), so that no two have one name.
func thumbprint(k PublicKey) string {
	members := k.JWK()
	for _, name := range []string{"kid", "use", "alg"} {
		delete(members, name)
	}
	text, err := json.Marshal(members) // in the order of their names, without spaces
	if err != nil {
		panic(err) // it is a map of strings
	}
	sum := sha256.Sum256(text)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}
