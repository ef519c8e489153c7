package grants_test

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func openStore(t testing.TB, options ...bolt.Option) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"), options...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	for _, c := range []*storage.Client{
		{ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read write", GrantTypes: []string{"authorization_code", "refresh_token", "client_credentials"}, RedirectURIs: []string{"https://app.example/cb"}},
		{ID: "other", Secret: storage.HashGenerated("other-secret"), Scope: "read", GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://a.example/cb", "http://127.0.0.1/cb"}},
		{ID: "spa", Public: true, Scope: "read", GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://spa.example/cb"}},
	} {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	return store
}

// The PKCE values of RFC 7636 Appendix B.
const (
	verifier  = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	challenge = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// authorize gets a code of alice's for a client with one redirect URI; exp is the AccessTokenExp.
func authorize(t *testing.T, m *grants.Manager, client string, exp time.Duration) oauth2.TokenInfo {
	t.Helper()
	info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: client, UserID: "alice", AccessTokenExp: exp, CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256,
	})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

func issue(t *testing.T, m *grants.Manager, i grants.Issue) oauth2.TokenInfo {
	t.Helper()
	info, err := m.Issue(t.Context(), i)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// asApp sends a good request of the client app's.
func asApp(t *testing.T, m *grants.Manager, r grants.Request) oauth2.TokenInfo {
	t.Helper()
	r.ClientID, r.ClientSecret = "app", "app-secret"
	info, err := m.Token(t.Context(), &r)
	if err != nil {
		t.Fatal(err)
	}
	return info
}

var quiet = grants.Logger(slog.New(slog.DiscardHandler))

func code(t *testing.T, err error) string {
	t.Helper()
	if err == nil {
		return ""
	}
	e, ok := errors.AsType[*grants.Error](err)
	if !ok {
		t.Fatalf("%v is no *grants.Error", err)
	}
	return e.Code
}

func TestIssue(t *testing.T) {
	m := grants.New(openStore(t), quiet)
	for _, c := range []struct {
		name    string
		issue   grants.Issue
		code    string
		scope   string
		refresh bool
		life    time.Duration
	}{
		{"for a user", grants.Issue{Client: "app", User: "alice", Scope: "read"}, "", "read", true, time.Hour},
		{"the whole scope", grants.Issue{Client: "app", User: "alice"}, "", "read write", true, time.Hour},
		{"each word once", grants.Issue{Client: "app", User: "alice", Scope: "write read write"}, "", "write read", true, time.Hour},
		{"without a refresh token", grants.Issue{Client: "app", User: "alice", NoRefresh: true}, "", "read write", false, time.Hour},
		{"a client's own", grants.Issue{Client: "app"}, "", "read write", false, 15 * time.Minute},
		{"unknown client", grants.Issue{Client: "nobody", User: "alice"}, "invalid_client", "", false, 0},
		{"scope beyond the client's", grants.Issue{Client: "app", User: "alice", Scope: "read admin"}, "invalid_scope", "", false, 0},
		{"malformed scope", grants.Issue{Client: "app", User: "alice", Scope: "read  write"}, "invalid_scope", "", false, 0},
		{"a public client's own", grants.Issue{Client: "spa"}, "unauthorized_client", "", false, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			info, err := m.Issue(t.Context(), c.issue)
			if got := code(t, err); got != c.code {
				t.Fatalf("got %q, want %q", got, c.code)
			}
			if err != nil {
				return
			}
			if info.GetScope() != c.scope || (info.GetRefresh() != "") != c.refresh || info.GetAccessExpiresIn() != c.life || info.GetUserID() != c.issue.User {
				t.Errorf("got scope %q, refresh %t, life %v, user %q", info.GetScope(), info.GetRefresh() != "", info.GetAccessExpiresIn(), info.GetUserID())
			}
			loaded, err := m.LoadAccessToken(t.Context(), info.GetAccess())
			if err != nil || loaded.GetScope() != c.scope || loaded.GetUserID() != c.issue.User || loaded.GetClientID() != c.issue.Client {
				t.Errorf("loaded %v, %v", loaded, err)
			}
		})
	}
}

func TestEnd(t *testing.T) {
	for _, c := range []struct {
		name   string
		filter func(of map[string]storage.ID) storage.Filter
		ended  []string
	}{
		{"a user", func(map[string]storage.ID) storage.Filter { return storage.Filter{User: "alice"} }, []string{"alice at app", "alice at other"}},
		{"a client", func(map[string]storage.ID) storage.Filter { return storage.Filter{Client: "app"} }, []string{"alice at app", "app's own", "bob at app"}},
		{"both", func(map[string]storage.ID) storage.Filter { return storage.Filter{User: "alice", Client: "app"} }, []string{"alice at app"}},
		{"one grant", func(of map[string]storage.ID) storage.Filter { return storage.Filter{Grant: of["bob at app"]} }, []string{"bob at app"}},
		{"one grant of somebody else", func(of map[string]storage.ID) storage.Filter {
			return storage.Filter{Grant: of["bob at app"], User: "alice"}
		}, nil},
		{"nobody", func(map[string]storage.ID) storage.Filter { return storage.Filter{User: "carol"} }, nil},
		{"an unknown client", func(map[string]storage.ID) storage.Filter { return storage.Filter{Client: "nobody"} }, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			m := grants.New(openStore(t), quiet)
			pairs, ids := map[string]oauth2.TokenInfo{}, map[string]storage.ID{}
			for name, i := range map[string]grants.Issue{
				"alice at app": {Client: "app", User: "alice"}, "bob at app": {Client: "app", User: "bob"},
				"alice at other": {Client: "other", User: "alice"}, "app's own": {Client: "app"},
			} {
				info, err := m.Issue(t.Context(), i)
				if err != nil {
					t.Fatal(err)
				}
				pairs[name] = info
				ids[name], _ = grants.GrantID(info)
			}
			f := c.filter(ids)
			if n, err := m.End(t.Context(), f); n != len(c.ended) || err != nil {
				t.Errorf("ended %d, %v; want %d", n, err, len(c.ended))
			}
			for name, info := range pairs {
				_, err := m.LoadAccessToken(t.Context(), info.GetAccess())
				if dead := err == oerr.ErrInvalidAccessToken; dead != slices.Contains(c.ended, name) {
					t.Errorf("%s: %v", name, err)
				}
			}
			if n, err := m.End(t.Context(), f); n != 0 || err != nil {
				t.Errorf("ended %d more, %v", n, err)
			}
		})
	}
	m := grants.New(openStore(t), quiet)
	for _, f := range []storage.Filter{{}, {After: storage.NewID()}} {
		if _, err := m.End(t.Context(), f); !errors.Is(err, storage.ErrEmptyFilter) {
			t.Errorf("a filter that names nothing: %v", err)
		}
	}
}

func TestForget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		m := grants.New(store, quiet)
		info, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		if n, err := m.Forget(t.Context(), "alice"); n != 1 || err != nil {
			t.Fatalf("forgot %d, %v", n, err)
		}
		if _, err := m.LoadAccessToken(t.Context(), info.GetAccess()); err != oerr.ErrInvalidAccessToken {
			t.Errorf("the token: %v", err)
		}
		id, _ := grants.GrantID(info)
		if g, err := store.Grant(t.Context(), id); err != nil || g.User != "" {
			t.Errorf("the record still names %v, %v", g, err)
		}
		time.Sleep(2 * time.Minute) // the store prunes by itself
		synctest.Wait()
		if _, err := store.Grant(t.Context(), id); !errors.Is(err, storage.ErrNotFound) {
			t.Errorf("the record is there after pruning: %v", err)
		}
		if _, err := m.Forget(t.Context(), ""); !errors.Is(err, storage.ErrEmptyFilter) {
			t.Errorf("forgetting nobody: %v", err)
		}
	})
}

