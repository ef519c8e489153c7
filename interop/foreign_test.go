package interop_test

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/manage"
	upstreamstore "github.com/go-oauth2/oauth2/v4/store"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/conformance"
	"github.com/ostiary-go/ostiary/storage"
)

// TestOverGoOAuth2 runs the rows of the conformance suite that can hold over go-oauth2's manager.
func TestOverGoOAuth2(t *testing.T) {
	conformance.RunForeign(t, func(t *testing.T, clients []*storage.Client) oauth2.Manager {
		registered := upstreamstore.NewClientStore()
		for _, c := range clients {
			registered.Set(c.ID, c)
		}
		m := manage.NewDefaultManager()
		m.MapTokenStorage(memoryTokens(t))
		m.MapClientStorage(registered)
		m.SetAuthorizeCodeExp(time.Minute)
		m.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: time.Hour, RefreshTokenExp: 30 * 24 * time.Hour, IsGenerateRefresh: true})
		m.SetClientTokenCfg(&manage.Config{AccessTokenExp: 15 * time.Minute})
		return m
	})
}

// TestForeignCycle goes through a whole life over go-oauth2's default manager, whose clients are its
// own too.
func TestForeignCycle(t *testing.T) {
	s := ours(t, newUpstream(t, nil), handler.ForeignScope("read jobs"))

	first := s.pair(t, "a")
	if got, want := s.me(t, first.access()).body, "client=a user=alice scope=read write"; got != want {
		t.Errorf("the token stands for %q, want %q", got, want)
	}
	s.refresh(t, as("b"), first.refresh()).is(t, 400, "invalid_grant")
	s.refresh(t, basic("a", "wrong"), first.refresh()).is(t, 401, "invalid_client")
	s.refresh(t, as("a"), first.refresh(), "scope", "admin").is(t, 400, "invalid_scope")
	s.works(t, first.access())

	second := s.refresh(t, as("a"), first.refresh()).ok(t)
	s.dead(t, first.access())
	s.refresh(t, as("a"), first.refresh()).is(t, 400, "invalid_grant")
	s.works(t, second.access())

	s.post(t, "/revoke", as("b"), "token", second.refresh()).is(t, 400, "unauthorized_client")
	s.works(t, second.access())
	for range 2 {
		if a := s.post(t, "/revoke", as("a"), "token", second.refresh()); a.status != http.StatusOK || a.body != "" {
			t.Errorf("revoked: %s", a)
		}
		s.dead(t, second.access())
		s.refresh(t, as("a"), second.refresh()).is(t, 400, "invalid_grant")
	}

	public := s.token(t, inBody, append(redemption("app", s.code(t, "app")), "client_id", "app")...).ok(t)
	s.works(t, s.refresh(t, inBody, public.refresh(), "client_id", "app").ok(t).access())
	s.token(t, inBody, "grant_type", "client_credentials", "client_id", "app").is(t, 400, "unauthorized_client")

	own := s.token(t, as("svc"), "grant_type", "client_credentials").ok(t)
	if got, want := s.me(t, own.access()).body, "client=svc user= scope=read jobs"; got != want {
		t.Errorf("the token stands for %q, want %q", got, want)
	}
	s.token(t, as("svc"), "grant_type", "client_credentials", "scope", "read write").is(t, 400, "invalid_scope")
}

// TestTheirClients has our manager look up clients in go-oauth2's store, whose error for an unknown one
// has no name.
func TestTheirClients(t *testing.T) {
	cs, scope := grants.Clients(theirClients()), grants.ForeignScope("read write")
	unknown := func(s *site) *answer { return s.token(t, as("nobody"), "grant_type", "client_credentials") }
	unknown(ours(t, newGrants(t, cs, scope))).is(t, 503, "temporarily_unavailable")

	named := grants.Clients(theirClients(), func(err error) bool { return err.Error() == "not found" })
	s := ours(t, newGrants(t, named, scope))
	unknown(s).is(t, 401, "invalid_client")
	pair := s.pair(t, "a")
	s.works(t, pair.access())
	s.refresh(t, as("b"), pair.refresh()).is(t, 400, "invalid_grant")
	s.refresh(t, basic("a", "wrong"), pair.refresh()).is(t, 401, "invalid_client")
	s.works(t, s.refresh(t, as("a"), pair.refresh()).ok(t).access())
	public := s.token(t, inBody, append(redemption("app", s.code(t, "app")), "client_id", "app")...).ok(t)
	s.works(t, public.access())

	tgr := authorization("a")
	tgr.RedirectURI = "https://a.example/other"
	if info, err := s.manager.GenerateAuthToken(t.Context(), oauth2.Code, tgr); err != oerr.ErrInvalidRedirectURI {
		t.Errorf("%v, %v", info, err)
	}
}

