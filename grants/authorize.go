package grants

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/internal/pkce"
	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// AuthorizationRequest is a request to the authorization endpoint (RFC 6749 4.1.1): its parameters as
// they were sent.
type AuthorizationRequest struct {
	ClientID, RedirectURI      string
	ResponseType, ResponseMode string
	Scope, State               string
	CodeChallenge              string // RFC 7636 4.3
	CodeChallengeMethod        string
	Resource                   []string // RFC 8707 2
	Prompt, MaxAge             string   // OpenID Connect Core 3.1.2.1
	RequestObject, RequestURI  string   // "request", "request_uri": RFC 9101, not served
	Repeated                   bool     // another parameter than client_id and redirect_uri was sent twice
	RemoteAddr                 string   // of the browser, as the server saw it
}

// Authorization is a request to the authorization endpoint whose client and redirect URI are proven, so
// that it may be answered there.
type Authorization struct {
	Client      *storage.Client // read only
	RedirectURI string
	State       string   // to be sent back as it is; "" if there is none
	Scope       []string // that is asked for: the client's whole if it named none
	Audience    []string // resource servers that the tokens are asked for; nil: any
	Prompt      []string // none, login, consent, select_account
	MaxAge      int      // seconds since the user signed in, at most; -1: any
	Refused     *Error   // why it is not granted. Not to be told before it is known who the user is

	client  *client
	request *AuthorizationRequest
}

// Authorization looks at a request to the authorization endpoint. The error is an *[Error]: the client
// is unknown, the redirect URI not one of its own, or the store failed; it belongs on a page and never
// into a redirect (RFC 9700 4.11).
func (m *Manager) Authorization(ctx context.Context, r *AuthorizationRequest) (*Authorization, error) {
	a, err := m.authorization(ctx, r)
	if err != nil {
		m.report(ctx, Event{RemoteAddr: r.RemoteAddr}, err)
		return nil, err
	}
	return a, nil
}

func (m *Manager) authorization(ctx context.Context, r *AuthorizationRequest) (*Authorization, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.client(ctx, r.ClientID)
	switch {
	case err == unknownClient:
		return nil, &Error{Code: "invalid_request", Description: "client_id is missing or unknown", Cause: unknownClient}
	case err != nil:
		return nil, failure(err)
	}
	uri, ok := redirectTo(c, r.RedirectURI)
	if !ok {
		return nil, &Error{Code: "invalid_request", Description: "redirect_uri is not one that the client has registered", Cause: wrongRedirectURI}
	}
	a := &Authorization{Client: c.Client, RedirectURI: uri, State: r.State, MaxAge: -1, client: c, request: r}
	a.Prompt = strings.Fields(r.Prompt)
	a.Refused = a.check(r)
	return a, nil
}

// check finds what is wrong with a request, in the order in which mistakes are answered.
func (a *Authorization) check(r *AuthorizationRequest) *Error {
	switch {
	case r.Repeated:
		return badRequest("a parameter stands there more than once")
	case !visible(r.State):
		return badRequest("state has a character outside of %x20-7E")
	case r.RequestObject != "":
		return &Error{Code: "request_not_supported", Description: "request objects are not supported", Cause: malformedRequest}
	case r.RequestURI != "":
		return &Error{Code: "request_uri_not_supported", Description: "request_uri is not supported", Cause: malformedRequest}
	case r.ResponseMode != "" && r.ResponseMode != "query":
		return badRequest("response_mode is not query")
	case r.ResponseType == "":
		return badRequest("response_type is missing")
	case r.ResponseType != string(oauth2.Code):
		return &Error{Code: "unsupported_response_type", Description: "response_type is not code", Cause: malformedRequest}
	case !a.client.Allows(authorizationCode):
		return refusal(notRegistered)
	}
	if err := a.checkChallenge(r); err != nil {
		return err
	}
	if err := a.checkPrompt(r); err != nil {
		return err
	}
	granted, refused := grantable(a.client, r.Scope)
	if refused != nil {
		return refused
	}
	a.Scope, _ = scope.Parse(granted)
	a.Audience, refused = a.client.audience(r.Resource)
	return refused
}

func (a *Authorization) checkChallenge(r *AuthorizationRequest) *Error {
	switch {
	case r.CodeChallenge == "" && r.CodeChallengeMethod != "":
		return badRequest("code_challenge_method without code_challenge")
	case r.CodeChallenge == "" && a.client.InsecureNoPKCE && !a.client.Public:
		return nil
	case r.CodeChallenge == "":
		return badRequest("code_challenge is missing (RFC 7636)")
	case r.CodeChallengeMethod != string(oauth2.CodeChallengeS256):
		return badRequest("code_challenge_method is not S256; if it is missing it means plain")
	case !pkce.WellFormedChallenge(r.CodeChallenge):
		return badRequest("code_challenge is not the Base64url text of 32 octets")
	}
	return nil
}