// A grant that would live for ever is pruned like any other once it has ended, however it ended.
func TestEndedGrantsArePruned(t *testing.T) {
	end := func(f storage.Filter) func(*testing.T, *grants.Manager, string) {
		return func(t *testing.T, m *grants.Manager, _ string) {
			if n, err := m.End(t.Context(), f); n != 1 || err != nil {
				t.Fatalf("ended %d, %v", n, err)
			}
		}
	}
	for name, end := range map[string]func(t *testing.T, m *grants.Manager, refresh string){
		"by user":   end(storage.Filter{User: "alice"}),
		"by client": end(storage.Filter{Client: "app"}),
		"by both":   end(storage.Filter{User: "alice", Client: "app"}),
		"forgotten": func(t *testing.T, m *grants.Manager, _ string) { m.Forget(t.Context(), "alice") },
		"revoked": func(t *testing.T, m *grants.Manager, refresh string) {
			m.Revoke(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: refresh})
		},
		"reused": func(t *testing.T, m *grants.Manager, refresh string) {
			asApp(t, m, grants.Request{GrantType: "refresh_token", RefreshToken: refresh})
			_, err := m.Token(t.Context(), &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: refresh})
			if got := code(t, err); got != "invalid_grant" {
				t.Fatalf("reuse: %q", got)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := openStore(t)
				m := grants.New(store, quiet, grants.RefreshIdle(storage.Unlimited), grants.RefreshLifetime(storage.Unlimited), grants.RetryWindow(0))
				info := issue(t, m, grants.Issue{Client: "app", User: "alice"})
				id, _ := grants.GrantID(info)
				if g, err := store.Grant(t.Context(), id); err != nil || !g.Expires.IsZero() {
					t.Fatalf("does not live for ever: %+v, %v", g, err)
				}
				end(t, m, info.GetRefresh())
				time.Sleep(time.Hour)
				if _, err := store.Prune(t.Context(), time.Now()); err != nil {
					t.Fatal(err)
				}
				if g, err := store.Grant(t.Context(), id); !errors.Is(err, storage.ErrNotFound) {
					t.Errorf("the record is there: %+v, %v", g, err)
				}
			})
		})
	}
}

// What is left of a client that was deleted doesn't keep a user's other grants from ending.
func TestEndingGoesOnOverADeletedClient(t *testing.T) {
	for name, c := range map[string]struct {
		end  func(m *grants.Manager) (int, error)
		want int
	}{
		"End":    {func(m *grants.Manager) (int, error) { return m.End(t.Context(), storage.Filter{User: "alice"}) }, 1}, // the other is dead
		"Forget": {func(m *grants.Manager) (int, error) { return m.Forget(t.Context(), "alice") }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			m := grants.New(store, quiet)
			issue(t, m, grants.Issue{Client: "app", User: "alice"})
			info := issue(t, m, grants.Issue{Client: "other", User: "alice"})
			if err := store.DeleteClient(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			if n, err := c.end(m); n != c.want || err != nil {
				t.Errorf("ended %d, %v; want %d", n, err, c.want)
			}
			if _, err := m.LoadAccessToken(t.Context(), info.GetAccess()); err != oerr.ErrInvalidAccessToken {
				t.Errorf("the grant at the other client: %v", err)
			}
		})
	}
}

