package middleware

import (
	"io"
	"net/http"
	"strings"
)

// answer is a way to refuse a request. Its texts are of characters that need no escaping, neither in
// a quoted-string nor in JSON: %x20-21 / %x23-5B / %x5D-7E (RFC 6750 3).
type answer struct {
	status      int
	code        string
	description string
}

// Every answer there is (RFC 6750 3.1; 413, 500 and 503 are ours).
var (
	noCredentials  = &answer{401, "", ""} // no error is named, and no body
	sentTwice      = &answer{400, "invalid_request", "The access token was sent more than once, or in more than one way."}
	unreadableForm = &answer{400, "invalid_request", "The form with the access token could not be read, or is not plain ASCII."}
	formTooLarge   = &answer{413, "invalid_request", "The form is larger than this resource accepts."}
	invalidToken   = &answer{401, "invalid_token", "The access token is malformed, unknown, expired or revoked."}
	otherAudience  = &answer{401, "invalid_token", "The access token is for another resource."}
	boundToKey     = &answer{401, "invalid_token", "The access token is bound to a key, and this resource takes no proof of it."}
	lacksScope     = &answer{403, "insufficient_scope", "The access token lacks a scope that this resource needs."}
	lacksUser      = &answer{403, "insufficient_scope", "The access token is the client's own, and this resource needs that of a user."}
	unavailable    = &answer{503, "temporarily_unavailable", "The access token could not be checked right now."}
	broken         = &answer{500, "server_error", "The server could not handle the request."}
)

// retryAfter is when to come back after a 503, in seconds (RFC 9110 10.2.3).
const retryAfter = "5"

// refuse answers with a challenge (RFC 6750 3). scope is what the route needs, "" if that isn't known
// here.
func (g *guard) refuse(w http.ResponseWriter, r *http.Request, a *answer, scope string) {
	challenge := `Bearer realm=` + g.realm
	if a.code != "" {
		challenge += `, error="` + a.code + `", error_description="` + a.description + `"`
	}
	if scope != "" {
		challenge += `, scope="` + scope + `"`
	}
	if g.metadata != "" {
		challenge += `, resource_metadata=` + g.metadata
	}
	a.write(w, r, challenge)
}

// write sends a. challenge is left out where the fault is the server's.
func (a *answer) write(w http.ResponseWriter, r *http.Request, challenge string) {
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	if a.status < 500 {
		h.Set("WWW-Authenticate", challenge)
	}
	if a.status == http.StatusServiceUnavailable {
		h.Set("Retry-After", retryAfter)
	}
	if a.code == "" {
		w.WriteHeader(a.status)
		return
	}
	h.Set("Content-Type", "application/json")
	w.WriteHeader(a.status)
	if r.Method != http.MethodHead {
		io.WriteString(w, `{"error":"`+a.code+`","error_description":"`+a.description+`"}`)
	}
}

// keepPrivate keeps shared caches from storing the answer to a request with a token in its URL (RFC
// 6750 2.3).
func keepPrivate(h http.Header) {
	if !strings.Contains(h.Get("Cache-Control"), "no-store") {
		h.Set("Cache-Control", "private")
	}
}
