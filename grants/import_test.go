package grants_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// old is a token of an older system that lives for so long; 0 is for ever.
func old(value string, life time.Duration) grants.ImportedToken {
	t := grants.ImportedToken{Token: value}
	if life != 0 {
		t.Expires = time.Now().Add(life)
	}
	return t
}

// digested is the same token, of which the older system kept its SHA-256 alone.
func digested(t grants.ImportedToken) grants.ImportedToken {
	t.Token, t.SHA256 = "", sha256.Sum256([]byte(t.Token))
	return t
}

// alices is what most tests import.
func alices() grants.Import {
	return grants.Import{
		Client: "app", User: "alice", Scope: "read",
		Access:  []grants.ImportedToken{old("old-access-1", time.Hour), old("old-access-2", 2*time.Hour)},
		Refresh: old("old refresh", 30*24*time.Hour),
	}
}

func importing(store storage.Store, options ...grants.Option) *grants.Manager {
	return grants.New(store, append([]grants.Option{quiet, grants.ImportedTokens()}, options...)...)
}

func mustImport(t *testing.T, m *grants.Manager, i grants.Import, want bool) {
	t.Helper()
	if imported, err := m.Import(t.Context(), i); err != nil || imported != want {
		t.Fatalf("imported: %t, %v; want %t", imported, err, want)
	}
}

func refreshAs(t *testing.T, m *grants.Manager, client, token string) (oauth2.TokenInfo, error) {
	t.Helper()
	return m.Token(t.Context(), &grants.Request{GrantType: "refresh_token", ClientID: client, ClientSecret: client + "-secret", RefreshToken: token})
}

func mustRefresh(t *testing.T, m *grants.Manager, token string) oauth2.TokenInfo {
	t.Helper()
	info, err := refreshAs(t, m, "app", token)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func revokeAs(t *testing.T, m *grants.Manager, client, token string) error {
	t.Helper()
	return m.Revoke(t.Context(), &grants.Request{ClientID: client, ClientSecret: client + "-secret", Token: token})
}

// aliveOf are those of the access tokens that validate.
func aliveOf(t *testing.T, m *grants.Manager, tokens ...string) (alive []string) {
	t.Helper()
	for _, token := range tokens {
		_, err := m.LoadAccessToken(t.Context(), token)
		switch {
		case err == nil:
			alive = append(alive, token)
		case err != oerr.ErrInvalidAccessToken && err != oerr.ErrExpiredAccessToken:
			t.Errorf("%q: %v", token, err)
		}
	}
	return alive
}

func TestImport(t *testing.T) {
	for name, as := range map[string]func(grants.ImportedToken) grants.ImportedToken{
		"by value":   func(t grants.ImportedToken) grants.ImportedToken { return t },
		"by SHA-256": digested,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := importing(openStore(t))
				i := alices()
				i.Audience = []string{"https://api.example"}
				for n := range i.Access {
					i.Access[n] = as(i.Access[n])
				}
				i.Refresh = as(i.Refresh)
				mustImport(t, m, i, true)

				var grant storage.ID
				for n, token := range []string{"old-access-1", "old-access-2"} {
					info, err := m.LoadAccessToken(t.Context(), token)
					if err != nil {
						t.Fatal(err)
					}
					if info.GetClientID() != "app" || info.GetUserID() != "alice" || info.GetScope() != "read" || info.GetAccess() != token || info.GetRefresh() != "" {
						t.Errorf("%s is %v", token, info)
					}
					if want := time.Duration(n+1) * time.Hour; info.GetAccessExpiresIn() != want {
						t.Errorf("%s lives %v, want %v", token, info.GetAccessExpiresIn(), want)
					}
					if a := info.(interface{ Audience() []string }).Audience(); !slices.Equal(a, i.Audience) {
						t.Errorf("%s is for %v", token, a)
					}
					id, ok := grants.GrantID(info)
					if !ok || n > 0 && id != grant {
						t.Errorf("%s is of grant %v, the one before of %v", token, id, grant)
					}
					grant = id
				}
				info, err := m.LoadRefreshToken(t.Context(), "old refresh")
				if err != nil {
					t.Fatal(err)
				}
				if id, _ := grants.GrantID(info); id != grant || info.GetClientID() != "app" || info.GetUserID() != "alice" || info.GetRefreshExpiresIn() != 30*24*time.Hour {
					t.Errorf("the refresh token is %v of grant %v, living %v", info, id, info.GetRefreshExpiresIn())
				}

				sum := sha256.Sum256([]byte("old-access-1"))
				for _, wrong := range []string{"old-access", "old-access-3", "Old access 1", "old-access-1 ", "old refresh", hex.EncodeToString(sum[:]), string(sum[:]), ""} {
					if _, err := m.LoadAccessToken(t.Context(), wrong); err != oerr.ErrInvalidAccessToken {
						t.Errorf("%q is an access token: %v", wrong, err)
					}
				}
				for _, wrong := range []string{"old-access-1", "old refres", "old refresh ", ""} {
					if _, err := m.LoadRefreshToken(t.Context(), wrong); err != oerr.ErrInvalidRefreshToken {
						t.Errorf("%q is a refresh token: %v", wrong, err)
					}
					if _, err := refreshAs(t, m, "app", wrong); err == nil {
						t.Errorf("%q refreshes", wrong)
					}
				}
			})
		})
	}
}