// A client's registration has lifetimes of its own, shorter and longer than the manager's.
func TestLifetimesOfTheClient(t *testing.T) {
	const day = 24 * time.Hour
	for name, c := range map[string]struct {
		client          storage.Client
		access, refresh time.Duration
	}{
		"the manager's":  {storage.Client{}, time.Hour, 30 * day},
		"access":         {storage.Client{AccessLifetime: 2 * time.Hour}, 2 * time.Hour, 30 * day},
		"shorter idle":   {storage.Client{RefreshIdle: day}, time.Hour, day},
		"longer idle":    {storage.Client{RefreshIdle: 60 * day}, time.Hour, 60 * day},
		"no idle":        {storage.Client{RefreshIdle: storage.Unlimited}, time.Hour, 365 * day},
		"shorter life":   {storage.Client{RefreshLifetime: day}, time.Hour, day},
		"longer life":    {storage.Client{RefreshIdle: storage.Unlimited, RefreshLifetime: 999 * day}, time.Hour, 999 * day},
		"for ever":       {storage.Client{RefreshIdle: storage.Unlimited, RefreshLifetime: storage.Unlimited}, time.Hour, 0},
		"idle, for ever": {storage.Client{RefreshLifetime: storage.Unlimited}, time.Hour, 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			m := grants.New(store, quiet)
			c.client.ID, c.client.Secret, c.client.GrantTypes = "app", storage.HashGenerated("app-secret"), []string{"refresh_token"}
			if err := store.PutClient(t.Context(), &c.client); err != nil {
				t.Fatal(err)
			}
			info := issue(t, m, grants.Issue{Client: "app", User: "alice"})
			for range 2 {
				if info.GetAccessExpiresIn() != c.access || info.GetRefreshExpiresIn().Round(time.Minute) != c.refresh {
					t.Errorf("lives for %v and %v, want %v and %v", info.GetAccessExpiresIn(), info.GetRefreshExpiresIn(), c.access, c.refresh)
				}
				info = asApp(t, m, grants.Request{GrantType: "refresh_token", RefreshToken: info.GetRefresh()})
			}
		})
	}
}

// sharing is a store that hands out one and the same record, as Store.Grant may.
type sharing struct {
	*bolt.Store
	shared map[storage.ID]*storage.Grant
}

func (s sharing) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	if s.shared[id] == nil {
		g, err := s.Store.Grant(ctx, id)
		if err != nil {
			return nil, err
		}
		s.shared[id] = g
	}
	return s.shared[id], nil
}

// No client can widen the next request's token, nor can a token get into a log, through what
// LoadAccessToken and Issue return.
func TestTokenInfoIsTheCallersOwn(t *testing.T) {
	m := grants.New(sharing{openStore(t), map[storage.ID]*storage.Grant{}}, quiet)
	issued, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read", Audience: []string{"https://api.example"}})
	if err != nil {
		t.Fatal(err)
	}
	load := func() oauth2.TokenInfo {
		info, err := m.LoadAccessToken(t.Context(), issued.GetAccess())
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	info := load()
	if info.GetAccess() != issued.GetAccess() || info.GetRefresh() != "" || info.GetAccessExpiresIn() != time.Hour {
		t.Errorf("loaded refresh %q, life %v", info.GetRefresh(), info.GetAccessExpiresIn())
	}
	if a := info.(interface{ Audience() []string }).Audience(); !slices.Equal(a, []string{"https://api.example"}) {
		t.Errorf("audience %v", a)
	} else {
		a[0] = "https://evil.example"
	}
	info.SetScope("admin")
	info.SetUserID("root")
	info.SetRefresh("x")
	if info.GetScope() != "admin" || info.GetUserID() != "root" || info.GetRefresh() != "x" || info.GetClientID() != "app" {
		t.Error("the setters do not set")
	}
	again := load()
	if again.GetScope() != "read" || again.GetUserID() != "alice" || again.(interface{ Audience() []string }).Audience()[0] != "https://api.example" {
		t.Error("a setter reached the grant")
	}
	for range 2 {
		info, err := m.LoadRefreshToken(t.Context(), issued.GetRefresh())
		if err != nil {
			t.Fatal(err)
		}
		a := info.(interface{ Audience() []string }).Audience()
		if !slices.Equal(a, []string{"https://api.example"}) {
			t.Errorf("audience of the refresh token %v", a)
		}
		a[0] = "https://evil.example"
	}
	for _, info := range []oauth2.TokenInfo{issued, info, again} {
		var log bytes.Buffer
		slog.New(slog.NewTextHandler(&log, nil)).Info("x", "token", info)
		asJSON, err := json.Marshal(info)
		if err != nil {
			t.Fatal(err)
		}
		seen := log.String() + string(asJSON) + fmt.Sprintf("%v %+v %#v %s %d", info, info, info, info, info)
		for _, secret := range []string{issued.GetAccess(), issued.GetRefresh()} {
			if strings.Contains(seen, secret) {
				t.Errorf("the token shows in %s", seen)
			}
		}
		if !strings.Contains(seen, "app") {
			t.Errorf("the client does not show in %s", seen)
		}
	}
}

func TestLoadRefreshTokenChangesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := grants.New(openStore(t), quiet)
		first, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		r0 := first.GetRefresh()
		refresh := func(token string) string {
			info, err := m.RefreshAccessToken(t.Context(), &oauth2.TokenGenerateRequest{ClientID: "app", ClientSecret: "app-secret", Refresh: token})
			if err != nil {
				t.Fatal(err)
			}
			return info.GetRefresh()
		}
		r1 := refresh(r0)
		for _, token := range []string{r0, r1} { // the previous one inside its window, and the current one
			if info, err := m.LoadRefreshToken(t.Context(), token); err != nil || info.GetUserID() != "alice" || info.GetAccess() != "" || info.GetRefresh() != token {
				t.Errorf("got %v, %v", info, err)
			}
		}
		time.Sleep(time.Minute)
		if _, err := m.LoadRefreshToken(t.Context(), r0); err != oerr.ErrInvalidRefreshToken {
			t.Errorf("the previous one after its window: %v", err)
		}
		if _, err := m.LoadRefreshToken(t.Context(), first.GetAccess()); err != oerr.ErrInvalidRefreshToken {
			t.Errorf("an access token: %v", err)
		}
		r2 := refresh(r1) // nothing has ended
		time.Sleep(30 * 24 * time.Hour)
		if _, err := m.LoadRefreshToken(t.Context(), r2); err != oerr.ErrExpiredRefreshToken {
			t.Errorf("after its idle time: %v", err)
		}
	})
}

