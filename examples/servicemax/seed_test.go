package main

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/examples/internal/golden"
	"github.com/ostiary-go/ostiary/examples/internal/login"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// The clients of the cases. I is the one of the documentation.
const (
	I = demoClient
	J = "57d22b28e0c5962541889196"
	K = "57d22b28e0c5962541889197" // has a secret
	L = "57d22b28e0c5962541889198" // code only
)

// F is a refresh token that the old system gave out, good for fLives seconds more.
const (
	F      = "Zm9v+YmFy/cXV4=="
	fLives = 1000000
)

// The exact bodies of errors.
const (
	bodyRequest = `{"error":"invalid_request"}`
	bodyGrant   = `{"error":"invalid_grant"}`
	bodyClient  = `{"error":"invalid_client","error_description":"client is invalid"}`
	bodyToken   = `{"error":"invalid_token","error_description":"invalid token provided"}`
	bodyFailure = `{"error":"server_error"}`
)

const revokePath = "/sec/auth/token/revoke"

var tokenPaths = []string{"/sec/auth/token", "/auth/token"}

// issued is a pair of tokens of w1's.
type issued struct{ access, refresh string }

// fixtures are what the cases find.
type fixtures struct {
	i, j, l issued
	unknown issued // of another server: well-formed, and unknown here
	again   func(t *testing.T) issued
}

type server = golden.Server[fixtures]

// signIn is outside of the bubbles of the cases, with whoever tidies up its sessions.
var signIn = login.Of(map[string]string{"w1": "one"})

func issue(t *testing.T, m *grants.Manager, client string) issued {
	t.Helper()
	info, err := m.Issue(t.Context(), grants.Issue{Client: client, User: "w1"})
	if err != nil {
		t.Fatal(err)
	}
	return issued{info.GetAccess(), info.GetRefresh()}
}

func put(t *testing.T, store testbed.Store, c *storage.Client) {
	t.Helper()
	if err := store.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
}

// setup is the server of the example with the fixtures of section 6.
func setup(t *testing.T, store testbed.Store, logger *slog.Logger) (http.Handler, fixtures) {
	k := client(K)
	k.Public, k.InsecurePublicNoRotation, k.Secret = false, false, storage.HashGenerated("k-secret")
	for _, c := range []*storage.Client{client(I), client(J), k, client(L)} {
		put(t, store, c)
	}
	m := newManager(store, grants.Logger(logger), grants.Issuer("https://max.example"))
	f := fixtures{
		i: issue(t, m, I), j: issue(t, m, J), l: issue(t, m, L), unknown: elsewhere(t),
		again: func(t *testing.T) issued { return issue(t, m, I) },
	}
	l := client(L)
	l.GrantTypes = []string{"authorization_code"}
	put(t, store, l)
	_, err := m.Import(t.Context(), grants.Import{
		Client: I, User: "w1", Scope: "token",
		Refresh: grants.ImportedToken{Token: F, Expires: time.Now().Add(fLives * time.Second)},
	})
	if err != nil {
		t.Fatal(err)
	}
	return routes(m, signIn), f
}

