package middleware

import (
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/internal/b64token"
)

const defaultTokenLimit = b64token.DefaultLimit // bytes

// An Option changes what one Bearer does. Values that make no sense panic when the option is made.
type Option func(*guard)

// Optional lets requests without bearer credentials through as well: Token is nil for them. Whoever
// does send a token must send a good one. Default: a token is required.
//
// Scope, AnyScope and User refuse such a request with the bare 401 that Bearer would have given.
func Optional() Option {
	return func(g *guard) { g.optional = true }
}

// Realm names the protected space in the challenge (RFC 9110 11.5). Default "api".
//
// Realm panics unless name consists of one or more printable ASCII characters.
func Realm(name string) Option {
	if !printable(name) {
		panic(fmt.Sprintf("middleware: Realm(%q): want printable ASCII characters", name))
	}
	return func(g *guard) { g.realm = quote(name) }
}

// ResourceMetadata names the document in which a client reads how to get a token for this resource.
// Every challenge then has it as resource_metadata (RFC 9728 5.1). Default: none.
//
// ResourceMetadata panics unless address is an absolute http or https URL without fragment, in
// printable ASCII characters.
func ResourceMetadata(address string) Option {
	u, err := url.Parse(address)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" ||
		strings.Contains(address, "#") || !printable(address) {
		panic(fmt.Sprintf("middleware: ResourceMetadata(%q): want an absolute URL", address))
	}
	return func(g *guard) { g.metadata = quote(address) }
}

// Audience names this resource, as tokens name the resources they are for (RFC 8707 2, the aud of RFC
// 9068). A token that names audiences is good only where one of them is named, compared character by
// character; everywhere else, and so without this option, it is refused with 401 invalid_token. A
// token that names none is good everywhere. Several Audience options add up. Default: what the Validator
// says, if it does.
//
// Audience panics if there is no name or an empty one.
func Audience(names ...string) Option {
	if len(names) == 0 {
		panic("middleware: Audience(): want at least one name")
	}
	for _, name := range names {
		if name == "" {
			panic("middleware: Audience: a name is empty")
		}
	}
	return func(g *guard) { g.audience = append(g.audience, names...) }
}

// NotFound tells which further errors of the Validator mean that a token isn't known, hence 401
// invalid_token, and not that something failed, hence 503. Some token stores for go-oauth2 return
// their driver's error for a token they don't have:
//
//	middleware.NotFound(func(err error) bool { return errors.Is(err, sql.ErrNoRows) })
//
// Default: none. NotFound panics if is is nil.
func NotFound(is func(error) bool) Option {
	if is == nil {
		panic("middleware: NotFound: the function is nil")
	}
	return func(g *guard) { g.notFound = is }
}

// TokenLimit sets how many bytes a token may have; a longer one is answered 401 invalid_token and
// nobody is asked about it. Default 8,192. How long a whole header may be is set by
// http.Server.MaxHeaderBytes.
//
// TokenLimit panics unless bytes is positive.
func TokenLimit(bytes int) Option {
	if bytes <= 0 {
		panic(fmt.Sprintf("middleware: TokenLimit(%d): want a positive number", bytes))
	}
	return func(g *guard) { g.tokenLimit = bytes }
}

// Timeout sets how long one validation may take before its context ends; a Validator that gives up
// then is answered 503 temporarily_unavailable. Default 5 s.
//
// Timeout panics unless d is positive.
func Timeout(d time.Duration) Option {
	if d <= 0 {
		panic(fmt.Sprintf("middleware: Timeout(%v): want a positive duration", d))
	}
	return func(g *guard) { g.timeout = d }
}

// InsecureQuery also accepts a token from the URL, as ?access_token= (RFC 6750 2.3). An empty value
// counts as none; several, or one beside another way of sending a token, are answered 400
// invalid_request. Answers of the handler then begin with Cache-Control: private. Default: off, the
// URL is not looked into for a token (OAuth 2.1 5.1).
//
// Warning: URLs are kept in access logs, histories and bookmarks and sent on in Referer headers.
// Whoever reads one of those can use the token.
func InsecureQuery() Option {
	return func(g *guard) { g.query = true }
}

// InsecureForm also accepts a token from the body of a POST, PUT or PATCH request of type
// application/x-www-form-urlencoded, as access_token (RFC 6750 2.2). An empty value counts as none;
// several, one beside another way of sending a token, or one in a body with bytes outside of ASCII,
// are answered 400 invalid_request. Such bodies are read into memory before the handler runs, which
// reads them again from the start; one of more than 64 KiB is answered 413, and how long one may take
// is set by http.Server.ReadTimeout. What was read by somebody before Bearer is not seen. Default:
// off, bodies are left alone.
//
// Warning: a form can be sent from anybody's page. An attacker who puts a token of their own into one
// makes the victim's browser act, and leave data, in the attacker's name.
func InsecureForm() Option {
	return func(g *guard) { g.form = true }
}

// printable tells whether s is one or more characters of %x20-7E.
func printable(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return s != ""
}

// quote writes s, which is printable, as a quoted-string (RFC 9110 5.6.4).
func quote(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
