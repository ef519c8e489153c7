// Package handler serves the endpoints of an OAuth 2.0 authorization server.
//
// Each endpoint is one function that takes the manager and returns a handler for any mux. Mount it
// without a method: it answers the others itself.
//
//	mux.Handle("/oauth/token", handler.Token(manager))           // RFC 6749 3.2
//	mux.Handle("/oauth/revoke", handler.Revoke(manager))         // RFC 7009
//	mux.Handle("/oauth/introspect", handler.Introspect(manager)) // RFC 7662
//
// Parameters are read from the body alone, errors are answered as RFC 6749 5.2 says, a store that fails
// is answered 503 and logged, and nothing that was sent comes back in an answer or a log. Every handler
// is safe for concurrent use.
//
// The manager is a *grants.Manager, also inside a type with a method Unwrap() oauth2.Manager. Any other
// oauth2.Manager works too, within what can be mended from outside: the README has the list.
package handler

import (
	"context"
	"errors"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
)

// manager is what the endpoints need: *grants.Manager has it, and foreign gives it to any other.
type manager interface {
	Token(ctx context.Context, r *grants.Request) (oauth2.TokenInfo, error)
	Revoke(ctx context.Context, r *grants.Request) error
	GrantTypes() []string
	Params() []string
	Logger() *slog.Logger
}

// endpoint is what the token, revocation and introspection endpoints have in common.
type endpoint struct {
	options
	manager manager
	known   map[string]bool // parameters that are refused twice or in the URL
}

func newEndpoint(m oauth2.Manager, opts []Option) *endpoint {
	e := &endpoint{options: defaults()}
	for _, o := range opts {
		o.apply(&e.options)
	}
	e.manager = serving(m, e.options)
	e.known = make(map[string]bool)
	for _, names := range [][]string{knownParameters, e.manager.Params(), e.dialect.Params} {
		for _, name := range names {
			e.known[name] = true
		}
	}
	return e
}

// serving finds the manager in m, or makes one of it.
func serving(m oauth2.Manager, o options) manager {
	for inner := m; inner != nil; {
		if found, ok := inner.(manager); ok {
			return found
		}
		wrapper, ok := inner.(interface{ Unwrap() oauth2.Manager })
		if !ok {
			return newForeign(m, o)
		}
		inner = wrapper.Unwrap()
	}
	panic("handler: no manager")
}

// action is what an endpoint does with a request that is well-formed. It returns the members of a JSON
// object, or nil for an empty body.
type action func(r *request, ask *grants.Request) (map[string]any, error)

// post serves POST requests with a form. Everything that is written, headers and log included, is
// written here.
func (e *endpoint) post(do action) http.Handler {
	return e.cors(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := e.serve(w, r, do)
		if err != nil {
			e.refuse(w, err)
			return
		}
		write(w, http.StatusOK, body)
	}))
}

// serve runs do. A panic in it becomes a server_error; the log gets its place, not its value, which
// may hold anything.
func (e *endpoint) serve(w http.ResponseWriter, r *http.Request, do action) (body []byte, err error) {
	defer func() {
		if logPanic(r.Context(), e.manager.Logger(), recover()) {
			err = &grants.Error{Code: serverError, Description: somethingWrong}
		}
	}()
	req, err := e.read(w, r)
	if err != nil {
		return nil, err
	}
	members, err := e.do(req, do)
	if err == nil {
		body, err = encode(members)
	}
	if err != nil {
		e.logFailure(r.Context(), req, err)
	}
	return body, err
}

func (e *endpoint) do(r *request, do action) (map[string]any, error) {
	ask := r.grantsRequest()
	r.unreadable = e.credentials(r, ask)
	r.clientID, r.secret = ask.ClientID, ask.ClientSecret
	if err := e.dialect.request(ask); err != nil {
		return nil, err
	}
	return do(r, ask)
}

// logPanic tells whether there was a panic, and logs where. One that aborts the answer goes on.
func logPanic(ctx context.Context, l *slog.Logger, p any) bool {
	switch p {
	case nil:
		return false
	case http.ErrAbortHandler:
		panic(p)
	}
	l.ErrorContext(ctx, "oauth: panic", "stack", string(debug.Stack()))
	return true
}

// logFailure logs what went wrong on this side, without anything that the client sent: the words of a
// failure are those of a store, which may quote its keys.
func (e *endpoint) logFailure(ctx context.Context, req *request, err error) {
	refused := asError(err)
	if answerTo(refused.Code).status < 500 {
		if refused.Cause == nil { // refused before the manager saw it, which would have told
			e.manager.Logger().InfoContext(ctx, "oauth", "event", string(grants.EventRefused), "reason", refused.Description, "remote", req.RemoteAddr)
		}
		return
	}
	level := slog.LevelError
	if context.Cause(ctx) == context.Canceled { // the client has gone
		level = slog.LevelInfo
	}
	words := "no cause given"
	if refused.Cause != nil {
		words = req.redact(refused.Cause.Error())
	}
	e.manager.Logger().Log(ctx, level, "oauth: failure", "code", refused.Code, "error", words)
}

// asError makes an *Error of what a manager of the application's returned that keeps no contract.
func asError(err error) *grants.Error {
	if e, ok := errors.AsType[*grants.Error](err); ok && e != nil {
		return e
	}
	return &grants.Error{Code: serverError, Description: somethingWrong, Cause: err}
}

const somethingWrong = "something went wrong inside"

// redact takes everything out of words that the client sent, also where it was quoted.
func (r *request) redact(words string) string {
	sent := slices.Concat(slices.Collect(maps.Values(r.form))...)
	sent = append(sent, r.clientID, r.secret)
	sent = slices.DeleteFunc(sent, func(v string) bool {
		return v == "" || len(v) < 6 && v != r.secret // short ones are no secrets, and stand in words
	})
	slices.SortFunc(sent, func(a, b string) int { return len(b) - len(a) }) // one may hold another
	for _, v := range sent {
		for _, form := range []string{v, strings.Trim(strconv.Quote(v), `"`), url.QueryEscape(v)} {
			words = strings.ReplaceAll(words, form, "[redacted]")
		}
	}
	return words
}
