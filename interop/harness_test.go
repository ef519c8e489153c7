package interop_test

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	upstreamstore "github.com/go-oauth2/oauth2/v4/store"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// PKCE values of RFC 7636 Appendix B, and another verifier that is well formed.
const (
	verifier      = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge     = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	otherVerifier = "another-verifier-that-is-long-enough-to-be-one"
)

// clients are the clients that every server here knows. The secret of a confidential one is its ID and
// "-secret", its redirect URI https://ID.example/cb.
func clients() []*storage.Client {
	code := []string{"authorization_code", "refresh_token"}
	return []*storage.Client{
		{ID: "a", Secret: storage.HashGenerated("a-secret"), GrantTypes: code, Scope: "read write", RedirectURIs: []string{callback("a")}},
		{ID: "b", Secret: storage.HashGenerated("b-secret"), GrantTypes: code, Scope: "read write", RedirectURIs: []string{callback("b")}},
		{ID: "app", Public: true, GrantTypes: code, Scope: "read write", RedirectURIs: []string{callback("app")}},
		{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"}, Scope: "read jobs"},
	}
}

func callback(client string) string { return "https://" + client + ".example/cb" }

// openStore opens a bbolt file with the clients in it.
func openStore(t *testing.T) (store *bolt.Store, path string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for _, c := range clients() {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return store, path
}

func newGrants(t *testing.T, options ...grants.Option) *grants.Manager {
	t.Helper()
	store, _ := openStore(t)
	return grantsOn(store, options...)
}

// grantsOn is a manager that logs nothing.
func grantsOn(store storage.Store, options ...grants.Option) *grants.Manager {
	return grants.New(store, append(options, grants.Logger(slog.New(slog.DiscardHandler)))...)
}

// signing are the options of a manager that signs its access tokens.
func signing(t *testing.T) []grants.Option {
	t.Helper()
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := grants.SupplyKeys(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	return []grants.Option{grants.Issuer("https://auth.example"), grants.JWT(keys)}
}

// newUpstream is go-oauth2's default manager on a token store; nil stands for its memory store.
func newUpstream(t *testing.T, tokens oauth2.TokenStore) *manage.Manager {
	t.Helper()
	if tokens == nil {
		tokens = memoryTokens(t)
	}
	m := manage.NewDefaultManager()
	m.MapTokenStorage(tokens)
	m.MapClientStorage(theirClients())
	return m
}

// theirClients is a client store of go-oauth2's with the clients in it as it knows them.
func theirClients() oauth2.ClientStore {
	registered := upstreamstore.NewClientStore()
	for _, c := range clients() {
		plain := &models.Client{ID: c.ID, Public: c.Public, Domain: c.GetDomain()}
		if !c.Public {
			plain.Secret = c.ID + "-secret"
		}
		registered.Set(c.ID, plain)
	}
	return registered
}

func memoryTokens(t *testing.T) oauth2.TokenStore {
	t.Helper()
	tokens, err := upstreamstore.NewMemoryTokenStore()
	if err != nil {
		t.Fatal(err)
	}
	return tokens
}

// site is an authorization server and the route GET /me, which tells whose token it was given.
type site struct {
	manager oauth2.Manager
	url     string
	client  *http.Client
}

// ours serves a manager by our endpoints and middleware.
func ours(t *testing.T, m oauth2.Manager, options ...handler.Option) *site {
	return listen(t, m, ourRoutes(m, options...))
}

func ourRoutes(m oauth2.Manager, options ...handler.Option) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("/token", handler.Token(m, options...))
	mux.Handle("/revoke", handler.Revoke(m, options...))
	if m, ok := m.(*grants.Manager); ok && m.Issuer() != "" {
		alice := func(http.ResponseWriter, *http.Request, handler.Ask) (handler.User, error) {
			return handler.User{ID: "alice"}, nil
		}
		mux.Handle("/authorize", handler.Authorize(m, alice))
		mux.Handle("/introspect", handler.Introspect(m))
	}
	mux.Handle("GET /me", middleware.Bearer(m)(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tell(w, middleware.Token(r.Context()))
	})))
	return mux
}

