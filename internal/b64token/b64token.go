// Package b64token knows which tokens can be sent as a bearer token.
package b64token

import "strings"

// DefaultLimit is how many bytes the bearer guard takes unless it is told otherwise.
const DefaultLimit = 8 << 10

// Valid tells whether s has the syntax b64token of RFC 6750 2.1, which RFC 9110 11.2 calls token68: one
// or more letters, digits or -._~+/, then any number of =.
func Valid(s string) bool {
	s = strings.TrimRight(s, "=")
	if s == "" {
		return false
	}
	var wrong byte
	for ; len(s) >= 8; s = s[8:] { // in eights and without a branch: JWTs are long
		wrong |= others[s[0]] | others[s[1]] | others[s[2]] | others[s[3]] | others[s[4]] | others[s[5]] | others[s[6]] | others[s[7]]
	}
	for i := range len(s) {
		wrong |= others[s[i]]
	}
	return wrong == 0
}

// others has a 1 for characters that are none of these. It is a table, since branches on random characters are
// predicted wrongly, and each request of a guarded route comes by here.
var others = func() (table [256]byte) {
	for c := range table {
		if !strings.ContainsRune("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/", rune(c)) {
			table[c] = 1
		}
	}
	return table
}()
