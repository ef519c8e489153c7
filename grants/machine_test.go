package grants

import (
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// machine is a grant in its life, as a client and its operator see it: by tokens. There are two, the
// pure functions and a Manager on a real file.
type machine interface {
	redeem(verifier string) (pair, bool)
	refresh(token string) (pair, bool)
	revoke(token string)
	end()
	advance(d time.Duration)
	alive(access string) bool
	forge() string // a refresh token of the right shape, under the grant's ID
}

type pair struct{ access, refresh string }

// model says in the plainest words what has to come of each step.
type model struct {
	p                          policy
	now                        time.Duration
	redeemed, ended            bool
	tries                      int
	tokens                     []pair // every pair ever issued; the last refresh token is the current one
	expires                    []time.Duration
	gone                       []bool        // access tokens that were revoked or made room
	refreshEnds, limit, window time.Duration // the window in which the last rotation is repeated
}

const (
	testVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"
	testWrong    = "wrong-verifier-wrong-verifier-wrong-verifier"
	testS256     = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
)

// steps are what can happen to a grant. Each does it to the machine, says whether tokens came of it and
// which are expected ("": new ones), and tells the model.
var steps = []struct {
	name string
	do   func(t *testing.T, x machine, m *model)
}{
	{"redeem", func(t *testing.T, x machine, m *model) {
		got, ok := x.redeem(testVerifier)
		fresh := !m.ended && !m.redeemed && m.tries < m.p.codeTries && m.now < defaultCodeLifetime
		m.ended = m.ended || m.redeemed // a replay
		m.redeemed = m.redeemed || fresh
		if fresh {
			m.limit = m.after(m.p.refreshLifetime)
		}
		m.expect(t, got, ok, fresh)
	}},
	{"redeem with a wrong verifier", func(t *testing.T, x machine, m *model) {
		got, ok := x.redeem(testWrong)
		if !m.redeemed && m.now < defaultCodeLifetime {
			m.tries++
		}
		m.expect(t, got, ok, false)
	}},
	{"refresh current", func(t *testing.T, x machine, m *model) {
		got, ok := x.refresh(m.refreshToken(0, x))
		good := m.redeemed && !m.ended && m.now < m.refreshEnds
		m.expect(t, got, ok, good)
		if good {
			m.window = min(m.after(m.p.retryWindow), m.expires[len(m.expires)-1])
		}
	}},
	{"refresh previous", refreshPrevious},
	{"refresh previous after the window", func(t *testing.T, x machine, m *model) {
		m.advance(x, m.p.retryWindow)
		refreshPrevious(t, x, m)
	}},
	{"refresh older", func(t *testing.T, x machine, m *model) {
		got, ok := x.refresh(m.refreshToken(2, x))
		m.ended = m.ended || len(m.tokens) > 2
		m.expect(t, got, ok, false)
	}},
	{"forge", func(t *testing.T, x machine, m *model) {
		got, ok := x.refresh(x.forge())
		m.expect(t, got, ok, false)
		x.revoke(x.forge())
	}},
	{"revoke access", func(t *testing.T, x machine, m *model) {
		if n := len(m.tokens); n > 0 {
			x.revoke(m.tokens[n-1].access)
			m.gone[n-1] = true
		}
	}},
	{"revoke refresh", func(t *testing.T, x machine, m *model) { m.revokeRefresh(x, 0) }},
	{"revoke spent refresh", func(t *testing.T, x machine, m *model) { m.revokeRefresh(x, 1) }},
	{"expire access", func(t *testing.T, x machine, m *model) { m.advance(x, m.p.accessLifetime) }},
	{"expire refresh", func(t *testing.T, x machine, m *model) { m.advance(x, min(m.p.refreshIdle, defaultRefreshIdle)) }},
	{"end", func(t *testing.T, x machine, m *model) {
		x.end()
		m.ended = true
	}},
}

// afterCode is the first step that has to do with no code.
const afterCode = 2

func refreshPrevious(t *testing.T, x machine, m *model) {
	got, ok := x.refresh(m.refreshToken(1, x))
	n := len(m.tokens)
	if n < 2 || m.ended {
		m.expect(t, got, ok, false)
		return
	}
	if m.now < m.window && m.now < m.refreshEnds && !m.gone[n-1] {
		if !ok || got != m.tokens[n-1] {
			t.Errorf("got another pair than the answer that was lost")
		}
		return
	}
	m.ended = true
	m.expect(t, got, ok, false)
}

// refreshToken returns the refresh token that was current so many rotations ago, or a forged one.
func (m *model) refreshToken(ago int, x machine) string {
	if ago >= len(m.tokens) {
		return x.forge()
	}
	return m.tokens[len(m.tokens)-1-ago].refresh
}

func (m *model) revokeRefresh(x machine, ago int) {
	if ago >= len(m.tokens) {
		return
	}
	x.revoke(m.refreshToken(ago, x))
	m.ended = m.ended || m.now < m.refreshEnds
}

func (m *model) advance(x machine, d time.Duration) {
	x.advance(d)
	m.now += d
}

// after is the time d from now: storage.Unlimited, which is never reached, for an unlimited d.
func (m *model) after(d time.Duration) time.Duration {
	if d == storage.Unlimited {
		return d
	}
	return m.now + d
}

// expect notes a pair that was issued, which has to be a new one.
func (m *model) expect(t *testing.T, got pair, ok, want bool) {
	if ok != want {
		t.Errorf("issued: %t, want %t", ok, want)
	}
	if !ok {
		return
	}
	for _, old := range m.tokens {
		if got.access == old.access || got.refresh == old.refresh {
			t.Errorf("a token was issued twice")
		}
	}
	m.tokens = append(m.tokens, got)
	m.expires = append(m.expires, m.after(m.p.accessLifetime))
	m.gone = append(m.gone, false)
	m.refreshEnds = min(m.after(m.p.refreshIdle), m.limit)
	live := 0
	for i := len(m.tokens) - 1; i >= 0; i-- {
		if m.lives(i) {
			live++
		}
		m.gone[i] = m.gone[i] || live > m.p.liveAccessTokens
	}
}

func (m *model) lives(i int) bool { return !m.ended && !m.gone[i] && m.now < m.expires[i] }

// compare holds every access token ever issued against the model.
func (m *model) compare(t *testing.T, x machine) {
	for i, p := range m.tokens {
		if got, want := x.alive(p.access), m.lives(i); got != want {
			t.Errorf("access token %d alive: %t, want %t", i, got, want)
		}
	}
}

func (m *model) clone() *model {
	c := *m
	c.tokens, c.expires, c.gone = slices.Clone(m.tokens), slices.Clone(m.expires), slices.Clone(m.gone)
	return &c
}

// pure is the state machine alone.
type pure struct {
	g   *storage.Grant
	now time.Time
	p   policy
}

// defaultPolicy is what applies where nothing is set.
func defaultPolicy() policy {
	return policy{
		accessLifetime: defaultAccessLifetime, refreshIdle: defaultRefreshIdle, refreshLifetime: defaultRefreshLifetime,
		retryWindow: defaultRetryWindow, liveAccessTokens: defaultLiveAccessTokens, codeTries: defaultCodeTries,
		refresh: true, rotate: true, requireRedirectURI: true,
	}
}

func newPure(p policy) (*pure, *model) {
	x := &pure{now: time.UnixMilli(1_800_000_000_000), p: p}
	x.g = &storage.Grant{ID: storage.NewID(), Client: "web", User: "alice", Scope: "read", Created: x.now, Code: &storage.Code{
		Digest: digest(CodeKind, make([]byte, 32)), Expires: x.now.Add(defaultCodeLifetime), RedirectURI: "https://web.example/cb", Challenge: testS256,
	}}
	setExpires(x.g)
	return x, &model{p: p}
}

// newImported is a grant of an older system, and what the model has to know of it.
func newImported(p policy) (*pure, *model) {
	x, _ := newPure(p)
	records, refused := oldGrant(p, x.now).records(p, x.now)
	if refused != nil {
		panic(refused)
	}
	x.g = records[0]
	return x, importedModel(p, importedPair)
}

// oldGrant is a grant of an older system that has the lifetimes of p.
func oldGrant(p policy, at time.Time) Import {
	return Import{
		Client: "web", User: "alice", Scope: "read",
		Access:  []ImportedToken{{Token: importedPair.access[1:], Expires: after(at, p.accessLifetime)}},
		Refresh: ImportedToken{Token: importedPair.refresh[1:], Expires: after(at, p.refreshIdle)},
	}
}

var importedPair = pair{"iold-access-token", "iold-refresh-token"}

// importedModel is the model of a grant that begins with tokens of an older system.
func importedModel(p policy, first pair) *model {
	return &model{
		p: p, redeemed: true, tokens: []pair{first}, gone: []bool{false}, expires: []time.Duration{p.accessLifetime},
		refreshEnds: min(p.refreshIdle, p.refreshLifetime), limit: p.refreshLifetime,
	}
}

func (x *pure) pair(out outcome) (pair, bool) {
	if out.refused != "" {
		return pair{}, false
	}
	return pair{"a" + string(out.issued.access[:]), "r" + string(out.issued.refresh.secret)}, true
}

func (x *pure) redeem(verifier string) (pair, bool) {
	return x.pair(redeem(x.g, redemption{client: "web", code: native(CodeKind, x.g.ID, [32]byte{}), verifier: verifier}, x.p, newDraw(), x.now))
}

func (x *pure) refresh(token string) (pair, bool) {
	return x.pair(rotate(x.g, refreshment{client: "web", token: x.read(token)}, x.p, newDraw(), x.now))
}

func (x *pure) revoke(s string) {
	revoke(x.g, revocation{client: "web", token: x.read(s)}, 0, x.now)
}

// read is a token as it is written here: its kind and its secret, or "i" and an imported one.
func (x *pure) read(s string) token {
	if s[0] == 'i' {
		return imported(s[1:])
	}
	return native(Kind(s[0]), x.g.ID, [32]byte([]byte(s[1:])))
}

func (x *pure) end()                    { end(x.g, x.now) }
func (x *pure) advance(d time.Duration) { x.now = x.now.Add(d) }
func (x *pure) forge() string           { s := newDraw().access; return "r" + string(s[:]) }

func (x *pure) alive(access string) bool {
	at := findAccess(x.g, x.read(access).digest(AccessKind))
	return at >= 0 && !over(x.g, 0) && !past(x.g.Access[at].Expires, x.now)
}

func (x *pure) clone() *pure {
	c := *x
	c.g = x.g.Clone()
	return &c
}

// policies are those whose sequences are walked, and how long the sequences are.
var policies = map[string]struct {
	longest int
	change  func(p *policy)
}{
	"defaults":                     {5, func(*policy) {}},
	"refresh tokens for ever":      {4, func(p *policy) { p.refreshIdle, p.refreshLifetime = storage.Unlimited, storage.Unlimited }},
	"no longest life":              {4, func(p *policy) { p.refreshLifetime = storage.Unlimited }},
	"access shorter than window":   {4, func(p *policy) { p.accessLifetime = p.retryWindow / 2 }},
	"refresh shorter than window":  {4, func(p *policy) { p.refreshIdle = p.retryWindow / 2 }},
	"one try and one access token": {4, func(p *policy) { p.codeTries, p.liveAccessTokens = 1, 1 }},
}

// Every sequence of steps up to a length, on the pure functions.
func TestStateMachine(t *testing.T) {
	for name, c := range policies {
		t.Run(name, func(t *testing.T) {
			p := defaultPolicy()
			c.change(&p)
			sequences := 0
			var walk func(x *pure, m *model, from int, path []string)
			walk = func(x *pure, m *model, from int, path []string) {
				if len(path) == c.longest {
					return
				}
				for _, step := range steps[from:] {
					before := x.g
					x, m, path := x.clone(), m.clone(), append(path, step.name)
					step.do(t, x, m)
					m.compare(t, x)
					x.checkRecord(t, before)
					if t.Failed() {
						t.Fatalf("after %q", path)
					}
					sequences++
					walk(x, m, from, path)
				}
			}
			x, m := newPure(p)
			walk(x, m, 0, nil)
			x, m = newImported(p)
			walk(x, m, afterCode, nil)
			t.Logf("%d sequences of up to %d steps out of %d", sequences, c.longest, len(steps))
		})
	}
}

// checkRecord holds what a step left of the grant to what a store and a thief of it may find there.
func (x *pure) checkRecord(t *testing.T, before *storage.Grant) {
	g := x.g
	switch lives := alive(g, 0, x.now); {
	case lives && past(g.Expires, x.now):
		t.Errorf("the grant may be pruned since %v, and is alive", g.Expires)
	case !lives && g.Expires.IsZero():
		t.Error("the grant is dead, and would never be pruned")
	}
	r := g.Refresh
	if r == nil || r.Salt == nil && r.Fingerprint.IsZero() && r.RetryUntil.IsZero() {
		return
	}
	if shut := !g.Ended.IsZero() || past(r.RetryUntil, x.now); shut && !reflect.DeepEqual(g, before) {
		t.Errorf("the record was written after the window, and keeps what repeats the answer: %+v", r)
	}
}

// managed is the same machine as a Manager on a file.
type managed struct {
	t     *testing.T
	m     *Manager
	code  string
	grant storage.ID
}

func (x *managed) ask(r *Request) (pair, bool) {
	r.ClientID, r.ClientSecret = "web", "web-secret"
	info, err := x.m.Token(x.t.Context(), r)
	if err != nil {
		return pair{}, false
	}
	return pair{info.GetAccess(), info.GetRefresh()}, true
}

func (x *managed) redeem(verifier string) (pair, bool) {
	return x.ask(&Request{GrantType: "authorization_code", Code: x.code, CodeVerifier: verifier})
}

func (x *managed) refresh(token string) (pair, bool) {
	return x.ask(&Request{GrantType: "refresh_token", RefreshToken: token})
}

func (x *managed) revoke(token string) {
	if err := x.m.Revoke(x.t.Context(), &Request{ClientID: "web", ClientSecret: "web-secret", Token: token}); err != nil {
		x.t.Error(err)
	}
}

func (x *managed) end() {
	if _, err := x.m.End(x.t.Context(), storage.Filter{Grant: x.grant}); err != nil {
		x.t.Error(err)
	}
}

func (x *managed) advance(d time.Duration) { time.Sleep(d) }

func (x *managed) alive(access string) bool {
	_, err := x.m.LoadAccessToken(x.t.Context(), access)
	return err == nil
}

func (x *managed) forge() string { return opaque{}.Encode(RefreshKind, x.grant, newDraw().access) }

// The same, shorter, through a Manager on a bbolt file.
func TestStateMachineOnBolt(t *testing.T) {
	const longest = 2
	sequences := 0
	var walk func(imported bool, path []int)
	walk = func(imported bool, path []int) {
		if len(path) == longest {
			return
		}
		for i := range steps {
			if imported && i < afterCode {
				continue
			}
			path := append(slices.Clone(path), i)
			synctest.Test(t, func(t *testing.T) { live(t, imported, path) })
			if t.Failed() {
				return
			}
			sequences++
			walk(imported, path)
		}
	}
	walk(false, nil)
	walk(true, nil)
	t.Logf("%d sequences of up to %d steps out of %d", sequences, longest, len(steps))
}

// live runs one sequence in a bubble. It begins with a redemption or an import and a rotation, so that
// the short ones meet spent tokens too.
func live(t *testing.T, imported bool, path []int) {
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"), bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	err = store.PutClient(t.Context(), &storage.Client{
		ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "read",
		GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://web.example/cb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	m := New(store, Logger(slog.New(slog.DiscardHandler)), ImportedTokens())
	x, want, before := &managed{t: t, m: m}, &model{p: defaultPolicy()}, []int{0, 2}
	if imported {
		x.takeOver(store)
		want, before = importedModel(defaultPolicy(), pair{importedPair.access[1:], importedPair.refresh[1:]}), []int{2}
	} else {
		x.askForCode()
	}
	names := []string{}
	for _, i := range append(before, path...) {
		names = append(names, steps[i].name)
		steps[i].do(t, x, want)
		want.compare(t, x)
		if t.Failed() {
			t.Fatalf("after %q", names)
		}
	}
}

func (x *managed) askForCode() {
	info, err := x.m.GenerateAuthToken(x.t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: "web", UserID: "alice", CodeChallenge: testS256, CodeChallengeMethod: oauth2.CodeChallengeS256,
	})
	if err != nil {
		x.t.Fatal(err)
	}
	x.code = info.GetCode()
	x.grant, _ = GrantID(info)
}

func (x *managed) takeOver(store storage.Store) {
	if imported, err := x.m.Import(x.t.Context(), oldGrant(defaultPolicy(), time.Now())); err != nil || !imported {
		x.t.Fatal(imported, err)
	}
	for g := range store.Grants(x.t.Context(), storage.Filter{User: "alice"}) {
		x.grant = g.ID
	}
}
