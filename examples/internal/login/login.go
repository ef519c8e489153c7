// Package login is the part of the examples that an application brings itself: users, a page to sign in,
// and sessions.
package login

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

// Login is who has signed in to an application. Sessions live in memory: who restarts the server has
// everybody sign in again, and no token with it.
type Login struct {
	users    users
	sessions *scs.SessionManager
}

func newLogin(u users) *Login {
	sessions := scs.New()
	sessions.Lifetime = 12 * time.Hour
	sessions.IdleTimeout = time.Hour
	sessions.Cookie.Name = "session"
	sessions.Cookie.SameSite = http.SameSiteLaxMode
	return &Login{u, sessions}
}

// Secure has the cookie sent by https alone.
func (l *Login) Secure() { l.sessions.Cookie.Secure = true }

// Mount puts the page to sign in, and the end of a session, below base.
func (l *Login) Mount(mux *http.ServeMux, base string) {
	mux.HandleFunc("GET "+base+"/login", l.show)
	mux.Handle("POST "+base+"/login", fromHere.Handler(l.Handler(http.HandlerFunc(l.post))))
	mux.Handle("POST "+base+"/logout", fromHere.Handler(l.Handler(http.HandlerFunc(l.logout))))
}

// fromHere turns forms away that another site has sent.
var fromHere = http.NewCrossOriginProtection()

// Handler gives h the session of a request.
func (l *Login) Handler(h http.Handler) http.Handler { return l.sessions.LoadAndSave(h) }

// Name is who has signed in, or "".
func (l *Login) Name(r *http.Request) string { return l.sessions.GetString(r.Context(), "user") }

// User tells ostiary who has signed in, and sends everybody else to the login.
func (l *Login) User(w http.ResponseWriter, r *http.Request, ask handler.Ask) (handler.User, error) {
	name := l.Name(r)
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

// As is User whose IDs begin with a prefix, so that they are not taken for those of others.
func (l *Login) As(prefix string) handler.UserFunc {
	return func(w http.ResponseWriter, r *http.Request, ask handler.Ask) (handler.User, error) {
		user, err := l.User(w, r, ask)
		if user.ID != "" {
			user.ID, user.Name = prefix+user.ID, user.ID
		}
		return user, err
	}
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

// Pages are the templates of this package, for others to stand on.
var Pages = template.Must(template.ParseFS(files, "*.html"))

func (l *Login) show(w http.ResponseWriter, r *http.Request) {
	Page(w, http.StatusOK, Pages, "login.html", map[string]any{"Name": r.URL.Query().Get("hint")})
}

func (l *Login) post(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 8<<10)
	name, password := r.PostFormValue("username"), r.PostFormValue("password")
	ok, err := l.users.check(r.Context(), name, password)
	switch {
	case err != nil: // it took too long
		http.Error(w, "try again", http.StatusServiceUnavailable)
		return
	case !ok:
		slog.Info("login refused", "remote", r.RemoteAddr)
		Page(w, http.StatusUnauthorized, Pages, "login.html", map[string]any{"Wrong": true, "Name": name})
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

func (l *Login) logout(w http.ResponseWriter, r *http.Request) {
	if err := l.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "try again", http.StatusInternalServerError)
		return
	}
	http.Redirect(w, r, base(r)+"/", http.StatusSeeOther)
}

// Page answers with a template of the caller's, which may use "head" and "foot" of this package.
func Page(w http.ResponseWriter, status int, pages *template.Template, name string, data any) {
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
