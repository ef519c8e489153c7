package interop_test

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/generates"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	upstreamstore "github.com/go-oauth2/oauth2/v4/store"
	"github.com/golang-jwt/jwt/v5"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// TestFlaws shows what go-oauth2's own implementation gets wrong, and that we hold: one subtest for
// each row of the list of its flaws.
func TestFlaws(t *testing.T) {
	for _, flaw := range []struct {
		row  int
		test func(*testing.T)
	}{
		{1, refreshByAnotherClient},
		{2, refreshWidens},
		{3, codeRedeemedAtOnce},
		{4, codeReplayed},
		{5, wrongVerifierSpendsCode},
		{6, redirectURIByHostSuffix},
		{7, openRedirector},
		{8, oneJWTPerSecond},
		{9, unknownClientIs500},
		{10, wrongStatus},
		{11, missingGrantType},
		{12, parametersInQuery},
		{13, noBasicChallenge},
		{14, weakPKCE},
		{15, implicitAndPassword},
		{16, secretsInClear},
		{17, tokensInClear},
		{18, refreshInSteps},
		{19, acknowledgedBeforeOnDisk},
		{20, refreshExpiryKillsAccess},
		{21, noRevocationNoMiddleware},
		{22, anyGrantType},
		{23, wrappedClient},
		{24, narrowingForEver},
		{25, removedRefreshToken},
	} {
		t.Run(strconv.Itoa(flaw.row), flaw.test)
	}
}

// want is a refusal, or a token where the status is 200.
type want struct {
	status int
	code   string
}

func (w want) of(t *testing.T, a *answer) {
	t.Helper()
	if w.status == http.StatusOK {
		a.ok(t)
		return
	}
	a.is(t, w.status, w.code)
}

// both sends a request to go-oauth2's server and to ours, each fresh.
func both(t *testing.T, request func(s *site) *answer, fromTheirs, fromOurs want) {
	t.Helper()
	fromTheirs.of(t, request(theirs(t, newUpstream(t, nil))))
	fromOurs.of(t, request(ours(t, newGrants(t))))
}

func refreshByAnotherClient(t *testing.T) {
	both(t, func(s *site) *answer {
		return s.refresh(t, basic("b", "wrong"), s.pair(t, "a").refresh())
	}, want{200, ""}, want{401, "invalid_client"})

	s := ours(t, newGrants(t))
	pair := s.pair(t, "a")
	s.refresh(t, as("b"), pair.refresh()).is(t, 400, "invalid_grant")
	s.works(t, pair.access())
	s.refresh(t, as("a"), pair.refresh()).ok(t)
}

func refreshWidens(t *testing.T) {
	widen := func(s *site) *answer { return s.refresh(t, as("a"), s.pair(t, "a").refresh(), "scope", "admin root") }
	both(t, widen, want{200, ""}, want{400, "invalid_scope"})

	if got := widen(theirs(t, newUpstream(t, nil))).member("scope"); got != "admin root" {
		t.Errorf("upstream gave the scope %q", got)
	}
}

// codeRedeemedAtOnce lets all requests come as far as they can before any of them writes.
func codeRedeemedAtOnce(t *testing.T) {
	const n = 16
	var all sync.WaitGroup
	store, _ := openStore(t)
	for _, c := range []struct {
		site *site
		want map[int]int
	}{
		{theirs(t, newUpstream(t, meetingTokens{memoryTokens(t), &all})), map[int]int{200: n}},
		{ours(t, grantsOn(meetingStore{store, &all})), map[int]int{200: 1, 400: n - 1}},
	} {
		code := c.site.code(t, "a")
		all.Add(n)
		if got := c.site.atOnce(t, n, as("a"), redemption("a", code)...); !reflect.DeepEqual(got, c.want) {
			t.Errorf("answers by status are %v, want %v", got, c.want)
		}
	}
}

