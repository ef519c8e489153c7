package handler

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"net/url"

	"github.com/ostiary-go/ostiary/grants"
)

// The parameters of OAuth. Any of them is refused twice, even where it means nothing, and in the URL.
var knownParameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type",
	"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource",
	"token", "token_type_hint", "access_token",
	"response_type", "response_mode", "state", "code_challenge", "code_challenge_method",
	"request", "request_uri", "prompt", "max_age",
}

// The parameters whose characters are limited to VSCHAR (RFC 6749 A).
var visibleParameters = []string{
	"grant_type", "client_id", "client_secret", "code", "refresh_token", "code_verifier", "redirect_uri",
}

// request is a request whose form has been read.
type request struct {
	*http.Request
	form             url.Values
	clientID, secret string // of the client as sent, wherever they stood
	unreadable       error  // why its credentials can't be read
}

// read checks a request in the order in which several mistakes are answered: method, content type,
// size, encoding, repeats, parameters in the URL.
func (e *endpoint) read(w http.ResponseWriter, r *http.Request) (*request, error) {
	if r.Method != http.MethodPost {
		return nil, &grants.Error{Code: methodNotAllowed, Description: "only POST is served here"}
	}
	if types := r.Header.Values("Content-Type"); len(types) != 1 || !isForm(types[0]) {
		return nil, invalidRequest("the body has to be application/x-www-form-urlencoded")
	}
	body, err := e.body(w, r)
	if err != nil {
		return nil, err
	}
	form, err := url.ParseQuery(body)
	if err != nil {
		return nil, invalidRequest("the body is not well-formed application/x-www-form-urlencoded")
	}
	if err := e.checkForm(form); err != nil {
		return nil, err
	}
	if err := e.checkQuery(r.URL.RawQuery); err != nil {
		return nil, err
	}
	return &request{Request: r, form: form}, nil
}

func isForm(contentType string) bool {
	mediaType, _, err := mime.ParseMediaType(contentType)
	return err == nil && mediaType == "application/x-www-form-urlencoded"
}

func (e *endpoint) body(w http.ResponseWriter, r *http.Request) (string, error) {
	var body []byte
	var err error
	large := r.ContentLength > e.bodyLimit
	if !large {
		body, err = io.ReadAll(http.MaxBytesReader(w, r.Body, e.bodyLimit))
		_, large = errors.AsType[*http.MaxBytesError](err)
	}
	if large {
		w.Header().Set("Connection", "close") // the rest is not read
		return "", &grants.Error{Code: tooLarge, Description: "the body is too large"}
	} else if err != nil {
		return "", invalidRequest("the body could not be read")
	}
	return string(body), nil
}

func (e *endpoint) checkForm(form url.Values) error {
	count := 0
	for name, values := range form {
		count += len(values)
		if len(values) > 1 && e.known[name] && name != "resource" {
			return invalidRequest("a parameter stands there more than once")
		}
	}
	if count > e.parameterLimit {
		return invalidRequest("there are too many parameters")
	}
	for _, name := range visibleParameters {
		if !visible(form.Get(name)) {
			return invalidRequest(name + " has a character outside of %x20-7E")
		}
	}
	return nil
}

func (e *endpoint) checkQuery(raw string) error {
	query, err := url.ParseQuery(raw)
	if err != nil {
		return invalidRequest("the query of the URL is malformed")
	}
	for name := range query {
		if e.known[name] {
			return invalidRequest("parameters belong into the body, never into the URL")
		}
	}
	return nil
}

// grantsRequest is the form as the manager knows it.
func (r *request) grantsRequest() *grants.Request {
	params := make(url.Values)
	for name, values := range r.form {
		params[name] = values
	}
	for _, name := range knownParameters {
		delete(params, name)
	}
	return &grants.Request{
		GrantType:     r.form.Get("grant_type"),
		ClientID:      r.form.Get("client_id"),
		ClientSecret:  r.form.Get("client_secret"),
		Code:          r.form.Get("code"),
		CodeVerifier:  r.form.Get("code_verifier"),
		RedirectURI:   r.form.Get("redirect_uri"),
		RefreshToken:  r.form.Get("refresh_token"),
		Token:         r.form.Get("token"),
		TokenTypeHint: r.form.Get("token_type_hint"),
		Scope:         r.form.Get("scope"),
		Resource:      r.form["resource"],
		RemoteAddr:    r.RemoteAddr,
		Params:        params,
	}
}

func invalidRequest(description string) *grants.Error {
	return &grants.Error{Code: "invalid_request", Description: description}
}
