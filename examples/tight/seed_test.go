package main

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	xoauth2 "golang.org/x/oauth2"

	"github.com/ostiary-go/ostiary/examples/internal/golden"
	"github.com/ostiary-go/ostiary/examples/internal/login"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

const (
	v4             = "/rest/v4/auth/token"
	v5             = "/rest/v5/auth/token"
	v5a            = "/rest/v5/accountant/token"
	userTokenRoute = "/rest/v5/accountant/userToken"
	callback       = "https://acme.example/callback"
	oddSecret      = "p+s/1=?"
	verifier       = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk" // RFC 7636 B
	challenge      = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"

	accessLife  = 7776000  // seconds
	refreshLife = 15552000 // seconds

	// The tokens that the documentation shows.
	oldAccess  = "00f6b2b68eb9459eab681d19aa86c6154e225068f3074d1d9b639316d5380a4c.91d620872c3b438ba33f4baaca124624"
	oldRefresh = "7369c0ee82194721ac6f633ec16206f348680736e80e4aacb85d4fbce0ee9669.56b43c61141541dc858dd8613959389a"
)

var tokenPaths = []string{v4, v5, v5a}

// fixtures are what every case begins with: acme for u1, beta for u3, odd for u1.
type fixtures struct {
	manager         *grants.Manager
	acme, beta, odd oauth2.TokenInfo
	down            *error // what the table of users and accountants fails with
}

type server = golden.Server[fixtures]

const issuer = "https://tight.example"

// signIn is outside of the bubbles of the cases, with whoever tidies up its sessions.
var signIn = login.Of(map[string]string{"u1": "one", "u2": "two"})

