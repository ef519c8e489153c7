package introspect_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// house is a whole system: our server over a bbolt file, and an API in another process that asks it.
type house struct {
	*world
	manager *grants.Manager
	store   *testbed.Faulty
	away    atomic.Bool // the server hangs up
}

func newHouse(t *testing.T, pipes bool, guard func(*introspect.Validator) http.Handler, options ...introspect.Option) *house {
	t.Helper()
	return newHouseOf(t, pipes, func(storage.Store) []grants.Option { return nil }, guard, options...)
}

// newHouseOf is newHouse whose manager has options.
func newHouseOf(t *testing.T, pipes bool, of func(storage.Store) []grants.Option, guard func(*introspect.Validator) http.Handler, options ...introspect.Option) *house {
	t.Helper()
	file, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	h := &house{store: &testbed.Faulty{Store: file}}
	code := []string{"authorization_code", "refresh_token"}
	for _, c := range []*storage.Client{
		{ID: "web", Secret: storage.HashGenerated("web-secret"), GrantTypes: code, Scope: "orders:read orders:write", RedirectURIs: []string{"https://web.example/cb"}},
		{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"}, Scope: "orders:read"},
		{ID: clientID, Secret: storage.HashGenerated(secret), GrantTypes: code, Scope: "orders:read", RedirectURIs: []string{"https://orders.example/cb"}, Introspect: true},
	} {
		if err := file.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	var log testbed.Log
	h.manager = grants.New(h.store, append(of(h.store), grants.Issuer("https://auth.example"), grants.Logger(log.Logger()))...)
	mux := http.NewServeMux()
	mux.Handle("/introspect", handler.Introspect(h.manager))
	mux.Handle("/revoke", handler.Revoke(h.manager))
	mux.Handle("/token", handler.Token(h.manager))
	options = append([]introspect.Option{introspect.Issuer("https://auth.example")}, options...)
	h.world = newWorld(t, pipes, func(w http.ResponseWriter, r *http.Request) {
		if h.away.Load() {
			panic(http.ErrAbortHandler)
		}
		r.Body = io.NopCloser(strings.NewReader(r.Form.Encode())) // which the world has read
		r.Form = nil
		mux.ServeHTTP(w, r)
	}, guard, options...)
	return h
}

func (h *house) issue(t *testing.T, i grants.Issue) oauth2.TokenInfo {
	t.Helper()
	info, err := h.manager.Issue(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// post asks an endpoint of the server, as a client.
func (h *house) post(t *testing.T, path, client string, form url.Values) string {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "POST", strings.TrimSuffix(h.endpoint, "/introspect")+path, strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth(client, client+"-secret")
	res, err := h.authClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil || res.StatusCode != 200 {
		t.Fatalf("%d %s %v", res.StatusCode, b, err)
	}
	return string(b)
}

func (h *house) wants(t *testing.T, token string, status int, says string) {
	t.Helper()
	if got, body := h.get(t, "/orders", token); got != status || body != says {
		t.Errorf("got %d %s, want %d %s; log: %s", got, body, status, says, h.log.String())
	}
}

// overOurServer runs rows with ostiary on both sides.
func overOurServer(t *testing.T) {
	alices := grants.Issue{Client: "web", User: "alice", Scope: "orders:read"}
	t.Run("BR-02/introspected", func(t *testing.T) {
		h := newHouse(t, false, nil)
		pair := h.issue(t, alices)
		for range 2 {
			h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read")
		}
		if h.count() != 1 {
			t.Errorf("asked %d times", h.count())
		}
		info, err := h.validator.LoadAccessToken(t.Context(), pair.GetAccess())
		if err != nil || info.GetAccessExpiresIn() != time.Hour || info.GetAccessCreateAt().Sub(pair.GetAccessCreateAt()).Abs() > time.Second {
			t.Errorf("got %v, %v", info, err)
		}
	})
	t.Run("BR-06/introspected_unknown", func(t *testing.T) {
		h := newHouse(t, false, nil)
		h.wants(t, good, 401, "invalid_token")
		access := h.issue(t, alices).GetAccess()
		h.wants(t, access[:len(access)-1]+"-", 401, "invalid_token")
	})
	t.Run("BR-06/introspected_revoked", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, true, nil)
			pair := h.issue(t, alices)
			h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read")
			h.post(t, "/revoke", "web", url.Values{"token": {pair.GetAccess()}})
			time.Sleep(10*time.Second - time.Millisecond)
			h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read") // as Cache says
			time.Sleep(time.Millisecond)
			h.wants(t, pair.GetAccess(), 401, "invalid_token")
		})
	})
	t.Run("BR-06/introspected_revoked_without_cache", func(t *testing.T) {
		h := newHouse(t, false, nil, introspect.Cache(0))
		pair := h.issue(t, alices)
		h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read")
		h.post(t, "/revoke", "web", url.Values{"token": {pair.GetRefresh()}})
		h.wants(t, pair.GetAccess(), 401, "invalid_token")
	})
	t.Run("BR-06/introspected_expired", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			h := newHouse(t, true, nil, introspect.Cache(time.Hour))
			pair := h.issue(t, alices)
			time.Sleep(30 * time.Minute)
			h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read")
			time.Sleep(30*time.Minute - time.Second) // exp is in whole seconds
			h.wants(t, pair.GetAccess(), 200, "client=web user=alice scope=orders:read")
			time.Sleep(time.Second)
			h.wants(t, pair.GetAccess(), 401, "invalid_token")
		})
	})
	t.Run("BR-07/introspected_refresh_token", func(t *testing.T) {
		h := newHouse(t, false, nil)
		pair := h.issue(t, alices)
		h.wants(t, pair.GetRefresh(), 401, "invalid_token")
		h.post(t, "/token", "web", url.Values{"grant_type": {"refresh_token"}, "refresh_token": {pair.GetRefresh()}}) // unspent
	})
	t.Run("BR-07/introspected_refresh_token_of_its_own", func(t *testing.T) {
		h := newHouse(t, false, nil)
		pair := h.issue(t, grants.Issue{Client: clientID, User: "alice"})
		h.wants(t, pair.GetAccess(), 200, "client=orders user=alice scope=orders:read")
		h.wants(t, pair.GetRefresh(), 401, "invalid_token")
	})
	t.Run("BR-18/introspected", func(t *testing.T) {
		h := newHouse(t, false, nil)
		access := h.issue(t, alices).GetAccess()
		h.away.Store(true)
		h.wants(t, access, 503, "temporarily_unavailable")
		h.away.Store(false)
		h.wants(t, access, 200, "client=web user=alice scope=orders:read")
	})
	t.Run("BR-18/introspected_store_fails", func(t *testing.T) {
		h := newHouse(t, false, nil)
		access := h.issue(t, alices).GetAccess()
		h.store.Break(testbed.Fail, nil, nil)
		h.wants(t, access, 503, "temporarily_unavailable")
		h.store.Break(nil, nil, nil)
		h.wants(t, access, 200, "client=web user=alice scope=orders:read")
	})
	t.Run("BR-18/introspected_our_secret_is_wrong", func(t *testing.T) {
		h := newHouse(t, false, nil)
		access := h.issue(t, alices).GetAccess()
		v := introspect.New(h.endpoint, clientID, "other", introspect.Logger(h.log.Logger()))
		h.api, h.client = testbed.Serve(t, middleware.Bearer(v)(orders), false)
		h.wants(t, access, 503, "temporarily_unavailable")
		if !strings.Contains(h.log.String(), "the endpoint answered 401: it does not know our own client ID and secret") {
			t.Errorf("log: %s", h.log.String())
		}
	})
	t.Run("ATK-22/introspected_ours", func(t *testing.T) {
		h := newHouse(t, false, func(v *introspect.Validator) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a", middleware.Bearer(v, middleware.Audience("https://a.example"))(orders))
			mux.Handle("/b", middleware.Bearer(v, middleware.Audience("https://b.example"))(orders))
			mux.Handle("/write", middleware.Bearer(v, middleware.Audience("https://a.example"))(middleware.Scope("orders:write")(orders)))
			return mux
		})
		access := h.issue(t, grants.Issue{Client: "web", User: "alice", Scope: "orders:read", Audience: []string{"https://a.example"}}).GetAccess()
		for range 2 {
			for path, want := range map[string]int{"/a": 200, "/b": 401, "/write": 403} {
				if status, says := h.get(t, path, access); status != want {
					t.Errorf("%s: got %d %s, want %d", path, status, says, want)
				}
			}
		}
	})
	t.Run("ATK-24/introspected", func(t *testing.T) {
		h := newHouse(t, false, func(v *introspect.Validator) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/orders", middleware.Bearer(v)(orders))
			mux.Handle("/me", middleware.Bearer(v)(middleware.User(orders)))
			return mux
		})
		var answer struct {
			Access string `json:"access_token"`
		}
		body := h.post(t, "/token", "svc", url.Values{"grant_type": {"client_credentials"}})
		if err := json.Unmarshal([]byte(body), &answer); err != nil {
			t.Fatal(err)
		}
		h.wants(t, answer.Access, 200, "client=svc user= scope=orders:read")
		if status, says := h.get(t, "/me", answer.Access); status != 403 || says != "insufficient_scope" {
			t.Errorf("got %d %s", status, says)
		}
	})

	// A JWT is asked about like any other token, so its revocation is known; and what the application adds
	// is known too.
	t.Run("JW-19/JWT_of_ours", func(t *testing.T) {
		h := newHouseOf(t, false, func(store storage.Store) []grants.Option {
			keys, err := grants.OpenKeys(t.Context(), store)
			if err != nil {
				t.Fatal(err)
			}
			tenant := func(_ context.Context, of grants.Introspection) (map[string]any, error) {
				return map[string]any{"tenant": of.User + "'s"}, nil
			}
			return []grants.Option{grants.JWT(keys), grants.DefaultAudience("https://orders.example"), grants.Claims(tenant)}
		}, func(v *introspect.Validator) http.Handler {
			mux := http.NewServeMux()
			protect := middleware.Bearer(v, middleware.Audience("https://orders.example"))
			mux.Handle("/orders", protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				claims := middleware.Claims(r.Context())
				fmt.Fprint(w, claims["tenant"], " ", claims["sub"], " ", claims["aud"], " ", claims["jti"] != nil)
			})))
			mux.Handle("/b", middleware.Bearer(v, middleware.Audience("https://b.example"))(orders))
			return mux
		}, introspect.Cache(0))
		access := h.issue(t, alices).GetAccess()
		if strings.Count(access, ".") != 2 {
			t.Fatalf("%s is no JWT", access)
		}
		h.wants(t, access, 200, "alice's alice https://orders.example true")
		if status, says := h.get(t, "/b", access); status != 401 {
			t.Errorf("at another resource server: %d %s", status, says)
		}
		h.post(t, "/revoke", "web", url.Values{"token": {access}})
		h.wants(t, access, 401, "invalid_token")
	})
}