// E 9: go-oauth2's server compares errors by identity.
func TestSentinelsAreBare(t *testing.T) {
	store := openStore(t)
	m := grants.New(store, quiet)
	good := oauth2.TokenGenerateRequest{
		ClientID: "app", ClientSecret: "app-secret", UserID: "alice",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
	}
	with := func(change func(*oauth2.TokenGenerateRequest)) *oauth2.TokenGenerateRequest {
		tgr := good
		change(&tgr)
		return &tgr
	}
	authorize := func(rt oauth2.ResponseType, change func(*oauth2.TokenGenerateRequest)) error {
		_, err := m.GenerateAuthToken(t.Context(), rt, with(change))
		return err
	}
	token := func(gt oauth2.GrantType, change func(*oauth2.TokenGenerateRequest)) error {
		_, err := m.GenerateAccessToken(t.Context(), gt, with(change))
		return err
	}
	nothing := func(*oauth2.TokenGenerateRequest) {}
	for _, c := range []struct {
		name string
		got  error
		want error
	}{
		{"implicit", authorize(oauth2.Token, nothing), oerr.ErrUnsupportedResponseType},
		{"unknown client", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.ClientID = "nobody" }), oerr.ErrInvalidClient},
		{"foreign redirect URI", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.RedirectURI = "https://evil.app.example/cb" }), oerr.ErrInvalidRedirectURI},
		{"several redirect URIs and none named", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.ClientID = "other" }), oerr.ErrInvalidRedirectURI},
		{"no challenge, plain filled in", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) {
			r.CodeChallenge, r.CodeChallengeMethod = "", oauth2.CodeChallengePlain
		}), oerr.ErrCodeChallengeRquired},
		{"plain", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.CodeChallengeMethod = oauth2.CodeChallengePlain }), oerr.ErrUnsupportedCodeChallengeMethod},
		{"short challenge", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.CodeChallenge = r.CodeChallenge[1:] }), oerr.ErrInvalidCodeChallengeLen},
		{"scope", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.Scope = "admin" }), oerr.ErrInvalidScope},
		{"nobody signed in", authorize(oauth2.Code, func(r *oauth2.TokenGenerateRequest) { r.UserID = "" }), oerr.ErrAccessDenied},
		{"wrong secret", token(oauth2.ClientCredentials, func(r *oauth2.TokenGenerateRequest) { r.ClientSecret = "x" }), oerr.ErrInvalidClient},
		{"scope at the token endpoint", token(oauth2.ClientCredentials, func(r *oauth2.TokenGenerateRequest) { r.Scope = "admin" }), oerr.ErrInvalidScope},
		{"unknown code", token(oauth2.AuthorizationCode, func(r *oauth2.TokenGenerateRequest) { r.Code = "x" }), oerr.ErrInvalidGrant},
		{"unknown refresh token", token(oauth2.Refreshing, func(r *oauth2.TokenGenerateRequest) { r.Refresh = "x" }), oerr.ErrInvalidGrant},
		{"no code", token(oauth2.AuthorizationCode, nothing), oerr.ErrInvalidRequest},
		{"password", token(oauth2.PasswordCredentials, nothing), oerr.ErrUnsupportedGrantType},
		{"an unheard-of type", token("urn:x", nothing), oerr.ErrUnsupportedGrantType},
		{"no type", token("", nothing), oerr.ErrInvalidRequest},
		{"removing no token", m.RemoveAccessToken(t.Context(), ""), oerr.ErrInvalidAccessToken},
		{"removing an unknown token", m.RemoveRefreshToken(t.Context(), "x"), nil},
	} {
		if c.got != c.want {
			t.Errorf("%s: got %v, want %v", c.name, c.got, c.want)
		}
	}
	store.Close()
	if err := token(oauth2.ClientCredentials, nothing); !errors.Is(err, storage.ErrClosed) {
		t.Errorf("a store's failure: %v", err)
	}
}

