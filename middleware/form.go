package middleware

import (
	"bytes"
	"errors"
	"io"
	"mime"
	"net/http"
	"strings"
	"unicode"
)

// formLimit is how many bytes of a form are read in search of a token.
const formLimit = 64 << 10

// fromForm finds access_token in the body of r, if RFC 6750 2.2 allows it to be there: its value, how
// often it is there, and the body to be read again. A body that can't hold a token is not touched.
func fromForm(w http.ResponseWriter, r *http.Request) (token string, times int, body io.ReadCloser, refusal *answer) {
	if !mayHoldToken(r) {
		return "", 0, nil, nil
	}
	content, err := io.ReadAll(http.MaxBytesReader(w, r.Body, formLimit))
	if _, tooLarge := errors.AsType[*http.MaxBytesError](err); tooLarge {
		return "", 0, nil, formTooLarge
	}
	if err != nil {
		return "", 0, nil, unreadableForm
	}
	token, times = parameter(string(content))
	if times > 0 && bytes.ContainsFunc(content, func(c rune) bool { return c > unicode.MaxASCII }) {
		return "", 0, nil, unreadableForm
	}
	again := struct {
		io.Reader
		io.Closer
	}{bytes.NewReader(content), r.Body}
	return token, times, again, nil
}

func mayHoldToken(r *http.Request) bool {
	switch r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch:
		kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
		return r.Body != nil && strings.EqualFold(kind, "application/x-www-form-urlencoded")
	}
	return false
}
