package middleware

import (
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/ostiary-go/ostiary/internal/b64token"
)

// credentials are what a request brought along.
type credentials struct {
	token   string
	inQuery bool          // the token came in the URL
	body    io.ReadCloser // the body from its start, if it was read; else nil
}

// credentials finds the one token that r brought. It is well formed, or the request is refused.
func (g *guard) credentials(w http.ResponseWriter, r *http.Request) (sent credentials, refusal *answer) {
	headers := r.Header["Authorization"]
	if len(headers) > 1 {
		return sent, sentTwice
	}
	var header, query, form string
	var inHeader, inQuery, inForm int // how often a token is there
	if len(headers) == 1 {
		header, inHeader = fromHeader(headers[0]) // RFC 6750 2.1
	}
	if g.form {
		form, inForm, sent.body, refusal = fromForm(w, r) // 2.2
		if refusal != nil {
			return sent, refusal
		}
	}
	if g.query || inHeader+inForm > 0 {
		query, inQuery = parameter(r.URL.RawQuery) // 2.3; if off, it can only be one too many
	}

	switch {
	case inHeader+inForm+inQuery > 1:
		return sent, sentTwice
	case inHeader == 1:
		sent.token = header
	case form != "":
		sent.token = form
	case query != "":
		sent.token, sent.inQuery = query, true
	default:
		return sent, noCredentials
	}
	if len(sent.token) > g.tokenLimit || !b64token.Valid(sent.token) {
		return sent, invalidToken
	}
	return sent, nil
}

// fromHeader reads the value of an Authorization header (RFC 9110 11.4): how many bearer credentials
// there are, none if the scheme is another, and what stands in them, well formed or not.
func fromHeader(value string) (token string, times int) {
	const scheme = "Bearer"
	if len(value) < len(scheme) || !strings.EqualFold(value[:len(scheme)], scheme) {
		return "", 0
	}
	rest := value[len(scheme):]
	if rest != "" && rest[0] != ' ' && rest[0] != '\t' {
		return "", 0 // a longer name
	}
	return strings.TrimLeft(rest, " "), 1 // a tab stays, and is no part of any token
}

// parameter finds access_token in s, a query or a form: its last value, and how often it is there.
func parameter(s string) (value string, times int) {
	for pair := range strings.SplitSeq(s, "&") {
		name, v, _ := strings.Cut(pair, "=")
		if name, err := url.QueryUnescape(name); err != nil || name != "access_token" {
			continue
		}
		times++
		value = v // if it can't be unescaped, its % is no part of any token
		if v, err := url.QueryUnescape(v); err == nil {
			value = v
		}
	}
	return value, times
}
