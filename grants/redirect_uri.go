package grants

import (
	"strconv"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// allowsRedirect tells whether uri is one of those registered: the same octets (RFC 9700 2.1), but for
// the port of a loopback address, which may be any (RFC 8252 7.3).
func allowsRedirect(registered []string, uri string) bool {
	for _, r := range registered {
		if r == uri || sameButPort(r, uri) {
			return true
		}
	}
	return false
}

func sameButPort(registered, uri string) bool {
	host, path, ok := cutLoopback(registered)
	if !ok {
		return false
	}
	otherHost, otherPath, ok := cutLoopback(uri)
	return ok && host == otherHost && path == otherPath
}

// cutLoopback cuts an http URI on the loopback interface into host and what follows the port. ok is
// false for any other URI, and for a port that is not written as a number from 1 to 65535.
func cutLoopback(uri string) (host, rest string, ok bool) {
	after, ok := strings.CutPrefix(uri, "http://")
	if !ok {
		return "", "", false
	}
	end := strings.IndexAny(after, "/?")
	if end < 0 {
		end = len(after)
	}
	authority, rest := after[:end], after[end:]
	host, port := authority, ""
	if i := strings.LastIndexByte(authority, ':'); i > strings.LastIndexByte(authority, ']') {
		host, port = authority[:i], authority[i+1:]
		n, err := strconv.ParseUint(port, 10, 16)
		if err != nil || n == 0 || strconv.FormatUint(n, 10) != port {
			return "", "", false
		}
	}
	bare := strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	bracketed := host != bare
	return host, rest, storage.Loopback(bare) && bracketed == strings.Contains(bare, ":")
}
