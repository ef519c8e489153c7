package handler

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// User is who has signed in to the application.
type User struct {
	ID       string    // as it stands in grants and tokens; "": nobody yet
	Name     string    // to be shown; ID if it is empty
	AuthTime time.Time // when he proved who he is; asked for where a client demands a recent sign-in
}

// Ask is what a page of this package wants to know who the user is for.
type Ask struct {
	// Login says that being signed in is not enough: the client demands that the user signs in now
	// (prompt=login, select_account, or max_age). Show the login.
	Login bool

	// ReturnTo is where the browser has to be sent once the user has signed in: a path with a query, on
	// this host. It has the whole request in it, sealed, and works for half an hour in this browser.
	ReturnTo string

	// What the client asks for. They are zero where no client does.
	Client    *storage.Client // read only
	Scope     []string
	Audience  []string      // resource servers (RFC 8707); nil: any
	Prompt    []string      // OpenID Connect Core 3.1.2.1. With none, nothing that is shown reaches the browser
	MaxAge    time.Duration // since the sign-in, at most; see Login, which says whether it is over. Negative: any
	LoginHint string        // as it was sent: whom the client expects
	UILocales string
}

// UserFunc is how an application says who has signed in. It returns the user or, if there is none or
// [Ask] says Login, shows a login (a page, or a redirect to one) on w and returns a User without ID. An
// error is answered temporarily_unavailable, unless it is a *[grants.Error], whose code is sent.
type UserFunc = func(w http.ResponseWriter, r *http.Request, ask Ask) (User, error)

// Authorize serves the authorization endpoint (RFC 6749 3.1) with response_type code alone, S256 (RFC
// 7636) and iss (RFC 9207). It has the application sign the user in, asks him for his consent unless he
// has given it before, and sends the browser back to the client with a code.
//
//	mux.Handle("/oauth/authorize", handler.Authorize(manager, whoIsSignedIn))
//
// What can't be told the client, since it is unknown or its redirect URI not proven, is a page. See
// [Pages] for the looks and the words, [OptionalScopes] for what a user may untick.
//
// Authorize panics if the manager has no [grants.Issuer], or if its store is no [storage.Keys].
func Authorize(m *grants.Manager, user UserFunc, opts ...Option) http.Handler {
	a := &authorizer{site: newSite("Authorize", m, user, opts)}
	return a.serve(a.answer)
}

type authorizer struct{ *site }

// The parameters of an authorization request that are kept, and refused twice.
var authorizationParameters = []string{
	"client_id", "redirect_uri", "response_type", "response_mode", "scope", "state", "code_challenge", "code_challenge_method",
	"prompt", "max_age", "request", "request_uri",
}

// Those that are only handed on.
var hints = []string{"login_hint", "ui_locales"}

func (a *authorizer) answer(w http.ResponseWriter, r *http.Request) error {
	values, err := a.values(w, r)
	if err != nil {
		return err
	}
	if !values.Has("pending") {
		if r.Method == http.MethodPost && values.Has("consent") {
			return badPage("the form is incomplete")
		}
		p, err := newPending(values)
		if err != nil {
			return err
		}
		return a.proceed(w, r, p)
	}
	p, err := a.open(r, values)
	if err != nil {
		return err
	}
	if r.Method == http.MethodPost {
		return a.decide(w, r, p, values)
	}
	return a.proceed(w, r, p)
}

// newPending takes what counts out of the parameters of a request. What stands there twice is an error
// that can be sent to the client once its redirect URI is proven.
func newPending(values url.Values) (*pending, error) {
	p := &pending{Grant: storage.NewID(), Values: make(url.Values)}
	for _, name := range authorizationParameters {
		switch sent := values[name]; {
		case len(sent) == 1:
			p.Values[name] = sent
		case len(sent) > 1 && (name == "client_id" || name == "redirect_uri"):
			return nil, badPage(name + " stands there more than once")
		case len(sent) > 1:
			p.Repeated = true
		}
	}
	if sent := values["resource"]; len(sent) > 0 { // which may stand there more than once
		p.Values["resource"] = sent
	}
	for _, name := range hints {
		if sent := values[name]; len(sent) == 1 {
			p.Values[name] = sent
		}
	}
	return p, nil
}

func (p *pending) request(r *http.Request) *grants.AuthorizationRequest {
	v := p.Values
	return &grants.AuthorizationRequest{
		ClientID:            v.Get("client_id"),
		RedirectURI:         v.Get("redirect_uri"),
		ResponseType:        v.Get("response_type"),
		ResponseMode:        v.Get("response_mode"),
		Scope:               v.Get("scope"),
		State:               v.Get("state"),
		CodeChallenge:       v.Get("code_challenge"),
		CodeChallengeMethod: v.Get("code_challenge_method"),
		Resource:            v["resource"],
		Prompt:              v.Get("prompt"),
		MaxAge:              v.Get("max_age"),
		RequestObject:       v.Get("request"),
		RequestURI:          v.Get("request_uri"),
		Repeated:            p.Repeated,
		RemoteAddr:          r.RemoteAddr,
	}
}