// TestForeignNotFound runs over a token store that has an error of its own for a token that isn't there,
// as several of the public ones have.
func TestForeignNotFound(t *testing.T) {
	m := newUpstream(t, failingTokens{memoryTokens(t)})
	const nonsense = "nonsense"

	s := ours(t, m)
	s.redeem(t, "a", nonsense).is(t, 503, "temporarily_unavailable")
	s.refresh(t, as("a"), nonsense).is(t, 503, "temporarily_unavailable")
	s.post(t, "/revoke", as("a"), "token", nonsense).is(t, 503, "temporarily_unavailable")

	s = ours(t, m, handler.NotFound(func(err error) bool { return errors.Is(err, errNoRows) }))
	s.redeem(t, "a", nonsense).is(t, 400, "invalid_grant")
	s.refresh(t, as("a"), nonsense).is(t, 400, "invalid_grant")
	if a := s.post(t, "/revoke", as("a"), "token", nonsense); a.status != http.StatusOK {
		t.Errorf("revoked: %s", a)
	}
}

var errNoRows = errors.New("no rows in result set")

// failingTokens finds nothing, and says so by an error.
type failingTokens struct{ oauth2.TokenStore }

func (failingTokens) GetByCode(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoRows
}
func (failingTokens) GetByAccess(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoRows
}
func (failingTokens) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoRows
}

// TestForeignUnlimited: a life of 0 is for ever with go-oauth2's manager, which no expires_in says.
func TestForeignUnlimited(t *testing.T) {
	m := newUpstream(t, make(tokensForEver))
	m.SetClientTokenCfg(&manage.Config{})
	s := ours(t, m)
	a := s.token(t, as("svc"), "grant_type", "client_credentials").ok(t)
	s.works(t, a.access())
	if expires, there := a.members["expires_in"]; there {
		t.Errorf("expires_in is %v", expires)
	}
}

// TestForeignAtOnce redeems one code and refreshes with one token many times at once. Whoever reads a
// record is held until all requests have arrived; without our lock several would win then.
func TestForeignAtOnce(t *testing.T) {
	const n = 16
	tokens := &lingeringTokens{TokenStore: memoryTokens(t)}
	m := newUpstream(t, tokens)
	s := listen(t, m, tokens.counting(ourRoutes(m)))
	code, refresh := s.code(t, "a"), s.pair(t, "a").refresh()
	for name, f := range map[string][]string{
		"code":    redemption("a", code),
		"refresh": {"grant_type", "refresh_token", "refresh_token", refresh},
	} {
		tokens.expect(n)
		if got := s.atOnce(t, n, as("a"), f...); got[200] != 1 || got[400] != n-1 {
			t.Errorf("%s: answers by status are %v, want one 200 and %d 400", name, got, n-1)
		}
	}
}

// lingeringTokens holds whoever has read a code or refresh token until the requests that are expected
// have arrived.
type lingeringTokens struct {
	oauth2.TokenStore
	arriving sync.WaitGroup
	expected bool
}

func (l *lingeringTokens) expect(n int) {
	l.arriving.Add(n)
	l.expected = true
}

func (l *lingeringTokens) counting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if l.expected {
			l.arriving.Done()
		}
		next.ServeHTTP(w, r)
	})
}

func (l *lingeringTokens) GetByCode(ctx context.Context, code string) (oauth2.TokenInfo, error) {
	info, err := l.TokenStore.GetByCode(ctx, code)
	l.arriving.Wait()
	return info, err
}

func (l *lingeringTokens) GetByRefresh(ctx context.Context, refresh string) (oauth2.TokenInfo, error) {
	info, err := l.TokenStore.GetByRefresh(ctx, refresh)
	l.arriving.Wait()
	return info, err
}
