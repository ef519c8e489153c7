package handler

import "strings"

// The defaults.
const (
	defaultRealm            = "oauth"
	defaultBodyLimit        = 64 << 10 // bytes
	defaultParameterLimit   = 64
	defaultCredentialsLimit = 4 << 10  // bytes of Base64 text
	defaultQueryLimit       = 16 << 10 // bytes
)

// Option changes an endpoint. Later ones win. A value that makes no sense panics where the option is
// called.
type Option interface{ apply(*options) }

type optionFunc func(*options)

func (f optionFunc) apply(o *options) { f(o) }

type options struct {
	realm            string
	bodyLimit        int64
	parameterLimit   int
	credentialsLimit int
	dialect          Dialect
	foreignScope     string
	notFound         []func(error) bool
	queryLimit       int
	origins          []string
	pages            Pages
	optionalScopes   optionalScopes
}

func defaults() options {
	return options{
		realm:            defaultRealm,
		bodyLimit:        defaultBodyLimit,
		parameterLimit:   defaultParameterLimit,
		credentialsLimit: defaultCredentialsLimit,
		queryLimit:       defaultQueryLimit,
	}
}

// Realm sets the realm of the Basic challenge in a 401 (RFC 9110 11.5). Default "oauth".
func Realm(name string) Option {
	if !visible(name) {
		panic("handler: Realm: a character outside of %x20-7E")
	}
	return optionFunc(func(o *options) { o.realm = name })
}

// BodyLimit sets how many bytes a request's body may have; more are answered 413. Default 64 KiB.
func BodyLimit(bytes int64) Option {
	atLeastOne("BodyLimit", bytes)
	return optionFunc(func(o *options) { o.bodyLimit = bytes })
}

// ParameterLimit sets how many parameters a body may have. Default 64.
func ParameterLimit(n int) Option {
	atLeastOne("ParameterLimit", int64(n))
	return optionFunc(func(o *options) { o.parameterLimit = n })
}

// QueryLimit sets how many bytes the query of an authorization request may have; more are answered 414.
// Default 16 KiB.
func QueryLimit(bytes int) Option {
	atLeastOne("QueryLimit", int64(bytes))
	return optionFunc(func(o *options) { o.queryLimit = bytes })
}

// CredentialsLimit sets how long the Base64 text of Basic credentials may be; longer ones are answered
// invalid_client and not looked at. Default 4 KiB.
func CredentialsLimit(bytes int) Option {
	atLeastOne("CredentialsLimit", int64(bytes))
	return optionFunc(func(o *options) { o.credentialsLimit = bytes })
}

// ForeignScope sets the scope (RFC 6749 3.3) that a client may ask for by client_credentials where the
// manager is not a *grants.Manager and the client not a *storage.Client, which would say. Default none.
func ForeignScope(scope string) Option {
	return optionFunc(func(o *options) { o.foreignScope = scope })
}

// NotFound tells which errors of a manager that is not a *grants.Manager mean that a token does not
// exist: some token stores return one of their driver's. Without it they are answered 503.
func NotFound(is func(error) bool) Option {
	if is == nil {
		panic("handler: NotFound: no function")
	}
	return optionFunc(func(o *options) { o.notFound = append(o.notFound, is) })
}

func atLeastOne(option string, n int64) {
	if n < 1 {
		panic("handler: " + option + ": less than 1")
	}
}

// visible tells whether s consists of VSCHAR (RFC 6749 A): %x20-7E.
func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
