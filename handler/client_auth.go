package handler

import (
	"encoding/base64"
	"net/url"
	"strings"

	"github.com/ostiary-go/ostiary/grants"
)

// credentials reads how the client says who it is (RFC 6749 2.3): client_secret_basic,
// client_secret_post, or client_id alone. It proves nothing; that is the manager's.
func (e *endpoint) credentials(r *request, ask *grants.Request) error {
	headers := r.Header.Values("Authorization")
	if len(headers) > 1 {
		return invalidRequest("there is more than one Authorization header")
	}
	basic := ""
	if len(headers) == 1 {
		basic = basicOf(headers[0])
	}
	asserts := r.form.Get("client_assertion") != "" || r.form.Get("client_assertion_type") != ""

	methods := 0
	for _, used := range []bool{basic != "", ask.ClientSecret != "", asserts} {
		if used {
			methods++
		}
	}
	switch {
	case methods > 1:
		return invalidRequest("the client authenticates in more than one way")
	case asserts:
		return invalidClient("client assertions are not supported")
	case basic == "":
		return nil
	}
	id, secret, ok := parseBasic(basic, e.credentialsLimit)
	switch {
	case !ok:
		return invalidClient("the Basic credentials can not be read (RFC 6749 2.3.1, RFC 7617 2)")
	case ask.ClientID != "" && ask.ClientID != id:
		return invalidRequest("client_id differs from the client that authenticates")
	}
	ask.ClientID, ask.ClientSecret = id, secret
	return nil
}

// basicOf returns the header if its scheme is Basic, whatever follows, else "".
func basicOf(header string) string {
	scheme, _, _ := strings.Cut(strings.ReplaceAll(header, "\t", " "), " ")
	if !strings.EqualFold(scheme, "Basic") {
		return ""
	}
	return header
}

// parseBasic reads Basic credentials (RFC 7617 2) whose two halves are form-encoded (RFC 6749 2.3.1),
// in that one reading only: spaces behind the scheme, and nothing else.
func parseBasic(header string, limit int) (id, secret string, ok bool) {
	scheme, encoded, _ := strings.Cut(header, " ")
	encoded = strings.TrimLeft(encoded, " ")
	if !strings.EqualFold(scheme, "Basic") || len(encoded) > limit {
		return "", "", false
	}
	decoded, err := base64.StdEncoding.Strict().DecodeString(encoded)
	if err != nil {
		return "", "", false
	}
	id, secret, ok = strings.Cut(string(decoded), ":")
	if !ok {
		return "", "", false
	}
	id, err1 := url.QueryUnescape(id)
	secret, err2 := url.QueryUnescape(secret)
	ok = err1 == nil && err2 == nil && id != "" && visible(id) && visible(secret)
	return id, secret, ok
}

func invalidClient(description string) *grants.Error {
	return &grants.Error{Code: "invalid_client", Description: description}
}