// Whichever token is used or revoked, it is one grant.
func TestImportIsOneGrant(t *testing.T) {
	const a1, a2 = "old-access-1", "old-access-2"
	for _, c := range []struct {
		name  string
		do    func(t *testing.T, m *grants.Manager, native oauth2.TokenInfo) error
		alive []string // of a1, a2 and, where it was refreshed, the native one
		over  bool     // the grant
	}{
		{"nothing", func(*testing.T, *grants.Manager, oauth2.TokenInfo) error { return nil }, []string{a1, a2, "native"}, false},
		{"the first access token is revoked", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return revokeAs(t, m, "app", a1)
		}, []string{a2, "native"}, false},
		{"the second is revoked", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return revokeAs(t, m, "app", a2)
		}, []string{a1, "native"}, false},
		{"an access token is removed", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return m.RemoveAccessToken(t.Context(), a1)
		}, []string{a2, "native"}, false},
		{"a refresh token is removed as an access token", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return m.RemoveAccessToken(t.Context(), "old refresh")
		}, []string{a1, a2, "native"}, false},
		{"the refresh token is revoked", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return revokeAs(t, m, "app", "old refresh")
		}, nil, true},
		{"the refresh token is removed", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return m.RemoveRefreshToken(t.Context(), "old refresh")
		}, nil, true},
		{"an access token is removed as a refresh token", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return m.RemoveRefreshToken(t.Context(), a1)
		}, []string{a1, a2, "native"}, false},
		{"another client revokes an access token", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			return unauthorized(t, revokeAs(t, m, "other", a1))
		}, []string{a1, a2, "native"}, false},
		{"the user's grants are ended", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			n, err := m.End(t.Context(), storage.Filter{User: "alice"})
			if n != 1 {
				t.Errorf("ended %d grants, want 1: an alias is none", n)
			}
			return err
		}, nil, true},
		{"the user is forgotten", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			n, err := m.Forget(t.Context(), "alice")
			if n != 1 {
				t.Errorf("forgot %d grants, want 1", n)
			}
			return err
		}, nil, true},
		{"the client's grants are ended", func(t *testing.T, m *grants.Manager, _ oauth2.TokenInfo) error {
			_, err := m.End(t.Context(), storage.Filter{Client: "app"})
			return err
		}, nil, true},
		{"the native access token is revoked", func(t *testing.T, m *grants.Manager, native oauth2.TokenInfo) error {
			if native == nil {
				return nil
			}
			return revokeAs(t, m, "app", native.GetAccess())
		}, []string{a1, a2}, false},
		{"the native refresh token is revoked", func(t *testing.T, m *grants.Manager, native oauth2.TokenInfo) error {
			if native == nil {
				return revokeAs(t, m, "app", "old refresh")
			}
			return revokeAs(t, m, "app", native.GetRefresh())
		}, nil, true},
	} {
		for _, refreshed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/refreshed=%t", c.name, refreshed), func(t *testing.T) {
				m := importing(openStore(t))
				mustImport(t, m, alices(), true)
				var native oauth2.TokenInfo
				tokens, want := []string{a1, a2}, slices.Clone(c.alive)
				if refreshed {
					native = mustRefresh(t, m, "old refresh")
					tokens = append(tokens, native.GetAccess())
				}
				if at := slices.Index(want, "native"); at >= 0 {
					want = slices.Delete(want, at, at+1)
					if refreshed {
						want = append(want, native.GetAccess())
					}
				} else if !refreshed && !c.over && strings.HasPrefix(c.name, "the native access") {
					want = []string{a1, a2}
				}
				if err := c.do(t, m, native); err != nil {
					t.Fatal(err)
				}
				if got := aliveOf(t, m, tokens...); !slices.Equal(got, want) {
					t.Errorf("alive are %q, want %q", got, want)
				}
				refresh := "old refresh"
				if refreshed {
					refresh = native.GetRefresh()
				}
				if _, err := refreshAs(t, m, "app", refresh); (err != nil) != c.over {
					t.Errorf("refreshing: %v; want the grant over: %t", err, c.over)
				}
			})
		}
	}
}

// unauthorized turns the refusal that is due into no error.
func unauthorized(t *testing.T, err error) error {
	t.Helper()
	if got := code(t, err); got != "unauthorized_client" {
		return fmt.Errorf("got %q, want unauthorized_client", got)
	}
	return nil
}

// Another client can neither use nor end what was given to one.
func TestImportedTokenOfAnotherClient(t *testing.T) {
	m := importing(openStore(t))
	mustImport(t, m, alices(), true)
	if _, err := refreshAs(t, m, "other", "old refresh"); code(t, err) != "invalid_grant" {
		t.Errorf("refreshing: %v", err)
	}
	if err := revokeAs(t, m, "other", "old refresh"); code(t, err) != "unauthorized_client" {
		t.Errorf("revoking: %v", err)
	}
	mustRefresh(t, m, "old refresh")
}

func TestImportedRefreshToken(t *testing.T) {
	t.Run("concurrent requests get one pair", func(t *testing.T) {
		m := importing(openStore(t))
		mustImport(t, m, alices(), true)
		pairs := make([]string, 8)
		var group sync.WaitGroup
		for n := range pairs {
			group.Go(func() {
				info, err := refreshAs(t, m, "app", "old refresh")
				if err != nil {
					t.Error(err)
					return
				}
				pairs[n] = info.GetAccess() + " " + info.GetRefresh()
			})
		}
		group.Wait()
		if slices.Sort(pairs); len(slices.Compact(pairs)) != 1 {
			t.Errorf("got %d pairs, want 1", len(slices.Compact(pairs)))
		}
		if !strings.Contains(pairs[0], " ostr_") {
			t.Error("the new refresh token is not of this server's")
		}
	})
	for _, c := range []struct {
		name string
		do   func(t *testing.T, m *grants.Manager, first oauth2.TokenInfo)
		over bool
	}{
		{"again inside the window", func(*testing.T, *grants.Manager, oauth2.TokenInfo) { time.Sleep(59 * time.Second) }, false},
		{"after the window", func(*testing.T, *grants.Manager, oauth2.TokenInfo) { time.Sleep(time.Minute) }, true},
		{"once its successor was used", func(t *testing.T, m *grants.Manager, first oauth2.TokenInfo) { mustRefresh(t, m, first.GetRefresh()) }, true},
		{"two generations on", func(t *testing.T, m *grants.Manager, first oauth2.TokenInfo) {
			mustRefresh(t, m, mustRefresh(t, m, first.GetRefresh()).GetRefresh())
		}, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := importing(openStore(t))
				mustImport(t, m, alices(), true)
				first := mustRefresh(t, m, "old refresh")
				if info, err := m.LoadRefreshToken(t.Context(), "old refresh"); err != nil || info.GetUserID() != "alice" {
					t.Errorf("inside the window it is %v, %v", info, err)
				}
				c.do(t, m, first)
				again, err := refreshAs(t, m, "app", "old refresh")
				if c.over {
					if code(t, err) != "invalid_grant" {
						t.Errorf("got %v", err)
					}
					if got := aliveOf(t, m, "old-access-1", "old-access-2", first.GetAccess()); got != nil {
						t.Errorf("%q live on", got)
					}
					if _, err := refreshAs(t, m, "app", first.GetRefresh()); code(t, err) != "invalid_grant" {
						t.Errorf("the grant refreshes: %v", err)
					}
					return
				}
				if err != nil || again.GetAccess() != first.GetAccess() || again.GetRefresh() != first.GetRefresh() {
					t.Errorf("got another pair, or %v", err)
				}
			})
		})
	}
	t.Run("without rotation it stays", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := openStore(t)
			c, err := store.GetByID(t.Context(), "app")
			if err != nil {
				t.Fatal(err)
			}
			still := c.(*storage.Client)
			still.InsecureNoRotation = true
			if err := store.PutClient(t.Context(), still); err != nil {
				t.Fatal(err)
			}
			m := importing(store)
			mustImport(t, m, alices(), true)
			seen := map[string]bool{}
			for range 3 {
				info := mustRefresh(t, m, "old refresh")
				if info.GetRefresh() != "old refresh" || seen[info.GetAccess()] || len(aliveOf(t, m, info.GetAccess())) != 1 {
					t.Errorf("got refresh token %q, access token seen before: %t", info.GetRefresh(), seen[info.GetAccess()])
				}
				seen[info.GetAccess()] = true
				time.Sleep(10 * time.Minute)
			}
			if err := revokeAs(t, m, "app", "old refresh"); err != nil {
				t.Fatal(err)
			}
			for access := range seen {
				if aliveOf(t, m, access) != nil {
					t.Error("a native access token outlives the imported refresh token")
				}
			}
			if _, err := m.LoadRefreshToken(t.Context(), "old refresh"); err != oerr.ErrInvalidRefreshToken {
				t.Errorf("after its revocation: %v", err)
			}
		})
	})
}

