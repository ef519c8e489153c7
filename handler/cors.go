package handler

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// AllowOrigins lets scripts of these origins, such as "https://spa.example", use the token or revocation
// endpoint from a browser (CORS). Default none. There are no wildcards, and cookies are never allowed.
// [Authorize], [ConnectedApps] and [Introspect] have no use for it and ignore it.
func AllowOrigins(origins ...string) Option {
	for _, origin := range origins {
		u, err := url.Parse(origin)
		if err != nil || u.Host == "" || origin != u.Scheme+"://"+u.Host || strings.ContainsAny(origin, "*,") || strings.ToLower(origin) != origin ||
			u.Scheme != "https" && !(u.Scheme == "http" && storage.Loopback(u.Hostname())) {
			panic("handler: AllowOrigins: " + origin + " is no origin: scheme, host and port, https off the loopback interface")
		}
	}
	return optionFunc(func(o *options) { o.origins = append(o.origins, origins...) })
}

// cors says whether a browser may let the script have the answer, and answers preflights.
func (o *options) cors(next http.Handler) http.Handler {
	if len(o.origins) == 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Add("Vary", "Origin")
		sent := r.Header.Values("Origin")
		if len(sent) != 1 || !slices.Contains(o.origins, sent[0]) {
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Origin", sent[0])
		if r.Method != http.MethodOptions || r.Header.Get("Access-Control-Request-Method") == "" {
			w.Header().Set("Access-Control-Expose-Headers", "Retry-After, WWW-Authenticate")
			next.ServeHTTP(w, r)
			return
		}
		w.Header().Set("Access-Control-Allow-Methods", http.MethodPost)
		w.Header().Set("Access-Control-Allow-Headers", "Authorization, Content-Type")
		w.Header().Set("Access-Control-Max-Age", "7200")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusNoContent)
	})
}
