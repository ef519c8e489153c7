// Package pkce has the syntax and the one computation of PKCE with S256 (RFC 7636).
package pkce

import (
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"strings"
)

const unreserved = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~"

// WellFormedVerifier tells whether s is a code_verifier (RFC 7636 4.1).
func WellFormedVerifier(s string) bool {
	return 43 <= len(s) && len(s) <= 128 &&
		!strings.ContainsFunc(s, func(r rune) bool { return !strings.ContainsRune(unreserved, r) })
}

// WellFormedChallenge tells whether s can be the S256 challenge of a verifier (RFC 7636 4.2): the
// Base64url text of 32 octets without padding.
func WellFormedChallenge(s string) bool {
	octets, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(octets) == sha256.Size && base64.RawURLEncoding.EncodeToString(octets) == s // it skips line ends
}

// Meets tells, in constant time, whether verifier meets an S256 challenge (RFC 7636 4.6).
func Meets(verifier, challenge string) bool {
	sum := sha256.Sum256([]byte(verifier))
	want := base64.RawURLEncoding.EncodeToString(sum[:])
	return subtle.ConstantTimeCompare([]byte(want), []byte(challenge)) == 1
}
