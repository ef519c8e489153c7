package main

import (
	"context"
	"crypto/rand"
	"embed"
	"fmt"
	"html/template"
	"io"
	"net/http"
	"time"

	"golang.org/x/oauth2"

	"github.com/ostiary-go/ostiary/examples/internal/login"
)

// demo is an application of somebody else's, which happens to live on this server: it knows the server's
// addresses, its own client_id and secret, and nothing more.
type demo struct {
	config oauth2.Config
	issuer string // as it has to stand in an answer
	url    string // of the server
	base   string // of its own paths
}

const (
	demoClient   = "demo"
	demoCallback = "/demo/callback"
)

func newDemo(issuer, url, base, secret string) *demo {
	return &demo{issuer: issuer, url: url, base: base, config: oauth2.Config{
		ClientID: demoClient, ClientSecret: secret, RedirectURL: url + demoCallback, Scopes: []string{"orders:read", "profile:email"},
		Endpoint: oauth2.Endpoint{AuthURL: url + "/oauth/authorize", TokenURL: url + "/oauth/token", AuthStyle: oauth2.AuthStyleInHeader},
	}}
}

//go:embed *.html
var files embed.FS

var pages = template.Must(template.Must(login.Pages.Clone()).ParseFS(files, "*.html"))

// mount puts the first page on the server, and the demo where it has a secret.
func (d *demo) mount(mux *http.ServeMux, users *login.Login) {
	path := ""
	if d.config.ClientSecret != "" {
		path = d.base + "/demo"
		mux.HandleFunc("GET "+path, d.begin)
		mux.HandleFunc("GET "+d.base+demoCallback, d.callback)
	}
	mux.Handle("GET "+d.base+"/{$}", users.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		login.Page(w, http.StatusOK, pages, "home.html", map[string]any{"User": users.Name(r), "Base": d.base, "Demo": path})
	})))
}

// begin sends the browser to the authorization endpoint. What has to come back with it waits in a cookie.
func (d *demo) begin(w http.ResponseWriter, r *http.Request) {
	state, verifier := rand.Text(), oauth2.GenerateVerifier()
	d.remember(w, state+"."+verifier, 600)
	http.Redirect(w, r, d.config.AuthCodeURL(state, oauth2.S256ChallengeOption(verifier), d.resource()), http.StatusSeeOther)
}

// resource is what the token shall be good for, and nothing else (RFC 8707).
func (d *demo) resource() oauth2.AuthCodeOption {
	return oauth2.SetAuthURLParam("resource", d.url+"/api")
}

func (d *demo) remember(w http.ResponseWriter, value string, seconds int) {
	http.SetCookie(w, &http.Cookie{Name: "demo", Value: value, Path: d.base + demoCallback, MaxAge: seconds, HttpOnly: true, SameSite: http.SameSiteLaxMode})
}

// callback exchanges the code for tokens, and asks the API.
func (d *demo) callback(w http.ResponseWriter, r *http.Request) {
	page := map[string]any{"Home": d.base + "/", "API": d.url + "/api/whoami"}
	token, err := d.exchange(r)
	d.remember(w, "", -1)
	if err == nil {
		client := d.config.Client(r.Context(), token)
		page["Token"], page["Whoami"], page["Orders"] = token.AccessToken, get(client, d.url+"/api/whoami"), get(client, d.url+"/api/orders")
	} else {
		page["Error"] = err.Error()
	}
	login.Page(w, http.StatusOK, pages, "demo.html", page)
}

func (d *demo) exchange(r *http.Request) (*oauth2.Token, error) {
	ctx, cancel := context.WithTimeout(r.Context(), 10*time.Second)
	defer cancel()
	query := r.URL.Query()
	cookie, err := r.Cookie("demo")
	var state, verifier string
	if err == nil && len(cookie.Value) > len(rand.Text()) {
		state, verifier = cookie.Value[:len(rand.Text())], cookie.Value[len(rand.Text())+1:]
	}
	switch {
	case state == "" || query.Get("state") != state:
		return nil, fmt.Errorf("this is not the answer to what this browser has asked")
	case query.Get("iss") != d.issuer: // RFC 9207
		return nil, fmt.Errorf("this is not the answer of %s", d.issuer)
	case query.Get("error") != "":
		return nil, fmt.Errorf("not let in: %s", query.Get("error"))
	}
	return d.config.Exchange(ctx, query.Get("code"), oauth2.VerifierOption(verifier))
}

func get(client *http.Client, url string) string {
	res, err := client.Get(url)
	if err != nil {
		return err.Error()
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, 64<<10))
	if err != nil {
		return err.Error()
	}
	return string(body)
}