// proceed takes a request as far as it goes: to a login, an error, the consent page or the code.
func (a *authorizer) proceed(w http.ResponseWriter, r *http.Request, p *pending) error {
	asked, err := a.manager.Authorization(r.Context(), p.request(r))
	if err != nil {
		return a.unproven(r, p, asError(err))
	}
	user, refused := a.signedIn(w, r, p, asked)
	switch {
	case refused != nil:
		return a.refuse(w, r, p, asked, user.ID, refused)
	case user.ID == "": // a login was shown
		return nil
	case asked.Refused != nil:
		return a.refuse(w, r, p, asked, user.ID, asked.Refused)
	}
	consented := false
	if !asked.Prompts("consent") {
		if consented, err = a.manager.Consented(r.Context(), asked, user.ID); err != nil {
			return a.refuse(w, r, p, asked, user.ID, asError(err))
		}
	}
	switch {
	case consented:
		return a.approve(w, r, p, asked, user, asked.Scope)
	case asked.Prompts("none"):
		return a.refuse(w, r, p, asked, user.ID, &grants.Error{Code: "consent_required", Description: "the user has to be asked", Cause: errors.New("no consent yet")})
	}
	return a.showConsent(w, r, p, asked, user)
}

// signedIn asks the application who the user is. The user has no ID if a login was shown. Who has to
// sign in anew is sent to the login once.
func (a *authorizer) signedIn(w http.ResponseWriter, r *http.Request, p *pending, asked *grants.Authorization) (User, *grants.Error) {
	ask := p.ask(asked)
	silent := asked.Prompts("none")
	if silent {
		w = newVoid()
	}
	back := p.afterLogin()
	var err error
	if ask.ReturnTo, err = a.returnTo(w, r, &back); err != nil {
		return User{}, asError(err)
	}
	user, err := a.user(w, r, ask)
	switch {
	case err != nil:
		return User{}, fromApplication(err)
	case user.ID == "" && silent:
		return User{}, loginRequired("nobody is signed in")
	case user.ID == "" || p.isFresh(asked, user):
		return user, nil
	case silent:
		return user, loginRequired("the user has to sign in anew")
	case p.Asked != 0:
		return user, loginRequired("the user came back without having signed in anew")
	}
	ask.Login = true
	user, err = a.user(w, r, ask)
	switch {
	case err != nil:
		return User{}, fromApplication(err)
	case user.ID == "" || back.isFresh(asked, user):
		return user, nil
	}
	return user, &grants.Error{Code: serverError, Description: somethingWrong, Cause: errors.New("the application was asked for a login, and has shown none")}
}

// afterLogin is p as it comes back from the login that is shown now.
func (p *pending) afterLogin() pending {
	back := *p
	back.Asked, back.User, back.Shown = time.Now().Unix(), "", nil
	return back
}

func (p *pending) ask(asked *grants.Authorization) Ask {
	return Ask{
		Client: asked.Client, Scope: asked.Scope, Audience: asked.Audience, Prompt: asked.Prompt, MaxAge: time.Duration(asked.MaxAge) * time.Second,
		LoginHint: p.Values.Get("login_hint"), UILocales: p.Values.Get("ui_locales"),
	}
}

// isFresh tells whether the user has signed in as lately as the client demands (OpenID Connect Core
// 3.1.2.1). Applications may keep times in seconds.
func (p *pending) isFresh(asked *grants.Authorization, user User) bool {
	since := p.Asked != 0 && user.AuthTime.Unix() >= p.Asked
	switch {
	case asked.Refused != nil: // will be told anyway
		return true
	case asked.Prompts("login"):
		return since
	case asked.Prompts("select_account") && p.Asked == 0:
		return false
	case asked.MaxAge >= 0:
		return since || time.Since(user.AuthTime) <= time.Duration(asked.MaxAge)*time.Second
	}
	return true
}

func loginRequired(why string) *grants.Error {
	return &grants.Error{Code: "login_required", Description: "the user has to sign in", Cause: errors.New(why)}
}

// decide answers the form of the consent page. What was shown to this user in this browser counts, and
// nothing else that the form has in it.
func (a *authorizer) decide(w http.ResponseWriter, r *http.Request, p *pending, values url.Values) error {
	decision := values["consent"]
	if p.User == "" || len(decision) != 1 || !slices.Contains(decisions, decision[0]) {
		return badPage("the form is incomplete")
	}
	asked, err := a.manager.Authorization(r.Context(), p.request(r))
	if err != nil {
		return a.unproven(r, p, asError(err))
	}
	back := p.afterLogin()
	ask := p.ask(asked)
	if ask.ReturnTo, err = a.returnTo(w, r, &back); err != nil {
		return a.refuse(w, r, p, asked, "", asError(err))
	}
	user, err := a.user(w, r, ask)
	switch {
	case err != nil:
		return a.refuse(w, r, p, asked, "", fromApplication(err))
	case user.ID == "":
		return nil
	case user.ID != p.User:
		return &pageError{http.StatusForbidden, invalidRequest("somebody else has signed in since the page was shown")}
	case asked.Refused != nil:
		return a.refuse(w, r, p, asked, user.ID, asked.Refused)
	case decision[0] == deny:
		return a.refuse(w, r, p, asked, user.ID, accessDenied("the user has refused"))
	}
	allowed := a.allowed(p.Shown, asked.Scope, values["scope"])
	if len(allowed) == 0 && len(p.Shown) > 0 {
		return a.refuse(w, r, p, asked, user.ID, accessDenied("the user has allowed nothing"))
	}
	return a.approve(w, r, p, asked, user, allowed)
}

