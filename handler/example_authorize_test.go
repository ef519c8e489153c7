package handler_test

import (
	"context"
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
)

// authorization is a good request to the authorization endpoint.
const authorization = "/oauth/authorize?response_type=code&client_id=web&scope=read&state=xyz" +
	"&code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM&code_challenge_method=S256"

// issuing is a manager that is known to clients.
func issuing() (*grants.Manager, func()) {
	return exampleManager(grants.Issuer("https://auth.example"))
}

// signedIn stands for the application's sessions.
func signedIn(http.ResponseWriter, *http.Request, handler.Ask) (handler.User, error) {
	return handler.User{ID: "alice", Name: "Alice", AuthTime: time.Now()}, nil
}

func get(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest("GET", path, nil))
	return w
}

// The application says who has signed in, or shows its login. Everything else is the endpoint's.
func ExampleAuthorize() {
	manager, done := issuing()
	defer done()
	session := map[string]string{} // of the application
	whoIsSignedIn := func(w http.ResponseWriter, r *http.Request, ask handler.Ask) (handler.User, error) {
		if session["user"] == "" || ask.Login {
			http.Redirect(w, r, "/login?next="+url.QueryEscape(ask.ReturnTo), http.StatusSeeOther)
			return handler.User{}, nil
		}
		return handler.User{ID: session["user"], AuthTime: time.Now()}, nil
	}
	mux := http.NewServeMux()
	mux.Handle("/oauth/authorize", handler.Authorize(manager, whoIsSignedIn))

	answer := get(mux, authorization)
	fmt.Println(answer.Code, strings.HasPrefix(answer.Header().Get("Location"), "/login?next=%2Foauth%2Fauthorize"))
	session["user"] = "alice"
	answer = get(mux, authorization)
	fmt.Println(answer.Code, strings.Contains(answer.Body.String(), "<b>Web shop</b> asks for access to your account."))
	answer = get(mux, authorization+"&prompt=none")
	fmt.Println(answer.Code, answer.Header().Get("Location"))
	// Output:
	// 303 true
	// 200 true
	// 303 https://web.example/cb?error=consent_required&error_description=the+user+has+to+be+asked&state=xyz&iss=https%3A%2F%2Fauth.example
}

// Users may keep write to themselves.
func ExampleOptionalScopes() {
	manager, done := issuing()
	defer done()
	page := get(handler.Authorize(manager, signedIn, handler.OptionalScopes("write")), strings.Replace(authorization, "scope=read", "scope=read+write", 1))
	fmt.Println(strings.Count(page.Body.String(), `type="checkbox"`))
	// Output: 1
}

func ExampleQueryLimit() {
	manager, done := issuing()
	defer done()
	fmt.Println(get(handler.Authorize(manager, signedIn, handler.QueryLimit(100)), authorization).Code)
	// Output: 414
}

// Words can be those of another language, and say what scopes mean.
func ExamplePages() {
	manager, done := issuing()
	defer done()
	pages := handler.Pages{Words: func(r *http.Request) handler.Words {
		words := handler.English()
		if strings.HasPrefix(r.Header.Get("Accept-Language"), "de") {
			words.Lang, words.ConsentText = "de", "{client} möchte auf Ihr Konto zugreifen."
		}
		words.Scopes = map[string]string{"read": "See your orders"}
		return words
	}}
	r := httptest.NewRequest("GET", authorization, nil)
	r.Header.Set("Accept-Language", "de-AT")
	w := httptest.NewRecorder()
	handler.Authorize(manager, signedIn, pages).ServeHTTP(w, r)
	fmt.Println(strings.Contains(w.Body.String(), "<b>Web shop</b> möchte auf Ihr Konto zugreifen."), strings.Contains(w.Body.String(), "See your orders"))
	// Output: true true
}

// A template of one's own has the form in it, and a nonce on what stands inline.
func ExamplePages_template() {
	manager, done := issuing()
	defer done()
	pages := handler.Pages{Consent: template.Must(template.New("consent").Parse(`<!DOCTYPE html>
<title>{{.Client.Name}}</title><style nonce="{{.Nonce}}">body { color: navy }</style>
<form method="post" action="?"><input type="hidden" name="pending" value="{{.Pending}}">
{{.User.Name}}, may {{.Client.Name}} on {{.Host}} {{range .Scopes}}{{.Words}}{{end}}?
<button name="consent" value="approve">Yes</button> <button name="consent" value="deny">No</button></form>`))}
	page := get(handler.Authorize(manager, signedIn, pages), authorization)
	fmt.Println(strings.Contains(page.Body.String(), "Alice, may Web shop on web.example read?"))
	// Output: true
}

func ExampleConnectedApps() {
	manager, done := issuing()
	defer done()
	manager.Issue(context.Background(), grants.Issue{Client: "web", User: "alice", Scope: "read"})
	r := httptest.NewRequest("GET", "/account/apps", nil)
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	handler.ConnectedApps(manager, signedIn).ServeHTTP(w, r)
	fmt.Println(w.Code, strings.Contains(w.Body.String(), `"client_id":"web","name":"Web shop","scope":"read"`))
	// Output: 200 true
}