// meetingTokens lets nobody remove a code before all have read it.
type meetingTokens struct {
	oauth2.TokenStore
	all *sync.WaitGroup
}

func (m meetingTokens) RemoveByCode(ctx context.Context, code string) error {
	m.all.Done()
	m.all.Wait()
	return m.TokenStore.RemoveByCode(ctx, code)
}

// meetingStore lets nobody update a grant before all want to.
type meetingStore struct {
	storage.Store
	all *sync.WaitGroup
}

func (m meetingStore) Unwrap() storage.Store { return m.Store }

func (m meetingStore) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	m.all.Done()
	m.all.Wait()
	return m.Store.Update(ctx, id, change)
}

func codeReplayed(t *testing.T) {
	upstream := theirs(t, newUpstream(t, nil))
	code := upstream.code(t, "a")
	pair := upstream.redeem(t, "a", code).ok(t)
	upstream.redeem(t, "a", code).is(t, 401, "invalid_grant")
	upstream.works(t, pair.access())
	upstream.refresh(t, as("a"), pair.refresh()).ok(t)

	s := ours(t, newGrants(t))
	code = s.code(t, "a")
	pair = s.redeem(t, "a", code).ok(t)
	for _, stolen := range []struct {
		who auth
		set []string
		want
	}{
		{as("b"), nil, want{400, "invalid_grant"}},
		{basic("a", "wrong"), nil, want{401, "invalid_client"}},
		{as("a"), []string{"redirect_uri", callback("b")}, want{400, "invalid_grant"}},
		{as("a"), []string{"code_verifier", otherVerifier}, want{400, "invalid_grant"}},
	} {
		stolen.of(t, s.token(t, stolen.who, merge(redemption("a", code), stolen.set...)...))
		s.works(t, pair.access())
	}
	s.redeem(t, "a", code).is(t, 400, "invalid_grant")
	s.dead(t, pair.access())
	s.refresh(t, as("a"), pair.refresh()).is(t, 400, "invalid_grant")
}

func wrongVerifierSpendsCode(t *testing.T) {
	wrongly := func(s *site, code string) *answer {
		return s.token(t, as("a"), merge(redemption("a", code), "code_verifier", otherVerifier)...)
	}
	both(t, func(s *site) *answer {
		code := s.code(t, "a")
		if a := wrongly(s, code); a.member("error") != "invalid_grant" {
			t.Errorf("a wrong verifier brought %s", a)
		}
		return s.redeem(t, "a", code)
	}, want{401, "invalid_grant"}, want{200, ""})

	s := ours(t, newGrants(t))
	code := s.code(t, "a")
	for range 5 {
		wrongly(s, code).is(t, 400, "invalid_grant")
	}
	s.redeem(t, "a", code).is(t, 400, "invalid_grant")
}

// signIn is the query of an authorization request of a client's.
func signIn(client string) url.Values {
	return form("response_type", "code", "client_id", client, "redirect_uri", callback(client), "scope", "read write",
		"state", "xyz", "code_challenge", challenge, "code_challenge_method", "S256")
}

func redirectURIByHostSuffix(t *testing.T) {
	upstream, m := theirs(t, newUpstream(t, nil)), newGrants(t)
	drivingOurs := theirs(t, m)
	for _, uri := range []string{"https://evila.example/cb", "https://evil.a.example/cb", "https://a.example/any/path", "http://a.example/cb"} {
		query := signIn("a")
		query.Set("redirect_uri", uri)
		to := upstream.authorize(t, query).location(t)
		if to.Query().Get("code") == "" || !strings.HasPrefix(to.String(), uri) {
			t.Errorf("upstream refused %s: %s", uri, to)
		}
		if to := drivingOurs.authorize(t, query).location(t); to.Query().Get("code") != "" {
			t.Errorf("our manager gave a code to %s", uri)
		}
		tgr := authorization("a")
		tgr.RedirectURI = uri
		if info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, tgr); err != oerr.ErrInvalidRedirectURI {
			t.Errorf("%s: %v, %v", uri, info, err)
		}
	}
}

