package middleware

import (
	"log/slog"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
)

// need is what a route asks of the token that Bearer let through.
type need struct {
	name    string // of the function, for the log
	met     func(oauth2.TokenInfo) bool
	refusal *answer
	scope   string // for the challenge
}

// middleware lets requests with such a token through to next. Where Bearer has let one through without any
// token they get the same 401 as from Bearer. Without Bearer they get 500: the routes are put together
// wrongly, and a 401 would send clients round in a loop.
func (n need) middleware(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch p := passageOf(r.Context()); {
		case p == nil:
			slog.ErrorContext(r.Context(), "middleware: "+n.name+" without Bearer before it", "pattern", r.Pattern)
			broken.write(w, r, "")
		case p.token == nil:
			p.guard.refuse(w, r, noCredentials, n.scope)
		case !n.met(p.token):
			p.guard.refuse(w, r, n.refusal, n.scope)
		default:
			next.ServeHTTP(w, r)
		}
	})
}
