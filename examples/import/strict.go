package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode/utf8"
)

// decodeStrictly decodes exactly one JSON object: no member that is unknown, stands there twice or is
// in another case than it should, nothing after it, and valid UTF-8. What it says of a mistake holds
// nothing of the text, which may have tokens in it at any place.
func decodeStrictly(text []byte, into any) (reason string) {
	if !utf8.Valid(text) {
		return "not UTF-8"
	}
	d := json.NewDecoder(bytes.NewReader(text))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return whatIsWrong(err)
	}
	if _, err := d.Token(); err != io.EOF {
		return "more than one JSON value"
	}
	return ambiguous(json.NewDecoder(bytes.NewReader(text)))
}

// decode decodes one JSON value as leniently as those who wrote it do.
func decode(text []byte, into any) (reason string) {
	if !utf8.Valid(text) {
		return "not UTF-8"
	}
	if err := json.Unmarshal(text, into); err != nil {
		return whatIsWrong(err)
	}
	return ""
}

func whatIsWrong(err error) string {
	if e, ok := errors.AsType[*json.SyntaxError](err); ok {
		return fmt.Sprintf("not JSON, from byte %d on", e.Offset)
	}
	if e, ok := errors.AsType[*json.UnmarshalTypeError](err); ok {
		if e.Field == "" {
			return "not a JSON object"
		}
		return e.Field + " is of the wrong type" // the name is ours: an unknown one has no type to be wrong
	}
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return "not JSON: it ends too early"
	}
	return "a member that the format does not have, or a value that it does not take"
}

// ambiguous looks for what encoding/json lets pass: members that stand there twice, names in another
// case, and a null where an object should be.
func ambiguous(d *json.Decoder) (reason string) {
	type level struct {
		object bool
		names  []string
		key    bool // a name comes next
	}
	var levels []level
	for {
		token, err := d.Token()
		if err != nil {
			return ""
		}
		top := len(levels) - 1
		if top < 0 && token != json.Delim('{') {
			return "not a JSON object"
		}
		if name, ok := token.(string); ok && top >= 0 && levels[top].key {
			switch {
			case slices.Contains(levels[top].names, name):
				return "a member stands there twice"
			case strings.ContainsFunc(name, func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') }):
				return "a member that the format does not have"
			}
			levels[top].names = append(levels[top].names, name)
			levels[top].key = false
			continue
		}
		if top >= 0 && levels[top].object {
			levels[top].key = true // after this value, be it a whole object
		}
		switch token {
		case json.Delim('{'):
			levels = append(levels, level{object: true, key: true})
		case json.Delim('['):
			levels = append(levels, level{})
		case json.Delim('}'), json.Delim(']'):
			levels = levels[:top]
			if top > 0 && levels[top-1].object {
				levels[top-1].key = true
			}
		}
	}
}
