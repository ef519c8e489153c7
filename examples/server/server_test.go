//go:build unix

package main

import (
	"encoding/json"
	"html"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	oauth2server "github.com/go-oauth2/oauth2/v4"
	"golang.org/x/oauth2"

	"github.com/ostiary-go/ostiary/examples/internal/process"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func TestMain(m *testing.M) { process.Main(m, main) }

func TestCannotStart(t *testing.T) { process.CannotStart(t, "server") }

const clientsFile = `[
	{"client_id": "web", "client_secret": "web-secret", "client_name": "Web shop", "redirect_uris": ["http://127.0.0.1/cb"],
	 "grant_types": ["authorization_code", "refresh_token"], "scope": "orders:read profile:email", "token_endpoint_auth_method": "client_secret_basic"},
	{"client_id": "app", "client_name": "Desktop app", "redirect_uris": ["http://127.0.0.1/cb"],
	 "grant_types": ["authorization_code", "refresh_token"], "scope": "orders:read", "token_endpoint_auth_method": "none"},
	{"client_id": "svc", "client_secret": "svc-secret", "grant_types": ["client_credentials"], "scope": "orders:read", "token_endpoint_auth_method": "client_secret_post"},
	{"client_id": "rs", "client_secret": "rs-secret", "grant_types": [], "introspect": true}
]`

const usersFile = `{"alice": "wonderland", "bob": "builder"}`

// launch runs the server with clients and users of a file.
func launch(t *testing.T, flags ...string) *process.Process {
	t.Helper()
	dir := t.TempDir()
	return process.Start(t, filepath.Join(dir, "auth.db"), append([]string{
		"-clients", write(t, dir, "clients.json", clientsFile), "-users", write(t, dir, "users.json", usersFile),
	}, flags...)...)
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// browser follows redirects as far as the server goes, keeps cookies and sends forms.
type browser struct {
	*http.Client
	url  *url.URL // of the page that is shown
	body string
	left string // where to the last redirect led that left the server
}

func newBrowser(t *testing.T) *browser {
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	b := &browser{Client: &http.Client{Jar: jar}}
	return b
}

func (b *browser) show(t *testing.T, r *http.Request) {
	t.Helper()
	b.left = ""
	b.CheckRedirect = func(next *http.Request, _ []*http.Request) error {
		if strings.HasSuffix(next.URL.Path, "/cb") {
			b.left = next.URL.String()
			return http.ErrUseLastResponse
		}
		return nil
	}
	res, err := b.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	b.url, b.body = res.Request.URL, string(text)
}

func (b *browser) open(t *testing.T, address string) {
	t.Helper()
	r, err := http.NewRequest("GET", address, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.show(t, r)
}

var hidden = regexp.MustCompile(`<input type="hidden" name="([^"]+)" value="([^"]*)">`)

// submit sends the form of the page that is shown.
func (b *browser) submit(t *testing.T, fields url.Values) {
	t.Helper()
	for _, field := range hidden.FindAllStringSubmatch(b.body, -1) {
		fields.Set(field[1], html.UnescapeString(field[2]))
	}
	to := *b.url
	if strings.Contains(b.body, `action="?"`) {
		to.RawQuery = ""
	}
	r, err := http.NewRequest("POST", to.String(), strings.NewReader(fields.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	b.show(t, r)
}

func (b *browser) signIn(t *testing.T, name, password string) {
	t.Helper()
	if b.url.Path != "/login" {
		t.Fatalf("no login: %s\n%s", b.url, b.body)
	}
	b.submit(t, url.Values{"username": {name}, "password": {password}})
}

// config is a client of the library golang.org/x/oauth2.
func config(server, client, secret string) *oauth2.Config {
	return &oauth2.Config{
		ClientID: client, ClientSecret: secret, RedirectURL: "http://127.0.0.1:9/cb", Scopes: []string{"orders:read"},
		Endpoint: oauth2.Endpoint{AuthURL: server + "/oauth/authorize", TokenURL: server + "/oauth/token"},
	}
}

// returned is what came back with the last redirect that left the server.
func (b *browser) returned(t *testing.T) url.Values {
	t.Helper()
	u, err := url.Parse(b.left)
	if err != nil || b.left == "" {
		t.Fatalf("did not leave: %s\n%s", b.url, b.body)
	}
	return u.Query()
}

func ask(t *testing.T, client *http.Client, address string) (members map[string]any) {
	t.Helper()
	res, err := client.Get(address)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	json.NewDecoder(res.Body).Decode(&members)
	members["status"] = res.StatusCode
	return members
}

func TestServer(t *testing.T) {
	p := launch(t)
	b := newBrowser(t)
	web, verifier := config(p.URL, "web", "web-secret"), oauth2.GenerateVerifier()
	address := web.AuthCodeURL("xyz", oauth2.S256ChallengeOption(verifier))
	b.open(t, address)
	b.signIn(t, "alice", "builder")
	if !strings.Contains(b.body, "is wrong") || strings.Contains(b.body, "builder") {
		t.Fatalf("a wrong password: %s", b.body)
	}
	b.signIn(t, "nobody", "wonderland")
	b.signIn(t, "alice", "wonderland")
	for _, want := range []string{"Web shop", "See your orders", "alice", "127.0.0.1:9"} {
		if !strings.Contains(b.body, want) {
			t.Errorf("the consent page has no %q:\n%s", want, b.body)
		}
	}
	consent := *b
	b.submit(t, url.Values{"consent": {"deny"}})
	if got := b.returned(t); got.Get("error") != "access_denied" || got.Get("state") != "xyz" || got.Get("iss") != p.URL {
		t.Errorf("denied: %v", got)
	}
	b.url, b.body = consent.url, consent.body
	b.submit(t, url.Values{"consent": {"approve"}})
	got := b.returned(t)
	if got.Get("code") == "" || got.Get("state") != "xyz" || got.Get("iss") != p.URL {
		t.Fatalf("approved: %v", got)
	}
	token, err := web.Exchange(t.Context(), got.Get("code"), oauth2.VerifierOption(verifier))
	if err != nil {
		t.Fatal(err)
	}
	client := web.Client(t.Context(), token)
	if who := ask(t, client, p.URL+"/api/whoami"); who["sub"] != "alice" || who["client_id"] != "web" || who["scope"] != "orders:read" {
		t.Errorf("whoami: %v", who)
	}
	if orders := ask(t, client, p.URL+"/api/orders"); orders["status"] != 200 || orders["sub"] != "alice" {
		t.Errorf("orders: %v", orders)
	}
	b.open(t, address)
	if b.returned(t).Get("code") == "" {
		t.Error("asks again")
	}

	res, err := http.PostForm(p.URL+"/oauth/introspect", url.Values{"client_id": {"rs"}, "client_secret": {"rs-secret"}, "token": {token.AccessToken}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if text, _ := io.ReadAll(res.Body); !strings.Contains(string(text), `"active":true`) || !strings.Contains(string(text), `"sub":"alice"`) {
		t.Errorf("introspected: %s", text)
	}

	b.open(t, p.URL+"/account/apps")
	if !strings.Contains(b.body, "Web shop") {
		t.Fatalf("connected: %s", b.body)
	}
	b.submit(t, url.Values{"client": {"web"}})
	if strings.Contains(b.body, "Web shop") {
		t.Errorf("still connected: %s", b.body)
	}
	if who := ask(t, client, p.URL+"/api/whoami"); who["status"] != 401 {
		t.Errorf("whoami after the end: %v", who)
	}
	b.open(t, p.URL+"/")
	to := *b.url
	to.Path = "/logout"
	b.url, b.body = &to, ""
	b.submit(t, url.Values{})
	b.open(t, p.URL+"/account/apps")
	if b.url.Path != "/login" {
		t.Errorf("signed out, yet at %s", b.url)
	}
	p.Stop(t)
	for _, secret := range []string{"wonderland", "web-secret", token.AccessToken, token.RefreshToken} {
		if strings.Contains(p.Log.String(), secret) {
			t.Errorf("logs %s", secret)
		}
	}
}

// Without files it makes users of its own, once, and a client that the server itself is.
func TestAlone(t *testing.T) {
	db := filepath.Join(t.TempDir(), "auth.db")
	p := process.Start(t, db)
	printed := regexp.MustCompile(`^# user alice, password (\S+)\n# user bob, password (\S+)\n$`).FindStringSubmatch(p.Printed)
	if printed == nil {
		t.Fatalf("printed %q", p.Printed)
	}
	for range 2 { // the second time it is started anew
		b := newBrowser(t)
		b.open(t, p.URL+"/demo")
		b.signIn(t, "alice", printed[1])
		if strings.Contains(b.body, "Allow <b>Demo</b>?") {
			b.submit(t, url.Values{"consent": {"approve"}})
		}
		if !strings.Contains(html.UnescapeString(b.body), `"sub":"alice"`) || !strings.Contains(b.body, "lanterns") {
			t.Fatalf("the demo shows %s", b.body)
		}
		p.Stop(t)
		p = process.Start(t, db, "-addr", strings.TrimPrefix(p.URL, "http://"))
		if p.Printed != "" {
			t.Errorf("printed %q", p.Printed)
		}
	}
	p.Stop(t)
}

// clientsOwn gets a client's own token.
func clientsOwn(t *testing.T, p *process.Process, client string) *oauth2.Token {
	t.Helper()
	res, err := http.PostForm(p.URL+"/oauth/token", url.Values{"client_id": {client}, "client_secret": {client + "-secret"}, "grant_type": {"client_credentials"}})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	token := new(oauth2.Token)
	if err := json.NewDecoder(res.Body).Decode(token); err != nil || token.AccessToken == "" {
		t.Fatalf("%v, %d", err, res.StatusCode)
	}
	return token
}

// A client's own token says so, and a restart leaves it as it is.
func TestClientsOwn(t *testing.T) {
	dir := t.TempDir()
	flags := []string{"-clients", write(t, dir, "clients.json", clientsFile), "-users", write(t, dir, "users.json", usersFile)}
	p := process.Start(t, filepath.Join(dir, "auth.db"), flags...)
	token := clientsOwn(t, p, "svc")
	for range 2 {
		if who := ask(t, config(p.URL, "svc", "").Client(t.Context(), token), p.URL+"/api/whoami"); who["sub"] != "" || who["client_id"] != "svc" {
			t.Errorf("whoami: %v", who)
		}
		p.Stop(t)
		p = process.Start(t, filepath.Join(dir, "auth.db"), flags...)
	}
	p.Stop(t)
}

// The lifetimes are those of the flags.
func TestLifetimes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"), bolt.PruneEvery(0))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		err = store.PutClient(t.Context(), &storage.Client{
			ID: "web", Secret: storage.HashGenerated("web-secret"), InsecureNoPKCE: true,
			GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://web.example/cb"},
		})
		if err != nil {
			t.Fatal(err)
		}
		f := flags{issuer: "https://auth.example", accessTTL: 90 * time.Second, codeTTL: 7 * time.Second, retryWindow: 0}
		options, err := f.options()
		if err != nil {
			t.Fatal(err)
		}
		manager := grants.New(store, options...)
		code, err := manager.GenerateAuthToken(t.Context(), "code", &oauth2server.TokenGenerateRequest{ClientID: "web", UserID: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		if code.GetCodeExpiresIn() != 7*time.Second {
			t.Errorf("a code lives for %v", code.GetCodeExpiresIn())
		}
		first, err := manager.Token(t.Context(), &grants.Request{GrantType: "authorization_code", ClientID: "web", ClientSecret: "web-secret", Code: code.GetCode()})
		if err != nil || first.GetAccessExpiresIn() != 90*time.Second {
			t.Fatalf("%v, %v", first, err)
		}
		refresh := &grants.Request{GrantType: "refresh_token", ClientID: "web", ClientSecret: "web-secret", RefreshToken: first.GetRefresh()}
		if _, err := manager.Token(t.Context(), refresh); err != nil {
			t.Fatal(err)
		}
		if _, err := manager.Token(t.Context(), refresh); err == nil {
			t.Error("a lost answer is repeated")
		}
	})
}

// The files that the README shows are taken.
func TestREADMEFiles(t *testing.T) {
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, _ := strings.Cut(string(text), "```json\n")
	block, _, ok := strings.Cut(block, "```")
	if !ok {
		t.Fatal("no clients.json in the README")
	}
	dir := t.TempDir()
	p := process.Start(t, filepath.Join(dir, "auth.db"), "-clients", write(t, dir, "clients.json", block), "-users", write(t, dir, "users.json", usersFile))
	for client, secret := range map[string]string{"web": "change-me", "api": "change-me-too"} {
		res, err := http.PostForm(p.URL+"/oauth/introspect", url.Values{"client_id": {client}, "client_secret": {secret}, "token": {"x"}})
		if err != nil {
			t.Fatal(err)
		}
		res.Body.Close()
		if res.StatusCode != 200 {
			t.Errorf("%s: %s", client, res.Status)
		}
	}
	p.Stop(t)
}

func TestRefusedFiles(t *testing.T) {
	client := func(more string) string { return `[{"client_id": "web", "client_secret": "s", ` + more + `}]` }
	for name, c := range map[string]struct{ flag, text, says string }{
		"no file":         {"-clients", "", "no such file"},
		"no JSON":         {"-clients", "[\n{\n]", "clients.json: line 3: "},
		"another shape":   {"-clients", `{"client_id": "web"}`, "clients.json: "},
		"no client_id":    {"-clients", `[{"client_secret": "s"}]`, "client 1: client_id is missing"},
		"twice":           {"-clients", `[{"client_id": "a", "client_secret": "s", "grant_types": []}, {"client_id": "a"}]`, `client "a": stands there twice`},
		"no secret":       {"-clients", `[{"client_id": "a", "redirect_uris": ["https://a.example/"]}]`, "token_endpoint_auth_method is none"},
		"secret of none":  {"-clients", client(`"token_endpoint_auth_method": "none", "redirect_uris": ["https://a.example/"]`), "has a client_secret"},
		"another method":  {"-clients", client(`"token_endpoint_auth_method": "private_key_jwt", "redirect_uris": ["https://a.example/"]`), "private_key_jwt"},
		"implicit":        {"-clients", client(`"grant_types": ["implicit"]`), "implicit"},
		"no redirect URI": {"-clients", client(`"scope": "read"`), "authorization_code needs one"},
		"users: no JSON":  {"-users", `{"alice": }`, "users.json: line 1: "},
		"users: nobody":   {"-users", `{}`, "has no users"},
		"users: empty":    {"-users", `{"alice": ""}`, `user "alice": has no password`},
		"issuer":          {"-issuer", "http://auth.example", "not https"},
		"access-ttl":      {"-access-ttl", "0s", "AccessLifetime"},
		"code-ttl":        {"-code-ttl", "11m", "10 minutes"},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			value := c.text
			switch {
			case c.text == "":
				value = filepath.Join(dir, "nowhere.json")
			case c.flag == "-clients" || c.flag == "-users":
				value = write(t, dir, c.flag[1:]+".json", c.text)
			}
			process.Refuses(t, "server", c.says, "-db", filepath.Join(dir, "auth.db"), c.flag, value)
		})
	}
}

// TestConformance holds what registration by the clients file refuses, and the rows that need a browser.
func TestConformance(t *testing.T) {
	attacked(t)
	for name, c := range map[string]struct{ uri, says string }{
		"javascript": {"javascript:alert(1)", "scheme javascript"},
		"data":       {"data:text/html,x", "scheme data"},
		"vbscript":   {"vbscript:x", "scheme vbscript"},
		"file":       {"file:///etc/passwd", "scheme file"},
		"http":       {"http://web.example/cb", "loopback"},
		"wildcard":   {"https://*.example", "wildcard"},
		"userinfo":   {"https://a@web.example/", "user information"},
		"fragment":   {"https://web.example/#x", "fragment"},
		"relative":   {"/cb", "absolute"},
		"no dot":     {"myapp:/cb", "scheme myapp"},
	} {
		t.Run("ATK-03/clients file "+name, func(t *testing.T) {
			dir := t.TempDir()
			file := write(t, dir, "clients.json", `[{"client_id": "web", "client_secret": "s", "redirect_uris": ["`+c.uri+`"]}]`)
			process.Refuses(t, "server", c.says, "-db", filepath.Join(dir, "auth.db"), "-clients", file)
		})
	}
}
