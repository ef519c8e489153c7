package grants

import (
	"errors"
	"reflect"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

// Error is a refusal or a failure of a [Manager]. Code and
// Description are for the client; Cause, which may be nil, is for the log and never sent.
type Error struct {
	Code        string // RFC 6749 5.2, RFC 7009 2.2.1
	Description string // within %x20-21 / %x23-5B / %x5D-7E
	Cause       error
}

// Error returns the code and the cause.
func (e *Error) Error() string {
	switch {
	case e == nil: // in an error interface, by mistake
		return "grants: a nil *Error"
	case e.Cause == nil:
		return "grants: " + e.Code
	}
	return "grants: " + e.Code + ": " + e.Cause.Error()
}

// Unwrap returns the cause.
func (e *Error) Unwrap() error {
	if e == nil {
		return nil
	}
	return e.Cause
}

// reason is why a request was refused, in words for the operator. The client is told less.
type reason string

func (r reason) Error() string { return string(r) }

const (
	noGrantType          reason = "grant_type is missing"
	unsupportedGrantType reason = "grant type is not served"
	noClient             reason = "no client is named"
	unknownClient        reason = "unknown client"
	wrongSecret          reason = "wrong client secret"
	notRegistered        reason = "client is not registered for the grant type"
	publicClient         reason = "client is public"
	missingParameter     reason = "a parameter is missing"
	malformedScope       reason = "malformed scope"
	scopeBeyondClient    reason = "scope beyond the client's"
	scopeBeyondGrant     reason = "scope beyond the grant's"
	malformedToken       reason = "no token of this server"
	unknown              reason = "unknown code or token"
	otherClient          reason = "another client's code or token"
	grantEnded           reason = "grant has ended"
	expired              reason = "code or token has expired"
	tooManyTries         reason = "too many wrong verifiers"
	codeReplayed         reason = "code was redeemed before"
	refreshReused        reason = "refresh token was spent before"
	retryDiffers         reason = "refresh token was spent before, by a different request"
	wrongRedirectURI     reason = "redirect URI differs"
	malformedVerifier    reason = "malformed code verifier"
	missingVerifier      reason = "code verifier is missing"
	wrongVerifier        reason = "wrong code verifier"
	unboundVerifier      reason = "code verifier without challenge"
	notOnBehalf          reason = "client_credentials on behalf of users is off"
	notForUser           reason = "client may not act for the user"
	wrongImport          reason = "malformed import"
	malformedUser        reason = "user is not UTF-8"
	badResource          reason = "resource is malformed or not allowed to the client"
	resourceBeyondGrant  reason = "resource beyond the grant's"
	malformedRequest     reason = "malformed authorization request"
	approvedBefore       reason = "the approval was used before"
)

// deadGrant is all that a client learns about a code or refresh token that is not accepted.
const deadGrant = "the code or refresh token is unknown, expired, spent or revoked, or was given to another client or redirect URI"

// refusals says what a client is told for each reason.
var refusals = map[reason]Error{
	noGrantType:          {Code: "invalid_request", Description: "grant_type is missing"},
	unsupportedGrantType: {Code: "unsupported_grant_type", Description: "this grant type is not served here"},
	noClient:             {Code: "invalid_client", Description: wrongClient},
	unknownClient:        {Code: "invalid_client", Description: wrongClient},
	wrongSecret:          {Code: "invalid_client", Description: wrongClient},
	notRegistered:        {Code: "unauthorized_client", Description: "the client is not registered for this grant type"},
	publicClient:         {Code: "unauthorized_client", Description: "a public client can not use this grant type"},
	malformedScope:       {Code: "invalid_scope", Description: "scope is malformed: words separated by single spaces"},
	scopeBeyondClient:    {Code: "invalid_scope", Description: "scope goes beyond what the client is registered for"},
	scopeBeyondGrant:     {Code: "invalid_scope", Description: "scope goes beyond what was granted"},
	malformedToken:       {Code: "invalid_grant", Description: deadGrant},
	unknown:              {Code: "invalid_grant", Description: deadGrant},
	otherClient:          {Code: "invalid_grant", Description: deadGrant},
	grantEnded:           {Code: "invalid_grant", Description: deadGrant},
	expired:              {Code: "invalid_grant", Description: deadGrant},
	tooManyTries:         {Code: "invalid_grant", Description: deadGrant},
	codeReplayed:         {Code: "invalid_grant", Description: deadGrant},
	refreshReused:        {Code: "invalid_grant", Description: deadGrant},
	retryDiffers:         {Code: "invalid_grant", Description: deadGrant},
	wrongRedirectURI:     {Code: "invalid_grant", Description: deadGrant},
	malformedVerifier:    {Code: "invalid_grant", Description: deadGrant},
	missingVerifier:      {Code: "invalid_grant", Description: deadGrant},
	wrongVerifier:        {Code: "invalid_grant", Description: deadGrant},
	malformedUser:        {Code: "invalid_request", Description: "the user is not UTF-8"},
	badResource:          {Code: "invalid_target", Description: "resource is malformed, or not one that the client may ask for"},
	resourceBeyondGrant:  {Code: "invalid_target", Description: "resource goes beyond what was granted"},
	approvedBefore:       {Code: "invalid_request", Description: "the approval was used before"},
	notOnBehalf:          {Code: "unauthorized_client", Description: "clients do not act for users here"},
	notForUser:           {Code: "invalid_grant", Description: "the user is unknown, or the client may not act for it"},
	unboundVerifier:      {Code: "invalid_request", Description: "code_verifier was sent for a code that was asked for without code_challenge"},
}

const wrongClient = "client authentication failed"

// refusal is the error for a reason.
func refusal(r reason) *Error {
	e := refusals[r]
	e.Cause = r
	return &e
}

// missing refuses a request without one of its parameters.
func missing(parameter string) *Error {
	return &Error{Code: "invalid_request", Description: parameter + " is missing", Cause: missingParameter}
}

// failure is the error for a store, client store or function of the application that failed.
func failure(cause error) *Error {
	if errors.Is(cause, errClaims) || errors.Is(cause, errTooLong) { // which it would be again
		return &Error{Code: "server_error", Description: "the server has a fault", Cause: cause}
	}
	return &Error{Code: "temporarily_unavailable", Description: "the server can not answer for now; try again", Cause: cause}
}

// sentinels are go-oauth2's errors for the codes.
var sentinels = map[string]error{
	"invalid_request":        oerr.ErrInvalidRequest,
	"invalid_client":         oerr.ErrInvalidClient,
	"invalid_grant":          oerr.ErrInvalidGrant,
	"unauthorized_client":    oerr.ErrUnauthorizedClient,
	"unsupported_grant_type": oerr.ErrUnsupportedGrantType,
	"invalid_scope":          oerr.ErrInvalidScope,
	"access_denied":          oerr.ErrAccessDenied,
}

// bare turns an error of Token and Revoke into what the methods of oauth2.Manager return: go-oauth2's
// sentinel as it is, since its server compares by identity, and any failure as the store gave it.
func bare(err error) error {
	e, ok := errors.AsType[*Error](err)
	if !ok {
		return err
	}
	if sentinel, ok := sentinels[e.Code]; ok {
		return sentinel
	}
	if e.Cause != nil {
		return sound(e.Cause)
	}
	return err
}

// sound is a failure as it is or, where its type can't be compared, inside of one that can: go-oauth2's
// server looks errors up in a map, which panics for others.
func sound(failed error) error {
	if reflect.ValueOf(failed).Comparable() {
		return failed
	}
	return failure(failed)
}

// fromApplication is the error for what a function of the application returned: its own *Error, one of
// go-oauth2's sentinels, or a failure.
func fromApplication(err error) *Error {
	if e, ok := errors.AsType[*Error](err); ok && e != nil {
		return e
	}
	for code, sentinel := range sentinels {
		if errors.Is(err, sentinel) {
			return &Error{Code: code, Description: oerr.Descriptions[sentinel], Cause: err}
		}
	}
	return failure(err)
}

var _ oauth2.Manager = (*Manager)(nil)