// RFC 8252 7.3: any port of a loopback address, everything else octet by octet.
func TestRedirectURI(t *testing.T) {
	m := grants.New(openStore(t), quiet)
	for uri, want := range map[string]bool{
		"https://a.example/cb": true, "http://127.0.0.1/cb": true, "http://127.0.0.1:49152/cb": true, "http://127.0.0.1:1/cb": true, "http://127.0.0.1:65535/cb": true,
		"http://127.0.0.1:0/cb": false, "http://127.0.0.1:65536/cb": false, "http://127.0.0.1:0080/cb": false, "http://127.0.0.1:/cb": false, "http://127.0.0.1:+1/cb": false,
		"http://127.0.0.2/cb": false, "http://localhost/cb": false, "http://[::1]/cb": false, "https://127.0.0.1/cb": false, "http://127.0.0.1:1/CB": false,
		"http://127.0.0.1:1/cb?x=1": false, "http://u@127.0.0.1:1/cb": false, "http://127.0.0.1:1@evil.example/cb": false, "http://127.0.0.1.evil.example/cb": false,
		"https://a.example:443/cb": false, "https://a.example/cb/": false, "https://a.example/c%62": false, "HTTPS://a.example/cb": false, "": false,
	} {
		_, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
			ClientID: "other", UserID: "alice", RedirectURI: uri,
			CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
		})
		if got := err == nil; got != want {
			t.Errorf("%q: %v", uri, err)
		}
	}
}

func TestAccessTokenExpShortens(t *testing.T) {
	m := grants.New(openStore(t), quiet)
	for asked, want := range map[time.Duration]time.Duration{time.Minute: time.Minute, 5 * time.Hour: time.Hour, 0: time.Hour} {
		code := authorize(t, m, "app", asked).GetCode()
		got := asApp(t, m, grants.Request{GrantType: "authorization_code", Code: code, CodeVerifier: verifier})
		for range 3 { // and of all that follow
			if got.GetAccessExpiresIn() != want {
				t.Errorf("asked for %v: %v", asked, got.GetAccessExpiresIn())
			}
			got = asApp(t, m, grants.Request{GrantType: "refresh_token", RefreshToken: got.GetRefresh()})
		}
	}
}

// wrapping is a token inside a type of the application's.
type wrapping struct{ oauth2.TokenInfo }

func (w wrapping) Unwrap() oauth2.TokenInfo { return w.TokenInfo }

func TestGrantID(t *testing.T) {
	m := grants.New(openStore(t), quiet)
	code := authorize(t, m, "app", 0)
	want, ok := grants.GrantID(code)
	if !ok || want.IsZero() {
		t.Fatal("a code names no grant")
	}
	pair := asApp(t, m, grants.Request{GrantType: "authorization_code", Code: code.GetCode(), CodeVerifier: verifier})
	access, err1 := m.LoadAccessToken(t.Context(), pair.GetAccess())
	refresh, err2 := m.LoadRefreshToken(t.Context(), pair.GetRefresh())
	if err := errors.Join(err1, err2); err != nil {
		t.Fatal(err)
	}
	for name, info := range map[string]oauth2.TokenInfo{"pair": pair, "access": access, "refresh": refresh, "wrapped": wrapping{wrapping{access}}} {
		if id, ok := grants.GrantID(info); !ok || id != want {
			t.Errorf("%s: %v, %t, want %v", name, id, ok, want)
		}
	}
	for name, info := range map[string]oauth2.TokenInfo{"theirs": &models.Token{}, "theirs, wrapped": wrapping{&models.Token{}}, "hidden": struct{ oauth2.TokenInfo }{access}, "none": nil} {
		if id, ok := grants.GrantID(info); ok || !id.IsZero() {
			t.Errorf("%s: %v, %t", name, id, ok)
		}
	}
}

// kindless is an encoding that doesn't tell what kind a token is of.
type kindless struct{}

func (kindless) Encode(_ grants.Kind, id storage.ID, secret [32]byte) string {
	return hex.EncodeToString(append(id[:], secret[:]...))
}

func (kindless) Decode(token string) (kind grants.Kind, id storage.ID, secret [32]byte, ok bool) {
	octets, err := hex.DecodeString(token)
	if err != nil || len(octets) != 48 || hex.EncodeToString(octets) != token {
		return 0, id, secret, false
	}
	return grants.UnknownKind, storage.ID(octets[:16]), [32]byte(octets[16:]), true
}

// A token passes as none of another kind, also where only its digest tells the kind.
func TestEncodingWithoutKinds(t *testing.T) {
	m := grants.New(openStore(t), quiet, grants.Tokens(kindless{}))
	code := authorize(t, m, "app", 0).GetCode()
	lives := func(what, access, refresh string) {
		t.Helper()
		_, err1 := m.LoadAccessToken(t.Context(), access)
		_, err2 := m.LoadRefreshToken(t.Context(), refresh)
		if err1 != nil || err2 != nil {
			t.Errorf("%s: %v, %v", what, err1, err2)
		}
	}
	refused := func(r grants.Request) {
		t.Helper()
		r.ClientID, r.ClientSecret = "app", "app-secret"
		if _, err := m.Token(t.Context(), &r); err == nil {
			t.Errorf("a token for one of another kind: %s", r.GrantType)
		}
	}
	remove := func(kind string, f func(context.Context, string) error, token string) {
		t.Helper()
		if err := f(t.Context(), token); err != nil {
			t.Errorf("%s: %v", kind, err)
		}
	}
	refused(grants.Request{GrantType: "refresh_token", RefreshToken: code})
	remove("access", m.RemoveAccessToken, code)
	remove("refresh", m.RemoveRefreshToken, code)
	pair := asApp(t, m, grants.Request{GrantType: "authorization_code", Code: code, CodeVerifier: verifier})
	lives("redeemed", pair.GetAccess(), pair.GetRefresh())

	for _, other := range []string{pair.GetRefresh(), code} {
		if _, err := m.LoadAccessToken(t.Context(), other); err != oerr.ErrInvalidAccessToken {
			t.Errorf("posing as an access token: %v", err)
		}
		remove("access", m.RemoveAccessToken, other)
	}
	for _, other := range []string{pair.GetAccess(), code} {
		if _, err := m.LoadRefreshToken(t.Context(), other); err != oerr.ErrInvalidRefreshToken {
			t.Errorf("posing as a refresh token: %v", err)
		}
		remove("refresh", m.RemoveRefreshToken, other)
		refused(grants.Request{GrantType: "refresh_token", RefreshToken: other})
	}
	refused(grants.Request{GrantType: "authorization_code", Code: pair.GetAccess(), CodeVerifier: verifier})
	for token, refresh := range map[string]bool{pair.GetAccess(): false, pair.GetRefresh(): true} {
		if i := introspectAs(t, m, "app", token); !i.Active || i.Refresh != refresh {
			t.Errorf("got %+v, want it active, a refresh token: %t", i, refresh)
		}
	}
	if i := introspectAs(t, m, "app", code); i.Active {
		t.Errorf("a code is told about: %+v", i)
	}
	lives("after all that", pair.GetAccess(), pair.GetRefresh())

	next := asApp(t, m, grants.Request{GrantType: "refresh_token", RefreshToken: pair.GetRefresh()})
	remove("access", m.RemoveAccessToken, next.GetAccess())
	if _, err := m.LoadAccessToken(t.Context(), next.GetAccess()); err != oerr.ErrInvalidAccessToken {
		t.Errorf("removed: %v", err)
	}
	lives("its sibling", pair.GetAccess(), next.GetRefresh())
	if err := m.Revoke(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: next.GetRefresh()}); err != nil {
		t.Error(err)
	}
	if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err != oerr.ErrInvalidAccessToken {
		t.Errorf("revoked with its refresh token: %v", err)
	}
}

