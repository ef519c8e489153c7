package handler

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// AllowOrigins lets scripts of these origins, such as "https://spa.example", use the token or revocation
// endpoint from a browser (CORS). Default none; several options add up. An origin is written as browsers
// send it: scheme, host and port, without the port that is the scheme's own. Off the loopback interface
// it is https. There are no wildcards, and cookies are never allowed. [Authorize], [ConnectedApps] and
// [Introspect] have no use for it and ignore it.
func AllowOrigins(origins ...string) Option {
	for _, origin := range origins {
		if !isOrigin(origin) {
			panic("handler: AllowOrigins: " + origin + " is no origin as browsers send it, https off the loopback interface")
		}
	}
	return optionFunc(func(o *options) { o.origins = append(o.origins, origins...) })
}

func isOrigin(s string) bool {
	u, err := url.Parse(s)
	if err != nil || s != u.Scheme+"://"+u.Host || u.Hostname() == "" || strings.ContainsFunc(u.Host, notInOrigin) {
		return false
	}
	port, _ := strconv.ParseUint(u.Port(), 10, 16)
	if strings.HasSuffix(u.Host, ":") || u.Port() != "" && (port == 0 || strconv.FormatUint(port, 10) != u.Port()) {
		return false
	}
	return u.Scheme == "https" && port != 443 || u.Scheme == "http" && port != 80 && storage.Loopback(u.Hostname())
}

// notInOrigin tells what does not stand in the host and port of an origin, as upper case and wildcards.
func notInOrigin(r rune) bool {
	return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789.-_:[]", r)
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
		notStored(w.Header())
		w.WriteHeader(http.StatusNoContent)
	})
}
