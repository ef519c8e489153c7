// Package jws takes signed JSON Web Tokens apart, strictly: one token is one string (RFC 7515, RFC 7519).
package jws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"
	"strings"
	"unicode/utf8"
)

// Parts is a token in the compact serialization (RFC 7515 7.1), each part as it was sent.
type Parts struct {
	Header, Claims, Signature string

	Signed string // what the signature is over
}

// Split takes a token apart. ok is false unless it has three parts, none of them empty.
func Split(token string) (p Parts, ok bool) {
	last := strings.LastIndexByte(token, '.')
	if last < 0 {
		return p, false
	}
	p.Signed, p.Signature = token[:last], token[last+1:]
	p.Header, p.Claims, ok = strings.Cut(p.Signed, ".")
	return p, ok && p.Header != "" && p.Claims != "" && p.Signature != "" && strings.IndexByte(p.Claims, '.') < 0
}

var base64url = base64.RawURLEncoding.Strict()

// Decode reads Base64url without padding (RFC 7515 2), of which no two strings stand for the same octets.
func Decode(part string) (octets []byte, ok bool) {
	if strings.ContainsAny(part, "\r\n") { // which package base64 skips
		return nil, false
	}
	octets, err := base64url.DecodeString(part)
	return octets, err == nil
}

// deepest is how many objects and arrays may stand in one another.
const deepest = 16

var errNotAnObject = errors.New("not a JSON object in UTF-8, or one that has a name twice or is nested too deep")

// Object reads a JSON object in which no name is twice, at any depth (RFC 7515 4, RFC 7519 4): numbers as
// json.Number, the rest as package json does. The error says nothing of the text.
func Object(text []byte) (map[string]any, error) {
	if !utf8.Valid(text) || !json.Valid(text) { // package json would put something in place of other octets
		return nil, errNotAnObject
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	if first, err := d.Token(); err != nil || first != json.Delim('{') {
		return nil, errNotAnObject
	}
	return members(d, 1)
}

func members(d *json.Decoder, depth int) (map[string]any, error) {
	object := make(map[string]any)
	if depth == 1 {
		object = make(map[string]any, 12) // and not for each of a million empty ones within
	}
	for d.More() {
		token, err := d.Token()
		if err != nil {
			return nil, errNotAnObject
		}
		name := token.(string)
		if _, twice := object[name]; twice {
			return nil, errNotAnObject
		}
		if object[name], err = value(d, depth); err != nil {
			return nil, err
		}
	}
	d.Token() // }
	return object, nil
}

func value(d *json.Decoder, depth int) (any, error) {
	token, err := d.Token()
	switch {
	case err != nil || depth == deepest && (token == json.Delim('{') || token == json.Delim('[')):
		return nil, errNotAnObject
	case token == json.Delim('{'):
		return members(d, depth+1)
	case token != json.Delim('['):
		return token, nil
	}
	array := []any{}
	for d.More() {
		element, err := value(d, depth+1)
		if err != nil {
			return nil, err
		}
		array = append(array, element)
	}
	d.Token() // ]
	return array, nil
}
