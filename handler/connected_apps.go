package handler

import (
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// ConnectedApps serves the page on which a user sees which clients have access to his account, since when
// and to what, and ends it, for one or for all. It needs a user who has signed in, as [Authorize] does.
//
//	mux.Handle("/account/apps", handler.ConnectedApps(manager, whoIsSignedIn))
//
// To a request whose Accept prefers application/json, GET answers with the same as JSON:
//
//	{"apps": [{"client_id": "web", "name": "Web", "scope": "read write",
//	           "since": "2026-11-24", "last_used": "2026-11-24", "grants": 1}],
//	 "pending": "…"}
//
// What the form sends, a program sends alike: a POST of a form with pending, which is good for this user
// in this browser for half an hour, and either client, a client_id, or all=all. It is answered 303 to a
// browser, and with the new list to whoever prefers JSON. Nobody who is not signed in sees JSON: he is
// answered 401, and no login is shown.
//
// ConnectedApps panics if the manager has no [grants.Issuer], or if its store is no [storage.Keys].
func ConnectedApps(m *grants.Manager, user UserFunc, opts ...Option) http.Handler {
	c := &connectedApps{newSite("ConnectedApps", m, user, opts)}
	return c.serve(c.answer)
}

type connectedApps struct{ *site }

func (c *connectedApps) answer(w http.ResponseWriter, r *http.Request) error {
	asJSON := prefersJSON(r.Header.Values("Accept"))
	values, err := c.values(w, r)
	if err != nil {
		return err
	}
	shown, ask := w, Ask{ReturnTo: here(r), MaxAge: -1}
	if asJSON {
		shown = newVoid()
	}
	user, err := c.user(shown, r, ask)
	switch {
	case err != nil:
		return fromApplication(err)
	case user.ID == "" && asJSON:
		w.Header().Set("WWW-Authenticate", "Cookie realm="+quoted(c.realm))
		write(w, http.StatusUnauthorized, []byte(`{"error":"login_required"}`))
		return nil
	case user.ID == "":
		return nil
	}
	if r.Method == http.MethodPost {
		if err := c.end(r, user, values); err != nil {
			return err
		}
		if !asJSON {
			w.Header().Set("Location", "?")
			w.Header().Set("Cache-Control", "no-store")
			w.WriteHeader(http.StatusSeeOther)
			return nil
		}
	}
	return c.list(w, r, user, asJSON)
}

// prefersJSON tells whether JSON is asked for, and HTML is not.
func prefersJSON(accept []string) bool {
	all := strings.ToLower(strings.Join(accept, ","))
	return strings.Contains(all, "application/json") && !strings.Contains(all, "text/html")
}

// end ends what the form names.
func (c *connectedApps) end(r *http.Request, user User, values url.Values) error {
	p, err := c.open(r, values)
	switch {
	case err != nil:
		return err
	case p.User != user.ID || p.Grant != (storage.ID{}):
		return &pageError{http.StatusForbidden, invalidRequest("somebody else has signed in since the page was shown")}
	}
	f := storage.Filter{User: user.ID, Client: values.Get("client")}
	if all := values.Get("all") == "all"; all == (f.Client != "") || len(values["client"]) > 1 || len(values["all"]) > 1 {
		return badPage("the form is incomplete")
	}
	if _, err := c.manager.End(r.Context(), f); err != nil {
		return unavailable(err)
	}
	return nil
}

func (c *connectedApps) list(w http.ResponseWriter, r *http.Request, user User, asJSON bool) error {
	connected, err := c.manager.Connected(r.Context(), user.ID)
	if err != nil {
		return err
	}
	sealed, err := c.seal(w, r, &pending{User: user.ID})
	if err != nil {
		return err
	}
	if asJSON {
		return listJSON(w, connected, sealed)
	}
	if user.Name == "" {
		user.Name = user.ID
	}
	words := c.words(r)
	data := AppsPage{Words: words, User: user, Pending: sealed, Nonce: newNonce()}
	for _, of := range connected {
		app := PageApp{Client: of.Client, Name: nameOf(of.Client), Since: of.Since, Used: of.Used, Grants: of.Grants}
		for _, name := range of.Scope {
			app.Scopes = append(app.Scopes, pageScope(name, words))
		}
		data.Apps = append(data.Apps, app)
	}
	return c.show(w, http.StatusOK, c.pages.Apps, data.Nonce, data, data.write)
}

func listJSON(w http.ResponseWriter, connected []grants.Connected, sealed string) error {
	type app struct {
		Client string `json:"client_id"`
		Name   string `json:"name"`
		Scope  string `json:"scope"`
		Since  string `json:"since"`
		Used   string `json:"last_used"`
		Grants int    `json:"grants"`
	}
	apps := make([]app, 0, len(connected))
	for _, of := range connected {
		apps = append(apps, app{of.Client.ID, nameOf(of.Client), strings.Join(of.Scope, " "), of.Since.UTC().Format(time.DateOnly), of.Used.Format(time.DateOnly), of.Grants})
	}
	body, err := json.Marshal(map[string]any{"apps": apps, "pending": sealed})
	if err != nil {
		return err
	}
	w.Header().Set("Vary", "Accept")
	write(w, http.StatusOK, body)
	return nil
}
