package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	goauth2store "github.com/go-oauth2/oauth2/v4/store"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// oldServer is go-oauth2 on a buntdb file.
type oldServer struct {
	*manage.Manager
	t    *testing.T
	path string
}

func newOldServer(t *testing.T) oldServer {
	path := filepath.Join(t.TempDir(), "tokens.buntdb")
	m := manage.NewDefaultManager()
	m.MustTokenStorage(goauth2store.NewFileTokenStore(path))
	clients := goauth2store.NewClientStore()
	clients.Set("app", &models.Client{ID: "app", Secret: "app-secret", Domain: "https://app.example"})
	clients.Set("spa", &models.Client{ID: "spa", Domain: "https://spa.example", Public: true})
	m.MapClientStorage(clients)
	return oldServer{m, t, path}
}

func (s oldServer) must(info oauth2.TokenInfo, err error) oauth2.TokenInfo {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	return info
}

// code is an authorization code with PKCE.
func (s oldServer) code(client, user, scope string) (code, verifier string) {
	s.t.Helper()
	verifier = strings.Repeat("verifier-", 5)
	sum := sha256.Sum256([]byte(verifier))
	info := s.must(s.GenerateAuthToken(s.t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: client, UserID: user, Scope: scope, RedirectURI: "https://" + client + ".example/cb",
		CodeChallenge: base64.RawURLEncoding.EncodeToString(sum[:]), CodeChallengeMethod: oauth2.CodeChallengeS256,
	}))
	return info.GetCode(), verifier
}

func (s oldServer) signIn(client, user, scope string) oauth2.TokenInfo {
	s.t.Helper()
	code, verifier := s.code(client, user, scope)
	request := &oauth2.TokenGenerateRequest{ClientID: client, Code: code, CodeVerifier: verifier, RedirectURI: "https://" + client + ".example/cb"}
	if client == "app" {
		request.ClientSecret = "app-secret"
	}
	return s.must(s.GenerateAccessToken(s.t.Context(), oauth2.AuthorizationCode, request))
}

func (s oldServer) refresh(token string) oauth2.TokenInfo {
	s.t.Helper()
	// What it returns is what it has read from its store: a copy for each.
	return s.must(s.RefreshAccessToken(s.t.Context(), &oauth2.TokenGenerateRequest{Refresh: token}))
}

func (s oldServer) own(scope string) oauth2.TokenInfo {
	s.t.Helper()
	return s.must(s.GenerateAccessToken(s.t.Context(), oauth2.ClientCredentials, &oauth2.TokenGenerateRequest{ClientID: "app", ClientSecret: "app-secret", Scope: scope}))
}

