package interop_test

import (
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware/jwt"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// RFC 9068: what our Manager signs is good for our validator, which knows the issuer's address alone.
func TestJWT(t *testing.T) {
	for _, algorithm := range []string{"EdDSA", "ES256", "RS256", "PS256"} {
		t.Run(algorithm, func(t *testing.T) {
			store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { store.Close() })
			if err := store.PutClient(t.Context(), &storage.Client{ID: "app", Public: true, GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://app.example/cb"}, Scope: "read"}); err != nil {
				t.Fatal(err)
			}
			keys, err := grants.OpenKeys(t.Context(), store, grants.Algorithm(algorithm))
			if err != nil {
				t.Fatal(err)
			}
			mux := http.NewServeMux()
			server := httptest.NewServer(mux)
			t.Cleanup(server.Close)
			manager := grants.New(store, grants.Issuer(server.URL), grants.JWT(keys), grants.DefaultAudience("https://orders.example"))
			mux.Handle("/oauth/keys", handler.JWKS(manager))
			mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(manager, handler.Paths{Token: "/oauth/token", JWKS: "/oauth/keys"}))

			validator := jwt.New(server.URL, "https://orders.example")
			works := func() {
				t.Helper()
				issued, err := manager.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read"})
				if err != nil {
					t.Fatal(err)
				}
				token, err := validator.LoadAccessToken(t.Context(), issued.GetAccess())
				if err != nil {
					t.Fatal(err)
				}
				if token.GetUserID() != "alice" || token.GetClientID() != "app" || token.GetScope() != "read" {
					t.Errorf("got %v", token)
				}
				if _, err := jwt.New(server.URL, "https://other.example").LoadAccessToken(t.Context(), issued.GetAccess()); err == nil {
					t.Error("it is good at another resource server")
				}
			}
			works()
			if err := keys.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			works() // its key was told before
		})
	}
}