// calls are all methods that ask the store, each with something that brings it there.
func calls(t *testing.T, m *grants.Manager) map[string]func(ctx context.Context) error {
	code, pair := authorize(t, m, "app", 0).GetCode(), issue(t, m, grants.Issue{Client: "app", User: "alice"})
	credentials := oauth2.TokenGenerateRequest{ClientID: "app", ClientSecret: "app-secret", UserID: "alice", CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256, Code: code, CodeVerifier: verifier, Refresh: pair.GetRefresh()}
	second := func(_ any, err error) error { return err }
	return map[string]func(ctx context.Context) error{
		"GetClient":         func(ctx context.Context) error { return second(m.GetClient(ctx, "app")) },
		"GenerateAuthToken": func(ctx context.Context) error { return second(m.GenerateAuthToken(ctx, oauth2.Code, &credentials)) },
		"GenerateAccessToken": func(ctx context.Context) error {
			return second(m.GenerateAccessToken(ctx, oauth2.AuthorizationCode, &credentials))
		},
		"RefreshAccessToken": func(ctx context.Context) error { return second(m.RefreshAccessToken(ctx, &credentials)) },
		"LoadAccessToken":    func(ctx context.Context) error { return second(m.LoadAccessToken(ctx, pair.GetAccess())) },
		"LoadRefreshToken":   func(ctx context.Context) error { return second(m.LoadRefreshToken(ctx, pair.GetRefresh())) },
		"RemoveAccessToken":  func(ctx context.Context) error { return m.RemoveAccessToken(ctx, pair.GetAccess()) },
		"RemoveRefreshToken": func(ctx context.Context) error { return m.RemoveRefreshToken(ctx, pair.GetRefresh()) },
		"Issue":              func(ctx context.Context) error { return second(m.Issue(ctx, grants.Issue{Client: "app"})) },
		"Token": func(ctx context.Context) error {
			return second(m.Token(ctx, &grants.Request{GrantType: "client_credentials", ClientID: "app", ClientSecret: "app-secret"}))
		},
		"Revoke": func(ctx context.Context) error {
			return m.Revoke(ctx, &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: pair.GetAccess()})
		},
	}
}

// breaks are the parts of a store that can fail.
var breaks = map[string]func(f *testbed.Faulty, fault testbed.Fault){
	"grants":  func(f *testbed.Faulty, fault testbed.Fault) { f.Break(fault, nil, nil) },
	"clients": func(f *testbed.Faulty, fault testbed.Fault) { f.Break(nil, nil, fault) },
}

// No method waits longer for a store than StoreTimeout says, whoever calls it.
func TestStoreTimeout(t *testing.T) {
	for name, set := range breaks {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &testbed.Faulty{Store: openStore(t)}
				m := grants.New(store, quiet, grants.StoreTimeout(time.Second))
				for method, call := range calls(t, m) {
					if method == "GetClient" && name == "grants" {
						continue // asks for none
					}
					set(store, testbed.Hang)
					began := time.Now()
					if err := call(t.Context()); !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != time.Second {
						t.Errorf("%s: %v after %v", method, err, time.Since(began))
					}
					set(store, nil)
				}
			})
		})
	}
}

// several is an error that can't be compared, as some drivers return.
type several []string

func (s several) Error() string { return strings.Join(s, ", ") }

// go-oauth2's server looks errors up in a map, which panics for one that can't be compared.
func TestErrorsCanBeCompared(t *testing.T) {
	for name, set := range breaks {
		t.Run(name, func(t *testing.T) {
			store := &testbed.Faulty{Store: openStore(t)}
			m := grants.New(store, quiet)
			for method, call := range calls(t, m) {
				if method == "GetClient" && name == "grants" {
					continue
				}
				set(store, func(context.Context) error { return several{"disk full", "fan off"} })
				err := call(t.Context())
				if s, ok := errors.AsType[several](err); !ok || len(s) != 2 || !reflect.ValueOf(err).Comparable() {
					t.Errorf("%s: %T %v", method, err, err)
				}
				set(store, nil)
			}
		})
	}
}

func TestEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var events []grants.Event
		var log bytes.Buffer
		type key struct{}
		ctx := context.WithValue(t.Context(), key{}, "the caller's")
		m := grants.New(openStore(t), grants.Logger(slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))),
			grants.OnEvent(func(ctx context.Context, e grants.Event) {
				if _, bounded := ctx.Deadline(); bounded || ctx.Value(key{}) == nil {
					t.Errorf("%s: the hook gets another context than the caller's", e.Kind)
				}
				events = append(events, e)
			}),
			grants.OnEvent(func(context.Context, grants.Event) { panic("a secret") }))
		web := func(r grants.Request) *grants.Request {
			r.ClientID, r.ClientSecret, r.RemoteAddr = "app", "app-secret", "192.0.2.1:7"
			return &r
		}
		last := func(kind grants.EventKind, client, user, reason string) grants.Event {
			t.Helper()
			if len(events) != 1 {
				t.Fatalf("%d events, want one: %+v", len(events), events)
			}
			e := events[0]
			if e.Kind != kind || e.Client != client || e.User != user || e.Reason != reason {
				t.Errorf("got %+v, want %s %s %s %q", e, kind, client, user, reason)
			}
			events = nil
			return e
		}
		info, err := m.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{
			ClientID: "app", UserID: "alice",
			CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
		})
		if err != nil {
			t.Fatal(err)
		}
		grant := last(grants.EventAuthorized, "app", "alice", "").Grant
		redeem := web(grants.Request{GrantType: "authorization_code", Code: info.GetCode(), CodeVerifier: "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"})
		first, err := m.Token(ctx, redeem)
		if err != nil {
			t.Fatal(err)
		}
		if e := last(grants.EventIssued, "app", "alice", ""); e.Grant != grant || e.Scope != "read write" || e.GrantType != "authorization_code" || e.RemoteAddr != "192.0.2.1:7" {
			t.Errorf("got %+v", e)
		}
		second, err := m.Token(ctx, web(grants.Request{GrantType: "refresh_token", RefreshToken: first.GetRefresh()}))
		if err != nil {
			t.Fatal(err)
		}
		last(grants.EventRefreshed, "app", "alice", "")
		m.Revoke(ctx, web(grants.Request{Token: second.GetAccess()}))
		last(grants.EventRevoked, "app", "alice", "")
		m.Token(ctx, web(grants.Request{GrantType: "refresh_token", RefreshToken: second.GetRefresh(), Scope: "admin"}))
		last(grants.EventRefused, "app", "", "scope beyond the grant's")
		m.Token(ctx, redeem)
		if e := last(grants.EventReuseDetected, "app", "alice", "code was redeemed before"); e.Grant != grant {
			t.Errorf("got %+v", e)
		}
		m.Token(ctx, &grants.Request{GrantType: "client_credentials", ClientID: "no\nbody", ClientSecret: "app-secret"})
		last(grants.EventRefused, "", "", "unknown client")
		m.Token(ctx, &grants.Request{GrantType: "client_credentials", ClientID: "app", ClientSecret: "no"})
		last(grants.EventRefused, "app", "", "wrong client secret")
		third, err := m.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		last(grants.EventIssued, "app", "alice", "")
		m.Revoke(ctx, web(grants.Request{Token: third.GetRefresh()}))
		last(grants.EventEnded, "app", "alice", "")
		m.End(ctx, storage.Filter{Client: "app"})
		last(grants.EventEnded, "app", "", "")
		fourth, err := m.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		last(grants.EventIssued, "app", "alice", "")
		m.RemoveAccessToken(ctx, fourth.GetAccess())
		last(grants.EventRevoked, "app", "alice", "")
		m.RemoveRefreshToken(ctx, fourth.GetRefresh())
		last(grants.EventEnded, "app", "alice", "")

		for _, secret := range []string{"app-secret", "no\\nbody", "a secret", info.GetCode(), first.GetAccess(), first.GetRefresh(), second.GetAccess(), second.GetRefresh(), third.GetRefresh()} {
			if strings.Contains(log.String(), secret) {
				t.Errorf("the log has %q in it:\n%s", secret, log.String())
			}
		}
		if !strings.Contains(log.String(), "event hook panicked") || !strings.Contains(log.String(), grant.String()) {
			t.Errorf("the log:\n%s", log.String())
		}
	})
}