func openRedirector(t *testing.T) {
	const evil = "https://evil.test/cb"
	upstream, m := theirs(t, newUpstream(t, nil)), newGrants(t, grants.Issuer("https://auth.example"))
	s := ours(t, m)
	for client, want := range map[string]error{"a": oerr.ErrInvalidRedirectURI, "nobody": oerr.ErrInvalidClient} {
		query := signIn(client)
		query.Set("redirect_uri", evil)
		if to := upstream.authorize(t, query).location(t); !strings.HasPrefix(to.String(), evil) {
			t.Errorf("upstream redirected to %s", to)
		}
		tgr := authorization(client)
		tgr.RedirectURI = evil
		if info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, tgr); err != want {
			t.Errorf("%s: %v, %v, want %v", client, info, err, want)
		}
		if a := s.authorize(t, query); a.status != 400 || a.header.Get("Location") != "" || strings.Contains(a.body, evil) {
			t.Errorf("%s: got %s", client, a)
		}
	}
}

func oneJWTPerSecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // which stands still
		upstream := newUpstream(t, make(tokensForEver))
		upstream.MapAccessGenerate(generates.NewJWTAccessGenerate("", []byte("a secret of theirs"), jwt.SigningMethodHS256))
		m := newGrants(t, signing(t)...)
		for _, c := range []struct {
			site  *site
			equal bool
		}{{listenOnPipes(t, upstream, theirRoutes(upstream)), true}, {listenOnPipes(t, m, ourRoutes(m)), false}} {
			var tokens [2]string
			for i := range tokens {
				tokens[i] = c.site.token(t, as("svc"), "grant_type", "client_credentials").ok(t).access()
			}
			if strings.Count(tokens[0], ".") != 2 || (tokens[0] == tokens[1]) != c.equal {
				t.Errorf("equal %t, want %t: %q", tokens[0] == tokens[1], c.equal, tokens)
			}
			for _, token := range tokens {
				c.site.works(t, token)
			}
		}
	})
}

func unknownClientIs500(t *testing.T) {
	both(t, func(s *site) *answer {
		return s.token(t, as("nobody"), "grant_type", "client_credentials")
	}, want{500, "server_error"}, want{401, "invalid_client"})
}

func wrongStatus(t *testing.T) {
	for code, request := range map[string]func(s *site) *answer{
		"invalid_grant":          func(s *site) *answer { return s.redeem(t, "a", "nonsense") },
		"unsupported_grant_type": func(s *site) *answer { return s.token(t, as("svc"), "grant_type", "urn:x") },
	} {
		both(t, request, want{401, code}, want{400, code})
	}
	allowed := func(s *server.Server) {
		s.ClientAuthorizedHandler = func(client string, gt oauth2.GrantType) (bool, error) {
			return client != "a" || gt != oauth2.ClientCredentials, nil
		}
	}
	forbidden := func(s *site) *answer { return s.token(t, as("a"), "grant_type", "client_credentials") }
	forbidden(theirs(t, newUpstream(t, nil), allowed)).is(t, 401, "unauthorized_client")
	forbidden(ours(t, newGrants(t))).is(t, 400, "unauthorized_client")
}

func missingGrantType(t *testing.T) {
	both(t, func(s *site) *answer { return s.token(t, as("svc")) }, want{401, "unsupported_grant_type"}, want{400, "invalid_request"})
}

func parametersInQuery(t *testing.T) {
	both(t, func(s *site) *answer {
		return s.post(t, "/token?grant_type=client_credentials&scope=read", as("svc"))
	}, want{200, ""}, want{400, "invalid_request"})

	credentials := func(s *site) *answer {
		return s.post(t, "/token?client_id=svc&client_secret=svc-secret", inBody, "grant_type", "client_credentials")
	}
	credentials(theirs(t, newUpstream(t, nil), clientsByForm)).ok(t)
	credentials(ours(t, newGrants(t))).is(t, 400, "invalid_request")
}

