package interop_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"
	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestLinearizable takes grants through their lives from many goroutines and has porcupine look for an
// order of what was answered in which one after the other could have answered it. A grant is a history
// of its own: grants have nothing in common.
func TestLinearizable(t *testing.T) {
	cached, uncached := []int64{64 << 20}, []int64{0}
	for _, c := range []struct {
		name   string
		caches []int64 // of the managers that share the store
		store  func(*bolt.Store) testbed.Store
		broken bool
	}{
		{name: "cache on", caches: cached},
		{name: "cache off", caches: uncached},
		{name: "two managers", caches: []int64{64 << 20, 0}},
		{name: "broken/get, then put", caches: uncached, broken: true, store: func(s *bolt.Store) testbed.Store { return getThenPut{s} }},
		{name: "broken/changes told after the answer", caches: cached, broken: true, store: func(s *bolt.Store) testbed.Store {
			return &tellingLate{s, func(tell func()) { time.AfterFunc(2*time.Millisecond, tell) }}
		}},
		{name: "broken/changes told after the commit", caches: []int64{64 << 20, 0}, broken: true, store: func(s *bolt.Store) testbed.Store {
			return &tellingLate{s, func(tell func()) { time.Sleep(8 * time.Millisecond); tell() }}
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			var over testbed.Store = store
			if c.store != nil {
				over = c.store(store)
			}
			var managers []*grants.Manager
			for _, size := range c.caches {
				managers = append(managers, grantsOn(over, grants.CacheSize(size)))
			}
			histories, operations, wrong := 0, 0, 0
			for began := time.Now(); c.broken && wrong == 0 && time.Since(began) < 10*linearizableFor || !c.broken && time.Since(began) < linearizableFor; {
				all := someLives(t, over, managers, histories)
				for _, history := range all {
					histories++
					operations += len(history)
					switch porcupine.CheckOperationsTimeout(grantModel, history, 10*time.Second) {
					case porcupine.Illegal:
						wrong++
						if !c.broken && wrong == 1 {
							for _, op := range history {
								t.Logf("%d to %d: %s", op.Call, op.Return, grantModel.DescribeOperation(op.Input, op.Output))
							}
						}
					case porcupine.Unknown:
						t.Errorf("a history of %d operations could not be decided", len(history))
					}
				}
			}
			t.Logf("%d histories, %d operations, %d histories without an order", histories, operations, wrong)
			if (wrong > 0) != c.broken {
				t.Errorf("want histories without an order: %t", c.broken)
			}
		})
	}
}

const linearizableFor = 2 * time.Second

// getThenPut loses updates.
type getThenPut struct{ *bolt.Store }

func (s getThenPut) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	g, err := s.Grant(ctx, id)
	if err != nil {
		return err
	}
	if err := change(g); err != nil {
		return err
	}
	return s.Store.Update(ctx, id, func(stored *storage.Grant) error { *stored = *g.Clone(); return nil })
}

// tellingLate tells of changes when they are through: those who keep copies have out of date ones.
type tellingLate struct {
	*bolt.Store
	later func(tell func())
}

func (s *tellingLate) Watch(changing func(storage.Changes) (changed func())) (stop func()) {
	return s.Store.Watch(func(c storage.Changes) (changed func()) {
		return func() { s.later(func() { changing(c)() }) }
	})
}

// asked is an operation on a grant, told what the grant's tokens are called by themselves.
type asked struct {
	do    string
	token string
}

// told is what came of it.
type told struct {
	ok              bool
	access, refresh string
	ended           int
}

// modelled is a grant in the model. The zero value is before it was issued.
type modelled struct {
	issued, redeemed, ended bool
	current, previous       string    // refresh tokens
	repeat                  string    // the access token that the previous one would bring again
	access                  [4]string // alive, oldest first
}

func (m *modelled) revoke(access string) {
	n := 0
	var left [4]string
	for _, a := range m.access {
		if a != access && a != "" {
			left[n] = a
			n++
		}
	}
	m.access = left
}

func (m *modelled) add(access string) {
	if m.access[3] != "" {
		m.revoke(m.access[0])
	}
	for i := range m.access {
		if m.access[i] == "" {
			m.access[i] = access
			return
		}
	}
}

