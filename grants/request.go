package grants

import (
	"log/slog"
	"net/url"
)

// Request is a request to the token or revocation endpoint, parsed but unproven: ClientID and
// ClientSecret are as sent, and [Manager.Token] and [Manager.Revoke] prove them first thing. An empty
// string means that the parameter is absent. A Request prints as "[request]".
type Request struct {
	GrantType              string
	ClientID, ClientSecret string
	User                   string // set by a dialect, never by a parameter of the client
	Code, CodeVerifier     string
	RedirectURI            string
	RefreshToken           string
	Token, TokenTypeHint   string // to be revoked
	Scope                  string
	Resource               []string
	RemoteAddr             string     // as in http.Request
	Params                 url.Values // what else stands in the body, for grant types of the application
}

// String returns "[request]": what it holds is secret.
func (Request) String() string { return "[request]" }

// GoString returns "[request]".
func (Request) GoString() string { return "[request]" }

// LogValue implements [slog.LogValuer] with "[request]".
func (Request) LogValue() slog.Value { return slog.StringValue("[request]") }

// MarshalJSON returns "[request]".
func (Request) MarshalJSON() ([]byte, error) { return []byte(`"[request]"`), nil }