func TestImportRefused(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(i *grants.Import)
		code   string
		says   string // in the description or the cause
	}{
		{"unknown client", func(i *grants.Import) { i.Client = "nobody" }, "invalid_client", "unknown client"},
		{"no client", func(i *grants.Import) { i.Client = "" }, "invalid_client", "unknown client"},
		{"scope beyond the client's", func(i *grants.Import) { i.Scope = "read admin" }, "invalid_scope", "beyond the client's"},
		{"malformed scope", func(i *grants.Import) { i.Scope = "read  write" }, "invalid_scope", "malformed"},
		{"public client without user", func(i *grants.Import) {
			i.Client, i.User, i.Refresh = "spa", "", grants.ImportedToken{}
		}, "unauthorized_client", "public"},
		{"refresh token without user", func(i *grants.Import) { i.User = "" }, "invalid_request", "a client's own grant has no refresh token"},
		{"no token", func(i *grants.Import) { i.Access, i.Refresh = nil, grants.ImportedToken{} }, "invalid_request", "there is no token"},
		{"an access token twice", func(i *grants.Import) { i.Access[1].Token = i.Access[0].Token }, "invalid_request", "twice"},
		{"by value and by digest", func(i *grants.Import) {
			i.Access[1] = digested(i.Access[0])
		}, "invalid_request", "twice"},
		{"the access token is the refresh token", func(i *grants.Import) { i.Access[0].Token = i.Refresh.Token }, "invalid_request", "twice"},
		{"neither value nor digest", func(i *grants.Import) { i.Access[0].Token = "" }, "invalid_request", "by its value or by its SHA-256"},
		{"value and digest", func(i *grants.Import) { i.Access[0].SHA256 = storage.Digest{1} }, "invalid_request", "by its value or by its SHA-256"},
		{"a refresh token that is only an expiry", func(i *grants.Import) { i.Refresh.Token = "" }, "invalid_request", "by its value or by its SHA-256"},
		{"a line end in a token", func(i *grants.Import) { i.Access[0].Token = "old\r\naccess" }, "invalid_request", "outside of %x20-7E"},
		{"an access token of Laravel Sanctum's", func(i *grants.Import) { i.Access[0].Token = "1|Zm9v" }, "invalid_request", "leave it out: the refresh token brings one"},
		{"a space in an access token", func(i *grants.Import) { i.Access[1].Token = "old access" }, "invalid_request", "no Bearer header can carry"},
		{"an = within an access token", func(i *grants.Import) { i.Access[0].Token = "old=access" }, "invalid_request", "no Bearer header can carry"},
		{"an access token that is too long", func(i *grants.Import) { i.Access[0].Token = strings.Repeat("x", 8193) }, "invalid_request", "longer than the 8192 bytes"},
		{"a delete in a token", func(i *grants.Import) { i.Refresh.Token = "old\x7f" }, "invalid_request", "outside of %x20-7E"},
		{"an umlaut in a token", func(i *grants.Import) { i.Refresh.Token = "öld" }, "invalid_request", "outside of %x20-7E"},
		{"all expired", func(i *grants.Import) {
			i.Access, i.Refresh = []grants.ImportedToken{old("old-access-1", -time.Second)}, old("old refresh", -time.Second)
		}, "invalid_grant", "expired"},
		{"expires this moment", func(i *grants.Import) {
			i.Access, i.Refresh = []grants.ImportedToken{{Token: "old-access-1", Expires: time.Now()}}, grants.ImportedToken{}
		}, "invalid_grant", "expired"},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t)
				m := importing(store)
				before := testbed.Dump(t, store)
				i := alices()
				c.change(&i)
				imported, err := m.Import(t.Context(), i)
				if got := code(t, err); got != c.code || imported {
					t.Fatalf("imported: %t, %q, want %q", imported, got, c.code)
				}
				e, _ := errors.AsType[*grants.Error](err)
				if says := e.Description + " " + e.Cause.Error(); !strings.Contains(says, c.says) {
					t.Errorf("says %q, want %q", says, c.says)
				}
				if strings.Contains(err.Error()+e.Description, "old-access") || strings.Contains(err.Error()+e.Description, "old refresh") {
					t.Errorf("the token shows in %v", err)
				}
				if after := testbed.Dump(t, store); after != before {
					t.Errorf("stored:\n%s", after)
				}
			})
		})
	}
}