// allowed are the scopes that were shown and, where they may be, not unticked.
func (a *authorizer) allowed(shown, asked, ticked []string) (allowed []string) {
	for _, word := range shown {
		if slices.Contains(asked, word) && (!a.optionalScopes.has(word) || slices.Contains(ticked, word)) {
			allowed = append(allowed, word)
		}
	}
	return allowed
}

func accessDenied(why string) *grants.Error {
	return &grants.Error{Code: "access_denied", Description: "the user has not allowed it", Cause: errors.New(why)}
}

// The values of consent in the form of the consent page.
const (
	approve = "approve"
	deny    = "deny"
)

var decisions = []string{approve, deny}

func (a *authorizer) approve(w http.ResponseWriter, r *http.Request, p *pending, asked *grants.Authorization, user User, scope []string) error {
	code, err := a.manager.Approve(r.Context(), asked, grants.Approval{Grant: p.Grant, User: user.ID, Scope: scope})
	switch refused := asError(err); {
	case err == nil:
		a.redirect(w, asked, "code", code)
		return nil
	case isFailure(refused):
		return a.refuse(w, r, p, asked, user.ID, refused)
	default: // the approval was used before: the browser has been sent back
		return &pageError{http.StatusBadRequest, refused}
	}
}

// refuse sends the browser back to the client with an error (RFC 6749 4.1.2.1).
func (a *authorizer) refuse(w http.ResponseWriter, r *http.Request, p *pending, asked *grants.Authorization, user string, refused *grants.Error) error {
	if isFailure(refused) {
		a.logFailure(r.Context(), p.Values, refused)
	} else {
		a.manager.Refuse(r.Context(), asked, user, refused)
	}
	code := sendable(refused.Code)
	if code == "" {
		code = serverError
	}
	a.redirect(w, asked, "error", code, "error_description", sendable(refused.Description))
	return nil
}

// unproven is the page about a request whose client or redirect URI is not proven.
func (a *authorizer) unproven(r *http.Request, p *pending, e *grants.Error) error {
	if !isFailure(e) {
		return &pageError{http.StatusBadRequest, e}
	}
	a.logFailure(r.Context(), p.Values, e)
	return &pageError{answerTo(e.Code).status, e}
}

// redirect sends the browser to the proven redirect URI, with state and iss (RFC 9207 2).
func (a *authorizer) redirect(w http.ResponseWriter, asked *grants.Authorization, namesAndValues ...string) {
	to := asked.RedirectURI
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	namesAndValues = append(namesAndValues, "state", asked.State, "iss", a.manager.Issuer())
	for i := 0; i < len(namesAndValues); i += 2 {
		if value := namesAndValues[i+1]; value != "" {
			to += separator + namesAndValues[i] + "=" + url.QueryEscape(value)
			separator = "&"
		}
	}
	w.Header().Set("Location", to)
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("Pragma", "no-cache")
	w.Header().Set("Referrer-Policy", "no-referrer")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(http.StatusSeeOther) // RFC 9700 4.12: the browser does not carry the form on
}

// isFailure tells whether it was not the client's or the user's doing.
func isFailure(e *grants.Error) bool {
	return answerTo(e.Code).status >= http.StatusInternalServerError
}

// fromApplication is the error for what a function of the application returned.
func fromApplication(err error) *grants.Error {
	if e, ok := errors.AsType[*grants.Error](err); ok && e != nil {
		return e
	}
	return unavailable(err)
}

// void is a ResponseWriter for what is not to reach the browser.
type void struct{ header http.Header }

func newVoid() void { return void{make(http.Header)} }

func (v void) Header() http.Header         { return v.header }
func (v void) Write(b []byte) (int, error) { return len(b), nil }
func (v void) WriteHeader(int)             {}

// OptionalScopes lets users untick scopes on the consent page; without any, each scope there is. What is
// not granted, the client reads in the scope of the token answer (RFC 6749 3.3). By default a user
// allows all or nothing.
func OptionalScopes(scopes ...string) Option {
	return optionFunc(func(o *options) { o.optionalScopes = optionalScopes{every: len(scopes) == 0, some: scopes} })
}

type optionalScopes struct {
	every bool
	some  []string
}

func (o optionalScopes) has(scope string) bool { return o.every || slices.Contains(o.some, scope) }
