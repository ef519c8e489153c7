package conformance

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
)

// PKCE values of RFC 7636 Appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// issuer is under which name all servers are known.
const issuer = "https://auth.example"

// resources are those that web and svc may ask for tokens for.
var resources = []string{"https://a.example/api", "https://b.example/api", "https://c.example/api"}

// fixtures are the clients that rows speak of.
func fixtures() []*storage.Client {
	code := []string{"authorization_code", "refresh_token"}
	own := []string{"client_credentials"}
	return []*storage.Client{
		{ID: "web", Secret: storage.HashGenerated("web-secret"), GrantTypes: code, Scope: "read write", RedirectURIs: []string{"https://web.example/cb"}, Resources: resources},
		{ID: "two", Secret: storage.HashGenerated("two-secret"), GrantTypes: code, Scope: "read", RedirectURIs: []string{"https://two.example/a", "https://two.example/b?x=1"}},
		{ID: "loose", Secret: storage.HashGenerated("loose-secret"), GrantTypes: code, Scope: "read", RedirectURIs: []string{"https://loose.example/cb"}, InsecureNoPKCE: true},
		{ID: "spa", Public: true, GrantTypes: code, Scope: "read write", RedirectURIs: []string{"https://spa.example/cb"}},
		{ID: "native", Public: true, GrantTypes: code, Scope: "read", RedirectURIs: []string{"http://127.0.0.1/cb", "http://[::1]/cb", "http://localhost/cb", "com.example.app:/cb"}},
		{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: own, Scope: "read jobs", Resources: resources},
		{ID: "bare", Secret: storage.HashGenerated("bare-secret"), GrantTypes: own},
		{ID: "o:d d+%", Secret: storage.HashGenerated("s:e c+r%e&t="), GrantTypes: own, Scope: "read"},
		{ID: "rs", Secret: storage.HashGenerated("rs-secret"), Introspect: true},
	}
}

// server is a fresh authorization server and a protected route, with the means to look behind them.
type server struct {
	manager oauth2.Manager  // what the handlers serve
	ours    *grants.Manager // nil over a foreign manager
	store   *testbed.Faulty // nil over a foreign manager
	keys    *grants.Keys    // nil: access tokens are opaque
	options []grants.Option // what all managers are made with
	log     *testbed.Log    // everything that was logged
	mux     *http.ServeMux

	base   string
	client *http.Client

	mu         sync.Mutex
	sent       []string // secrets, codes and tokens that requests had in them
	asks       []handler.Ask
	loginFault func(*http.Request) error // of the application; nil: none
}

func newServer(t *testing.T, store testbed.Store, c testCase) *server {
	s := &server{store: &testbed.Faulty{Store: store}, log: new(testbed.Log)}
	var putting sync.WaitGroup // at once: a store that commits together waits for its disk once
	for _, client := range fixtures() {
		putting.Go(func() {
			if err := store.PutClient(t.Context(), client); err != nil {
				t.Error(err)
			}
		})
	}
	putting.Wait()
	s.options = []grants.Option{grants.Logger(s.log.Logger()), grants.Issuer(issuer), behalf()}
	if c.jwt {
		var err error
		if s.keys, err = grants.OpenKeys(t.Context(), s.store, grants.Algorithm("EdDSA")); err != nil {
			t.Fatal(err)
		}
		s.options = append(s.options, grants.JWT(s.keys))
	}
	t.Cleanup(func() { store.Close() })
	s.restart(c.options...)
	return s
}

func newForeignServer(t *testing.T, m oauth2.Manager) *server {
	s := &server{manager: m, log: new(testbed.Log)}
	s.mount()
	return s
}