var prompts = []string{"none", "login", "consent", "select_account"}

func (a *Authorization) checkPrompt(r *AuthorizationRequest) *Error {
	for _, word := range a.Prompt {
		if !slices.Contains(prompts, word) {
			return badRequest("prompt is not served")
		}
	}
	if len(a.Prompt) > 1 && a.Prompts("none") {
		return badRequest("prompt has none and something else")
	}
	if r.MaxAge == "" {
		return nil
	}
	seconds, err := strconv.ParseUint(r.MaxAge, 10, 31)
	if err != nil {
		return badRequest("max_age is not a number of seconds")
	}
	a.MaxAge = int(seconds)
	return nil
}

// Prompts tells whether the request's prompt has the word in it.
func (a *Authorization) Prompts(word string) bool { return slices.Contains(a.Prompt, word) }

// Consented tells whether the user has allowed the client all that it asks for: whether it is within the
// scopes of his grants to the client that are alive, and for the same resource servers. For a public client that anybody can pose as, on a
// loopback or private-use URI (RFC 8252 8.6), nobody has.
//
// The error is an *[Error]: the store failed.
func (m *Manager) Consented(ctx context.Context, a *Authorization, user string) (bool, error) {
	if a.Client.Public && !strings.HasPrefix(a.RedirectURI, "https://") {
		return false, nil
	}
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	open, any := a.Scope, false // what is not allowed yet
	for g, err := range m.store.Grants(ctx, storage.Filter{User: user, Client: a.Client.ID}) {
		if err != nil {
			return false, failure(err)
		}
		if m.connects(a.client, g) && within(a.Audience, g.Audience) {
			open, any = scope.Beyond(open, g.Scope), true
		}
	}
	return any && len(open) == 0, nil
}

// Approval is what a user has allowed.
type Approval struct {
	Grant storage.ID // of the grant to be made, so that one approval makes no two
	User  string
	Scope []string // within the Authorization's
}

// Approve makes the authorization code (RFC 6749 4.1.2) for a request that is not refused. The error is
// an *[Error]: the approval was used before, or the store failed.
func (m *Manager) Approve(ctx context.Context, a *Authorization, as Approval) (code string, err error) {
	e := Event{Client: a.Client.ID, User: as.User, RemoteAddr: a.request.RemoteAddr}
	code, refused := m.approve(ctx, a, as, &e)
	m.report(ctx, e, refused)
	if refused != nil {
		return "", refused
	}
	return code, nil
}

func (m *Manager) approve(ctx context.Context, a *Authorization, as Approval, e *Event) (string, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	switch {
	case a.Refused != nil:
		return "", a.Refused
	case as.User == "" || !utf8.ValidString(as.User):
		return "", refusal(malformedUser)
	case !scope.Within(as.Scope, strings.Join(a.Scope, " ")):
		return "", refusal(scopeBeyondGrant)
	}
	g, code := m.newCode(a.client, &storage.Code{
		RedirectURI:     a.RedirectURI,
		RedirectURISent: a.request.RedirectURI != "",
		Challenge:       a.request.CodeChallenge,
	})
	g.ID, g.User, g.Scope, g.Audience = as.Grant, as.User, strings.Join(as.Scope, " "), a.Audience
	switch err := m.store.Insert(ctx, g); {
	case errors.Is(err, storage.ErrExists):
		return "", refusal(approvedBefore)
	case err != nil:
		return "", failure(err)
	}
	e.Kind, e.Grant, e.Scope = EventAuthorized, g.ID, g.Scope
	return m.encoding.Encode(CodeKind, g.ID, code), nil
}

// Refuse tells of a request that is answered with an error, to the log and whoever listens for events.
// user is "" if it is not known.
func (m *Manager) Refuse(ctx context.Context, a *Authorization, user string, refused *Error) {
	m.report(ctx, Event{Client: a.Client.ID, User: user, RemoteAddr: a.request.RemoteAddr}, refused)
}

// Keys returns where the store keeps secrets of the server's own, or nil if it keeps none. It waits for the
// store as long as [StoreTimeout] says.
func (m *Manager) Keys() storage.Keys {
	keys, ok := ability[storage.Keys](m.store)
	if !ok {
		return nil
	}
	return hurried{keys, m.storeTimeout}
}

type hurried struct {
	storage.Keys
	timeout time.Duration
}

func (h hurried) Secret(ctx context.Context, name string, change func(old []byte) ([]byte, error)) ([]byte, error) {
	ctx, cancel := context.WithTimeout(ctx, h.timeout)
	defer cancel()
	return h.Keys.Secret(ctx, name, change)
}

func badRequest(description string) *Error {
	return &Error{Code: "invalid_request", Description: description, Cause: malformedRequest}
}

func visible(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' })
}