func clientsByForm(s *server.Server) { s.ClientInfoHandler = server.ClientFormHandler }

func noBasicChallenge(t *testing.T) {
	for _, c := range []struct {
		site *site
		want string
	}{{theirs(t, newUpstream(t, nil)), ""}, {ours(t, newGrants(t)), `Basic realm="oauth"`}} {
		a := c.site.token(t, basic("svc", "wrong"), "grant_type", "client_credentials").is(t, 401, "invalid_client")
		if got := a.header.Get("WWW-Authenticate"); got != c.want {
			t.Errorf("WWW-Authenticate is %q, want %q", got, c.want)
		}
	}
}

func weakPKCE(t *testing.T) {
	upstream, m := theirs(t, newUpstream(t, nil)), newGrants(t)
	for _, c := range []struct {
		challenge, method string
		ours              error
	}{
		{"", "", oerr.ErrCodeChallengeRquired},
		{verifier, "", oerr.ErrUnsupportedCodeChallengeMethod},
		{verifier, "plain", oerr.ErrUnsupportedCodeChallengeMethod},
	} {
		query := signIn("a")
		query.Set("code_challenge", c.challenge)
		query.Set("code_challenge_method", c.method)
		code := upstream.authorize(t, query).location(t).Query().Get("code")
		upstream.token(t, as("a"), merge(redemption("a", code), "code_verifier", c.challenge)...).ok(t)

		tgr := authorization("a")
		tgr.CodeChallenge, tgr.CodeChallengeMethod = c.challenge, oauth2.CodeChallengeMethod(c.method)
		if info, err := m.GenerateAuthToken(t.Context(), oauth2.Code, tgr); err != c.ours {
			t.Errorf("%+v: %v, %v", c, info, err)
		}
	}
}

func implicitAndPassword(t *testing.T) {
	anybody := func(s *server.Server) {
		s.PasswordAuthorizationHandler = func(context.Context, string, string, string) (string, error) { return "alice", nil }
	}
	upstream, m := theirs(t, newUpstream(t, nil), anybody), newGrants(t, grants.Issuer("https://auth.example"))
	query := signIn("a")
	query.Set("response_type", "token")
	if fragment := upstream.authorize(t, query).location(t).Fragment; !strings.Contains(fragment, "access_token=") {
		t.Errorf("upstream's fragment is %q", fragment)
	}
	if info, err := m.GenerateAuthToken(t.Context(), oauth2.Token, authorization("a")); err != oerr.ErrUnsupportedResponseType {
		t.Errorf("%v, %v", info, err)
	}

	upstream.token(t, as("a"), "grant_type", "password", "username", "alice", "password", "guess").ok(t)
	s := ours(t, m)
	if to := s.authorize(t, query).location(t); to.Fragment != "" || to.Query().Get("error") != "unsupported_response_type" {
		t.Errorf("sent to %s", to)
	}
	for _, gt := range []string{"password", "implicit", "__implicit"} {
		s.token(t, as("a"), "grant_type", gt, "username", "alice", "password", "guess").is(t, 400, "unsupported_grant_type")
	}
}

// lookup is an oauth2.ClientStore of one client.
type lookup struct{ oauth2.ClientInfo }

func (l lookup) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	if id != l.GetID() {
		return nil, nil
	}
	return l.ClientInfo, nil
}

