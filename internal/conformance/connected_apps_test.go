package conformance

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

const apps = "/account/apps"

var wantJSON = [2]string{"Accept", "application/json"}

// listed are the clients that the user sees, with what they may do, and what a form has to send.
func (v *visitor) listed(t *testing.T) (clients map[string]string, pending string) {
	t.Helper()
	return v.get(t, apps, wantJSON).apps(t)
}

func (a *answer) apps(t *testing.T) (clients map[string]string, pending string) {
	t.Helper()
	var list struct {
		Apps []struct {
			Client string `json:"client_id"`
			Name   string `json:"name"`
			Scope  string `json:"scope"`
			Since  string `json:"since"`
			Used   string `json:"last_used"`
			Grants int    `json:"grants"`
		} `json:"apps"`
		Pending string `json:"pending"`
	}
	if err := json.Unmarshal([]byte(a.body), &list); err != nil || a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Cache-Control") != "no-store" || list.Apps == nil {
		t.Fatalf("%v: got %s", err, a)
	}
	clients = make(map[string]string)
	for _, app := range list.Apps {
		if _, err := time.Parse(time.DateOnly, app.Since); err != nil || app.Name == "" || app.Used < app.Since || app.Grants < 1 {
			t.Errorf("listed %+v", app)
		}
		clients[app.Client] = app.Scope
	}
	return clients, list.Pending
}

func TestConnectedApps(t *testing.T) {
	for name, do := range map[string]func(t *testing.T, s *server){
		"lists": func(t *testing.T, s *server) {
			v := s.alice()
			if clients, _ := v.listed(t); len(clients) != 0 {
				t.Errorf("listed %v", clients)
			}
			v.get(t, apps).page(t, 200)
			v.consents(t, "web", "scope", "read")
			v.consents(t, "web", "scope", "write")
			v.consents(t, "spa")
			v.approves(t, v.authorizeAs(t, "two")) // no more than a code
			s.visitorOf("bob").consents(t, "loose")
			if clients, _ := v.listed(t); len(clients) != 2 || clients["web"] != "read write" || clients["spa"] != "read" {
				t.Errorf("listed %v", clients)
			}
			page := v.get(t, apps).page(t, 200)
			for _, want := range []string{"<h2>web</h2>", "<h2>spa</h2>", "<span>write</span>", `name="client" value="web"`, `name="all" value="all"`, "<b>Ms alice</b>"} {
				if !strings.Contains(page.body, want) {
					t.Errorf("no %s in %s", want, page)
				}
			}
		},
		"ends one": func(t *testing.T, s *server) {
			v := s.alice()
			gone, also, stays := v.consents(t, "web"), v.consents(t, "web", "scope", "write"), v.consents(t, "spa")
			others := s.visitorOf("bob").consents(t, "web")
			_, pending := v.listed(t)
			if a := v.post(t, apps, form("pending", pending, "client", "web"), fromHere); a.status != 303 || a.header.Get("Location") != "?" {
				t.Errorf("got %s", a)
			}
			s.ended(t, "web", gone)
			s.ended(t, "web", also)
			s.lives(t, "spa", stays)
			s.lives(t, "web", others)
			if clients, _ := v.post(t, apps, form("pending", pending, "client", "spa"), fromHere, wantJSON).apps(t); len(clients) != 0 {
				t.Errorf("listed %v", clients)
			}
		},
		"ends the user's own": func(t *testing.T, s *server) {
			others := s.alice().consents(t, "web")
			v := s.visitorOf("bob")
			gone := v.consents(t, "web")
			_, pending := v.listed(t)
			v.post(t, apps, form("pending", pending, "client", "web"), fromHere)
			s.ended(t, "web", gone)
			s.lives(t, "web", others)
		},
		"ends all": func(t *testing.T, s *server) {
			v := s.alice()
			first, second := v.consents(t, "web"), v.consents(t, "spa")
			others := s.visitorOf("bob").consents(t, "web")
			_, pending := v.listed(t)
			v.post(t, apps, form("pending", pending, "all", "all"), fromHere)
			s.ended(t, "web", first)
			s.ended(t, "spa", second)
			s.lives(t, "web", others)
		},
		"signed out": func(t *testing.T, s *server) {
			v := s.visitor()
			if a := v.get(t, apps); a.status != 303 || a.header.Get("Location") != "/login?next=%2Faccount%2Fapps" {
				t.Errorf("got %s", a)
			}
			if a := v.get(t, apps, wantJSON); a.status != 401 || a.body != `{"error":"login_required"}` {
				t.Errorf("got %s", a)
			}
			v = s.alice()
			pair := v.consents(t, "web")
			_, pending := v.listed(t)
			v.signOut()
			v.post(t, apps, form("pending", pending, "client", "web"), fromHere)
			s.lives(t, "web", pair)
		},
		"refused": func(t *testing.T, s *server) {
			v := s.alice()
			pair := v.consents(t, "web")
			_, pending := v.listed(t)
			v.post(t, apps, form("pending", pending, "client", "web"), [2]string{"Sec-Fetch-Site", "cross-site"}).page(t, 403)
			v.post(t, apps, form("pending", pending, "client", "web"), [2]string{"Origin", "https://evil.example"}).page(t, 403)
			v.post(t, apps, form("client", "web"), fromHere).page(t, 400)
			v.post(t, apps, form("pending", pending), fromHere).page(t, 400)
			v.post(t, apps, form("pending", pending, "client", ""), fromHere).page(t, 400)
			v.post(t, apps, form("pending", pending, "client", "web", "all", "all"), fromHere).page(t, 400)
			v.post(t, apps, form("pending", pending, "client", "web", "client", "web"), fromHere).page(t, 400)
			v.post(t, apps, form("pending", v.authorizeAs(t, "spa").pending(t), "client", "web"), fromHere).page(t, 403) // of a consent page
			v.post(t, "/authorize", form("pending", pending, "consent", "approve"), fromHere).page(t, 400)
			other := s.alice()
			other.listed(t)
			other.post(t, apps, form("pending", pending, "client", "web"), fromHere).page(t, 400)
			v.signIn("bob")
			v.post(t, apps, form("pending", pending, "client", "web"), fromHere).page(t, 403)
			if a := v.s.send(t, "DELETE", apps, nil, v.headers(nil)...); a.status != 405 || a.header.Get("Allow") != "GET, POST" {
				t.Errorf("got %s", a)
			}
			s.lives(t, "web", pair)
		},
		"while the store fails": func(t *testing.T, s *server) {
			v := s.alice()
			pair := v.consents(t, "web")
			_, pending := v.listed(t)
			for _, fault := range breaks {
				fault(s.store)
				v.post(t, apps, form("pending", pending, "client", "web"), fromHere).page(t, 503)
			}
			s.store.Break(testbed.Fail, nil, nil)
			v.get(t, apps).page(t, 503)
			s.store.Break(nil, nil, nil)
			s.lives(t, "web", pair)
		},
	} {
		t.Run(name, func(t *testing.T) {
			store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
			if err != nil {
				t.Fatal(err)
			}
			s := newServer(t, store, testCase{})
			s.listen(t, false)
			do(t, s)
		})
	}
}
