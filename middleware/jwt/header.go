package jwt

import (
	"maps"
	"strings"
	"sync/atomic"

	"github.com/ostiary-go/ostiary/internal/jws"
)

// header is what a token says of its signature. It is not yet proven.
type header struct{ alg, kid string }

// readHeader reads the first part of a token (RFC 9068 2.1, 4; RFC 7515 4.1). reason says what is wrong with it.
// A key that the token brings along, or the address of one, is not looked at (RFC 8725 3.10).
func readHeader(part string) (h header, reason string) {
	text, ok := jws.Decode(part)
	if !ok {
		return h, "its header is not Base64url"
	}
	members, err := jws.Object(text)
	if err != nil {
		return h, "its header is " + err.Error()
	}
	for _, name := range []string{"crit", "b64", "zip"} { // nothing of the kind is understood here
		if _, ok := members[name]; ok {
			return h, "its header has " + name
		}
	}
	typ, _ := members["typ"].(string)
	if !strings.EqualFold(typ, "at+jwt") && !strings.EqualFold(typ, "application/at+jwt") {
		return h, "typ is not at+jwt"
	}
	h.alg, _ = members["alg"].(string)
	if _, ok := methods[h.alg]; !ok {
		return h, "alg is none of ours"
	}
	if h.kid, _ = members["kid"].(string); h.kid == "" {
		return h, "there is no kid"
	}
	return h, ""
}

// headers remembers what was read of the headers of tokens whose signature was good: those of one key are all
// the same.
type headers struct {
	known atomic.Pointer[map[string]header]
}

const headerLimit = 64 // headers

func (h *headers) read(part string) (head header, reason string) {
	if known := h.known.Load(); known != nil {
		if head, ok := (*known)[part]; ok {
			return head, ""
		}
	}
	return readHeader(part)
}

func (h *headers) remember(part string, head header) {
	old := h.known.Load()
	var known map[string]header
	if old != nil {
		if _, ok := (*old)[part]; ok {
			return
		}
		known = maps.Clone(*old)
	}
	if known == nil || len(known) == headerLimit {
		known = make(map[string]header)
	}
	known[strings.Clone(part)] = header{strings.Clone(head.alg), strings.Clone(head.kid)}
	h.known.CompareAndSwap(old, &known)
}
