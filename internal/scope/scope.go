// Package scope reads and compares OAuth 2.0 scopes (RFC 6749 3.3): case-sensitive words separated by
// single spaces, their order without meaning.
package scope

import (
	"slices"
	"strings"
)

// Parse splits s into its words, each kept once, in the order they first stand in. ok is false if s
// is malformed: an empty word (leading, trailing or double space) or a character outside of
// %x21 / %x23-5B / %x5D-7E. The empty string has no words and is well formed.
func Parse(s string) (words []string, ok bool) {
	if s == "" {
		return nil, true
	}
	seen := make(map[string]bool)
	for word := range strings.SplitSeq(s, " ") {
		if !ValidWord(word) {
			return nil, false
		}
		if !seen[word] {
			seen[word] = true
			words = append(words, word)
		}
	}
	return words, true
}

// ValidWord tells whether s is one scope-token of RFC 6749 3.3.
func ValidWord(s string) bool {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c == '"' || c == '\\' || c > '~' {
			return false
		}
	}
	return s != ""
}

// Has tells whether word stands in the scope s.
func Has(s, word string) bool {
	for w := range strings.SplitSeq(s, " ") {
		if w == word && w != "" {
			return true
		}
	}
	return false
}

// Within tells whether every one of words stands in the scope s.
func Within(words []string, s string) bool { return len(Beyond(words, s)) == 0 }

// Beyond are those of words that do not stand in the scope s.
func Beyond(words []string, s string) (beyond []string) {
	granted := make(map[string]bool)
	for w := range strings.SplitSeq(s, " ") {
		granted[w] = true
	}
	for _, w := range words {
		if w == "" || !granted[w] {
			beyond = append(beyond, w)
		}
	}
	return beyond
}

// Canonical is the scope of words in an order that does not depend on how they were asked for.
func Canonical(words []string) string {
	return strings.Join(slices.Sorted(slices.Values(words)), " ")
}