// mount mounts what an application would. Beside GET /orders, which needs orders:read, GET /any is
// open to every token and GET /users to tokens of users; and beside the endpoints are some that speak a
// dialect.
func (s *server) mount() {
	s.mux = http.NewServeMux()
	s.mux.Handle("/token", handler.Token(s.manager))
	s.mux.Handle("/revoke", handler.Revoke(s.manager))
	s.mountNeighbour()
	s.mux.Handle("/cors/token", handler.Token(s.manager, handler.AllowOrigins("https://spa.example")))
	s.mux.Handle("/cors/revoke", handler.Revoke(s.manager, handler.AllowOrigins("https://spa.example")))
	if s.ours != nil {
		s.mux.Handle("/authorize", handler.Authorize(s.ours, s.who))
		s.mux.Handle("/introspect", handler.Introspect(s.ours))
		if s.ours.Signs() {
			s.mux.Handle(allPaths.JWKS, handler.JWKS(s.ours))
		}
		s.mux.Handle("/cors/authorize", handler.Authorize(s.ours, s.who, handler.AllowOrigins("https://spa.example")))
		s.mux.Handle("/cors/introspect", handler.Introspect(s.ours, handler.AllowOrigins("https://spa.example")))
		s.mux.Handle(wellKnown, handler.Metadata(s.ours, allPaths))
		s.mux.Handle(wellKnownResource+"/v1", middleware.ProtectedResource(theAPI))
		s.mux.Handle("/account/apps", handler.ConnectedApps(s.ours, s.who))
		s.mux.Handle("/choosy/authorize", handler.Authorize(s.ours, s.who, handler.OptionalScopes("write")))
	}
	protect := middleware.Bearer(s.manager, middleware.Realm("api"))
	s.mux.Handle("GET /any", protect(http.HandlerFunc(whoami)))
	for name, resource := range map[string]string{"a": resources[0], "b": resources[1]} {
		at := middleware.Bearer(s.manager, middleware.Realm("api"), middleware.Audience(resource))
		s.mux.Handle("GET /at/"+name, at(http.HandlerFunc(whoami)))
		s.mux.Handle("GET /at/"+name+"/jobs", at(middleware.Scope("jobs")(http.HandlerFunc(whoami))))
	}
	s.mux.Handle("GET /users", protect(middleware.User(http.HandlerFunc(whoami))))
	s.mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(whoami))))
}

// whoami answers with what a guarded handler sees.
func whoami(w http.ResponseWriter, r *http.Request) {
	tok := middleware.Token(r.Context())
	if tok == nil {
		fmt.Fprint(w, "anonymous")
		return
	}
	fmt.Fprintf(w, "client=%s user=%s scope=%s expires=%d", tok.GetClientID(), tok.GetUserID(), tok.GetScope(),
		tok.GetAccessCreateAt().Add(tok.GetAccessExpiresIn()).Unix())
}

// listen starts serving: on a real socket, or on pipes where time is moved.
func (s *server) listen(t *testing.T, pipes bool) {
	s.base, s.client = testbed.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }), pipes)
}

// restart puts other options, or another client store, under the same store and address.
func (s *server) restart(options ...grants.Option) {
	s.ours = grants.New(s.store, slices.Concat(s.options, options)...)
	s.manager = s.ours
	s.mount()
}

// putClient registers or replaces a client.
func (s *server) putClient(t *testing.T, c *storage.Client) {
	t.Helper()
	if err := s.store.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// fixture returns the fixture of that ID, to be altered and put again.
func fixture(id string) *storage.Client {
	for _, c := range fixtures() {
		if c.ID == id {
			return c
		}
	}
	panic("no fixture " + id)
}

// issue makes a grant of a client for a user without HTTP.
func (s *server) issue(t *testing.T, client, user, scope string) oauth2.TokenInfo {
	t.Helper()
	info, err := s.ours.Issue(t.Context(), grants.Issue{Client: client, User: user, Scope: scope})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// code gets an authorization code for alice; an empty challenge asks for none.
func (s *server) code(t *testing.T, client, redirectURI, scope, challenge string) string {
	t.Helper()
	tgr := &oauth2.TokenGenerateRequest{
		ClientID: client, UserID: "alice", RedirectURI: redirectURI, Scope: scope,
		CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256,
	}
	info, err := s.manager.GenerateAuthToken(t.Context(), oauth2.Code, tgr)
	if err != nil {
		t.Fatal(err)
	}
	return info.GetCode()
}

// unchanged fails if do leaves the store other than it was. Over a foreign manager it only does it.
func (s *server) unchanged(t *testing.T, do func()) {
	t.Helper()
	if s.store == nil {
		do()
		return
	}
	before := testbed.Dump(t, s.store.Store)
	do()
	if after := testbed.Dump(t, s.store.Store); after != before {
		t.Errorf("the store has changed:\nbefore\n%s\nafter\n%s", before, after)
	}
}

func explode(context.Context) error { panic("a secret place") }

// storeTimeout is the default deadline of a request to the store.
const storeTimeout = 5 * time.Second
