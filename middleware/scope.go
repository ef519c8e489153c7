package middleware

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/ostiary-go/ostiary/internal/scope"
)

// Scope lets requests through whose token has all of these scopes, compared character by character.
// It goes inside of Bearer, on one route or on many; others are answered 403 insufficient_scope, with
// the scopes that are needed (RFC 6750 3.1).
//
// Without a Bearer before it every request is answered 500 server_error, and logged.
//
// Scope panics if there is no scope, or one that isn't a scope-token of RFC 6749 3.3.
func Scope(all ...string) func(http.Handler) http.Handler {
	words := scopeTokens("Scope", all)
	met := func(t oauth2.TokenInfo) bool { return scope.Within(words, t.GetScope()) }
	return need{"Scope", met, lacksScope, strings.Join(words, " ")}.middleware
}

// AnyScope is as Scope, but one of these scopes is enough. A refusal lists them all.
func AnyScope(any ...string) func(http.Handler) http.Handler {
	words := scopeTokens("AnyScope", any)
	met := func(t oauth2.TokenInfo) bool {
		has := t.GetScope()
		return slices.ContainsFunc(words, func(word string) bool { return scope.Has(has, word) })
	}
	return need{"AnyScope", met, lacksScope, strings.Join(words, " ")}.middleware
}

// scopeTokens returns a copy of words for the function that is named, each once, and panics if they
// make no sense.
func scopeTokens(function string, words []string) []string {
	if len(words) == 0 {
		panic("middleware: " + function + "(): want at least one scope")
	}
	for _, word := range words {
		if !scope.ValidWord(word) {
			panic(fmt.Sprintf("middleware: %s(%q): not one scope (RFC 6749 3.3)", function, word))
		}
	}
	distinct, _ := scope.Parse(strings.Join(words, " "))
	return distinct
}
