package handler

import (
	"slices"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
)

// Dialect is how the clients of a system that leaves the RFCs in small ways talk to an endpoint. It is an
// [Option] of that endpoint alone: others on the same manager stay as they are. What a field leaves zero
// is as the RFC has it; whatever it says, the order in which several mistakes are answered, the limits,
// the log and Cache-Control stay.
type Dialect struct {
	// Params are the names of parameters that the dialect adds. Like those of OAuth they are refused
	// twice and in the URL.
	Params []string

	// Request is called for each request whose form is well-formed, before anything else is looked at.
	// It turns their words into ours: what OAuth does not know stands in r.Params, and the client's
	// credentials in r.ClientID and r.ClientSecret wherever they were sent. It may set r.User, on whose
	// behalf client_credentials then asks (see grants.OnBehalf). To refuse it returns a *grants.Error
	// with the code of an RFC.
	Request func(r *grants.Request) error

	// Success alters the members of a successful token answer (RFC 6749 5.1), of which info tells more.
	Success func(members map[string]any, info oauth2.TokenInfo)

	// Errors are the answers to errors, by the code that RFC 6749 5.2 and RFC 7009 2.2.1 would have
	// sent. A code that is not there is answered as they say.
	Errors map[string]Answer

	// GrantTypes are the grant types that this token endpoint serves, each of which the manager has to
	// know. nil means all that it knows.
	GrantTypes []string

	encoded map[string][]byte // Errors, as they are written
}

// Answer is how a [Dialect] answers an error.
type Answer struct {
	Status  int            // 0: as without the dialect, so that 405 and 413 stay what they are
	Members map[string]any // exactly these; nil: an empty body
}

// apply checks what can be checked, so that a slip shows at the start and not in an answer.
func (d Dialect) apply(o *options) {
	d.encoded = make(map[string][]byte)
	for code, a := range d.Errors {
		if a.Status != 0 && (a.Status < 400 || a.Status > 599) {
			panic("handler: Dialect: the status for " + code + " is no error")
		}
		body, err := encode(a.Members)
		if err != nil {
			panic("handler: Dialect: the members for " + code + ": " + err.Error())
		}
		d.encoded[code] = body
	}
	o.dialect = d
}

// request turns what the manager is asked into our words.
func (d Dialect) request(ask *grants.Request) error {
	if d.Request == nil {
		return nil
	}
	return d.Request(ask)
}

// members are those of a successful answer.
func (d Dialect) members(info oauth2.TokenInfo) map[string]any {
	members := tokenMembers(info)
	if d.Success != nil {
		d.Success(members, info)
	}
	return members
}

// grantTypes are those of known that are served.
func (d Dialect) grantTypes(known []string) []string {
	if d.GrantTypes == nil {
		return known
	}
	for _, name := range d.GrantTypes {
		if !slices.Contains(known, name) {
			panic("handler: Dialect: the manager does not know the grant type " + name)
		}
	}
	return d.GrantTypes
}