func TestExtension(t *testing.T) {
	away := errors.New("directory is away")
	store := openStore(t)
	for _, c := range []*storage.Client{
		{ID: "ticketer", Secret: storage.HashGenerated("ticketer-secret"), Scope: "read", GrantTypes: []string{"urn:example:ticket", "refresh_token"}},
		{ID: "kiosk", Public: true, Scope: "read", GrantTypes: []string{"urn:example:ticket", "refresh_token"}},
	} {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	m := grants.New(store, quiet, grants.Extend(grants.Extension{
		Name: "urn:example:ticket", Params: []string{"ticket"},
		Grant: func(_ context.Context, r *grants.Request) (grants.Issue, error) {
			switch r.Params.Get("ticket") {
			case "good":
				return grants.Issue{Client: "app", User: "alice", Scope: r.Scope}, nil
			case "own error":
				return grants.Issue{}, &grants.Error{Code: "slow_down", Description: "not so fast"}
			case "sentinel":
				return grants.Issue{}, fmt.Errorf("no: %w", oerr.ErrInvalidGrant)
			case "nil error":
				return grants.Issue{User: "alice", Scope: r.Scope}, (*grants.Error)(nil)
			case "no user":
				return grants.Issue{Scope: r.Scope}, nil
			}
			return grants.Issue{}, away
		},
	}))
	if !slices.Contains(m.GrantTypes(), "urn:example:ticket") || !slices.Contains(m.Params(), "ticket") {
		t.Errorf("serves %v with %v", m.GrantTypes(), m.Params())
	}
	for _, c := range []struct{ name, client, secret, ticket, scope, code string }{
		{"good", "ticketer", "ticketer-secret", "good", "read", ""},
		{"wrong secret", "ticketer", "x", "good", "read", "invalid_client"},
		{"not registered for it", "app", "app-secret", "good", "read", "unauthorized_client"},
		{"scope", "ticketer", "ticketer-secret", "good", "write", "invalid_scope"},
		{"an error of its own", "ticketer", "ticketer-secret", "own error", "read", "slow_down"},
		{"go-oauth2's error", "ticketer", "ticketer-secret", "sentinel", "read", "invalid_grant"},
		{"a failure", "ticketer", "ticketer-secret", "", "read", "temporarily_unavailable"},
		{"a nil error of our type", "ticketer", "ticketer-secret", "nil error", "read", "temporarily_unavailable"},
		{"a public client for a user", "kiosk", "", "good", "read", ""},
		{"a public client for nobody", "kiosk", "", "no user", "read", "unauthorized_client"},
	} {
		info, err := m.Token(t.Context(), &grants.Request{
			GrantType: "urn:example:ticket", ClientID: c.client, ClientSecret: c.secret, Scope: c.scope, Params: url.Values{"ticket": {c.ticket}},
		})
		if got := code(t, err); got != c.code {
			t.Errorf("%s: got %q, want %q", c.name, got, c.code)
		}
		if err != nil && !strings.HasPrefix(err.Error(), "grants: "+c.code) {
			t.Errorf("%s: says %q", c.name, err)
		}
		if err == nil && (info.GetClientID() != c.client || info.GetUserID() != "alice" || info.GetRefresh() == "") {
			t.Errorf("%s: got %v", c.name, info)
		}
		if c.name == "a failure" && !errors.Is(err, away) {
			t.Errorf("%s: the cause is lost: %v", c.name, err)
		}
	}
}

// An imported refresh token of a client without rotation is good until it expires, whatever is done with
// it; that of any other is followed by one that lives as the client's do.
func TestImportedRefreshTokenKeepsItsExpiry(t *testing.T) {
	for _, rotates := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			store := openStore(t)
			err := store.PutClient(t.Context(), &storage.Client{
				ID: "still", Public: true, Scope: "read", GrantTypes: []string{"refresh_token"}, RefreshIdle: storage.Unlimited,
				InsecureNoRotation: !rotates, InsecurePublicNoRotation: !rotates,
			})
			if err != nil {
				t.Fatal(err)
			}
			m := grants.New(store, quiet, grants.ImportedTokens())
			_, err = m.Import(t.Context(), grants.Import{
				Client: "still", User: "alice", Refresh: grants.ImportedToken{Token: "old", Expires: time.Now().Add(time.Hour)},
			})
			if err != nil {
				t.Fatal(err)
			}
			refresh := "old"
			for _, try := range []struct {
				wait time.Duration
				ends bool
			}{{59 * time.Minute, false}, {time.Minute, !rotates}, {24 * time.Hour, !rotates}} {
				time.Sleep(try.wait)
				info, err := m.Token(t.Context(), &grants.Request{GrantType: "refresh_token", ClientID: "still", RefreshToken: refresh})
				switch {
				case try.ends && code(t, err) == "invalid_grant":
				case try.ends || err != nil:
					t.Fatalf("rotates %t, after %v more: %v", rotates, try.wait, err)
				default:
					refresh = info.GetRefresh()
				}
				if (refresh == "old") == rotates {
					t.Errorf("rotates %t: the refresh token is %q", rotates, refresh)
				}
			}
		})
	}
}

func TestOptionsThatMakeNoSensePanic(t *testing.T) {
	for name, f := range map[string]func(){
		"code life":         func() { grants.CodeLifetime(11 * time.Minute) },
		"negative window":   func() { grants.RetryWindow(-1) },
		"no access tokens":  func() { grants.LiveAccessTokens(0) },
		"no tries":          func() { grants.CodeTries(0) },
		"zero life":         func() { grants.AccessLifetime(0) },
		"endless life":      func() { grants.AccessLifetime(storage.Unlimited) },
		"client's endless":  func() { grants.ClientAccessLifetime(storage.Unlimited) },
		"malformed scope":   func() { grants.ForeignScope("a  b") },
		"nil logger":        func() { grants.Logger(nil) },
		"nil client store":  func() { grants.Clients(nil) },
		"nil encoding":      func() { grants.Tokens(nil) },
		"no extension":      func() { grants.Extend(grants.Extension{Name: "urn:x"}) },
		"extension's name":  func() { grants.Extend(grants.Extension{Name: "refresh_token", Grant: ticket}) },
		"extension's shape": func() { grants.Extend(grants.Extension{Name: "ticket", Grant: ticket}) },
		"store sans clients": func() {
			grants.New(struct{ storage.Store }{openStore(t)})
		},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(fmt.Sprint(p), "grants: ") {
					t.Errorf("panicked with %v", p)
				}
			}()
			f()
		})
	}
}

func ticket(context.Context, *grants.Request) (grants.Issue, error) { return grants.Issue{}, nil }
