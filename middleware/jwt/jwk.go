package jwt

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/json"
	"errors"
	"math/big"
	"slices"

	golangjwt "github.com/golang-jwt/jwt/v5"

	"github.com/ostiary-go/ostiary/internal/jws"
)

// methods are the algorithms that a token may be signed by (RFC 7518 3, RFC 8037).
var methods = map[string]golangjwt.SigningMethod{
	"EdDSA": golangjwt.SigningMethodEdDSA,
	"ES256": golangjwt.SigningMethodES256,
	"RS256": golangjwt.SigningMethodRS256,
	"PS256": &golangjwt.SigningMethodRSAPSS{ // golang-jwt's own takes salts of any length
		SigningMethodRSA: golangjwt.SigningMethodPS256.SigningMethodRSA,
		Options:          &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}, // RFC 7518 3.5
	},
}

// key is a public key and the one algorithm that it is for (RFC 8725 3.1).
type key struct {
	kid, alg string
	method   golangjwt.SigningMethod
	public   publicKey
}

type publicKey interface {
	Equal(crypto.PublicKey) bool
}

const (
	keyLimit   = 100  // of a set, and more of them are left out
	leastRSA   = 2048 // bits (RFC 7518 3.3)
	mostRSA    = 8192 // bits; larger ones take long
	mostExp    = 1<<31 - 1
	coordinate = 32 // octets
)

var errNoKeySet = errors.New("it is no key set")

// readKeys returns the keys of a set (RFC 7517 5) that tokens may be signed by. Others in it don't matter.
func readKeys(text []byte) ([]*key, error) {
	var document map[string]json.RawMessage
	if json.Unmarshal(text, &document) != nil {
		return nil, errNoKeySet
	}
	var members []json.RawMessage
	if json.Unmarshal(document["keys"], &members) != nil || members == nil {
		return nil, errNoKeySet
	}
	var keys []*key
	for _, text := range members {
		if k, ok := readKey(text); ok {
			if keys = append(keys, k); len(keys) == keyLimit {
				break
			}
		}
	}
	return keys, nil
}

// readKey reads a JWK (RFC 7517 4). ok is false for one that tokens can not, or should not, be signed by.
func readKey(text []byte) (k *key, ok bool) {
	jwk, err := jws.Object(text)
	if err != nil {
		return nil, false
	}
	k = new(key)
	if k.kid, _ = jwk["kid"].(string); k.kid == "" || !isForSignatures(jwk) || isSecret(jwk) {
		return nil, false
	}
	var algs []string // the first is meant where the key doesn't say
	switch jwk["kty"] {
	case "OKP":
		k.public, ok = readEd25519(jwk)
		algs = []string{"EdDSA"}
	case "EC":
		k.public, ok = readP256(jwk)
		algs = []string{"ES256"}
	case "RSA":
		k.public, ok = readRSA(jwk)
		algs = []string{"RS256", "PS256"}
	}
	if !ok {
		return nil, false
	}
	k.alg = algs[0]
	if alg, told := jwk["alg"]; told {
		if k.alg, _ = alg.(string); !slices.Contains(algs, k.alg) {
			return nil, false
		}
	}
	k.method = methods[k.alg]
	return k, true
}

// isForSignatures looks at use and key_ops (RFC 7517 4.2, 4.3).
func isForSignatures(jwk map[string]any) bool {
	if use, told := jwk["use"]; told && use != "sig" {
		return false
	}
	operations, told := jwk["key_ops"]
	if !told {
		return true
	}
	list, _ := operations.([]any)
	return slices.Contains(list, any("verify"))
}

// isSecret tells whether a key that was published should not have been (RFC 7518 6.2.2, 6.3.2, 6.4).
func isSecret(jwk map[string]any) bool {
	for _, name := range []string{"d", "p", "q", "dp", "dq", "qi", "oth", "k"} {
		if _, ok := jwk[name]; ok {
			return true
		}
	}
	return false
}

// RFC 8037 2.
func readEd25519(jwk map[string]any) (ed25519.PublicKey, bool) {
	x := octets(jwk, "x")
	return x, jwk["crv"] == "Ed25519" && len(x) == ed25519.PublicKeySize
}

// RFC 7518 6.2.1.
func readP256(jwk map[string]any) (*ecdsa.PublicKey, bool) {
	x, y := octets(jwk, "x"), octets(jwk, "y")
	if jwk["crv"] != "P-256" || len(x) != coordinate || len(y) != coordinate {
		return nil, false
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, x, y))
	return public, err == nil
}

// RFC 7518 6.3.1.
func readRSA(jwk map[string]any) (*rsa.PublicKey, bool) {
	n, e := new(big.Int).SetBytes(octets(jwk, "n")), new(big.Int).SetBytes(octets(jwk, "e"))
	if n.BitLen() < leastRSA || n.BitLen() > mostRSA || n.Bit(0) == 0 ||
		!e.IsInt64() || e.Int64() < 3 || e.Int64() > mostExp || e.Bit(0) == 0 {
		return nil, false
	}
	return &rsa.PublicKey{N: n, E: int(e.Int64())}, true
}

// octets decodes a member, nil if it can't be.
func octets(jwk map[string]any, name string) []byte {
	text, _ := jwk[name].(string)
	b, _ := jws.Decode(text)
	return b
}