// setUp registers the fixtures and serves them by a manager with these options.
func setUp(options ...grants.Option) func(*testing.T, testbed.Store, *slog.Logger) (http.Handler, fixtures) {
	return func(t *testing.T, store testbed.Store, logger *slog.Logger) (http.Handler, fixtures) {
		time.Sleep(700 * time.Millisecond) // no contract holds at whole seconds alone
		acme := partner("acme", storage.HashGenerated("acme-secret"), grantTypes...)
		beta := partner("beta", storage.HashGenerated("beta-secret"), "authorization_code", "refresh_token")
		odd := partner("odd", storage.HashGenerated(oddSecret), "refresh_token")
		for _, c := range []*storage.Client{beta, odd} { // acme stays as the example has it
			c.InsecureNoPKCE, c.InsecureNoRedirectURI = false, false
		}
		for _, c := range []*storage.Client{acme, beta, odd} {
			if err := store.PutClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
		f := fixtures{down: new(error)}
		f.manager = grants.New(store, append(slices.Clone(options), grants.Logger(logger), grants.Issuer(issuer),
			grants.OnBehalf(func(ctx context.Context, client, user string) (bool, error) {
				if *f.down != nil {
					return false, *f.down
				}
				return mayActFor(ctx, client, user)
			}))...)
		f.acme, f.beta, f.odd = f.issue(t, "acme", "user:u1"), f.issue(t, "beta", "user:u3"), f.issue(t, "odd", "user:u1")
		return routes(f.manager, signIn), f
	}
}

func (f fixtures) issue(t *testing.T, client, user string) oauth2.TokenInfo {
	t.Helper()
	info, err := f.manager.Issue(t.Context(), grants.Issue{Client: client, User: user})
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// base is the request T: a refresh of acme's for u1, as the documentation has it.
func base(s *server) golden.Form { return refresh("acme", "acme-secret", s.Fixtures.acme.GetRefresh()) }

func refresh(client, secret, token string) golden.Form {
	return golden.Form{"client_id", client, "client_secret", secret, "grant_type", "refresh_token", "refresh_token", token, "code", "", "userId", ""}
}

func onBehalf(s *server, userID string) golden.Form {
	return base(s).Changed("grant_type", "client_credentials", "refresh_token", "", "userId", userID)
}

func exchange(s *server, code string) golden.Form {
	return base(s).Changed("grant_type", "authorization_code", "refresh_token", "", "code", code)
}

// code is an authorization code for acme and u1, asked for with the redirect URI that the exchange of the
// documentation does not repeat, and with changes.
func code(t *testing.T, s *server, changes ...func(*oauth2.TokenGenerateRequest)) string {
	t.Helper()
	r := &oauth2.TokenGenerateRequest{ClientID: "acme", UserID: "user:u1", RedirectURI: callback}
	for _, change := range changes {
		change(r)
	}
	info, err := s.Fixtures.manager.GenerateAuthToken(t.Context(), oauth2.Code, r)
	if err != nil {
		t.Fatal(err)
	}
	return info.GetCode()
}

func basic(id, secret string) golden.Header {
	return golden.Header{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

var contentType = golden.Header{Name: "Content-Type", Value: golden.FormType}

var tokenShape = regexp.MustCompile(`^[0-9a-f]{64}\.[0-9a-f]{32}$`)

// expiry fails unless created_at and expires_in give what the store knows of the access token.
func expiry(t *testing.T, s *server, a *golden.Answer) int64 {
	t.Helper()
	info, err := s.Fixtures.manager.LoadAccessToken(t.Context(), a.Member("access_token"))
	if err != nil {
		t.Fatal(err)
	}
	sum := a.Number(t, "created_at") + a.Number(t, "expires_in")
	if want := info.GetAccessCreateAt().Add(info.GetAccessExpiresIn()).Unix(); sum != want {
		t.Fatalf("expires at %d, want %d: %s", sum, want, a)
	}
	return sum
}

// issued fails unless a hands out a new access token in the shape of the contract.
func issued(t *testing.T, s *server, a *golden.Answer) {
	t.Helper()
	expiry(t, s, a)
	if a.Number(t, "expires_in") != accessLife || a.Number(t, "created_at") != time.Now().Unix() || a.Member("scope") != "token" {
		t.Fatalf("at %d: %s", time.Now().Unix(), a)
	}
	for _, name := range []string{"access_token", "refresh_token"} {
		if v, there := a.Members[name]; there && !tokenShape.MatchString(fmt.Sprint(v)) {
			t.Fatalf("%s has another shape: %s", name, a)
		}
	}
}

// ok5 is OK5: a new pair.
func ok5(t *testing.T, s *server, a *golden.Answer) *golden.Answer {
	t.Helper()
	a.Only(t, "access_token", "refresh_token", "expires_in", "created_at", "scope")
	issued(t, s, a)
	return a
}

// all is every grant by its ID.
func all(t *testing.T, s *server) map[storage.ID]*storage.Grant {
	t.Helper()
	found := make(map[storage.ID]*storage.Grant)
	for g, err := range s.Store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		found[g.ID] = g
	}
	return found
}

func grantOf(t *testing.T, s *server, access string) storage.ID {
	t.Helper()
	info, err := s.Fixtures.manager.LoadAccessToken(t.Context(), access)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := grants.GrantID(info)
	return id
}

// onlyChanged fails if any grant but those has changed, come or gone.
func onlyChanged(t *testing.T, before, after map[storage.ID]*storage.Grant, ids ...storage.ID) {
	t.Helper()
	for _, id := range ids {
		delete(before, id)
		delete(after, id)
	}
	if !reflect.DeepEqual(before, after) {
		t.Fatalf("other grants have changed:\n%v\n%v", before, after)
	}
}

// rotated is "as G-01": OK5, of the same grant, the refresh token spent, two new hashes, nothing else
// touched.
func rotated(t *testing.T, s *server, token, sub, client string, send func() *golden.Answer) *golden.Answer {
	t.Helper()
	info, err := s.Fixtures.manager.LoadRefreshToken(t.Context(), token)
	if err != nil {
		t.Fatal(err)
	}
	id, _ := grants.GrantID(info)
	before := all(t, s)
	a := ok5(t, s, send())
	after := all(t, s)
	old, now := before[id], after[id]
	newest := now.Access[len(now.Access)-1]
	if now.Refresh.Previous != old.Refresh.Current || now.Refresh.Current == old.Refresh.Current ||
		slices.ContainsFunc(old.Access, func(a storage.Access) bool { return a.Digest == newest.Digest }) ||
		a.Member("refresh_token") == token || grantOf(t, s, a.Member("access_token")) != id {
		t.Fatalf("not rotated:\n%+v\n%+v", old, now)
	}
	onlyChanged(t, before, after, id)
	s.Whoami(t, a.Member("access_token"), sub, client)
	return a
}

// again is T where nothing has become of R0 yet, "as G-01".
func again(t *testing.T, s *server, f golden.Form, headers ...golden.Header) *golden.Answer {
	t.Helper()
	return rotated(t, s, s.Fixtures.acme.GetRefresh(), "user:u1", "acme", func() *golden.Answer { return s.Post(t, s.Path, f, headers...) })
}

// same is "=": do leaves the store as it is, and the fixture's tokens work.
func same(t *testing.T, s *server, do func()) {
	t.Helper()
	s.Unchanged(t, do)
	path := s.Path
	if !slices.Contains(tokenPaths, path) {
		path = v4
	}
	for _, of := range []struct {
		info              oauth2.TokenInfo
		sub, client, word string
	}{
		{s.Fixtures.acme, "user:u1", "acme", "acme-secret"},
		{s.Fixtures.beta, "user:u3", "beta", "beta-secret"},
		{s.Fixtures.odd, "user:u1", "odd", oddSecret},
	} {
		s.Whoami(t, of.info.GetAccess(), of.sub, of.client)
		rotated(t, s, of.info.GetRefresh(), of.sub, of.client, func() *golden.Answer {
			return s.Post(t, path, refresh(of.client, of.word, of.info.GetRefresh()))
		})
	}
}

// refused sends each form and fails unless all are E(status code) and "=".
func refused(t *testing.T, s *server, status int, code string, forms ...golden.Form) (bodies []string) {
	t.Helper()
	same(t, s, func() {
		for _, f := range forms {
			bodies = append(bodies, s.Post(t, s.Path, f).Error(t, status, code).Body)
		}
	})
	return bodies
}

func TestSeedContracts(t *testing.T) {
	for i := range cases {
		run := cases[i].Run
		cases[i].Run = func(t *testing.T, s *server) {
			for _, of := range []oauth2.TokenInfo{s.Fixtures.acme, s.Fixtures.beta, s.Fixtures.odd} {
				s.Secret(of.GetAccess(), of.GetRefresh())
			}
			s.Secret("acme-secret", "beta-secret", oddSecret)
			run(t, s)
		}
	}
	golden.Run(t, cases, setUp(contract...))

	// G-11 holds however the import stands; where it is off, the store isn't even asked.
	t.Run("G-11", func(t *testing.T) {
		golden.Run(t, []golden.Case[fixtures]{{ID: "import_on", Paths: tokenPaths, Run: malformedTokens}}, setUp(contract...))
		golden.Run(t, []golden.Case[fixtures]{{ID: "import_off", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			reads := s.Store.Reads()
			s.Unchanged(t, func() { malformed(t, s) })
			if n := s.Store.Reads() - reads; n != 0 {
				t.Errorf("the store was asked %d times", n)
			}
			malformedTokens(t, s)
		}}}, setUp(grants.Tokens(dotted{})))
	})
}

func malformedTokens(t *testing.T, s *server) { same(t, s, func() { malformed(t, s) }) }

func malformed(t *testing.T, s *server) {
	r0 := s.Fixtures.acme.GetRefresh()
	for _, token := range []string{"abc", "g" + r0[1:], strings.ToUpper(r0), r0 + "0", r0 + "00"} {
		s.Post(t, s.Path, base(s).Changed("refresh_token", token)).Error(t, 400, "invalid_grant")
	}
}

var cases = []golden.Case[fixtures]{
	{ID: "G-01", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		a := again(t, s, base(s), golden.Bearer("word"))
		if a.Member("access_token") == s.Fixtures.acme.GetAccess() {
			t.Error("the same access token")
		}
	}},
	{ID: "G-02", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		next, first := again(t, s, base(s)).Member("refresh_token"), s.Fixtures.acme.GetRefresh()
		for _, part := range [][2]int{{0, 32}, {32, 64}, {65, 97}} { // do not look alike
			if next[part[0]:part[1]] == first[part[0]:part[1]] {
				t.Errorf("%s and %s are both of one grant, and show it", first, next)
			}
		}
		rotated(t, s, next, "user:u1", "acme", func() *golden.Answer {
			return s.Post(t, s.Path, base(s).Changed("refresh_token", next).Without("code", "userId"))
		})
	}},
	{ID: "G-03", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		golden.Pass(accessLife + 1)
		s.Dead(t, s.Fixtures.acme.GetAccess())
		token := s.Fixtures.acme.GetRefresh()
		for _, bearer := range []string{"<token>", "", s.Fixtures.acme.GetAccess(), strings.Repeat("x", 5<<10)} {
			token = rotated(t, s, token, "user:u1", "acme", func() *golden.Answer {
				return s.Post(t, s.Path, base(s).Changed("refresh_token", token), golden.Bearer(bearer))
			}).Member("refresh_token")
		}
	}},
	{ID: "G-04", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		again(t, s, base(s), golden.Bearer(s.Fixtures.beta.GetAccess()))
		s.Whoami(t, s.Fixtures.beta.GetAccess(), "user:u3", "beta")
	}},
	{ID: "G-05", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		again(t, s, base(s))
		s.Whoami(t, s.Fixtures.acme.GetAccess(), "user:u1", "acme")
		golden.Pass(accessLife - 1)
		s.Whoami(t, s.Fixtures.acme.GetAccess(), "user:u1", "acme")
		golden.Pass(1)
		s.Dead(t, s.Fixtures.acme.GetAccess())
	}},
	{ID: "G-06", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		first := again(t, s, base(s))
		for range 4 {
			time.Sleep(14800 * time.Millisecond)
			s.Unchanged(t, func() {
				second := s.Post(t, s.Path, base(s)).Only(t, "access_token", "refresh_token", "expires_in", "created_at", "scope")
				for _, name := range []string{"access_token", "refresh_token", "scope"} {
					if second.Member(name) != first.Member(name) {
						t.Errorf("another %s", name)
					}
				}
				if expiry(t, s, second) != expiry(t, s, first) {
					t.Errorf("expires at another time: %s\n%s", first, second)
				}
			})
		}
	}},
	{ID: "G-07", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		next := again(t, s, base(s))
		golden.Pass(61)
		s.Post(t, s.Path, base(s)).Error(t, 400, "invalid_grant")
		s.Dead(t, next.Member("access_token"))
		s.Post(t, s.Path, base(s).Changed("refresh_token", next.Member("refresh_token"))).Error(t, 400, "invalid_grant")
		id, _ := grants.GrantID(s.Fixtures.acme)
		if all(t, s)[id].Ended.IsZero() {
			t.Error("the grant has not ended")
		}
	}},
	{ID: "G-08", Run: func(t *testing.T, s *server) {
		token := s.Fixtures.acme.GetRefresh()
		for _, path := range tokenPaths {
			token = rotated(t, s, token, "user:u1", "acme", func() *golden.Answer {
				return s.Post(t, path, base(s).Changed("refresh_token", token))
			}).Member("refresh_token")
		}
	}},
	{ID: "G-09", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "invalid_request", base(s).Changed("refresh_token", ""), base(s).Without("refresh_token"))
	}},
	{ID: "G-10", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		r0 := s.Fixtures.acme.GetRefresh()
		random := dotted{}.Encode(grants.RefreshKind, storage.NewID(), sha256.Sum256([]byte("random")))
		digit := "0"
		if r0[63] == '0' {
			digit = "1"
		}
		refused(t, s, 400, "invalid_grant",
			base(s).Changed("refresh_token", random),
			base(s).Changed("refresh_token", r0[:63]+digit+r0[64:]))
	}},
	{ID: "G-12", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		_, err := s.Fixtures.manager.Import(t.Context(), grants.Import{
			Client: "acme", User: "user:u1", Scope: "token",
			Access:  []grants.ImportedToken{{Token: oldAccess, Expires: time.Now().Add(time.Hour)}},
			Refresh: grants.ImportedToken{Token: oldRefresh, Expires: time.Now().Add(24 * time.Hour)},
		})
		if err != nil {
			t.Fatal(err)
		}
		s.Whoami(t, oldAccess, "user:u1", "acme")
		old := base(s).Changed("refresh_token", oldRefresh)
		native := rotated(t, s, oldRefresh, "user:u1", "acme", func() *golden.Answer { return s.Post(t, s.Path, old) })
		native = rotated(t, s, native.Member("refresh_token"), "user:u1", "acme", func() *golden.Answer {
			return s.Post(t, s.Path, old.Changed("refresh_token", native.Member("refresh_token")))
		})
		golden.Pass(61)
		s.Unchanged(t, func() {
			s.Post(t, s.Path, old.Changed("client_id", "beta", "client_secret", "beta-secret")).Error(t, 400, "invalid_grant")
		})
		s.Whoami(t, native.Member("access_token"), "user:u1", "acme")
		s.Post(t, s.Path, old).Error(t, 400, "invalid_grant")
		s.Dead(t, native.Member("access_token"))
		s.Dead(t, oldAccess)
		s.Post(t, s.Path, old.Changed("client_id", "beta", "client_secret", "beta-secret")).Error(t, 400, "invalid_grant")
	}},
	{ID: "G-13", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		golden.Pass(refreshLife + 1)
		s.Unchanged(t, func() { s.Post(t, s.Path, base(s)).Error(t, 400, "invalid_grant") })
	}},
	{ID: "G-14", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "invalid_grant", base(s).Changed("client_id", "beta", "client_secret", "beta-secret"))
	}},
	{ID: "G-15", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "invalid_grant", base(s).Changed("refresh_token", s.Fixtures.acme.GetAccess()))
	}},
	{ID: "G-16", Run: func(t *testing.T, s *server) {
		same(t, s, func() { s.Dead(t, s.Fixtures.acme.GetRefresh()) })
	}},
	{ID: "G-17", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		bodies := refused(t, s, 401, "invalid_client",
			base(s).Changed("client_id", "nobody"), base(s).Changed("client_secret", "wrong"),
			base(s).Changed("client_secret", ""), base(s).Without("client_secret"))
		if bodies[0] != bodies[1] {
			t.Errorf("they differ: %s, %s", bodies[0], bodies[1])
		}
	}},
	{ID: "G-18", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			if s.Path == v4 { // as it is printed
				s.Post(t, v4, refresh("", "", ""), golden.Bearer("<token>")).Error(t, 401, "invalid_client")
			}
			s.Post(t, s.Path, base(s).Changed("client_id", "")).Error(t, 401, "invalid_client")
			s.Post(t, s.Path, base(s).Without("client_id")).Error(t, 401, "invalid_client")
		})
	}},
	{ID: "G-19", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		again(t, s, base(s).Without("client_id", "client_secret"), basic("acme", "acme-secret"))
	}},
	{ID: "G-20", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			a := s.Post(t, s.Path, base(s).Without("client_id", "client_secret"), basic("acme", "wrong")).Error(t, 401, "invalid_client")
			if !strings.HasPrefix(a.Header.Get("WWW-Authenticate"), "Basic realm=") {
				t.Errorf("no challenge: %s", a)
			}
		})
	}},
	{ID: "G-21", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() { s.Post(t, s.Path, base(s), basic("acme", "acme-secret")).Error(t, 400, "invalid_request") })
	}},
	{ID: "G-22", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		const encoded = "client_secret=p%2Bs%2F1%3D%3F"
		body := refresh("odd", oddSecret, s.Fixtures.odd.GetRefresh()).Encode()
		if !strings.Contains(body, encoded) {
			t.Fatal(body)
		}
		next := rotated(t, s, s.Fixtures.odd.GetRefresh(), "user:u1", "odd", func() *golden.Answer {
			return s.Send(t, "POST", s.Path, body, contentType)
		}).Member("refresh_token")
		body = refresh("odd", oddSecret, next).Encode()
		s.Unchanged(t, func() {
			raw := strings.Replace(body, encoded, "client_secret="+oddSecret, 1)
			s.Send(t, "POST", s.Path, raw, contentType).Error(t, 401, "invalid_client")
		})
		rotated(t, s, next, "user:u1", "odd", func() *golden.Answer { return s.Send(t, "POST", s.Path, body, contentType) })
	}},
	{ID: "G-23", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "invalid_request", base(s).Without("grant_type"))
	}},
	{ID: "G-24", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		var forms []golden.Form
		for _, name := range []string{"password", "implicit", "REFRESH_TOKEN", "x"} {
			forms = append(forms, base(s).Changed("grant_type", name))
		}
		refused(t, s, 400, "unsupported_grant_type", forms...)
	}},
	{ID: "G-25", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "unauthorized_client", onBehalf(s, "u3").Changed("client_id", "beta", "client_secret", "beta-secret"))
	}},
	{ID: "G-26", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			if s.Path != v4 { // as they are printed
				s.Post(t, s.Path, refresh("", "", "").Changed("grant_type", ""), golden.Bearer("<token>")).Error(t, 400, "invalid_request")
			}
			s.Post(t, s.Path, nil).Error(t, 400, "invalid_request")
		})
	}},
	{ID: "G-27", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		before := all(t, s)
		back := s.Approve(t, "/oauth/authorize?response_type=code&client_id=acme&redirect_uri="+url.QueryEscape(callback)+"&state=xyz&prompt=consent", "u1", "one")
		sent := back.Query()
		if to, _, _ := strings.Cut(back.String(), "?"); to != callback || sent.Get("code") == "" || sent.Get("state") != "xyz" || sent.Get("iss") != issuer || len(sent) != 3 {
			t.Fatalf("sent back to %s", back)
		}
		a := ok5(t, s, s.Post(t, s.Path, exchange(s, sent.Get("code"))))
		s.Whoami(t, a.Member("access_token"), "user:u1", "acme")
		after := all(t, s)
		id := grantOf(t, s, a.Member("access_token"))
		if g := after[id]; len(after) != len(before)+1 || g.Client != "acme" || g.User != "user:u1" || g.Code.Redeemed.IsZero() {
			t.Errorf("stored %+v", g)
		}
		delete(after, id)
		onlyChanged(t, before, after)
		s.Post(t, s.Path, exchange(s, sent.Get("code"))).Error(t, 400, "invalid_grant")
	}},
	{ID: "G-28", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		f := exchange(s, code(t, s))
		first := ok5(t, s, s.Post(t, s.Path, f))
		s.Whoami(t, first.Member("access_token"), "user:u1", "acme")
		before, id := all(t, s), grantOf(t, s, first.Member("access_token"))
		s.Post(t, s.Path, f).Error(t, 400, "invalid_grant")
		after := all(t, s)
		if after[id].Ended.IsZero() {
			t.Error("the grant has not ended")
		}
		onlyChanged(t, before, after, id)
		s.Dead(t, first.Member("access_token"))
		s.Post(t, s.Path, base(s).Changed("refresh_token", first.Member("refresh_token"))).Error(t, 400, "invalid_grant")
	}},
	{ID: "G-29", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		f := exchange(s, code(t, s))
		s.Unchanged(t, func() {
			s.Post(t, s.Path, f.Changed("client_id", "beta", "client_secret", "beta-secret")).Error(t, 400, "invalid_grant")
		})
		s.Whoami(t, ok5(t, s, s.Post(t, s.Path, f)).Member("access_token"), "user:u1", "acme")
	}},
	{ID: "G-30", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		late := exchange(s, code(t, s))
		golden.Pass(61)
		unknown := dotted{}.Encode(grants.CodeKind, storage.NewID(), sha256.Sum256([]byte("unknown")))
		same(t, s, func() {
			s.Post(t, s.Path, late).Error(t, 400, "invalid_grant")
			s.Post(t, s.Path, exchange(s, unknown)).Error(t, 400, "invalid_grant")
			s.Post(t, s.Path, late.Without("code")).Error(t, 400, "invalid_request")
			s.Post(t, s.Path, exchange(s, "")).Error(t, 400, "invalid_request")
		})
	}},
	{ID: "G-31", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		f := exchange(s, code(t, s, func(r *oauth2.TokenGenerateRequest) {
			r.CodeChallenge, r.CodeChallengeMethod = challenge, oauth2.CodeChallengeS256
		}))
		before := all(t, s)
		s.Post(t, s.Path, f).Error(t, 400, "invalid_grant")
		s.Post(t, s.Path, f.Changed("code_verifier", strings.Repeat("v", 43))).Error(t, 400, "invalid_grant")
		after := all(t, s)
		for _, g := range after {
			if g.Code != nil {
				g.Code.Tries = 0
			}
		}
		onlyChanged(t, before, after)
		s.Whoami(t, ok5(t, s, s.Post(t, s.Path, f.Changed("code_verifier", verifier))).Member("access_token"), "user:u1", "acme")
	}},
	{ID: "G-32", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		f := exchange(s, code(t, s))
		s.Unchanged(t, func() {
			s.Post(t, s.Path, f.Changed("redirect_uri", callback+"/")).Error(t, 400, "invalid_grant")
		})
		s.Whoami(t, ok5(t, s, s.Post(t, s.Path, f.Changed("redirect_uri", callback))).Member("access_token"), "user:u1", "acme")
	}},
	{ID: "G-33", Paths: []string{v5a}, Run: func(t *testing.T, s *server) {
		before := all(t, s)
		one := ok5(t, s, s.Post(t, s.Path, onBehalf(s, "a1")))
		two := ok5(t, s, s.Post(t, s.Path, onBehalf(s, "a1")))
		tokens := []string{one.Member("access_token"), one.Member("refresh_token"), two.Member("access_token"), two.Member("refresh_token")}
		slices.Sort(tokens)
		if len(slices.Compact(tokens)) != 4 {
			t.Error("the tokens are not four")
		}
		first, second := grantOf(t, s, one.Member("access_token")), grantOf(t, s, two.Member("access_token"))
		if first == second {
			t.Error("both are of one grant")
		}
		onlyChanged(t, before, all(t, s), first, second)
		s.Whoami(t, one.Member("access_token"), "accountant:a1", "acme")
		s.Whoami(t, two.Member("access_token"), "accountant:a1", "acme")
	}},
	{ID: "G-34", Paths: []string{v5, v4}, Run: func(t *testing.T, s *server) {
		before := all(t, s)
		a := ok5(t, s, s.Post(t, s.Path, onBehalf(s, "u1")))
		id := grantOf(t, s, a.Member("access_token"))
		if before[id] != nil {
			t.Error("no new grant")
		}
		onlyChanged(t, before, all(t, s), id)
		s.Whoami(t, a.Member("access_token"), "user:u1", "acme")
	}},
	{ID: "G-35", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		refused(t, s, 400, "invalid_request", onBehalf(s, ""), onBehalf(s, "").Without("userId"))
	}},
	{ID: "G-36", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		forms := []golden.Form{onBehalf(s, "nobody"), onBehalf(s, "u3")}
		if s.Path != v5a {
			forms = append(forms, onBehalf(s, "a1"))
		}
		if bodies := slices.Compact(refused(t, s, 400, "invalid_grant", forms...)); len(bodies) != 1 {
			t.Errorf("they differ: %q", bodies)
		}
	}},
	{ID: "G-37", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		*s.Fixtures.down = errors.New("the database is down")
		refused(t, s, 503, "temporarily_unavailable", onBehalf(s, "u1"), onBehalf(s, "a1"))
	}},
	{ID: "G-38", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		token := ok5(t, s, s.Post(t, v5a, onBehalf(s, "a1"))).Member("refresh_token")
		rotated(t, s, token, "accountant:a1", "acme", func() *golden.Answer {
			return s.Post(t, s.Path, base(s).Changed("refresh_token", token, "userId", "u2"))
		})
	}},
	{ID: "G-39", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		further, accountant := s.Fixtures.issue(t, "acme", "user:u1"), s.Fixtures.issue(t, "acme", "accountant:a1")
		before := all(t, s)
		if n, err := s.Fixtures.manager.End(t.Context(), storage.Filter{Client: "acme", User: "user:u1"}); n != 2 || err != nil {
			t.Fatal(n, err)
		}
		var ended []storage.ID
		for _, info := range []oauth2.TokenInfo{s.Fixtures.acme, further} {
			s.Dead(t, info.GetAccess())
			s.Post(t, s.Path, base(s).Changed("refresh_token", info.GetRefresh())).Error(t, 400, "invalid_grant")
			id, _ := grants.GrantID(info)
			ended = append(ended, id)
		}
		onlyChanged(t, before, all(t, s), ended...)
		for _, of := range []struct {
			info              oauth2.TokenInfo
			sub, client, word string
		}{
			{accountant, "accountant:a1", "acme", "acme-secret"},
			{s.Fixtures.beta, "user:u3", "beta", "beta-secret"},
			{s.Fixtures.odd, "user:u1", "odd", oddSecret}, // u1, but not at acme
		} {
			s.Whoami(t, of.info.GetAccess(), of.sub, of.client)
			rotated(t, s, of.info.GetRefresh(), of.sub, of.client, func() *golden.Answer {
				return s.Post(t, s.Path, refresh(of.client, of.word, of.info.GetRefresh()))
			})
		}
	}},
	{ID: "G-40", Paths: []string{userTokenRoute}, Run: func(t *testing.T, s *server) {
		accountant := s.Fixtures.issue(t, "acme", "accountant:a1")
		before := all(t, s)
		a := s.Post(t, s.Path, golden.Form{"userId", "u1"}, golden.Bearer(accountant.GetAccess()))
		issued(t, s, a.Only(t, "access_token", "expires_in", "created_at", "scope"))
		s.Whoami(t, a.Member("access_token"), "user:u1", "acme")
		id, after := grantOf(t, s, a.Member("access_token")), all(t, s)
		if before[id] != nil || after[id].Refresh != nil {
			t.Errorf("no new grant, or one with a refresh token: %+v", after[id])
		}
		onlyChanged(t, before, after, id)
	}},
	{ID: "G-41", Paths: []string{userTokenRoute}, Run: func(t *testing.T, s *server) {
		accountant := golden.Bearer(s.Fixtures.issue(t, "acme", "accountant:a1").GetAccess())
		u1, u2, blank := golden.Form{"userId", "u1"}, golden.Form{"userId", "u2"}, golden.Form{"userId", ""}
		same(t, s, func() {
			a := s.Post(t, s.Path, u1)
			if challenge := a.Header.Get("WWW-Authenticate"); a.Status != 401 || !strings.HasPrefix(challenge, "Bearer ") || strings.Contains(challenge, "error") || a.Body != "" {
				t.Errorf("want a bare challenge, got %s", a)
			}
			a = s.Post(t, s.Path, u1, golden.Bearer("garbage")).Error(t, 401, "invalid_token")
			if !strings.Contains(a.Header.Get("WWW-Authenticate"), `error="invalid_token"`) {
				t.Errorf("want a challenge that says the same, got %s", a)
			}
			s.Post(t, s.Path, blank, accountant).Error(t, 400, "invalid_request")
			s.Post(t, s.Path, append(u1, u1...), accountant).Error(t, 400, "invalid_request")
			s.Post(t, s.Path, u2, accountant).Error(t, 403, "access_denied")
			s.Post(t, s.Path, u1, golden.Bearer(s.Fixtures.acme.GetAccess())).Error(t, 403, "access_denied")
		})
	}},
	{ID: "G-42", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		form, r0 := base(s).Encode(), s.Fixtures.acme.GetRefresh()
		multipart := ""
		for f := base(s); len(f) > 0; f = f[2:] {
			multipart += "--b\r\nContent-Disposition: form-data; name=\"" + f[0] + "\"\r\n\r\n" + f[1] + "\r\n"
		}
		same(t, s, func() {
			for _, try := range []struct{ mediaType, body string }{
				{"application/json", `{"client_id":"acme","client_secret":"acme-secret","grant_type":"refresh_token","refresh_token":"` + r0 + `"}`},
				{"application/json", form},
				{"multipart/form-data; boundary=b", multipart + "--b--\r\n"},
				{"text/plain", form},
				{golden.FormType, strings.Replace(form, "refresh_token="+r0, "refresh_token=%zz", 1)},
			} {
				s.Send(t, "POST", s.Path, try.body, golden.Header{Name: "Content-Type", Value: try.mediaType}).Error(t, 400, "invalid_request")
			}
			large := form + "&x=" + strings.Repeat("x", 64<<10+1-len(form)-len("&x="))
			s.Send(t, "POST", s.Path, large, contentType).Error(t, 413, "invalid_request")
		})
	}},
	{ID: "G-43", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		var forms []golden.Form
		for f := base(s); len(f) > 0; f = f[2:] {
			name, value := f[0], f[1]
			if value == "" {
				value = "x"
			}
			for _, second := range []string{value, "other", ""} {
				forms = append(forms, append(base(s).Changed(name, value), name, second))
			}
		}
		if len(forms) != 18 {
			t.Fatal(len(forms))
		}
		refused(t, s, 400, "invalid_request", forms...)
	}},
	{ID: "G-44", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			for name, value := range map[string]string{"client_secret": "acme-secret", "refresh_token": s.Fixtures.acme.GetRefresh()} {
				s.Post(t, s.Path+"?"+name+"="+value, base(s).Without(name)).Error(t, 400, "invalid_request")
				s.Post(t, s.Path+"?"+name+"="+value, base(s)).Error(t, 400, "invalid_request")
			}
		})
	}},
	{ID: "G-45", Paths: append(slices.Clone(tokenPaths), userTokenRoute), Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			for _, method := range []string{"GET", "PUT", "DELETE"} {
				a := s.Send(t, method, s.Path, base(s).Encode(), contentType)
				if a.Status != 405 || !slices.Equal(a.Header.Values("Allow"), []string{"POST"}) {
					t.Errorf("%s: %s", method, a)
				}
			}
		})
	}},
	{ID: "G-46", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		same(t, s, func() {
			for _, broken := range []testbed.Fault{testbed.Fail, testbed.Hang} {
				for _, of := range [][3]testbed.Fault{{broken, nil, nil}, {nil, broken, nil}, {nil, nil, broken}} {
					s.Store.Break(of[0], of[1], of[2])
					s.Post(t, s.Path, base(s)).Error(t, 503, "temporarily_unavailable")
				}
			}
			s.Store.Break(nil, nil, nil)
		})
	}},
	{ID: "G-47", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
		s.Unchanged(t, func() {
			s.Post(t, s.Path, base(s).Changed("scope", "admin")).Error(t, 400, "invalid_scope")
		})
		again(t, s, base(s).Changed("scope", "token"))
	}},
	{ID: "G-48", Paths: []string{v4}, Run: func(t *testing.T, s *server) {
		ctx := context.WithValue(t.Context(), xoauth2.HTTPClient, s.Client())
		for _, style := range []xoauth2.AuthStyle{xoauth2.AuthStyleAutoDetect, xoauth2.AuthStyleInHeader, xoauth2.AuthStyleInParams} {
			config := &xoauth2.Config{
				ClientID: "acme", ClientSecret: "acme-secret",
				Endpoint: xoauth2.Endpoint{TokenURL: s.URL(v4), AuthStyle: style},
			}
			first, err := config.Exchange(ctx, code(t, s))
			if err != nil {
				t.Fatal(err)
			}
			if first.Type() != "Bearer" || first.TokenType != "" || !first.Expiry.Equal(time.Now().Add(accessLife*time.Second)) {
				t.Errorf("got %q, until %v", first.Type(), first.Expiry)
			}
			id := grantOf(t, s, first.AccessToken)
			before := all(t, s)
			source := config.TokenSource(ctx, first)
			client := xoauth2.NewClient(ctx, source)
			for _, wait := range []int64{0, accessLife} {
				golden.Pass(wait)
				res, err := client.Get(s.URL("/api/whoami"))
				if err != nil {
					t.Fatal(err)
				}
				res.Body.Close()
				if res.StatusCode != http.StatusOK {
					t.Errorf("whoami: %s", res.Status)
				}
			}
			second, err := source.Token()
			if err != nil {
				t.Fatal(err)
			}
			if second.AccessToken == first.AccessToken || second.RefreshToken == first.RefreshToken || second.Type() != "Bearer" {
				t.Error("not refreshed")
			}
			s.Secret(first.AccessToken, first.RefreshToken, second.AccessToken, second.RefreshToken)
			after := all(t, s)
			if grantOf(t, s, second.AccessToken) != id || after[id].Refresh.Previous != before[id].Refresh.Current {
				t.Error("another grant, or not rotated")
			}
			onlyChanged(t, before, after, id)
		}
	}},
}