// What the bearer guard takes by default is what can be imported as an access token; a refresh token
// needs no header, and what is known by its SHA-256 alone is taken as it is.
func TestImportTakesWhatCanBeSent(t *testing.T) {
	for name, change := range map[string]func(i *grants.Import){
		"every character":          func(i *grants.Import) { i.Access[0].Token = "azAZ09-._~+/==" },
		"8192 bytes":               func(i *grants.Import) { i.Access[0].Token = strings.Repeat("x", 8192) },
		"a refresh token":          func(i *grants.Import) { i.Refresh.Token = "1|Zm9v \"\\~" },
		"a long refresh token":     func(i *grants.Import) { i.Refresh.Token = strings.Repeat("x", 8193) },
		"an access token's digest": func(i *grants.Import) { i.Access[0] = digested(old("1|Zm9v", time.Hour)) },
	} {
		t.Run(name, func(t *testing.T) {
			m := importing(openStore(t))
			i := alices()
			change(&i)
			mustImport(t, m, i, true)
			if i.Access[0].Token != "" {
				guarded := middleware.Bearer(m)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
				r, w := httptest.NewRequest("GET", "/", nil), httptest.NewRecorder()
				r.Header.Set("Authorization", "Bearer "+i.Access[0].Token)
				if guarded.ServeHTTP(w, r); w.Code != http.StatusOK {
					t.Errorf("the guard answers %d", w.Code)
				}
			}
			if i.Refresh.Token != "" {
				mustRefresh(t, m, i.Refresh.Token)
			}
		})
	}
}

// What is imported anew has to be of the same grant.
func TestImportConflicts(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(i *grants.Import)
	}{
		{"another client", func(i *grants.Import) { i.Client = "other" }},
		{"another user", func(i *grants.Import) { i.User = "bob" }},
		{"an access token with another refresh token", func(i *grants.Import) { i.Refresh.Token = "other refresh" }},
		{"an access token alone", func(i *grants.Import) { i.Refresh = grants.ImportedToken{} }},
		{"the refresh token as an access token", func(i *grants.Import) {
			i.Access, i.Refresh = []grants.ImportedToken{old("new-access", time.Hour), i.Refresh}, old("new refresh", time.Hour)
		}},
		{"a new access token for another audience", func(i *grants.Import) {
			i.Access, i.Audience = []grants.ImportedToken{old("old-access-3", time.Hour)}, []string{"https://elsewhere.example"}
		}},
		{"a new access token without scope", func(i *grants.Import) {
			i.Access, i.Scope = []grants.ImportedToken{old("old-access-3", time.Hour)}, ""
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store := openStore(t)
			m := importing(store)
			mustImport(t, m, alices(), true)
			before := testbed.Dump(t, store)
			i := alices()
			c.change(&i)
			if imported, err := m.Import(t.Context(), i); code(t, err) != "invalid_request" || imported {
				t.Errorf("imported: %t, %v", imported, err)
			}
			if after := testbed.Dump(t, store); after != before {
				t.Errorf("stored:\n%swas:\n%s", after, before)
			}
		})
	}
}

// Import may be repeated: what is there already stays as it is, whatever has become of it since.
func TestImportRepeated(t *testing.T) {
	for name, meanwhile := range map[string]func(t *testing.T, m *grants.Manager){
		"nothing":   func(*testing.T, *grants.Manager) {},
		"time":      func(*testing.T, *grants.Manager) { time.Sleep(90 * time.Minute) },
		"refreshed": func(t *testing.T, m *grants.Manager) { mustRefresh(t, m, "old refresh") },
		"access":    func(t *testing.T, m *grants.Manager) { revokeAs(t, m, "app", "old-access-1") },
		"both accesses": func(t *testing.T, m *grants.Manager) {
			revokeAs(t, m, "app", "old-access-1")
			revokeAs(t, m, "app", "old-access-2")
		},
		"revoked": func(t *testing.T, m *grants.Manager) { revokeAs(t, m, "app", "old refresh") },
		"revoked, and time for pruning": func(t *testing.T, m *grants.Manager) {
			revokeAs(t, m, "app", "old refresh")
			time.Sleep(29 * 24 * time.Hour)
		},
		"refreshed and revoked, and time for pruning": func(t *testing.T, m *grants.Manager) {
			revokeAs(t, m, "app", mustRefresh(t, m, "old refresh").GetRefresh())
			time.Sleep(29 * 24 * time.Hour)
		},
		"user ended":   func(t *testing.T, m *grants.Manager) { m.End(t.Context(), storage.Filter{User: "alice"}) },
		"client ended": func(t *testing.T, m *grants.Manager) { m.End(t.Context(), storage.Filter{Client: "app"}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t, bolt.PruneEvery(time.Hour))
				m := importing(store)
				i := alices()
				mustImport(t, m, i, true)
				meanwhile(t, m)
				synctest.Wait()
				before := testbed.Dump(t, store)
				mustImport(t, m, i, false)
				if after := testbed.Dump(t, store); after != before {
					t.Errorf("stored:\n%swas:\n%s", after, before)
				}
			})
		})
	}
}

// failing is a store whose Insert fails once it has been called a number of times.
type failing struct {
	*bolt.Store
	inserts int
}

func (f *failing) Insert(ctx context.Context, g *storage.Grant) error {
	if f.inserts--; f.inserts < 0 {
		return testbed.ErrBroken
	}
	return f.Store.Insert(ctx, g)
}

// An import that was cut short at any point is completed by repeating it.
func TestImportCompletes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		whole := openStore(t)
		mustImport(t, importing(whole), alices(), true)
		for inserts := range 3 {
			store := openStore(t)
			m := importing(&failing{Store: store, inserts: inserts})
			imported, err := m.Import(t.Context(), alices())
			if code(t, err) != "temporarily_unavailable" || !errors.Is(err, testbed.ErrBroken) || imported {
				t.Errorf("imported: %t, %v", imported, err)
			}
			m = importing(store)
			mustImport(t, m, alices(), true)
			mustImport(t, m, alices(), false)
			if got := aliveOf(t, m, "old-access-1", "old-access-2"); len(got) != 2 {
				t.Errorf("after %d inserts alive are %q", inserts, got)
			}
			if got, want := ids(t, store), ids(t, whole); !slices.Equal(got, want) {
				t.Errorf("after %d inserts there are %v, want %v", inserts, got, want)
			}
			mustRefresh(t, m, "old refresh")
		}
	})
}

// ids are those of all records.
func ids(t *testing.T, store storage.Store) (ids []storage.ID) {
	t.Helper()
	for g, err := range store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, g.ID)
	}
	return ids
}

// grantOf is the record that stands under the name of an imported token.
func grantOf(t *testing.T, store storage.Store, token string) *storage.Grant {
	t.Helper()
	sum := sha256.Sum256([]byte(token))
	g, err := store.Grant(t.Context(), storage.ID(sum[:16]))
	if err != nil {
		t.Fatal(err)
	}
	return g
}