// theirs serves a manager by go-oauth2's server, where alice is signed in.
func theirs(t *testing.T, m oauth2.Manager, set ...func(*server.Server)) *site {
	return listen(t, m, theirRoutes(m, set...))
}

func theirRoutes(m oauth2.Manager, set ...func(*server.Server)) http.Handler {
	s := server.NewDefaultServer(m)
	s.UserAuthorizationHandler = func(http.ResponseWriter, *http.Request) (string, error) { return "alice", nil }
	for _, f := range set {
		f(s)
	}
	mux := http.NewServeMux()
	for path, serve := range map[string]func(http.ResponseWriter, *http.Request) error{
		"/authorize": s.HandleAuthorizeRequest, "/token": s.HandleTokenRequest,
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := serve(w, r); err != nil {
				http.Error(w, err.Error(), http.StatusInternalServerError)
			}
		})
	}
	mux.HandleFunc("GET /me", func(w http.ResponseWriter, r *http.Request) {
		info, err := s.ValidationBearerToken(r)
		if err != nil {
			http.Error(w, err.Error(), http.StatusUnauthorized)
			return
		}
		tell(w, info)
	})
	return mux
}

func tell(w io.Writer, info oauth2.TokenInfo) {
	fmt.Fprintf(w, "client=%s user=%s scope=%s", info.GetClientID(), info.GetUserID(), info.GetScope())
}

// listen serves on the loopback interface.
func listen(t *testing.T, m oauth2.Manager, h http.Handler) *site {
	base, client := testbed.Serve(t, h, false)
	return &site{m, base, client}
}

// listenOnPipes serves on pipes in memory, which let the time of a synctest bubble go on.
func listenOnPipes(t *testing.T, m oauth2.Manager, h http.Handler) *site {
	base, client := testbed.Serve(t, h, true)
	return &site{m, base, client}
}

// auth is how a client says who it is.
type auth func(*http.Request)

func basic(id, secret string) auth {
	return func(r *http.Request) { r.SetBasicAuth(url.QueryEscape(id), url.QueryEscape(secret)) }
}

// as is basic of a client with its right secret.
func as(id string) auth { return basic(id, id+"-secret") }

// inBody leaves it to client_id and client_secret in the body.
func inBody(*http.Request) {}

