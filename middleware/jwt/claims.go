package jwt

import (
	"encoding/json"

	"github.com/ostiary-go/ostiary/internal/claims"
	"github.com/ostiary-go/ostiary/internal/jws"
)

// readClaims reads the second part of a token whose signature is good (RFC 9068 2.2, 4). What it says of times
// is left to the caller. reason says what is wrong with it.
func (v *Validator) readClaims(part string) (c *claims.Claims, reason string) {
	text, ok := jws.Decode(part)
	if !ok {
		return nil, "its claims are not Base64url"
	}
	members, err := jws.Object(text)
	if err != nil {
		return nil, "its claims are " + err.Error()
	}
	c, err = claims.Read(members)
	switch {
	case err != nil:
		return nil, err.Error()
	case c.Issuer != v.issuer:
		return nil, "iss is another"
	case !c.For(v.audience):
		return nil, "aud is another"
	case c.Expires.IsZero():
		return nil, "there is no exp"
	case c.Issued.IsZero():
		return nil, "there is no iat"
	case c.Subject == "":
		return nil, "there is no sub"
	case c.Client == "":
		return nil, "there is no client_id"
	case c.ID == "":
		return nil, "there is no jti"
	}
	return c, ""
}

// sizeOf is what c takes in memory, roughly, in bytes.
func sizeOf(c *claims.Claims) int64 {
	size := int64(1024) + sizeOfValue(c.Members) // itself, and that maps are not full
	for _, name := range c.Audience {
		size += 16 + int64(len(name))
	}
	for name, value := range c.Confirmation {
		size += 64 + int64(len(name)+len(value))
	}
	return size
}

func sizeOfValue(value any) int64 {
	size := int64(16)
	switch value := value.(type) {
	case string:
		size += 16 + int64(len(value))
	case json.Number:
		size += 16 + int64(len(value))
	case []any:
		size += 24
		for _, element := range value {
			size += 2 * sizeOfValue(element) // append leaves room
		}
	case map[string]any:
		size += 400 // for the first eight
		for name, member := range value {
			size += 64 + int64(len(name)) + sizeOfValue(member)
		}
	}
	return size
}
