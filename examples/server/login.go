package main

import (
	"embed"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/alexedwards/scs/v2"

	"github.com/ostiary-go/ostiary/handler"
)

// login is who has signed in to this application. Sessions live in memory: who restarts the server has
// everybody sign in again, and no token with it.
type login struct {
	users    users
	sessions *scs.SessionManager
	demo     string // path of the demo application, if there is one
}

func newLogin(u users, secure bool) *login {
	sessions := scs.New()
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = time.Hour
	sessions.Cookie.Name = "session"
	sessions.Cookie.Secure = secure
	sessions.Cookie.SameSite = http.SameSiteLaxMode
	return &login{users: u, sessions: sessions}
}

// user tells ostiary who has signed in, and sends everybody else to the login.
func (l *login) user(w http.ResponseWriter, r *http.Request, ask handler.Ask) (handler.User, error) {
	name := l.sessions.GetString(r.Context(), "user")
	if name == "" || ask.Login {
		to := url.Values{"next": {ask.ReturnTo}}
		if ask.LoginHint != "" {
			to.Set("hint", ask.LoginHint)
		}
		http.Redirect(w, r, base(r)+"/login?"+to.Encode(), http.StatusSeeOther)
		return handler.User{}, nil
	}
	return handler.User{ID: name, AuthTime: time.Unix(l.sessions.GetInt64(r.Context(), "since"), 0)}, nil
}

// base is the path of an issuer that has one: what stands before the path of each page.
func base(r *http.Request) string {
	for _, page := range []string{"/oauth/", "/account/", "/login", "/logout"} {
		if before, _, ok := strings.Cut(r.URL.Path, page); ok {
			return before
		}
	}
	return strings.TrimSuffix(r.URL.Path, "/")
}

//go:embed *.html
var files embed.FS

var pages = template.Must(template.ParseFS(files, "*.html"))

func (l *login) show(w http.ResponseWriter, r *http.Request) {
	l.page(w, http.StatusOK, "login.html", map[string]any{"Name": r.URL.Query().Get("hint")})
}

func (l *login) post(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	name, password := r.PostFormValue("username"), r.PostFormValue("password")
	ok, err := l.users.check(r.Context(), name, password)
	switch {
	case err != nil: // it took too long
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	case !ok:
		slog.Info("login refused", "remote", r.RemoteAddr)
		l.page(w, http.StatusUnauthorized, "login.html", map[string]any{"Wrong": true, "Name": name})
		return
	}
	if err := l.sessions.RenewToken(r.Context()); err != nil { // against fixation
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	l.sessions.Put(r.Context(), "user", name)
	l.sessions.Put(r.Context(), "since", time.Now().Unix())
	http.Redirect(w, r, next(r), http.StatusSeeOther)
}

// next is where the login was asked for: a path of this server, never another site.
func next(r *http.Request) string {
	to := r.URL.Query().Get("next")
	if !strings.HasPrefix(to, "/") || strings.HasPrefix(to, "//") || strings.ContainsAny(to, "\\\r\n\t") {
		return base(r) + "/"
	}
	return to
}

func (l *login) logout(w http.ResponseWriter, r *http.Request) {
	if err := l.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, base(r)+"/", http.StatusSeeOther)
}

func (l *login) home(w http.ResponseWriter, r *http.Request) {
	l.page(w, http.StatusOK, "home.html", map[string]any{"User": l.sessions.GetString(r.Context(), "user"), "Base": base(r), "Demo": l.demo})
}

func (l *login) page(w http.ResponseWriter, status int, name string, data any) {
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; frame-ancestors 'none'")
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin")
	h.Set("Cache-Control", "no-store")
	if status == http.StatusUnauthorized {
		h.Set("WWW-Authenticate", "Form")
	}
	w.WriteHeader(status)
	if err := pages.ExecuteTemplate(w, name, data); err != nil {
		slog.Error("page", "name", name, "error", err)
	}
}
