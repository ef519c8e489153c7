package conformance

import (
	"encoding/base64"
	"encoding/json"
	"strings"
)

// readJWT takes a JWT apart without looking at its signature.
func readJWT(token string) (header, claims map[string]any) {
	parts := strings.Split(token, ".")
	for i, into := range []*map[string]any{&header, &claims} {
		octets, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil || json.Unmarshal(octets, into) != nil {
			panic("no JWT")
		}
	}
	return header, claims
}

// octetsOf are the ID of the grant and the digest that a jti consists of.
func octetsOf(claims map[string]any) []byte {
	octets, err := base64.RawURLEncoding.DecodeString(claims["jti"].(string))
	if err != nil || len(octets) != 48 {
		panic("the shape of jti has changed")
	}
	return octets
}

// forgedJWT is forged of a JWT: one with another jti under the old signature or, as another kind, an opaque
// token of those octets.
func forgedJWT(token string, kind byte, alter func(octets []byte)) string {
	_, claims := readJWT(token)
	octets := octetsOf(claims)
	alter(octets)
	if kind == 'r' || kind == 'c' {
		return shaped(kind, octets)
	}
	claims["jti"] = base64.RawURLEncoding.EncodeToString(octets)
	text, err := json.Marshal(claims)
	if err != nil {
		panic(err)
	}
	parts := strings.Split(token, ".")
	return parts[0] + "." + base64.RawURLEncoding.EncodeToString(text) + "." + parts[2]
}