// A grant that was ended is kept for as long as its token could be imported once more, though its
// tokens would have been over before.
func TestImportedGrantIsRemembered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t, bolt.PruneEvery(time.Hour))
		m := importing(store)
		i := alices()
		i.Refresh = old("old refresh", 90*24*time.Hour)
		mustImport(t, m, i, true)
		revokeAs(t, m, "app", mustRefresh(t, m, "old refresh").GetRefresh()) // which could have idled for 30 days
		time.Sleep(89 * 24 * time.Hour)
		synctest.Wait()
		mustImport(t, m, i, false)
		if _, err := refreshAs(t, m, "app", "old refresh"); code(t, err) != "invalid_grant" {
			t.Errorf("it came back to life: %v", err)
		}
	})
}

// An older system may have several records with one refresh token: their access tokens are of one grant.
func TestImportJoins(t *testing.T) {
	pair := func(n int, scope string) grants.Import {
		return grants.Import{
			Client: "app", User: "alice", Scope: scope,
			Access:  []grants.ImportedToken{old(fmt.Sprintf("old-access-%d", n), time.Duration(n)*time.Hour)},
			Refresh: old("old refresh", 24*time.Hour),
		}
	}
	all := []string{"old-access-1", "old-access-2", "old-access-3", "old-access-4", "old-access-5", "old-access-6", "old-access-7", "old-access-8"}

	t.Run("one after the other", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := openStore(t)
			m := importing(store)
			mustImport(t, m, pair(1, "read write"), true)
			mustImport(t, m, pair(2, "read"), true)
			mustImport(t, m, pair(2, "read"), false)
			if got := aliveOf(t, m, all...); !slices.Equal(got, all[:2]) {
				t.Errorf("alive are %q", got)
			}
			if info, err := m.LoadAccessToken(t.Context(), "old-access-2"); err != nil || info.GetScope() != "read" {
				t.Errorf("the narrower one is %v, %v", info, err)
			}
			revokeAs(t, m, "app", "old-access-1")
			mustImport(t, m, pair(1, "read write"), false)
			mustImport(t, m, pair(3, "read write"), true)
			if got := aliveOf(t, m, all...); !slices.Equal(got, all[1:3]) {
				t.Errorf("alive are %q", got)
			}
			revokeAs(t, m, "app", "old refresh")
			ended := grantOf(t, store, "old refresh")
			before := testbed.Dump(t, store)
			mustImport(t, m, pair(4, "read write"), false)
			if after := testbed.Dump(t, store); after != before {
				t.Errorf("stored:\n%swas:\n%s", after, before)
			}
			if now := grantOf(t, store, "old refresh"); !reflect.DeepEqual(now, ended) {
				t.Errorf("the grant that has ended is %+v, was %+v", now, ended)
			}
			if got := aliveOf(t, m, all...); got != nil {
				t.Errorf("%q came to life in a grant that has ended", got)
			}
		})
	})
	t.Run("a grant of a client whose grants were ended", func(t *testing.T) {
		store := openStore(t)
		m := importing(store)
		mustImport(t, m, pair(1, "read"), true)
		if _, err := m.End(t.Context(), storage.Filter{Client: "app"}); err != nil {
			t.Fatal(err)
		}
		mustImport(t, m, pair(2, "read"), false)
		if n := len(ids(t, store)); n != 2 {
			t.Errorf("%d records, want the grant and its alias", n)
		}
	})
	t.Run("without refresh token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := openStore(t)
			m := importing(store)
			i := pair(1, "read")
			i.Refresh = grants.ImportedToken{}
			mustImport(t, m, i, true)
			i.Access = append(i.Access, old("old-access-2", 3*time.Hour))
			mustImport(t, m, i, true)
			time.Sleep(2 * time.Hour) // of pruning
			synctest.Wait()
			if got := aliveOf(t, m, all...); !slices.Equal(got, all[1:2]) {
				t.Errorf("alive are %q", got)
			}
		})
	})
	t.Run("all at once", func(t *testing.T) {
		store := openStore(t)
		m := importing(store)
		var group sync.WaitGroup
		for n := range all {
			for range 2 {
				group.Go(func() {
					if _, err := m.Import(t.Context(), pair(n+1, "read")); err != nil {
						t.Error(err)
					}
				})
			}
		}
		group.Wait()
		if got := aliveOf(t, m, all...); !slices.Equal(got, all) {
			t.Errorf("alive are %q", got)
		}
		if n := len(ids(t, store)); n != len(all)+1 {
			t.Errorf("%d records, want the grant and %d aliases", n, len(all))
		}
		if n, err := m.End(t.Context(), storage.Filter{User: "alice"}); n != 1 || err != nil {
			t.Errorf("ended %d grants, %v", n, err)
		}
	})
}

// Whatever ended a grant: what comes later of it is neither counted nor stored.
func TestImportIntoEnded(t *testing.T) {
	for name, end := range map[string]func(t *testing.T, m *grants.Manager, store *bolt.Store) error{
		"revoked": func(t *testing.T, m *grants.Manager, _ *bolt.Store) error {
			return revokeAs(t, m, "app", "old refresh")
		},
		"user ended": func(t *testing.T, m *grants.Manager, _ *bolt.Store) error {
			_, err := m.End(t.Context(), storage.Filter{User: "alice"})
			return err
		},
		"user forgotten": func(t *testing.T, m *grants.Manager, _ *bolt.Store) error {
			_, err := m.Forget(t.Context(), "alice")
			return err
		},
		"client ended": func(t *testing.T, _ *grants.Manager, store *bolt.Store) error {
			return store.EndClient(t.Context(), "app")
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			m := importing(store)
			mustImport(t, m, alices(), true)
			if err := end(t, m, store); err != nil {
				t.Fatal(err)
			}
			before := testbed.Dump(t, store)
			i := alices()
			i.Access, i.Refresh = append(i.Access, old("old-access-3", time.Hour)), old("old refresh", 90*24*time.Hour)
			mustImport(t, m, i, false)
			if after := testbed.Dump(t, store); after != before {
				t.Errorf("stored:\n%swas:\n%s", after, before)
			}
		})
	}
	t.Run("between the look and the change", func(t *testing.T) {
		store := &endsFirst{Store: openStore(t)}
		m := importing(store)
		mustImport(t, m, alices(), true)
		store.armed = true
		i := alices()
		i.Access = append(i.Access, old("old-access-3", time.Hour))
		before := len(ids(t, store))
		mustImport(t, m, i, false)
		if after := len(ids(t, store)); after != before {
			t.Errorf("%d records, were %d", after, before)
		}
	})
}

