package jwt_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

const api = "https://orders.example" // the audience

// algorithms are those that access tokens are signed by.
var algorithms = []string{"EdDSA", "ES256", "RS256", "PS256"}

// server is our authorization server, which listens on the loopback interface.
type server struct {
	issuer  string
	manager *grants.Manager
	keys    *grants.Keys // nil: its access tokens are opaque
}

// newServer serves over a bbolt file in which keys of that algorithm lie since long: so the next one is known
// everywhere, and Rotate has it sign at once.
func newServer(t testing.TB, algorithm string) *server {
	t.Helper()
	path := filepath.Join(t.TempDir(), "auth.db")
	if t, ok := t.(*testing.T); ok {
		synctest.Test(t, func(t *testing.T) { openKeys(t, openStore(t, path), algorithm) }) // in the year 2000
	}
	store := openStore(t, path)
	return serve(t, store, openKeys(t, store, algorithm))
}

func openStore(t testing.TB, path string) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

func openKeys(t testing.TB, store storage.Store, algorithm string) *grants.Keys {
	t.Helper()
	keys, err := grants.OpenKeys(t.Context(), store, grants.Algorithm(algorithm), grants.RotateEvery(storage.Unlimited))
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// serve serves the endpoints over a store. Without keys access tokens are opaque.
func serve(t testing.TB, store *bolt.Store, keys *grants.Keys) *server {
	t.Helper()
	for _, c := range []*storage.Client{
		{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"}, Scope: "orders:read", Introspect: true},
		{ID: "web", Secret: storage.HashGenerated("web-secret"), GrantTypes: []string{"refresh_token"}, Scope: "orders:read orders:write"},
	} {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	listener := httptest.NewUnstartedServer(nil)
	s := &server{issuer: "http://" + listener.Listener.Addr().String(), keys: keys}
	options := []grants.Option{grants.Issuer(s.issuer), grants.Logger(slog.New(slog.DiscardHandler))}
	paths := handler.Paths{Token: "/token", Introspect: "/introspect"}
	if keys != nil {
		options = append(options, grants.JWT(keys), grants.DefaultAudience(api))
		paths.JWKS = "/keys"
	}
	s.manager = grants.New(store, options...)
	mux := http.NewServeMux()
	mux.Handle("/token", handler.Token(s.manager))
	mux.Handle("/introspect", handler.Introspect(s.manager))
	metadata := handler.Metadata(s.manager, paths)
	mux.Handle("/.well-known/oauth-authorization-server", metadata)
	mux.Handle("/.well-known/openid-configuration", metadata) // where OpenID Connect looks for it
	if keys != nil {
		mux.Handle("/keys", handler.JWKS(s.manager))
	}
	listener.Config.Handler = mux
	listener.Start()
	t.Cleanup(listener.Close)
	return s
}

// own is an access token of the client svc.
func (s *server) own(t testing.TB) string {
	t.Helper()
	return s.token(t, "svc", url.Values{"grant_type": {"client_credentials"}})
}

// alices is an access token of alice's for the client web.
func (s *server) alices(t testing.TB) string {
	t.Helper()
	pair, err := s.manager.Issue(t.Context(), grants.Issue{Client: "web", User: "alice", Scope: "orders:read orders:write"})
	if err != nil {
		t.Fatal(err)
	}
	return s.token(t, "web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.GetRefresh()}})
}

// token asks the token endpoint.
func (s *server) token(t testing.TB, client string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, s.issuer+"/token", strings.NewReader(form.Encode()))
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
	var answer struct {
		AccessToken string `json:"access_token"`
		Error       string
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.AccessToken == "" {
		t.Fatalf("%s %s, %v", res.Status, answer.Error, err)
	}
	return answer.AccessToken
}