// A file that go-oauth2 has filled is moved over: what it would still take is taken, and nothing else.
func TestBuntDB(t *testing.T) {
	old := newOldServer(t)
	var alive []oauth2.TokenInfo // with an access token
	var dead []string            // tokens that go-oauth2 no longer takes
	var want counts

	for n := range 6 {
		alive = append(alive, old.signIn("app", fmt.Sprintf("user %d", n), "read write"))
	}
	alive = append(alive, old.signIn("spa", "eve", "read"))
	for range 3 {
		alive = append(alive, old.own("read"))
	}
	for n := range 3 { // each leaves a record behind whose tokens are gone
		first := old.signIn("app", fmt.Sprintf("refresher %d", n), "read")
		second := old.refresh(first.GetRefresh())
		third := old.refresh(second.GetRefresh())
		dead = append(dead, first.GetAccess(), first.GetRefresh(), second.GetAccess(), second.GetRefresh())
		alive = append(alive, third)
		want.Skipped += 2
	}
	want.Imported = int64(len(alive))

	signedOut := old.signIn("app", "signed out", "read")
	old.RemoveAccessToken(t.Context(), signedOut.GetAccess())
	old.RemoveRefreshToken(t.Context(), signedOut.GetRefresh())
	dead = append(dead, signedOut.GetAccess(), signedOut.GetRefresh())
	want.Skipped++

	onlyRefresh := old.signIn("app", "refresh alone", "read")
	old.RemoveAccessToken(t.Context(), onlyRefresh.GetAccess())
	dead = append(dead, onlyRefresh.GetAccess())
	want.Imported++

	onlyAccess := old.signIn("app", "access alone", "read")
	old.RemoveRefreshToken(t.Context(), onlyAccess.GetRefresh())
	dead = append(dead, onlyAccess.GetRefresh())
	alive = append(alive, onlyAccess)
	want.Imported++

	old.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: time.Millisecond, RefreshTokenExp: time.Hour, IsGenerateRefresh: true})
	renewable := old.signIn("app", "to be renewed", "read")
	dead = append(dead, renewable.GetAccess())
	want.Imported++

	unused, _ := old.code("app", "undecided", "read")
	dead = append(dead, unused)
	want.Skipped++

	old.SetAuthorizeCodeTokenCfg(&manage.Config{AccessTokenExp: time.Millisecond, RefreshTokenExp: time.Millisecond, IsGenerateRefresh: true})
	old.SetClientTokenCfg(&manage.Config{AccessTokenExp: time.Millisecond})
	for _, info := range []oauth2.TokenInfo{old.signIn("app", "away", "read"), old.own("read")} {
		dead = append(dead, info.GetAccess())
		if info.GetRefresh() != "" {
			dead = append(dead, info.GetRefresh())
		}
		want.Expired++
	}

	before, err := os.ReadFile(old.path)
	if err != nil {
		t.Fatal(err)
	}
	h := newHouse(t)
	path := h.file(t, "copy.buntdb", string(before)) // buntdb itself goes on removing what expires
	want.Lines = want.Imported + want.Skipped + want.Expired
	h.runFile(t, path, "-format", "buntdb").want(t, statusDone, want)
	if after, err := os.ReadFile(path); err != nil || !bytes.Equal(before, after) {
		t.Errorf("the file was altered, or %v", err)
	}
	again := counts{There: want.Imported, Skipped: want.Skipped, Expired: want.Expired, Lines: want.Lines}
	h.runFile(t, path, "-format", "buntdb").want(t, statusDone, again)

	h.open(t, func(_ *bolt.Store, m *grants.Manager) {
		for _, info := range alive {
			got, err := m.LoadAccessToken(t.Context(), info.GetAccess())
			if err != nil {
				t.Errorf("an access token of %q: %v", info.GetUserID(), err)
				continue
			}
			end, oldEnd := got.GetAccessCreateAt().Add(got.GetAccessExpiresIn()), info.GetAccessCreateAt().Add(info.GetAccessExpiresIn())
			if got.GetClientID() != info.GetClientID() || got.GetUserID() != info.GetUserID() || got.GetScope() != info.GetScope() || end.Sub(oldEnd).Abs() > time.Millisecond {
				t.Errorf("%v until %v, want %q of %q until %v", got, end, info.GetScope(), info.GetUserID(), oldEnd)
			}
		}
		for _, token := range dead {
			for _, wrong := range []string{token, token + "x", token[1:], strings.ToLower(token)} {
				if _, err := m.LoadAccessToken(t.Context(), wrong); err == nil {
					t.Errorf("a dead access token validates")
				}
				if _, err := refresh(m, "app", wrong); err == nil {
					t.Errorf("a dead refresh token refreshes")
				}
			}
		}
		for _, info := range append(alive, onlyRefresh, renewable) {
			if info.GetRefresh() != "" && info != onlyAccess {
				refreshesOnce(t, m, info)
			}
		}
	})
}

func refresh(m *grants.Manager, client, token string) (oauth2.TokenInfo, error) {
	request := &grants.Request{GrantType: "refresh_token", ClientID: client, RefreshToken: token}
	if client == "app" {
		request.ClientSecret = "app-secret"
	}
	return m.Token(context.Background(), request)
}

// refreshesOnce tries an old refresh token by 8 requests at once, which get one pair, and again when
// that pair was used, which ends the grant.
func refreshesOnce(t *testing.T, m *grants.Manager, info oauth2.TokenInfo) {
	t.Helper()
	client, user := info.GetClientID(), info.GetUserID()
	pairs := make([]string, 8)
	var group sync.WaitGroup
	for n := range pairs {
		group.Go(func() {
			next, err := refresh(m, client, info.GetRefresh())
			if err != nil {
				t.Errorf("the refresh token of %q: %v", user, err)
				return
			}
			pairs[n] = next.GetAccess() + " " + next.GetRefresh()
		})
	}
	group.Wait()
	slices.Sort(pairs)
	if len(slices.Compact(pairs)) != 1 {
		t.Errorf("%q got several pairs", user)
	}
	access, token, _ := strings.Cut(pairs[0], " ")
	if got, err := m.LoadAccessToken(t.Context(), access); err != nil || got.GetUserID() != user || got.GetScope() != info.GetScope() {
		t.Errorf("the new access token of %q is %v, %v", user, got, err)
	}
	next, err := refresh(m, client, token)
	if err != nil {
		t.Fatalf("the new refresh token of %q: %v", user, err)
	}
	if _, err := refresh(m, client, info.GetRefresh()); err == nil {
		t.Errorf("the old refresh token of %q refreshes after its successor", user)
	}
	for _, access := range []string{info.GetAccess(), access, next.GetAccess()} {
		if _, err := m.LoadAccessToken(t.Context(), access); err == nil {
			t.Errorf("an access token of %q outlives the reuse", user)
		}
	}
}