func secretsInClear(t *testing.T) {
	stored := func(m oauth2.Manager) []byte {
		c, err := m.GetClient(t.Context(), "a")
		if err != nil {
			t.Fatal(err)
		}
		record, err := json.Marshal(c)
		if err != nil {
			t.Fatal(err)
		}
		return append(record, c.GetSecret()...)
	}
	store, path := openStore(t)
	m := grantsOn(store)
	ours(t, m).pair(t, "a")
	secret := []byte("a-secret")
	if !bytes.Contains(stored(newUpstream(t, nil)), secret) {
		t.Error("upstream keeps no secret in clear")
	}
	if bytes.Contains(append(stored(m), read(t, path)...), secret) {
		t.Error("a secret in clear")
	}

	forgotten := newUpstream(t, nil)
	forgotten.MapClientStorage(lookup{&models.Client{ID: "svc"}})
	anything := func(s *site) *answer { return s.token(t, basic("svc", "anything"), "grant_type", "client_credentials") }
	anything(theirs(t, forgotten)).ok(t)
	for _, c := range []oauth2.ClientInfo{&models.Client{ID: "svc"}, &storage.Client{ID: "svc", GrantTypes: []string{"client_credentials"}}} {
		anything(ours(t, newGrants(t, grants.Clients(lookup{c})))).is(t, 401, "invalid_client")
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func tokensInClear(t *testing.T) {
	path := filepath.Join(t.TempDir(), "tokens.db")
	tokens, err := upstreamstore.NewFileTokenStore(path)
	if err != nil {
		t.Fatal(err)
	}
	store, ourPath := openStore(t)
	for _, c := range []struct {
		site    *site
		path    string
		inClear bool
	}{{theirs(t, newUpstream(t, tokens)), path, true}, {ours(t, grantsOn(store)), ourPath, false}} {
		unredeemed, code := c.site.code(t, "a"), c.site.code(t, "a")
		pair := c.site.redeem(t, "a", code).ok(t)
		onDisk := read(t, c.path)
		for name, token := range map[string]string{"code": unredeemed, "redeemed code": code, "access": pair.access(), "refresh": pair.refresh()} {
			if bytes.Contains(onDisk, []byte(token)) != c.inClear {
				t.Errorf("%s in clear: want %t", name, c.inClear)
			}
			if folded := token == strings.ToUpper(token); folded != c.inClear {
				t.Errorf("%s has its case folded: want %t", name, c.inClear)
			}
			if c.inClear {
				continue
			}
			secret := secretOf(t, token)
			if bytes.Contains(onDisk, secret) {
				t.Errorf("the file has the secret of the %s", name)
			}
			digest := sha256.Sum256(append([]byte{token[len("ost")]}, secret...))
			if !bytes.Contains(onDisk, digest[:]) {
				t.Errorf("the file has no SHA-256 of the %s", name)
			}
		}
	}
}

// secretOf is the 256 random bits of one of our tokens.
func secretOf(t *testing.T, token string) []byte {
	t.Helper()
	body, err := base64.RawURLEncoding.DecodeString(token[len("osta_"):])
	if err != nil || len(body) != 16+32+4 {
		t.Fatalf("%q: %d octets, %v", token, len(body), err)
	}
	return body[16:48]
}

var errCrash = errors.New("crashed")

func refreshInSteps(t *testing.T) {
	tokens := &crashingTokens{TokenStore: memoryTokens(t)}
	upstream := theirs(t, newUpstream(t, tokens))
	pair := upstream.pair(t, "a")
	tokens.crashed = true
	upstream.refresh(t, as("a"), pair.refresh()).is(t, 500, "server_error")
	tokens.crashed = false
	for _, refresh := range []string{pair.refresh(), tokens.created} {
		upstream.refresh(t, as("a"), refresh).ok(t)
	}

	file, _ := openStore(t)
	store := &crashingStore{Store: file}
	s := ours(t, grantsOn(store))
	for _, store.applies = range []bool{false, true} {
		pair := s.pair(t, "a")
		store.crashed = true
		s.refresh(t, as("a"), pair.refresh()).is(t, 503, "temporarily_unavailable")
		store.crashed = false
		next := s.refresh(t, as("a"), pair.refresh()).ok(t)
		if again := s.refresh(t, as("a"), pair.refresh()).ok(t); again.refresh() != next.refresh() || again.access() != next.access() {
			t.Error("a refresh token has two successors")
		}
		s.refresh(t, as("a"), next.refresh()).ok(t)
		s.refresh(t, as("a"), pair.refresh()).is(t, 400, "invalid_grant")
	}
}

// crashingTokens crashes after the first step of a refresh.
type crashingTokens struct {
	oauth2.TokenStore
	crashed bool
	created string // the refresh token created last
}

func (c *crashingTokens) Create(ctx context.Context, info oauth2.TokenInfo) error {
	c.created = info.GetRefresh()
	return c.TokenStore.Create(ctx, info)
}

func (c *crashingTokens) RemoveByAccess(ctx context.Context, access string) error {
	if c.crashed {
		return errCrash
	}
	return c.TokenStore.RemoveByAccess(ctx, access)
}

// crashingStore crashes at an update: before it, or if it applies, after it.
type crashingStore struct {
	storage.Store
	crashed, applies bool
}

func (c *crashingStore) Unwrap() storage.Store { return c.Store }

func (c *crashingStore) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	if c.crashed && !c.applies {
		return errCrash
	}
	err := c.Store.Update(ctx, id, change)
	if c.crashed {
		return errCrash
	}
	return err
}

func refreshExpiryKillsAccess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		upstream := newUpstream(t, make(tokensForEver))
		upstream.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: 2 * time.Hour, RefreshTokenExp: time.Hour, IsGenerateRefresh: true})
		m := newGrants(t, grants.AccessLifetime(2*time.Hour), grants.RefreshIdle(time.Hour))
		a := listenOnPipes(t, upstream, theirRoutes(upstream))
		b := listenOnPipes(t, m, ourRoutes(m))

		theirPair, ourPair := a.pair(t, "a"), b.pair(t, "a")
		time.Sleep(time.Hour + time.Second)
		if got := a.me(t, theirPair.access()); got.status != 401 || !strings.Contains(got.body, oerr.ErrExpiredRefreshToken.Error()) {
			t.Errorf("upstream answered %s", got)
		}
		b.works(t, ourPair.access())
		b.refresh(t, as("a"), ourPair.refresh()).is(t, 400, "invalid_grant")
		time.Sleep(time.Hour)
		b.dead(t, ourPair.access())
	})
}