// endsFirst is a store in which somebody else ends a grant before it is changed.
type endsFirst struct {
	*bolt.Store
	armed bool
}

func (e *endsFirst) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	return e.Store.Update(ctx, id, func(g *storage.Grant) error {
		if e.armed {
			g.Ended = time.Now()
		}
		return change(g)
	})
}

// Of lines that come at once the latest expiry counts, too.
func TestImportedExpiriesJoinAtOnce(t *testing.T) {
	const day = 24 * time.Hour
	store := openStore(t)
	m := importing(store)
	end := time.Now().Add(90 * day).Truncate(time.Millisecond)
	var group sync.WaitGroup
	for n := range 16 {
		group.Go(func() {
			i := alices()
			i.Refresh.Expires = end.Add(-time.Duration(n) * day)
			if _, err := m.Import(t.Context(), i); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if g := grantOf(t, store, "old refresh"); !g.Refresh.Expires.Equal(end) || !g.Expires.Equal(end) {
		t.Errorf("it expires %v, the grant %v, want %v", g.Refresh.Expires, g.Expires, end)
	}
}

// Of callers who import the same at once one is told that it was new.
func TestImportCountsOnce(t *testing.T) {
	m := importing(openStore(t))
	var mu sync.Mutex
	var group sync.WaitGroup
	imported := 0
	i := alices()
	i.Access = nil
	for range 16 {
		group.Go(func() {
			isNew, err := m.Import(t.Context(), i)
			if err != nil {
				t.Error(err)
			}
			if isNew {
				mu.Lock()
				imported++
				mu.Unlock()
			}
		})
	}
	group.Wait()
	if imported != 1 {
		t.Errorf("%d were told that it was new", imported)
	}
}

func TestImportedExpiries(t *testing.T) {
	day := 24 * time.Hour
	for _, c := range []struct {
		name    string
		options []grants.Option
		client  func(*storage.Client)
		life    time.Duration // of the refresh token; 0: for ever
		want    time.Duration
	}{
		{"as it was", nil, nil, 90 * day, 90 * day},
		{"no longer than RefreshLifetime", nil, nil, 1000 * day, 365 * day},
		{"for ever", nil, nil, 0, 365 * day},
		{"the manager's RefreshLifetime", []grants.Option{grants.RefreshLifetime(10 * day)}, nil, 90 * day, 10 * day},
		{"the client's RefreshLifetime", nil, func(c *storage.Client) { c.RefreshLifetime = 5 * day }, 90 * day, 5 * day},
		{"for ever where that is allowed", nil, func(c *storage.Client) { c.RefreshLifetime = storage.Unlimited }, 0, 0},
		{"as it was where for ever is allowed", nil, func(c *storage.Client) { c.RefreshLifetime = storage.Unlimited }, 1000 * day, 1000 * day},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t, bolt.PruneEvery(0))
				app, err := store.GetByID(t.Context(), "app")
				if err != nil {
					t.Fatal(err)
				}
				if c.client != nil {
					c.client(app.(*storage.Client))
					if err := store.PutClient(t.Context(), app.(*storage.Client)); err != nil {
						t.Fatal(err)
					}
				}
				m := importing(store, c.options...)
				i := alices()
				i.Refresh = old("old refresh", c.life)
				mustImport(t, m, i, true)
				info, err := m.LoadRefreshToken(t.Context(), "old refresh")
				if err != nil || info.GetRefreshExpiresIn() != c.want {
					t.Fatalf("it lives %v, %v; want %v", info.GetRefreshExpiresIn(), err, c.want)
				}
				if c.want == 0 {
					return
				}
				time.Sleep(c.want - 1*time.Millisecond)
				if _, err := m.LoadRefreshToken(t.Context(), "old refresh"); err != nil {
					t.Errorf("before its end: %v", err)
				}
				time.Sleep(time.Millisecond)
				if _, err := refreshAs(t, m, "app", "old refresh"); code(t, err) != "invalid_grant" {
					t.Errorf("at its end: %v", err)
				}
			})
		})
	}

	t.Run("an access token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := importing(openStore(t, bolt.PruneEvery(0)))
			i := alices()
			i.Access = append(i.Access, old("old-access-0", -time.Hour))
			mustImport(t, m, i, true)
			if got := aliveOf(t, m, "old-access-0", "old-access-1", "old-access-2"); len(got) != 2 {
				t.Errorf("alive are %q", got)
			}
			time.Sleep(time.Hour)
			if _, err := m.LoadAccessToken(t.Context(), "old-access-1"); err != oerr.ErrExpiredAccessToken {
				t.Errorf("at its end: %v", err)
			}
			if got := aliveOf(t, m, "old-access-2"); got == nil {
				t.Error("the other one ended with it")
			}
		})
	})
	t.Run("an access token for ever", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := importing(openStore(t, bolt.PruneEvery(0)))
			mustImport(t, m, grants.Import{Client: "app", Access: []grants.ImportedToken{old("old-access", 0)}}, true)
			time.Sleep(20 * 365 * 24 * time.Hour)
			info, err := m.LoadAccessToken(t.Context(), "old-access")
			if err != nil || info.GetAccessExpiresIn() != 0 || info.GetUserID() != "" || info.GetScope() != "" {
				t.Errorf("got %v living %v, %v", info, info.GetAccessExpiresIn(), err)
			}
		})
	})
	t.Run("an access token longer than its refresh token", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			m := importing(openStore(t, bolt.PruneEvery(0)))
			i := alices()
			i.Refresh = old("old refresh", -time.Hour)
			mustImport(t, m, i, true)
			if _, err := m.LoadRefreshToken(t.Context(), "old refresh"); err != oerr.ErrExpiredRefreshToken {
				t.Errorf("the refresh token: %v", err)
			}
			if _, err := refreshAs(t, m, "app", "old refresh"); code(t, err) != "invalid_grant" {
				t.Errorf("refreshing: %v", err)
			}
			if got := aliveOf(t, m, "old-access-1", "old-access-2"); len(got) != 2 {
				t.Errorf("alive are %q", got)
			}
		})
	})
	t.Run("all is pruned in the end", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			store := openStore(t, bolt.PruneEvery(0))
			m := importing(store)
			mustImport(t, m, alices(), true)
			for _, left := range []struct {
				after   time.Duration
				records int
			}{{0, 3}, {61 * time.Minute, 3}, {2 * time.Hour, 1}, {30 * day, 0}} {
				time.Sleep(left.after)
				if _, err := store.Prune(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				if n := len(ids(t, store)); n > left.records || left.after != 61*time.Minute && n != left.records {
					t.Errorf("%v later there are %d records, want %d", left.after, n, left.records)
				}
			}
		})
	})
}