// form is names and values in turn.
func form(namesAndValues ...string) url.Values {
	v := make(url.Values)
	for i := 0; i < len(namesAndValues); i += 2 {
		v.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return v
}

// merge is f with other values for the names in set; "" takes a name out.
func merge(f []string, set ...string) []string {
	values := form(f...)
	for i := 0; i < len(set); i += 2 {
		values.Set(set[i], set[i+1])
	}
	var merged []string
	for name := range values {
		if v := values.Get(name); v != "" {
			merged = append(merged, name, v)
		}
	}
	return merged
}

// answer is an HTTP response.
type answer struct {
	status  int
	header  http.Header
	body    string
	members map[string]any // of a JSON object
}

func (a *answer) String() string { return fmt.Sprintf("%d %v\n%s", a.status, a.header, a.body) }

func (a *answer) member(name string) string {
	s, _ := a.members[name].(string)
	return s
}

func (a *answer) access() string  { return a.member("access_token") }
func (a *answer) refresh() string { return a.member("refresh_token") }

// ok fails unless a has a token.
func (a *answer) ok(t *testing.T) *answer {
	t.Helper()
	if a.status != http.StatusOK || a.access() == "" {
		t.Fatalf("want a token, got %s", a)
	}
	return a
}

// is fails unless a is an error of that status and code.
func (a *answer) is(t *testing.T, status int, code string) *answer {
	t.Helper()
	if a.status != status || a.member("error") != code {
		t.Fatalf("want %d %s, got %s", status, code, a)
	}
	return a
}

// location is where a redirects to.
func (a *answer) location(t *testing.T) *url.URL {
	t.Helper()
	u, err := url.Parse(a.header.Get("Location"))
	if err != nil || a.status != http.StatusFound && a.status != http.StatusSeeOther {
		t.Fatalf("want a redirect, got %s", a)
	}
	return u
}

func (s *site) do(r *http.Request) (*answer, error) {
	res, err := s.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	a := &answer{status: res.StatusCode, header: res.Header, body: string(body)}
	json.Unmarshal(body, &a.members)
	return a, err
}

func (s *site) tryPost(path string, who auth, f url.Values) (*answer, error) {
	r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader(f.Encode()))
	if err != nil {
		return nil, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	who(r)
	return s.do(r)
}

func (s *site) post(t *testing.T, path string, who auth, namesAndValues ...string) *answer {
	t.Helper()
	a, err := s.tryPost(path, who, form(namesAndValues...))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func (s *site) token(t *testing.T, who auth, namesAndValues ...string) *answer {
	t.Helper()
	return s.post(t, "/token", who, namesAndValues...)
}

func (s *site) refresh(t *testing.T, who auth, token string, more ...string) *answer {
	t.Helper()
	return s.token(t, who, append([]string{"grant_type", "refresh_token", "refresh_token", token}, more...)...)
}

// redemption is the right form to redeem a code of a client.
func redemption(client, code string) []string {
	return []string{"grant_type", "authorization_code", "code", code, "redirect_uri", callback(client), "code_verifier", verifier}
}

func (s *site) redeem(t *testing.T, client, code string) *answer {
	t.Helper()
	return s.token(t, as(client), redemption(client, code)...)
}

// pair is alice's grant to a client of scope "read write".
func (s *site) pair(t *testing.T, client string) *answer {
	t.Helper()
	return s.redeem(t, client, s.code(t, client)).ok(t)
}

// authorize asks the authorization endpoint.
func (s *site) authorize(t *testing.T, query url.Values) *answer {
	t.Helper()
	return s.get(t, "/authorize?"+query.Encode(), inBody)
}

// me asks the guarded route.
func (s *site) me(t *testing.T, access string) *answer {
	t.Helper()
	return s.get(t, "/me", func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+access) })
}

// works fails unless the access token is accepted.
func (s *site) works(t *testing.T, access string) {
	t.Helper()
	if a := s.me(t, access); a.status != http.StatusOK {
		t.Fatalf("want the access token to work, got %s", a)
	}
}

// dead fails if the access token is accepted.
func (s *site) dead(t *testing.T, access string) {
	t.Helper()
	if a := s.me(t, access); a.status != http.StatusUnauthorized {
		t.Fatalf("want the access token to be dead, got %s", a)
	}
}

func (s *site) get(t *testing.T, path string, who auth) *answer {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	who(r)
	a, err := s.do(r)
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// authorization is a request of the manager for a code of alice's for a client.
func authorization(client string) *oauth2.TokenGenerateRequest {
	return &oauth2.TokenGenerateRequest{
		ClientID: client, UserID: "alice", RedirectURI: callback(client), Scope: "read write",
		CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256,
	}
}

// code gets a code from the manager.
func (s *site) code(t *testing.T, client string) string {
	t.Helper()
	info, err := s.manager.GenerateAuthToken(t.Context(), oauth2.Code, authorization(client))
	if err != nil {
		t.Fatal(err)
	}
	return info.GetCode()
}

// atOnce sends the same form n times at once and counts the answers by status.
func (s *site) atOnce(t *testing.T, n int, who auth, namesAndValues ...string) map[int]int {
	t.Helper()
	statuses, failures := make(map[int]int), error(nil)
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			a, err := s.tryPost("/token", who, form(namesAndValues...))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failures = errors.Join(failures, err)
				return
			}
			statuses[a.status]++
		})
	}
	all.Wait()
	if failures != nil {
		t.Fatal(failures)
	}
	return statuses
}