func (m *modelled) alive(access string) bool {
	for _, a := range m.access {
		if a == access && a != "" {
			return !m.ended
		}
	}
	return false
}

// grantModel is the life of a grant, one operation after the other.
var grantModel = porcupine.Model{
	Init: func() any { return modelled{} },
	Step: func(state, input, output any) (bool, any) {
		m, in, out := state.(modelled), input.(asked), output.(told)
		pair := out.ok && out.access != "" && out.refresh != "" && !m.alive(out.access) && out.refresh != m.current
		switch in.do {
		case "issue":
			m = modelled{issued: true, redeemed: true, current: out.refresh}
			m.add(out.access)
			return pair, m
		case "authorize":
			return out.ok, modelled{issued: true}
		case "redeem":
			switch {
			case m.ended:
				return !out.ok, m
			case m.redeemed:
				m.ended = true
				return !out.ok, m
			}
			m.redeemed, m.current = true, out.refresh
			m.add(out.access)
			return pair, m
		case "refresh":
			switch {
			case m.ended:
				return !out.ok, m
			case in.token == m.current:
				m.previous, m.current, m.repeat = m.current, out.refresh, out.access
				m.add(out.access)
				return pair, m
			case in.token == m.previous && m.alive(m.repeat):
				return out.ok && out.access == m.repeat && out.refresh == m.current, m
			}
			m.ended = true
			return !out.ok, m
		case "validate":
			return out.ok == m.alive(in.token), m
		case "load refresh":
			return out.ok == (!m.ended && (in.token == m.current || in.token == m.previous && m.alive(m.repeat))), m
		case "revoke access":
			if !m.ended {
				m.revoke(in.token)
			}
			return out.ok, m
		case "revoke refresh":
			m.ended = true
			return out.ok, m
		case "end":
			was := 0
			if !m.ended {
				was = 1
			}
			m.ended = true
			return out.ended == was, m
		case "end client": // of two at once, both may count
			m.ended = true
			return out.ok, m
		}
		panic(in.do)
	},
	DescribeOperation: func(input, output any) string {
		in, out := input.(asked), output.(told)
		short := func(s string) string { return s[max(0, len(s)-12):] }
		return fmt.Sprintf("%s %s: %t, %s %s %d", in.do, short(in.token), out.ok, short(out.access), short(out.refresh), out.ended)
	},
}

// someLives takes a number of grants through their lives at once.
func someLives(t *testing.T, store testbed.Store, managers []*grants.Manager, first int) [][]porcupine.Operation {
	t.Helper()
	histories := make([][]porcupine.Operation, 16)
	var all sync.WaitGroup
	for i := range histories {
		all.Go(func() {
			client := fmt.Sprintf("l%d", first+i)
			err := store.PutClient(t.Context(), &storage.Client{
				ID: client, Public: true, Scope: "read write", GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{callback(client)},
			})
			if err != nil {
				t.Error(err)
				return
			}
			g := &grantLife{managers: managers, client: client, began: time.Now()}
			if i == 0 && len(managers) > 1 {
				g.race(t)
			} else {
				g.live(t)
			}
			histories[i] = g.history
		})
	}
	all.Wait()
	return histories
}

// grantLife is a grant that several goroutines use, and its history.
type grantLife struct {
	managers []*grants.Manager
	client   string
	began    time.Time

	mu              sync.Mutex
	history         []porcupine.Operation
	code            string
	access, refresh []string // that somebody has been given, in that order
}

func (g *grantLife) live(t *testing.T) {
	if rand.N(2) == 0 {
		g.do(t, "issue", "")
	} else {
		g.do(t, "authorize", "")
	}
	var all sync.WaitGroup
	for range 4 {
		all.Go(func() {
			for range 10 {
				g.do(t, "", "")
			}
		})
	}
	all.Wait()
}