// Of several lines with one refresh token the latest expiry counts, whichever comes first, while it is
// the one that was imported.
func TestImportedExpiriesJoin(t *testing.T) {
	const day = 24 * time.Hour
	use := func(t *testing.T, m *grants.Manager) { mustRefresh(t, m, "old refresh") }
	for _, c := range []struct {
		name   string
		client func(*storage.Client)
		lives  []time.Duration // of the refresh token, line by line, all imported at once
		isNew  []bool
		then   func(t *testing.T, m *grants.Manager)
		again  time.Duration // a line that comes an hour later, after then; -1: none
		anew   bool          // and whether it was new
		want   time.Duration // of its life from the start; -1: none
	}{
		{"the shorter first", nil, []time.Duration{day, 9 * day}, []bool{true, true}, nil, -1, false, 9 * day},
		{"the longer first", nil, []time.Duration{9 * day, day}, []bool{true, false}, nil, -1, false, 9 * day},
		{"one that has expired first", nil, []time.Duration{-day, 9 * day}, []bool{true, true}, nil, -1, false, 9 * day},
		{"for ever within the limit", nil, []time.Duration{day, 0}, []bool{true, true}, nil, 0, false, 365 * day},
		{"for ever where that is allowed", func(c *storage.Client) { c.RefreshLifetime = storage.Unlimited }, []time.Duration{day, 0, 9 * day}, []bool{true, true, false}, nil, -1, false, 0},
		{"the client's limit", func(c *storage.Client) { c.RefreshLifetime = 5 * day }, []time.Duration{day, 9 * day}, []bool{true, true}, nil, 9 * day, false, 5 * day},
		{"an hour later, within the limit since the first import", func(c *storage.Client) { c.RefreshLifetime = 5 * day }, []time.Duration{day}, []bool{true}, nil, 9 * day, true, 5 * day},
		{"after it was refreshed", nil, []time.Duration{day}, []bool{true}, use, 9 * day, false, -1},
		{"after the grant has ended", nil, []time.Duration{day}, []bool{true}, func(t *testing.T, m *grants.Manager) { revokeAs(t, m, "app", "old refresh") }, 9 * day, false, -1},
		{"after the client's grants have ended", nil, []time.Duration{day}, []bool{true}, func(t *testing.T, m *grants.Manager) { m.End(t.Context(), storage.Filter{Client: "app"}) }, 9 * day, false, -1},
		{"without rotation", func(c *storage.Client) { c.InsecureNoRotation = true }, []time.Duration{day, 9 * day}, []bool{true, true}, nil, 9 * day, true, 9*day + time.Hour},
		{"without rotation, within the limit", func(c *storage.Client) { c.InsecureNoRotation = true; c.RefreshLifetime = 5 * day }, []time.Duration{day, 9 * day}, []bool{true, true}, nil, 0, false, 5 * day},
		{"without rotation, used, the same once more", func(c *storage.Client) { c.InsecureNoRotation = true; c.RefreshIdle = 5 * day }, []time.Duration{9 * day}, []bool{true}, use, 8 * day, false, 5*day + 30*time.Minute},
		{"without rotation, used, a longer one", func(c *storage.Client) { c.InsecureNoRotation = true; c.RefreshIdle = 5 * day }, []time.Duration{day}, []bool{true}, use, 9 * day, true, 5*day + 30*time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t, bolt.PruneEvery(0))
				if c.client != nil {
					app, err := store.GetByID(t.Context(), "app")
					if err != nil {
						t.Fatal(err)
					}
					c.client(app.(*storage.Client))
					if err := store.PutClient(t.Context(), app.(*storage.Client)); err != nil {
						t.Fatal(err)
					}
				}
				m, start := importing(store), time.Now()
				line := func(life time.Duration) grants.Import { // with the access token, which is alive
					i := alices()
					i.Access, i.Refresh = []grants.ImportedToken{old("old-access-1", 2*time.Hour)}, old("old refresh", life)
					return i
				}
				for n, life := range c.lives {
					mustImport(t, m, line(life), c.isNew[n])
				}
				for n := range c.lives { // and once more
					mustImport(t, m, line(c.lives[n]), false)
				}
				time.Sleep(30 * time.Minute)
				if c.then != nil {
					c.then(t, m)
				}
				time.Sleep(30 * time.Minute)
				if c.again >= 0 {
					before := testbed.Dump(t, store)
					mustImport(t, m, line(c.again), c.anew)
					if after := testbed.Dump(t, store); (after != before) != c.anew {
						t.Errorf("stored:\n%swas:\n%s", after, before)
					}
				}
				info, err := m.LoadRefreshToken(t.Context(), "old refresh")
				switch {
				case c.want < 0:
					if err == nil {
						t.Errorf("it lives %v", info.GetRefreshExpiresIn())
					}
					return
				case err != nil:
					t.Fatal(err)
				case c.want == 0:
					if info.GetRefreshExpiresIn() != 0 {
						t.Errorf("it lives %v, want for ever", info.GetRefreshExpiresIn())
					}
					return
				}
				g := grantOf(t, store, "old refresh")
				if got := g.Refresh.Expires.Sub(start); got != c.want || g.Expires.Before(g.Refresh.Expires) {
					t.Errorf("it ends after %v and the grant after %v, want %v", got, g.Expires.Sub(start), c.want)
				}
				time.Sleep(c.want - time.Hour - time.Millisecond)
				if _, err := store.Prune(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				mustRefresh(t, m, "old refresh")
			})
		})
	}
}

// One more than are allowed ends the oldest; those that were imported count.
func TestImportedLiveAccessTokens(t *testing.T) {
	m := importing(openStore(t), grants.LiveAccessTokens(2))
	i := alices()
	i.Access = append(i.Access, old("old-access-3", time.Hour))
	mustImport(t, m, i, true)
	all := []string{"old-access-1", "old-access-2", "old-access-3"}
	if got := aliveOf(t, m, all...); !slices.Equal(got, all) {
		t.Errorf("before the first refresh alive are %q", got)
	}
	native := mustRefresh(t, m, "old refresh").GetAccess()
	if got, want := aliveOf(t, m, append(all, native)...), []string{"old-access-3", native}; !slices.Equal(got, want) {
		t.Errorf("after it alive are %q, want %q", got, want)
	}
}

