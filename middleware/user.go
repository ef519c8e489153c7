package middleware

import (
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
)

// User lets requests through whose token a user has granted. It goes inside of Bearer and refuses a
// client's own token (client_credentials): otherwise a client that is called as a user is could pose
// as that user (RFC 9700 4.15).
//
// The refusal is 403 insufficient_scope, of the three errors that RFC 6750 3.1 has the one for a good
// token that doesn't reach far enough; it names no scope, for none would help. Without a Bearer
// before it every request is answered 500 server_error, and logged.
func User(next http.Handler) http.Handler {
	met := func(t oauth2.TokenInfo) bool { return t.GetUserID() != "" }
	return need{"User", met, lacksUser, ""}.middleware(next)
}