// An expired token has lost its entry by that alone, and counts as expired; one that is not has been
// removed.
func TestBuntDBWithoutEntries(t *testing.T) {
	record := func(life time.Duration) string {
		return fmt.Sprintf(`{"ClientID":"app","Access":"a","AccessCreateAt":%q,"AccessExpiresIn":%d}`, time.Now().Add(-time.Minute).Format(time.RFC3339Nano), life)
	}
	for _, c := range []struct {
		name, record, entry string
		want                counts
	}{
		{"expired", record(time.Second), "", counts{Expired: 1, Lines: 1}},
		{"removed", record(time.Hour), "", counts{Skipped: 1, Lines: 1}},
		{"removed, for ever", record(0), "", counts{Skipped: 1, Lines: 1}},
		{"another record's", record(time.Hour), "other", counts{Skipped: 1, Lines: 1}},
		{"alive", record(time.Hour), "id", counts{Imported: 1, Lines: 1}},
	} {
		t.Run(c.name, func(t *testing.T) {
			var file strings.Builder
			for _, e := range [][2]string{{"id", c.record}, {"a", c.entry}} {
				fmt.Fprintf(&file, "*3\r\n$3\r\nset\r\n$%d\r\n%s\r\n$%d\r\n%s\r\n", len(e[0]), e[0], len(e[1]), e[1])
			}
			newHouse(t).run(t, strings.NewReader(file.String()), "-format", "buntdb").want(t, statusDone, c.want)
		})
	}
}

// Versions of buntdb write lifetimes in two ways, and a crash may leave half an entry or zeros.
func TestReadBuntDB(t *testing.T) {
	const set, del = "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n", "*2\r\n$3\r\ndel\r\n$1\r\nk\r\n"
	ex := func(sign, life string) string {
		return fmt.Sprintf("*5\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n$2\r\n%s\r\n$%d\r\n%s\r\n", sign, len(life), life)
	}
	for _, c := range []struct {
		name, text string
		entries    int
		torn, ok   bool
	}{
		{"empty", "", 0, false, true},
		{"an entry", set, 1, false, true},
		{"in capitals", strings.Replace(set, "set", "SET", 1), 1, false, true},
		{"seconds of life", ex("ex", "7200"), 1, false, true},
		{"an end that has come", ex("ae", "1000000000"), 1, false, true},
		{"a life below zero, as an unsigned number", ex("ex", "18446744073709551611"), 1, false, true},
		{"deleted", set + del, 0, false, true},
		{"deleted and set", set + del + set, 1, false, true},
		{"all deleted", set + "*1\r\n$7\r\nflushdb\r\n", 0, false, true},
		{"zeros", set + "\x00\x00" + set, 1, false, true},
		{"no array", "hello\r\n", 0, false, false},
		{"JSON", pairLines(1), 0, false, false},
		{"an unknown command", "*1\r\n$4\r\nsave\r\n", 0, false, false},
		{"an empty command", "*1\r\n$0\r\n\r\n", 0, false, false},
		{"an empty array", "*0\r\n", 0, false, false},
		{"too many words", "*1000000000\r\n", 0, false, false},
		{"a word too long", "*1\r\n$1000000000\r\n", 0, false, false},
		{"a negative length", "*1\r\n$-1\r\n", 0, false, false},
		{"a length without end", "*" + strings.Repeat("1", 1<<17), 0, false, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			entries, torn, err := readBuntDB(strings.NewReader(c.text))
			if len(entries) != c.entries || torn != c.torn || (err == nil) != c.ok {
				t.Errorf("got %d entries, torn: %t, %v", len(entries), torn, err)
			}
		})
	}
	for cut := 1; cut < len(set); cut++ {
		if entries, torn, err := readBuntDB(strings.NewReader(set + set[:cut])); len(entries) != 1 || !torn || err != nil {
			t.Errorf("cut at %d: %d entries, torn: %t, %v", cut, len(entries), torn, err)
		}
	}
}