// race looks at a token that is being revoked, by the manager that revokes it until it is dead there, then by
// the other one.
func (g *grantLife) race(t *testing.T) {
	g.by(t, g.managers[0], "issue", "")
	if len(g.access) == 0 {
		return
	}
	token := g.access[0]
	g.by(t, g.managers[0], "validate", token)
	var revoking sync.WaitGroup
	revoking.Go(func() { g.by(t, g.managers[1], "revoke access", token) })
	for range 1000 {
		if !g.by(t, g.managers[1], "validate", token).ok {
			break
		}
		time.Sleep(50 * time.Microsecond)
	}
	g.by(t, g.managers[0], "validate", token)
	revoking.Wait()
}

// choose returns an operation that can be done with the tokens that are known.
func (g *grantLife) choose() (do, token string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	some := func(tokens []string) string { // of the latest ones, mostly
		return tokens[max(0, len(tokens)-1-rand.N(3)*rand.N(2))]
	}
	if len(g.refresh) == 0 {
		return "redeem", g.code
	}
	switch n := rand.N(200); {
	case n < 70:
		return "validate", some(g.access)
	case n < 90:
		return "load refresh", some(g.refresh)
	case n < 150:
		return "refresh", g.refresh[len(g.refresh)-1]
	case n < 154:
		return "refresh", some(g.refresh)
	case n < 192:
		return "revoke access", some(g.access)
	case n < 194:
		return "revoke refresh", some(g.refresh)
	case n < 196:
		return "end", ""
	case n < 198:
		return "end client", ""
	case g.code != "":
		return "redeem", g.code
	}
	return "validate", some(g.access)
}

func (g *grantLife) do(t *testing.T, do, token string) {
	if do == "" {
		do, token = g.choose()
	}
	if do == "validate" && rand.N(3) == 0 { // or all looks come right after an answer
		time.Sleep(rand.N(10 * time.Millisecond))
	}
	g.by(t, g.managers[rand.N(len(g.managers))], do, token)
}

// by has a manager do something, and notes it.
func (g *grantLife) by(t *testing.T, m *grants.Manager, do, token string) told {
	called := time.Since(g.began).Nanoseconds()
	out, info, err := g.ask(t.Context(), m, do, token)
	returned := time.Since(g.began).Nanoseconds()
	var refused *grants.Error
	if err != nil && !(errors.As(err, &refused) && refused.Code == "invalid_grant") && err != oerr.ErrInvalidAccessToken && err != oerr.ErrInvalidRefreshToken {
		t.Errorf("%s: %v", do, err)
	}
	out.ok = err == nil
	g.mu.Lock()
	defer g.mu.Unlock()
	if info != nil && (do == "issue" || do == "redeem" || do == "refresh") {
		out.access, out.refresh = info.GetAccess(), info.GetRefresh()
		g.access, g.refresh = append(g.access, out.access), append(g.refresh, out.refresh)
	}
	if do == "authorize" && info != nil {
		g.code = info.GetCode()
	}
	g.history = append(g.history, porcupine.Operation{Input: asked{do, token}, Call: called, Output: out, Return: returned})
	return out
}

func (g *grantLife) ask(ctx context.Context, m *grants.Manager, do, token string) (out told, info oauth2.TokenInfo, err error) {
	switch do {
	case "issue":
		info, err = m.Issue(ctx, grants.Issue{Client: g.client, User: g.client})
	case "authorize":
		tgr := authorization(g.client)
		tgr.UserID = g.client
		info, err = m.GenerateAuthToken(ctx, oauth2.Code, tgr)
	case "redeem":
		info, err = m.Token(ctx, &grants.Request{
			GrantType: "authorization_code", ClientID: g.client, Code: token, RedirectURI: callback(g.client), CodeVerifier: verifier,
		})
	case "refresh":
		info, err = m.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: g.client, RefreshToken: token})
	case "validate":
		_, err = m.LoadAccessToken(ctx, token)
	case "load refresh":
		_, err = m.LoadRefreshToken(ctx, token)
	case "revoke access", "revoke refresh":
		err = m.Revoke(ctx, &grants.Request{ClientID: g.client, Token: token})
	case "end":
		out.ended, err = m.End(ctx, storage.Filter{User: g.client})
	case "end client":
		out.ended, err = m.End(ctx, storage.Filter{Client: g.client})
	}
	return out, info, err
}
