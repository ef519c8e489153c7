package handler_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/storage"
)

// The cookie that binds a request to a browser can't be read by scripts, nor set by another host.
func TestBrowserCookie(t *testing.T) {
	for issuer, want := range map[string]http.Cookie{
		"https://auth.example":  {Name: "__Host-ostiary", Secure: true},
		"http://127.0.0.1:8080": {Name: "ostiary", Secure: false},
	} {
		manager, done := exampleManager(grants.Issuer(issuer))
		for name, h := range map[string]http.Handler{"Authorize": handler.Authorize(manager, signedIn), "ConnectedApps": handler.ConnectedApps(manager, signedIn)} {
			cookies := get(h, authorization).Result().Cookies()
			if len(cookies) != 1 {
				t.Fatalf("%s at %s: %v", name, issuer, cookies)
			}
			c := cookies[0]
			if c.Name != want.Name || c.Secure != want.Secure || !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" || c.Domain != "" || c.MaxAge != 0 || len(c.Value) < 26 {
				t.Errorf("%s at %s: %v", name, issuer, c)
			}
		}
		done()
	}
}

// What can not work is told where it is built.
func TestSiteThatCanNotWork(t *testing.T) {
	manager, done := issuing()
	defer done()
	nameless, end := exampleManager()
	defer end()
	var keyless struct {
		storage.Store
		storage.Clients
	}
	for name, build := range map[string]func(){
		"no manager":       func() { handler.Authorize(nil, signedIn) },
		"no function":      func() { handler.Authorize(manager, nil) },
		"no issuer":        func() { handler.Authorize(nameless, signedIn) },
		"no keys":          func() { handler.Authorize(grants.New(keyless, grants.Issuer("https://auth.example")), signedIn) },
		"no manager, apps": func() { handler.ConnectedApps(nil, signedIn) },
		"no issuer, apps":  func() { handler.ConnectedApps(nameless, signedIn) },
		"query limit":      func() { handler.QueryLimit(0) },
		"no introspection": func() { handler.Introspect(nil) },
	} {
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.HasPrefix(p, "handler: ") {
					t.Errorf("%s: %v", name, p)
				}
			}()
			build()
			t.Errorf("%s is built", name)
		}()
	}
}

// Where a client demands a new sign-in, an application may do it at once; one that shows no login, and
// knows of none, is told of in the log and does not loop.
func TestLoginAtOnce(t *testing.T) {
	manager, done := issuing()
	defer done()
	for name, c := range map[string]struct {
		anew   bool
		status int
		says   string
	}{"signs in": {true, 200, ""}, "ignores it": {false, 303, "error=server_error"}} {
		asked := 0
		answer := get(handler.Authorize(manager, func(_ http.ResponseWriter, _ *http.Request, ask handler.Ask) (handler.User, error) {
			asked++
			user := handler.User{ID: "alice", AuthTime: time.Now().Add(-time.Hour)}
			if ask.Login && c.anew {
				user.AuthTime = time.Now()
			}
			return user, nil
		}), authorization+"&prompt=login")
		if answer.Code != c.status || !strings.Contains(answer.Header().Get("Location"), c.says) || asked != 2 {
			t.Errorf("%s: asked %d times, %d %s", name, asked, answer.Code, answer.Header())
		}
	}
}
