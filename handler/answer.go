package handler

import (
	"encoding/json"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

// answer is how an error is answered.
type answer struct {
	status int
	code   string // sent
}

// Codes that are told apart here and not sent.
const (
	methodNotAllowed = "method_not_allowed"
	tooLarge         = "too_large"
)

const serverError = "server_error"

// answers has the status of every code (RFC 6749 5.2, RFC 7009 2.2.1). Codes that are not here are
// those of an application's own grant type.
var answers = map[string]answer{
	"invalid_request":         {http.StatusBadRequest, "invalid_request"},
	"invalid_client":          {http.StatusUnauthorized, "invalid_client"}, // always with WWW-Authenticate
	"invalid_grant":           {http.StatusBadRequest, "invalid_grant"},
	"unauthorized_client":     {http.StatusBadRequest, "unauthorized_client"},
	"unsupported_grant_type":  {http.StatusBadRequest, "unsupported_grant_type"},
	"invalid_target":          {http.StatusBadRequest, "invalid_target"}, // RFC 8707 2
	"invalid_scope":           {http.StatusBadRequest, "invalid_scope"},
	"unsupported_token_type":  {http.StatusBadRequest, "unsupported_token_type"},
	"temporarily_unavailable": {http.StatusServiceUnavailable, "temporarily_unavailable"}, // with Retry-After
	serverError:               {http.StatusInternalServerError, serverError},
	methodNotAllowed:          {http.StatusMethodNotAllowed, "invalid_request"}, // with Allow
	tooLarge:                  {http.StatusRequestEntityTooLarge, "invalid_request"},
}

func answerTo(code string) answer {
	a, ok := answers[code]
	switch {
	case ok:
		return a
	case code == "" || sendable(code) != code:
		return answers[serverError]
	}
	return answer{http.StatusBadRequest, code}
}

// retryAfter is how long a client is asked to wait, in seconds, while the store is away.
const retryAfter = "1"

// refuse answers an error of do.
func (e *endpoint) refuse(w http.ResponseWriter, err error) {
	refused := asError(err)
	a := answerTo(refused.Code)
	members := map[string]any{"error": a.code}
	if d := sendable(refused.Description); d != "" {
		members["error_description"] = d
	}
	body, err := encode(members)
	if err != nil {
		panic(err) // these are strings
	}
	if own, ok := e.dialect.Errors[a.code]; ok {
		body = e.dialect.encoded[a.code]
		if own.Status != 0 {
			a.status = own.Status
		}
	}
	switch a.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", "Basic realm="+quoted(e.realm))
	case http.StatusMethodNotAllowed:
		w.Header().Set("Allow", http.MethodPost)
	case http.StatusServiceUnavailable:
		w.Header().Set("Retry-After", retryAfter)
	}
	write(w, a.status, body)
}

// encode makes a JSON object of members, and an empty body of none.
func encode(members map[string]any) ([]byte, error) {
	if members == nil {
		return nil, nil
	}
	body, err := json.Marshal(members)
	if err != nil {
		return nil, errors.New("handler: not JSON: " + strings.Join(unencodable(members), ", "))
	}
	return body, nil
}

// unencodable names the members that can not be encoded: the error of json quotes values, which may be
// tokens.
func unencodable(members map[string]any) (names []string) {
	for name, value := range members {
		if _, err := json.Marshal(value); err != nil {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// write answers with a JSON object or an empty body.
func write(w http.ResponseWriter, status int, body []byte) {
	if body != nil {
		w.Header().Set("Content-Type", "application/json")
	}
	notStored(w.Header())
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	w.Write(body)
}

// notStored is what the headers of every answer say.
func notStored(h http.Header) {
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache") // RFC 6749 5.1
	h.Set("X-Content-Type-Options", "nosniff")
}

// sendable drops what must not stand in error and error_description (RFC 6749 A.7, A.8).
func sendable(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == '"' || r == '\\' || r > '~' {
			return -1
		}
		return r
	}, s)
}

// quoted is s as a quoted-string (RFC 9110 5.6.4).
func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}