// tokensForEver is a token store that leaves expiry to the manager, by access token or code. The
// memory store drops an access token with its refresh token, which comes to the same.
type tokensForEver map[string]oauth2.TokenInfo

func (s tokensForEver) Create(_ context.Context, info oauth2.TokenInfo) error {
	s[info.GetAccess()+info.GetCode()] = info
	return nil
}

func (s tokensForEver) GetByCode(_ context.Context, code string) (oauth2.TokenInfo, error) {
	return s[code], nil
}

func (s tokensForEver) GetByAccess(_ context.Context, access string) (oauth2.TokenInfo, error) {
	return s[access], nil
}

func (s tokensForEver) GetByRefresh(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, nil
}
func (s tokensForEver) RemoveByCode(context.Context, string) error    { return nil }
func (s tokensForEver) RemoveByAccess(context.Context, string) error  { return nil }
func (s tokensForEver) RemoveByRefresh(context.Context, string) error { return nil }

func noRevocationNoMiddleware(t *testing.T) {
	endpoint := regexp.MustCompile(`(?i)revo|introspect`)
	guard := reflect.TypeFor[func(http.Handler) http.Handler]()
	for method := range reflect.TypeFor[*server.Server]().Methods() {
		if endpoint.MatchString(method.Name) || method.Type.NumOut() == 1 && method.Type.Out(0) == guard {
			t.Errorf("upstream has %s", method.Name)
		}
	}

	s := ours(t, newGrants(t, grants.Issuer("https://auth.example")))
	pair := s.pair(t, "a")
	s.works(t, pair.access())
	if a := s.post(t, "/introspect", as("a"), "token", pair.access()); a.members["active"] != true || a.member("sub") != "alice" {
		t.Errorf("got %s", a)
	}
	if a := s.post(t, "/revoke", as("a"), "token", pair.access()); a.status != 200 || a.body != "" {
		t.Errorf("got %s", a)
	}
	s.dead(t, pair.access())
	if a := s.post(t, "/introspect", as("a"), "token", pair.access()); strings.TrimSpace(a.body) != `{"active":false}` {
		t.Errorf("got %s", a)
	}
}

