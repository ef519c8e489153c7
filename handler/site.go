package handler

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/grants"
)

// site is what the pages for users have in common.
type site struct {
	options
	manager *grants.Manager
	user    UserFunc
	sealer  *sealer
	cookie  string // its name
	secure  bool
	origins *http.CrossOriginProtection
}

func newSite(name string, m *grants.Manager, user UserFunc, opts []Option) *site {
	switch {
	case m == nil:
		panic("handler: " + name + ": no manager")
	case user == nil:
		panic("handler: " + name + ": no function that says who has signed in")
	case m.Issuer() == "":
		panic("handler: " + name + ": the manager was made without grants.Issuer")
	case m.Keys() == nil:
		panic("handler: " + name + ": the manager's store is no storage.Keys")
	}
	s := &site{options: defaults(), manager: m, user: user, sealer: &sealer{keys: m.Keys()}, cookie: "ostiary", origins: http.NewCrossOriginProtection()}
	for _, o := range opts {
		o.apply(&s.options)
	}
	if strings.HasPrefix(m.Issuer(), "https://") {
		s.cookie, s.secure = "__Host-ostiary", true
	}
	return s
}

// pageError is an error that is answered with a page, since nobody is known whom it could be told else.
type pageError struct {
	status int
	cause  *grants.Error
}

func (e *pageError) Error() string { return e.cause.Error() }

func badPage(description string) error {
	return &pageError{http.StatusBadRequest, invalidRequest(description)}
}

// serve answers GET and POST with answer. Everything that goes wrong is answered here.
func (s *site) serve(answer func(w http.ResponseWriter, r *http.Request) error) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodPost {
			w.Header().Set("Allow", "GET, POST")
			s.fail(w, r, &pageError{http.StatusMethodNotAllowed, invalidRequest("this method is not served here")})
			return
		}
		if err := s.guarded(w, r, answer); err != nil {
			s.fail(w, r, err)
		}
	})
}

// guarded runs answer. A panic in it becomes an error; the log gets its place, not its value.
func (s *site) guarded(w http.ResponseWriter, r *http.Request, answer func(w http.ResponseWriter, r *http.Request) error) (err error) {
	defer func() {
		if logPanic(r.Context(), s.manager.Logger(), recover()) {
			err = &pageError{http.StatusInternalServerError, nil}
		}
	}()
	if r.Method != http.MethodGet {
		if err := s.origins.Check(r); err != nil {
			return &pageError{http.StatusForbidden, invalidRequest("the form was sent from another site")}
		}
	}
	return answer(w, r)
}

// fail answers with a page.
func (s *site) fail(w http.ResponseWriter, r *http.Request, err error) {
	page, ok := errors.AsType[*pageError](err)
	if !ok {
		e := asError(err)
		page = &pageError{answerTo(e.Code).status, e}
		if isFailure(e) {
			s.logFailure(r.Context(), r.URL.Query(), e)
		}
	}
	if page.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	s.showFailure(w, r, page)
}

// logFailure logs what went wrong on this side, without anything that was sent.
func (s *site) logFailure(ctx context.Context, sent url.Values, e *grants.Error) {
	words := "no cause given"
	if e.Cause != nil {
		words = (&request{form: sent}).redact(e.Cause.Error())
	}
	level := slog.LevelError
	if context.Cause(ctx) == context.Canceled { // the browser has gone
		level = slog.LevelInfo
	}
	s.manager.Logger().Log(ctx, level, "oauth: failure", "code", e.Code, "error", words)
}

// values are the parameters of a request: of its query or, by POST, of its form, and never of both.
func (s *site) values(w http.ResponseWriter, r *http.Request) (url.Values, error) {
	raw := r.URL.RawQuery
	if r.Method == http.MethodPost {
		if raw != "" {
			return nil, badPage("parameters stand in the query and in the body")
		}
		if types := r.Header.Values("Content-Type"); len(types) != 1 || !isForm(types[0]) {
			return nil, badPage("the body has to be application/x-www-form-urlencoded")
		}
		body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, s.bodyLimit))
		if _, large := errors.AsType[*http.MaxBytesError](err); large {
			return nil, &pageError{http.StatusRequestEntityTooLarge, invalidRequest("the body is too large")}
		} else if err != nil {
			return nil, badPage("the body could not be read")
		}
		raw = string(body)
	}
	tooLong := &pageError{http.StatusRequestURITooLong, invalidRequest("the query is too long")}
	if r.Method == http.MethodPost {
		tooLong = &pageError{http.StatusRequestEntityTooLarge, invalidRequest("the parameters are too long")}
	} else if len(raw) > longestPending {
		return nil, tooLong
	}
	values, err := url.ParseQuery(raw)
	switch {
	case err != nil:
		return nil, badPage("the parameters are malformed")
	case len(raw) > s.queryLimit && !values.Has("pending"): // what is sealed is longer than what was sent
		return nil, tooLong
	}
	count := 0
	for name, sent := range values {
		count += len(sent)
		if !utf8.ValidString(name) || slices.ContainsFunc(sent, func(v string) bool { return !utf8.ValidString(v) }) {
			return nil, badPage("the parameters are not UTF-8")
		}
	}
	if count > s.parameterLimit {
		return nil, badPage("there are too many parameters")
	}
	return values, nil
}