// elsewhere issues tokens on a server of its own.
func elsewhere(t *testing.T) issued {
	store, err := bolt.Open(filepath.Join(t.TempDir(), "elsewhere.db"), bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	put(t, store, client(I))
	return issue(t, newManager(store), I)
}

// baseS and baseV are the requests that the cases alter.
func baseS(s *server) golden.Form {
	return golden.Form{"grant_type", "refresh_token", "client_id", I, "refresh_token", s.Fixtures.i.refresh}
}

func baseV(s *server) golden.Form {
	return golden.Form{"token", s.Fixtures.i.refresh, "client_id", I}
}

var accessShape = regexp.MustCompile(`^[A-Za-z0-9._~+/-]{43,}=*$`)

// oks fails unless a is OKS, whose access token it returns.
func oks(t *testing.T, a *golden.Answer) (access string) {
	t.Helper()
	a.Only(t, "access_token", "token_type", "expires_in")
	access = a.Member("access_token")
	if !accessShape.MatchString(access) || a.Member("token_type") != "bearer" || a.Number(t, "expires_in") != 86400 {
		t.Fatalf("want OKS, got %s", a)
	}
	return access
}

// refreshes fails unless the token of that client's refreshes on both paths.
func refreshes(t *testing.T, s *server, client, refresh string) {
	t.Helper()
	for _, path := range tokenPaths {
		access := oks(t, s.Post(t, path, baseS(s).Changed("client_id", client, "refresh_token", refresh)))
		s.Whoami(t, access, "w1", client)
	}
}

// dead fails unless the refresh token of I's is refused.
func dead(t *testing.T, s *server, refresh string) {
	t.Helper()
	for _, path := range tokenPaths {
		s.Post(t, path, baseS(s).Changed("refresh_token", refresh)).Exactly(t, 401, bodyToken)
	}
}

// alive fails unless all tokens of the fixtures work.
func alive(t *testing.T, s *server) {
	t.Helper()
	s.Whoami(t, s.Fixtures.i.access, "w1", I)
	s.Whoami(t, s.Fixtures.j.access, "w1", J)
	s.Whoami(t, s.Fixtures.l.access, "w1", L)
	refreshes(t, s, I, s.Fixtures.i.refresh)
	refreshes(t, s, J, s.Fixtures.j.refresh)
	refreshes(t, s, I, F)
}

// same is the "=" of the table.
func same(t *testing.T, s *server, do func()) {
	t.Helper()
	s.Unchanged(t, do)
	alive(t, s)
}

// refresh is what the store keeps of the refresh token of I's that the fixtures issued.
func refresh(t *testing.T, s *server) (kept storage.Refresh) {
	t.Helper()
	n := 0
	for g, err := range s.Store.Grants(t.Context(), storage.Filter{Client: I}) {
		if err != nil {
			t.Fatal(err)
		}
		if g.Refresh != nil && g.Refresh.Ancestor.IsZero() { // not imported
			kept, n = *g.Refresh, n+1
		}
	}
	if n != 1 {
		t.Fatalf("%d grants of I's", n)
	}
	return kept
}

// asG49 fails unless do leaves what row G-49 says: the refresh token as it was, AS valid.
func asG49(t *testing.T, s *server, do func()) {
	t.Helper()
	before := refresh(t, s)
	do()
	if after := refresh(t, s); after.Current != before.Current || !after.Expires.Equal(before.Expires) || !after.Previous.IsZero() {
		t.Errorf("the refresh token was %+v and is %+v", before, after)
	}
	s.Whoami(t, s.Fixtures.i.access, "w1", I)
	refreshes(t, s, I, s.Fixtures.i.refresh)
}

// raw posts a body as it stands there.
func raw(t *testing.T, s *server, path, body string) *golden.Answer {
	t.Helper()
	return s.Send(t, "POST", path, body, golden.Header{Name: "Content-Type", Value: golden.FormType})
}

// repeats are f with each parameter once more: the same value, another, a blank before and after.
func repeats(f golden.Form) (all []golden.Form) {
	for i := 0; i < len(f); i += 2 {
		name, value := f[i], f[i+1]
		all = append(all,
			append(slices.Clone(f), name, value),
			append(slices.Clone(f), name, "other"),
			append(slices.Clone(f), name, ""),
			append(golden.Form{name, ""}, f...))
	}
	return all
}

// asJSON posts f as a JSON object.
func asJSON(t *testing.T, s *server, path string, f golden.Form) *golden.Answer {
	t.Helper()
	var members []string
	for i := 0; i < len(f); i += 2 {
		members = append(members, `"`+f[i]+`":"`+f[i+1]+`"`)
	}
	return s.Send(t, "POST", path, "{"+strings.Join(members, ",")+"}", golden.Header{Name: "Content-Type", Value: "application/json"})
}

// explode is a store that panics.
func explode(context.Context) error { panic("a bug") }

// cookies are left over from another system.
var cookies = golden.Header{Name: "Cookie", Value: "JSESSIONID=stale; tenant=x"}

func TestSeedContracts(t *testing.T) {
	golden.Run(t, []golden.Case[fixtures]{
		{ID: "G-27", Run: func(t *testing.T, s *server) { // what the contract leaves open: the first tokens
			const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM" // RFC 7636 B
			const callback = "http://127.0.0.1:4711/callback"
			query := golden.Form{"response_type", "code", "client_id", I, "redirect_uri", callback, "state", "xyz", "code_challenge", challenge, "code_challenge_method", "S256"}
			sent := s.Approve(t, "/oauth/authorize?"+query.Encode(), "w1", "one").Query()
			if sent.Get("state") != "xyz" || sent.Get("iss") != "https://max.example" {
				t.Errorf("sent back with %v", sent)
			}
			a := s.Post(t, "/oauth/token", golden.Form{"grant_type", "authorization_code", "client_id", I, "code", sent.Get("code"), "code_verifier", verifier, "redirect_uri", callback})
			if a.Status != 200 || a.Member("refresh_token") == "" {
				t.Fatalf("got %s", a)
			}
			s.Whoami(t, a.Member("access_token"), "w1", I)
			if a := s.Post(t, "/sec/auth/token", baseS(s).Changed("refresh_token", a.Member("refresh_token"))); a.Status != 200 {
				t.Errorf("got %s", a)
			}
		}},
		{ID: "G-45", Paths: append([]string{revokePath, "/oauth/token"}, tokenPaths...), Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				for _, method := range []string{"GET", "PUT", "DELETE"} {
					for _, body := range []string{"", baseS(s).Encode(), baseV(s).Encode()} {
						a := s.Send(t, method, s.Path, body, golden.Header{Name: "Content-Type", Value: golden.FormType})
						if a.Status != 405 || !slices.Equal(a.Header.Values("Allow"), []string{"POST"}) {
							t.Errorf("%s is answered %s", method, a)
						}
					}
				}
			})
		}},
		{ID: "G-49", Paths: tokenPaths, Run: func(t *testing.T, s *server) { // the real curl: TestCurl
			asG49(t, s, func() {
				var got []string
				for range 3 {
					got = append(got, oks(t, raw(t, s, s.Path, "grant_type=refresh_token&client_id="+I+"&refresh_token="+s.Fixtures.i.refresh)))
				}
				for _, access := range got {
					s.Whoami(t, access, "w1", I)
				}
				if slices.Sort(got); len(slices.Compact(got)) != 3 {
					t.Error("an access token came twice")
				}
			})
		}},
		{ID: "G-50", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			asG49(t, s, func() {
				for _, bearer := range []string{s.Fixtures.i.access, s.Fixtures.j.access, "gar bage!", ""} {
					s.Whoami(t, oks(t, s.Post(t, s.Path, baseS(s), golden.Bearer(bearer))), "w1", I)
				}
			})
			golden.Pass(86401)
			s.Dead(t, s.Fixtures.i.access)
			s.Whoami(t, oks(t, s.Post(t, s.Path, baseS(s), golden.Bearer(s.Fixtures.i.access))), "w1", I)
		}},
		{ID: "G-51", Paths: tokenPaths, Run: func(t *testing.T, s *server) { // Post looks for Set-Cookie
			asG49(t, s, func() { s.Whoami(t, oks(t, s.Post(t, s.Path, baseS(s), cookies)), "w1", I) })
			s.Post(t, revokePath, baseV(s), cookies).Empty(t)
			s.Post(t, s.Path, baseS(s), cookies).Exactly(t, 401, bodyToken)
			s.Dead(t, s.Fixtures.i.access)
		}},
		{ID: "G-52", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			asG49(t, s, func() {
				a := s.Post(t, s.Path, append(baseS(s), "csrf_token", "x"), golden.Header{Name: "Origin", Value: "https://other.example"},
					golden.Header{Name: "Sec-Fetch-Site", Value: "cross-site"}, golden.Header{Name: "X-CSRF-Token", Value: "x"})
				s.Whoami(t, oks(t, a), "w1", I)
			})
		}},
		{ID: "G-53", Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				if a := s.Get(t, "/resources/js/csrf_script"); a.Status != 404 || a.Header.Values("Set-Cookie") != nil {
					t.Errorf("answered %s", a)
				}
			})
		}},
		{ID: "G-54", Run: func(t *testing.T, s *server) {
			s.Unchanged(t, func() {
				s.Whoami(t, s.Fixtures.i.access, "w1", I)
				golden.Pass(86399)
				s.Whoami(t, s.Fixtures.i.access, "w1", I)
				golden.Pass(2)
				s.Dead(t, s.Fixtures.i.access)
			})
			refreshes(t, s, I, s.Fixtures.i.refresh)
		}},
		{ID: "G-55", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			golden.Pass(86401)
			s.Dead(t, s.Fixtures.i.access)
			s.Whoami(t, oks(t, s.Post(t, s.Path, baseS(s))), "w1", I)
			golden.Pass(2592000 - 86401 - 1)
			oks(t, s.Post(t, s.Path, baseS(s)))
			golden.Pass(2)
			s.Unchanged(t, func() { s.Post(t, s.Path, baseS(s)).Exactly(t, 401, bodyToken) })
		}},
		{ID: "G-56", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				raw(t, s, s.Path, "grant_type=refresh_token&client_id=57d22b28e0c5962541889195&refresh_token=").Exactly(t, 400, bodyRequest)
				raw(t, s, s.Path, "").Exactly(t, 400, bodyRequest)
				for _, name := range []string{"grant_type", "client_id", "refresh_token"} {
					s.Post(t, s.Path, baseS(s).Without(name)).Exactly(t, 400, bodyRequest)
					s.Post(t, s.Path, baseS(s).Changed(name, "")).Exactly(t, 400, bodyRequest)
				}
			})
		}},
		{ID: "G-57", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				for _, grantType := range []string{"password", "authorization_code", "client_credentials", "x"} {
					f := baseS(s).Changed("grant_type", grantType)
					for _, without := range [][]string{nil, {"client_id"}, {"refresh_token"}, {"client_id", "refresh_token"}} {
						s.Post(t, s.Path, f.Without(without...)).Exactly(t, 400, bodyGrant)
					}
				}
			})
		}},
		{ID: "G-58", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				unknown := baseS(s).Changed("client_id", "57d22b28e0c5962541889100")
				s.Post(t, s.Path, unknown).Exactly(t, 400, bodyClient)
				s.Post(t, s.Path, unknown.Changed("refresh_token", s.Fixtures.unknown.refresh)).Exactly(t, 400, bodyClient)
				k := baseS(s).Changed("client_id", K)
				s.Post(t, s.Path, k).Exactly(t, 400, bodyClient)
				s.Post(t, s.Path, append(k, "client_secret", "k-secret")).Exactly(t, 400, bodyClient) // which can't be sent here
				s.Post(t, s.Path, k, basicK).Exactly(t, 400, bodyClient)
				s.Post(t, s.Path, baseS(s).Changed("client_id", L, "refresh_token", s.Fixtures.l.refresh)).Exactly(t, 400, bodyGrant)
			})
		}},
		{ID: "G-59", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				for _, refresh := range []string{s.Fixtures.unknown.refresh, "abc", s.Fixtures.i.access} {
					s.Post(t, s.Path, baseS(s).Changed("refresh_token", refresh)).Exactly(t, 401, bodyToken)
				}
			})
		}},
		{ID: "G-60", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() { s.Post(t, s.Path, baseS(s).Changed("client_id", J)).Exactly(t, 401, bodyToken) })
		}},
		{ID: "G-61", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				for _, f := range repeats(baseS(s)) {
					s.Post(t, s.Path, f).Exactly(t, 400, bodyRequest)
				}
				for _, scope := range []string{"admin", "token  token"} { // no parameter of the contract's: any other refusal
					s.Post(t, s.Path, append(baseS(s), "scope", scope)).Exactly(t, 400, bodyRequest)
				}
				asJSON(t, s, s.Path, baseS(s)).Exactly(t, 400, bodyRequest)
				s.Post(t, s.Path+"?"+baseS(s).Encode(), nil).Exactly(t, 400, bodyRequest)
				for i := 0; i < 6; i += 2 { // one of them there instead, or as well
					name, query := baseS(s)[i], "?"+baseS(s)[i:i+2].Encode()
					s.Post(t, s.Path+query, baseS(s).Without(name)).Exactly(t, 400, bodyRequest)
					s.Post(t, s.Path+query, baseS(s)).Exactly(t, 400, bodyRequest)
				}
				raw(t, s, s.Path, baseS(s).Changed("refresh_token", "").Encode()+"%zz").Exactly(t, 400, bodyRequest)
				raw(t, s, s.Path, baseS(s).Encode()+"&x=%zz").Exactly(t, 400, bodyRequest)
				long := baseS(s).Encode() + "&x="
				raw(t, s, s.Path, long+strings.Repeat("x", 64<<10+1-len(long))).Exactly(t, 413, bodyRequest)
			})
			long := baseS(s).Encode() + "&x="
			oks(t, raw(t, s, s.Path, long+strings.Repeat("x", 64<<10-len(long)))) // the limit itself
		}},
		{ID: "G-62", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			encoded := "grant_type=refresh_token&client_id=" + I + "&refresh_token=Zm9v%2BYmFy%2FcXV4%3D%3D"
			for range 2 {
				s.Whoami(t, oks(t, raw(t, s, s.Path, encoded)), "w1", I)
			}
			same(t, s, func() {
				raw(t, s, s.Path, "grant_type=refresh_token&client_id="+I+"&refresh_token="+F).Exactly(t, 401, bodyToken)
			})
			golden.Pass(fLives - 1)
			oks(t, raw(t, s, s.Path, encoded))
			golden.Pass(2) // honoured until it expires, however often it was used
			s.Unchanged(t, func() { raw(t, s, s.Path, encoded).Exactly(t, 401, bodyToken) })
		}},
		{ID: "G-63", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				s.Store.Break(explode, nil, nil)
				s.Post(t, s.Path, baseS(s)).Exactly(t, 500, bodyFailure)
				for _, fault := range []testbed.Fault{testbed.Fail, testbed.Hang} {
					s.Store.Break(fault, nil, nil)
					s.Post(t, s.Path, baseS(s)).Exactly(t, 500, bodyFailure)
					s.Store.Break(nil, fault, nil)
					s.Post(t, s.Path, baseS(s)).Exactly(t, 500, bodyFailure)
					s.Store.Break(nil, nil, fault)
					s.Post(t, s.Path, baseS(s)).Exactly(t, 500, bodyFailure)
				}
				s.Store.Break(nil, nil, nil)
			})
			if n := strings.Count(s.Log.String(), "oauth: failure"); n != 6 {
				t.Errorf("6 failures, logged %d times:\n%s", n, s.Log)
			}
		}},
		{ID: "G-64", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			s.Post(t, revokePath, baseV(s)).Empty(t)
			s.Post(t, s.Path, baseS(s)).Exactly(t, 401, bodyToken)
			s.Dead(t, s.Fixtures.i.access)
			for g, err := range s.Store.Grants(t.Context(), storage.Filter{}) {
				if mine := g.Client == I && g.Refresh != nil && g.Refresh.Ancestor.IsZero(); err != nil || mine == g.Ended.IsZero() {
					t.Errorf("%+v, %v", g, err)
				}
			}
			refreshes(t, s, J, s.Fixtures.j.refresh)
			refreshes(t, s, I, F)
		}},
		{ID: "G-65", Paths: tokenPaths, Run: func(t *testing.T, s *server) {
			other := oks(t, s.Post(t, s.Path, baseS(s)))
			s.Post(t, revokePath, baseV(s).Changed("token", s.Fixtures.i.access)).Empty(t)
			s.Dead(t, s.Fixtures.i.access)
			s.Whoami(t, oks(t, s.Post(t, s.Path, baseS(s))), "w1", I)
			s.Whoami(t, other, "w1", I)
			s.Whoami(t, s.Fixtures.j.access, "w1", J)
		}},
		{ID: "G-66", Run: func(t *testing.T, s *server) {
			for _, hint := range []string{"access_token", "refresh_token", "x", ""} {
				pair := s.Fixtures.again(t)
				f := baseV(s).Changed("token_type_hint", hint)
				s.Post(t, revokePath, f.Changed("token", pair.access)).Empty(t)
				s.Dead(t, pair.access)
				refreshes(t, s, I, pair.refresh)

				pair = s.Fixtures.again(t)
				s.Post(t, revokePath, f.Changed("token", pair.refresh)).Empty(t)
				dead(t, s, pair.refresh)
				s.Dead(t, pair.access)
			}
			alive(t, s)
		}},
		{ID: "G-67", Run: func(t *testing.T, s *server) {
			revoke := func(token string) {
				s.Unchanged(t, func() { s.Post(t, revokePath, baseV(s).Changed("token", token)).Empty(t) })
			}
			revoke("unknown")
			revoke(s.Fixtures.unknown.access)
			revoke(s.Fixtures.unknown.refresh)
			revoke("abc")
			alive(t, s)
			golden.Pass(86401)
			s.Dead(t, s.Fixtures.i.access)
			revoke(s.Fixtures.i.access)
			refreshes(t, s, I, s.Fixtures.i.refresh)

			s.Post(t, revokePath, baseV(s)).Empty(t)
			dead(t, s, s.Fixtures.i.refresh)
			revoke(s.Fixtures.i.refresh)
			revoke(s.Fixtures.i.access)
			golden.Pass(2592001)
			revoke(s.Fixtures.j.refresh)
			revoke(F)
		}},
		{ID: "G-68", Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				for _, name := range []string{"token", "client_id"} {
					s.Post(t, revokePath, baseV(s).Without(name)).Exactly(t, 400, bodyRequest)
					s.Post(t, revokePath, baseV(s).Changed(name, "")).Exactly(t, 400, bodyRequest)
				}
				for _, f := range repeats(append(baseV(s), "token_type_hint", "refresh_token")) {
					s.Post(t, revokePath, f).Exactly(t, 400, bodyRequest)
				}
				asJSON(t, s, revokePath, baseV(s)).Exactly(t, 400, bodyRequest)
			})
		}},
		{ID: "G-69", Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				s.Post(t, revokePath, baseV(s).Changed("client_id", "57d22b28e0c5962541889100")).Exactly(t, 400, bodyClient)
				s.Post(t, revokePath, baseV(s).Changed("client_id", K)).Exactly(t, 400, bodyClient)
				s.Post(t, revokePath, append(baseV(s).Changed("client_id", K), "client_secret", "k-secret")).Exactly(t, 400, bodyClient)
				s.Post(t, revokePath, baseV(s).Changed("client_id", K), basicK).Exactly(t, 400, bodyClient)
				for _, token := range []string{s.Fixtures.i.refresh, s.Fixtures.i.access, F} {
					s.Post(t, revokePath, baseV(s).Changed("client_id", J, "token", token)).Exactly(t, 400, bodyGrant)
				}
			})
		}},
		{ID: "G-70", Run: func(t *testing.T, s *server) {
			same(t, s, func() {
				s.Store.Break(testbed.Fail, nil, nil)
				s.Post(t, revokePath, baseV(s)).Exactly(t, 500, bodyFailure)
				s.Store.Break(nil, testbed.Fail, nil)
				s.Post(t, revokePath, baseV(s)).Exactly(t, 500, bodyFailure)
				s.Store.Break(testbed.Hang, nil, nil)
				s.Post(t, revokePath, baseV(s)).Exactly(t, 500, bodyFailure)
				s.Store.Break(explode, nil, nil)
				s.Post(t, revokePath, baseV(s)).Exactly(t, 500, bodyFailure)
				s.Store.Break(nil, nil, testbed.Fail) // nor can it find the client
				s.Post(t, revokePath, baseV(s)).Exactly(t, 500, bodyFailure)
				s.Store.Break(nil, nil, nil)
			})
			s.Post(t, revokePath, baseV(s)).Empty(t)
			dead(t, s, s.Fixtures.i.refresh)
			s.Dead(t, s.Fixtures.i.access)
		}},
	}, setup)
}