func anyGrantType(t *testing.T) {
	upstream, m := newUpstream(t, nil), newGrants(t)
	handling := []*site{ours(t, m), ours(t, upstream)}
	for gt, code := range map[string]string{
		"password": "unsupported_grant_type", "__implicit": "unsupported_grant_type", "urn:x": "unsupported_grant_type", "": "invalid_request",
	} {
		tgr := &oauth2.TokenGenerateRequest{ClientID: "svc", ClientSecret: "svc-secret", UserID: "alice"}
		if info, err := upstream.GenerateAccessToken(t.Context(), oauth2.GrantType(gt), tgr); err != nil || info.GetAccess() == "" {
			t.Errorf("upstream refused %q: %v", gt, err)
		}
		info, err := m.GenerateAccessToken(t.Context(), oauth2.GrantType(gt), tgr)
		if err == nil || err.Error() != code {
			t.Errorf("%q: %v, %v", gt, info, err)
		}
		for _, s := range handling {
			s.token(t, as("svc"), "grant_type", gt).is(t, 400, code)
		}
	}
}

// hashing is a client that proves its secret by itself; wrapped is one that has lost how.
type (
	hashing struct{ models.Client }
	wrapped struct{ oauth2.ClientInfo }
)

func (h *hashing) VerifyPassword(secret string) bool { return secret == "right" }

func wrappedClient(t *testing.T) {
	cs := lookup{wrapped{&hashing{models.Client{ID: "svc"}}}}
	upstream := newUpstream(t, nil)
	upstream.MapClientStorage(cs)
	anything := func(s *site) *answer { return s.token(t, basic("svc", "anything"), "grant_type", "client_credentials") }
	anything(theirs(t, upstream)).ok(t)
	anything(ours(t, upstream)).is(t, 401, "invalid_client")
	anything(ours(t, newGrants(t, grants.Clients(cs)))).is(t, 401, "invalid_client")

	upstream.MapClientStorage(lookup{wrapped{&storage.Client{ID: "svc"}}}) // not even with a client of ours
	anything(theirs(t, upstream)).is(t, 401, "invalid_client")
}

func narrowingForEver(t *testing.T) {
	for _, c := range []struct {
		site *site
		want string
	}{{theirs(t, newUpstream(t, nil)), "read"}, {ours(t, newGrants(t)), "read write"}} {
		narrowed := c.site.refresh(t, as("a"), c.site.pair(t, "a").refresh(), "scope", "read").ok(t)
		if got := narrowed.member("scope"); got != "read" {
			t.Errorf("narrowed to %q", got)
		}
		if got := c.site.refresh(t, as("a"), narrowed.refresh()).ok(t).member("scope"); got != c.want {
			t.Errorf("the next refresh has the scope %q, want %q", got, c.want)
		}
	}
}

func removedRefreshToken(t *testing.T) {
	remove := func(s *site) *answer {
		pair := s.pair(t, "a")
		if err := s.manager.RemoveRefreshToken(t.Context(), pair.refresh()); err != nil {
			t.Error(err)
		}
		return pair
	}
	upstream, s := theirs(t, newUpstream(t, nil)), ours(t, newGrants(t))
	upstream.works(t, remove(upstream).access())
	s.dead(t, remove(s).access())
}
