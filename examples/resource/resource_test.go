//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/ostiary-go/ostiary/examples/internal/process"
)

func TestMain(m *testing.M) { process.Main(m, main) }

// The API names itself so, and the client svc may ask for tokens for it and for another.
const (
	api     = "http://127.0.0.1:9090"
	another = "https://another.example"
)

const clientsFile = `[
	{"client_id": "svc", "client_secret": "svc-secret", "grant_types": ["client_credentials"], "scope": "orders:read profile:email", "resources": ["` + api + `", "` + another + `"]},
	{"client_id": "api", "client_secret": "api-secret", "grant_types": [], "introspect": true, "audience": ["` + api + `"]}
]`

func startServer(t *testing.T, flags ...string) *process.Process {
	t.Helper()
	dir := t.TempDir()
	clients, users := filepath.Join(dir, "clients.json"), filepath.Join(dir, "users.json")
	for file, text := range map[string]string{clients: clientsFile, users: `{"alice": "wonderland"}`} {
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return process.StartOther(t, "../server", filepath.Join(dir, "auth.db"), append([]string{"-clients", clients, "-users", users}, flags...)...)
}

// post sends a form as a client and returns what is answered.
func post(t *testing.T, server *process.Process, path, client string, form url.Values) (members map[string]any) {
	t.Helper()
	r, err := http.NewRequest("POST", server.URL+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, client+"-secret")
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 || len(body) > 0 && json.Unmarshal(body, &members) != nil {
		t.Fatalf("%s is answered %d %s, %v", path, res.StatusCode, body, err)
	}
	return members
}

// token is an access token of svc's own.
func token(t *testing.T, server *process.Process, scope, resource string) string {
	t.Helper()
	return post(t, server, "/oauth/token", "svc", url.Values{"grant_type": {"client_credentials"}, "scope": {scope}, "resource": {resource}})["access_token"].(string)
}

// get asks the API, and says what is answered and why not.
func get(t *testing.T, api *process.Process, path, access string) string {
	t.Helper()
	r, err := http.NewRequest("GET", api.URL+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if access != "" {
		r.Header.Set("Authorization", "Bearer "+access)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	var members map[string]any
	json.Unmarshal(body, &members)
	if res.StatusCode != 200 {
		return fmt.Sprint(res.StatusCode, " ", members["error"])
	}
	return string(body)
}

// The same routes, whether the API has the server's keys or asks it.
func TestResource(t *testing.T) {
	t.Setenv("RESOURCE_SECRET", "api-secret")
	for name, tt := range map[string]struct {
		jwt, asks bool
		revoked   string // what is answered to a token that was
	}{
		"keys":               {jwt: true, revoked: "whoami"},
		"asks, opaque":       {asks: true, revoked: "401 invalid_token"},
		"asks though signed": {jwt: true, asks: true, revoked: "401 invalid_token"},
	} {
		t.Run(name, func(t *testing.T) {
			var flags []string
			if tt.jwt {
				flags = append(flags, "-jwt")
			}
			server := startServer(t, flags...)
			flags = []string{"-issuer", server.URL, "-resource", api}
			if tt.asks {
				flags = append(flags, "-introspect", server.URL+"/oauth/introspect")
			}
			p := process.Start(t, "", flags...)
			good := token(t, server, "orders:read", api)
			if (strings.Count(good, ".") == 2) != tt.jwt {
				t.Errorf("%d dots in the token", strings.Count(good, "."))
			}
			whoami := `{"client_id":"svc","scope":"orders:read","sub":""}` + "\n"
			for _, c := range []struct{ path, access, want string }{
				{"/whoami", good, whoami},
				{"/orders", good, `{"orders":["3 lanterns","1 key ring"],"sub":""}` + "\n"},
				{"/whoami", "", "401 <nil>"},
				{"/whoami", good + "x", "401 invalid_token"},
				{"/orders", token(t, server, "profile:email", api), "403 insufficient_scope"},
				{"/whoami", token(t, server, "orders:read", another), "401 invalid_token"},
			} {
				if got := get(t, p, c.path, c.access); got != c.want {
					t.Errorf("%s: got %q, want %q", c.path, got, c.want)
				}
			}

			post(t, server, "/oauth/revoke", "svc", url.Values{"token": {good}})
			fresh := process.Start(t, "", flags...) // which believes nothing that it was told before
			want := strings.ReplaceAll(tt.revoked, "whoami", whoami)
			if got := get(t, fresh, "/whoami", good); got != want {
				t.Errorf("revoked: got %q, want %q", got, want)
			}
			fresh.Stop(t)

			// The server is away.
			late := token(t, server, "orders:read", api)
			server.Cmd.Process.Signal(syscall.SIGKILL)
			server.Cmd.Wait()
			want = whoami
			if tt.asks {
				want = "503 temporarily_unavailable"
			}
			if got := get(t, p, "/whoami", late); got != want {
				t.Errorf("the server is away: got %q, want %q", got, want)
			}
			stranger := process.Start(t, "", flags...) // which has nothing in hand
			if got := get(t, stranger, "/whoami", late); got != "503 temporarily_unavailable" {
				t.Errorf("the server is away: got %q", got)
			}
			stranger.Stop(t)
			p.Stop(t)
			if log := p.Log.String(); strings.Contains(log, late) || strings.Contains(log, "api-secret") {
				t.Errorf("the log has a secret in it: %s", log)
			}
		})
	}
}

// A client finds from a refusal to the server (RFC 9728 5.1).
func TestMetadata(t *testing.T) {
	p := process.Start(t, "", "-issuer", "http://127.0.0.1:1")
	defer p.Stop(t)
	res, err := http.Get(p.URL + "/orders")
	if err != nil {
		t.Fatal(err)
	}
	res.Body.Close()
	address := p.URL + "/.well-known/oauth-protected-resource"
	if challenge := res.Header.Get("WWW-Authenticate"); res.StatusCode != 401 || !strings.Contains(challenge, `resource_metadata="`+address+`"`) {
		t.Errorf("got %d %s", res.StatusCode, challenge)
	}
	if res, err = http.Get(address); err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	var members map[string]any
	if err := json.NewDecoder(res.Body).Decode(&members); err != nil || members["resource"] != p.URL || fmt.Sprint(members["authorization_servers"]) != "[http://127.0.0.1:1]" {
		t.Errorf("got %v, %v", members, err)
	}
	if got := get(t, p, "/orders", "x.y.z"); got != "401 invalid_token" { // which nobody has to be asked about
		t.Errorf("got %s", got)
	}
}

func TestRefuses(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	t.Setenv("RESOURCE_SECRET", "")
	process.Refuses(t, "resource", "issuer \"http://auth.example\"", "-issuer", "http://auth.example")
	process.Refuses(t, "resource", "http://api.example", "-resource", "http://api.example")
	process.Refuses(t, "resource", "RESOURCE_SECRET", "-introspect", "https://auth.example/introspect")
	process.Refuses(t, "resource", "(-addr chooses", "-addr", taken.Addr().String())
	t.Setenv("RESOURCE_SECRET", "api-secret")
	process.Refuses(t, "resource", "no https URL", "-introspect", "http://auth.example/introspect")
}