// First tokens (section 3.4) come from a code with PKCE, in the words of the RFCs; what it brings is
// refreshed in the platform's.
func TestFirstTokens(t *testing.T) {
	const verifier, challenge = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	put(t, store, client(I))
	m := newManager(store, grants.Issuer("https://max.example"))
	info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: I, UserID: "w1", CodeChallenge: challenge, CodeChallengeMethod: oauth2.CodeChallengeS256,
	})
	if err != nil {
		t.Fatal(err)
	}
	post := func(path string, status int, f golden.Form) (members map[string]any) {
		t.Helper()
		r := httptest.NewRequest("POST", path, strings.NewReader(f.Encode()))
		r.Header.Set("Content-Type", golden.FormType)
		w := httptest.NewRecorder()
		routes(m, signIn).ServeHTTP(w, r)
		if err := json.Unmarshal(w.Body.Bytes(), &members); err != nil || w.Code != status {
			t.Fatalf("%s: %v, %d %s", path, err, w.Code, w.Body)
		}
		return members
	}
	f := golden.Form{"grant_type", "authorization_code", "client_id", I, "code", info.GetCode()}
	post("/oauth/token", 400, f)
	f = append(f, "code_verifier", verifier)
	for _, path := range tokenPaths {
		post(path, 400, f)
	}
	pair := post("/oauth/token", 200, f)
	refresh, _ := pair["refresh_token"].(string)
	if pair["token_type"] != "Bearer" || pair["scope"] != "token" || refresh == "" {
		t.Errorf("no pair: %v", slices.Sorted(maps.Keys(pair)))
	}
	for _, path := range tokenPaths {
		post(path, 200, golden.Form{"grant_type", "refresh_token", "client_id", I, "refresh_token", refresh})
	}
}

// basicK is K's right secret, which can't be sent by Basic either.
var basicK = golden.Header{Name: "Authorization", Value: "Basic " + base64.StdEncoding.EncodeToString([]byte(K+":k-secret"))}
