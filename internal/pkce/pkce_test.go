package pkce

import (
	"crypto/sha256"
	"encoding/base64"
	"strings"
	"testing"
)

// RFC 7636 Appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

func TestWellFormedChallenge(t *testing.T) {
	for s, want := range map[string]bool{
		challenge: true, verifier: true, strings.Repeat("A", 43): true,
		"": false, challenge[1:]: false, challenge + "A": false, challenge + "=": false, challenge + "\n": false, challenge[:20] + "\r\n" + challenge[20:]: false,
		challenge[:42] + "N": false, strings.Replace(challenge, "-", "+", 1): false, " " + challenge[1:]: false,
	} {
		if WellFormedChallenge(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	}
	if !Meets(verifier, challenge) || Meets(challenge, challenge) || Meets(verifier, challenge+"\n") || Meets("", "") {
		t.Error("a verifier meets another challenge than its own")
	}
}

// A challenge is one string: the one that its octets encode to.
func FuzzWellFormedChallenge(f *testing.F) {
	for _, s := range []string{"", challenge, challenge + "=", challenge + "\n", challenge[:20] + "\r\n" + challenge[20:], challenge[:42] + "N"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		octets, _ := base64.RawURLEncoding.DecodeString(s)
		if want := len(octets) == sha256.Size && base64.RawURLEncoding.EncodeToString(octets) == s; WellFormedChallenge(s) != want {
			t.Errorf("%q: %t", s, !want)
		}
	})
}
