// Package b64token knows which tokens can be sent as a bearer token.
package b64token

import "strings"

// DefaultLimit is how many bytes the bearer guard takes unless it is told otherwise.
const DefaultLimit = 8 << 10

// Valid tells whether s has the syntax b64token of RFC 6750 2.1, which RFC 9110 11.2 calls token68: one
// or more letters, digits or -._~+/, then any number of =.
func Valid(s string) bool {
	s = strings.TrimRight(s, "=")
	for i := range len(s) {
		if !allowed[s[i]] {
			return false
		}
	}
	return s != ""
}

// allowed is a table, since branches on random characters are predicted wrongly, and each request of a
// guarded route comes by here.
var allowed = func() (table [256]bool) {
	for _, c := range []byte("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") {
		table[c] = true
	}
	return table
}()