// A token of an older system may look like one of this server's.
func TestImportedTokenOfNativeShape(t *testing.T) {
	elsewhere, err := grants.New(openStore(t), quiet).Issue(t.Context(), grants.Issue{Client: "app", User: "alice"})
	if err != nil {
		t.Fatal(err)
	}
	m := importing(openStore(t))
	i := alices()
	i.Access[0].Token, i.Refresh.Token = elsewhere.GetAccess(), elsewhere.GetRefresh()
	mustImport(t, m, i, true)
	if got := aliveOf(t, m, elsewhere.GetAccess()); got == nil {
		t.Error("the access token does not validate")
	}
	next := mustRefresh(t, m, elsewhere.GetRefresh())
	if err := revokeAs(t, m, "app", elsewhere.GetRefresh()); err != nil {
		t.Fatal(err)
	}
	if got := aliveOf(t, m, elsewhere.GetAccess(), next.GetAccess()); got != nil {
		t.Errorf("%d live on", len(got))
	}
}

// Without the option garbage is refused without a look into the store, and nothing imported is known.
func TestWithoutImportedTokens(t *testing.T) {
	store := &testbed.Faulty{Store: openStore(t)}
	mustImport(t, importing(store), alices(), true)
	m := grants.New(store, quiet)
	before := store.Reads()
	for _, token := range []string{"old-access-1", "old refresh", "garbage"} {
		if _, err := m.LoadAccessToken(t.Context(), token); err != oerr.ErrInvalidAccessToken {
			t.Errorf("%s: %v", token, err)
		}
		if _, err := m.LoadRefreshToken(t.Context(), token); err != oerr.ErrInvalidRefreshToken {
			t.Errorf("%s: %v", token, err)
		}
		if _, err := refreshAs(t, m, "app", token); code(t, err) != "invalid_grant" {
			t.Errorf("%s: %v", token, err)
		}
		if err := errors.Join(revokeAs(t, m, "app", token), m.RemoveAccessToken(t.Context(), token), m.RemoveRefreshToken(t.Context(), token)); err != nil {
			t.Errorf("%s: %v", token, err)
		}
	}
	if n := store.Reads() - before; n != 0 {
		t.Errorf("the store was asked %d times", n)
	}
	if got := aliveOf(t, importing(store), "old-access-1"); got == nil {
		t.Error("it ended what it does not know")
	}
	defer func() {
		if p := recover(); p == nil || !strings.HasPrefix(fmt.Sprint(p), "grants: ") {
			t.Errorf("Import panicked with %v", p)
		}
	}()
	m.Import(t.Context(), alices())
}

// What the store does not answer is no verdict on a token.
func TestImportWhileTheStoreFails(t *testing.T) {
	store := &testbed.Faulty{Store: openStore(t)}
	m := importing(store)
	i := alices()
	mustImport(t, m, i, true)
	store.Break(testbed.Fail, nil, nil)
	if _, err := m.LoadAccessToken(t.Context(), "old-access-1"); !errors.Is(err, testbed.ErrBroken) {
		t.Errorf("an access token: %v", err)
	}
	if _, err := refreshAs(t, m, "app", "old refresh"); code(t, err) != "temporarily_unavailable" {
		t.Errorf("refreshing: %v", err)
	}
	if err := revokeAs(t, m, "app", "old-access-1"); code(t, err) != "temporarily_unavailable" {
		t.Errorf("revoking: %v", err)
	}
	if _, err := m.Import(t.Context(), i); code(t, err) != "temporarily_unavailable" {
		t.Errorf("importing: %v", err)
	}
	store.Break(nil, nil, testbed.Fail)
	if _, err := m.Import(t.Context(), i); code(t, err) != "temporarily_unavailable" {
		t.Errorf("importing without clients: %v", err)
	}
	store.Break(nil, testbed.Fail, nil) // what is there may not be durable
	if _, err := m.Import(t.Context(), i); code(t, err) != "temporarily_unavailable" {
		t.Errorf("importing again without writes: %v", err)
	}
}

func TestImportEvents(t *testing.T) {
	var events []grants.Event
	log := new(testbed.Log)
	m := importing(openStore(t), grants.Logger(log.Logger()), grants.OnEvent(func(_ context.Context, e grants.Event) { events = append(events, e) }))
	i := alices()
	mustImport(t, m, i, true)
	mustImport(t, m, i, false)
	i.Scope = "admin"
	m.Import(t.Context(), i)
	if len(events) != 2 || events[0].Kind != grants.EventImported || events[1].Kind != grants.EventRefused {
		t.Fatalf("got %+v", events)
	}
	info, err := m.LoadAccessToken(t.Context(), "old-access-1")
	if err != nil {
		t.Fatal(err)
	}
	if id, _ := grants.GrantID(info); events[0].Grant != id || events[0].Client != "app" || events[0].User != "alice" || events[0].Scope != "read" {
		t.Errorf("got %+v", events[0])
	}
	if events[1].Reason != "scope beyond the client's" || events[1].Client != "app" {
		t.Errorf("got %+v", events[1])
	}
	if strings.Contains(log.String(), "old ") || strings.Contains(log.String(), "old-") {
		t.Errorf("a token is in the log:\n%s", log)
	}
}

// The file of the database holds nothing of an imported token.
func TestImportedTokenIsNotInTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.PutClient(t.Context(), &storage.Client{ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read", GrantTypes: []string{"refresh_token"}}); err != nil {
		t.Fatal(err)
	}
	m := importing(store)
	i := alices()
	i.Access[0].Token, i.Refresh.Token = "fZ3kQ9rT-access-xW7", "mB5vN2cH-refresh-pL8"
	mustImport(t, m, i, true)
	mustRefresh(t, m, i.Refresh.Token)
	file, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Contains(file, []byte("alice")) {
		t.Fatal("the grant is not in the file")
	}
	for _, token := range []string{i.Access[0].Token, i.Access[1].Token, i.Refresh.Token} {
		for from := 0; from+8 <= len(token); from++ {
			if bytes.Contains(file, []byte(token[from:from+8])) {
				t.Errorf("%q of %q is in the file", token[from:from+8], token)
			}
		}
	}
}
