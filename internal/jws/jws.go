// Package jws takes signed JSON Web Tokens apart, strictly: one token is one string (RFC 7515, RFC 7519).
package jws

import (
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
	first := strings.IndexByte(token, '.')
	second := first + 1 + strings.IndexByte(token[first+1:], '.')
	if first <= 0 || second <= first+1 {
		return p, false
	}
	p = Parts{Header: token[:first], Claims: token[first+1 : second], Signature: token[second+1:], Signed: token[:second]}
	return p, p.Signature != "" && strings.IndexByte(p.Signature, '.') < 0
}

var base64url = base64.RawURLEncoding.Strict()

// Decode reads Base64url without padding (RFC 7515 2), of which no two strings stand for the same octets.
func Decode(part string) (octets []byte, ok bool) {
	if strings.IndexByte(part, '\r') >= 0 || strings.IndexByte(part, '\n') >= 0 { // which package base64 skips
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
	r := reader{rest: string(text)}
	if r.next() != '{' {
		return nil, errNotAnObject
	}
	object := r.object(1, 8) // names, in a usual token; a map of no more is one piece
	if r.wrong {
		return nil, errNotAnObject
	}
	return object, nil
}

// reader reads what is known to be JSON. A json.Decoder takes ten times as long.
type reader struct {
	rest  string
	wrong bool
}

// next returns the character that is next, spaces apart.
func (r *reader) next() byte {
	for r.rest[0] == ' ' || r.rest[0] == '\t' || r.rest[0] == '\r' || r.rest[0] == '\n' {
		r.rest = r.rest[1:]
	}
	return r.rest[0]
}

// follows tells whether that is c, and steps over it if so.
func (r *reader) follows(c byte) bool {
	if r.next() != c {
		return false
	}
	r.rest = r.rest[1:]
	return true
}

func (r *reader) object(depth, size int) map[string]any {
	object := make(map[string]any, size)
	r.rest = r.rest[1:]
	for !r.wrong && !r.follows('}') {
		r.follows(',')
		r.next()
		name := r.text()
		r.follows(':')
		if _, twice := object[name]; twice {
			r.wrong = true
		}
		object[name] = r.value(depth)
	}
	return object
}

func (r *reader) array(depth int) []any {
	array := []any{}
	r.rest = r.rest[1:]
	for !r.wrong && !r.follows(']') {
		r.follows(',')
		array = append(array, r.value(depth))
	}
	return array
}

// value reads what stands in so many objects and arrays.
func (r *reader) value(depth int) any {
	switch c := r.next(); c {
	case '{', '[':
		if depth == deepest {
			r.wrong = true
			return nil
		}
		if c == '{' {
			return r.object(depth+1, 0)
		}
		return r.array(depth + 1)
	case '"':
		return r.text()
	default:
		end := 1
		for c := r.rest[end]; c > ' ' && c != ',' && c != ']' && c != '}'; c = r.rest[end] {
			end++
		}
		word := r.rest[:end]
		r.rest = r.rest[end:]
		switch word {
		case "true":
			return true
		case "false":
			return false
		case "null":
			return nil
		}
		return json.Number(word)
	}
}

func (r *reader) text() string {
	end := strings.IndexByte(r.rest[1:], '"') + 1
	if escape := strings.IndexByte(r.rest[:end], '\\'); escape < 0 {
		text := r.rest[1:end]
		r.rest = r.rest[end+1:]
		return text
	}
	for end = 1; r.rest[end] != '"'; end++ {
		if r.rest[end] == '\\' {
			end++
		}
	}
	var text string
	if json.Unmarshal([]byte(r.rest[:end+1]), &text) != nil {
		r.wrong = true
	}
	r.rest = r.rest[end+1:]
	return text
}
