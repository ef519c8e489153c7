package conformance

import (
	"context"
	"errors"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
)

// revokes posts a revocation as the client.
func (s *server) revokes(t *testing.T, client string, namesAndValues ...string) *answer {
	t.Helper()
	return s.asClient(t, "/revoke", client, namesAndValues...)
}

// unrevokable is a manager of somebody else's that can't revoke.
type unrevokable struct{ oauth2.Manager }

func (unrevokable) RemoveAccessToken(context.Context, string) error  { return errors.ErrUnsupported }
func (unrevokable) RemoveRefreshToken(context.Context, string) error { return errors.ErrUnsupported }

// RV. Revocation.
var revocationRows = []row{
	{"RV-01", append(each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		pair := s.pair(t, client)
		s.revokes(t, client, "token", pair.access()).done(t)
		s.revoked(t, client, "access_token", pair)
	}),
		testCase{name: "siblings", run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			s.revokes(t, "web", "token", r1.access()).done(t)
			s.dead(t, r1.access())
			s.lives(t, "web", &answer{members: map[string]any{"access_token": r0.access(), "refresh_token": r1.refresh()}})
		}},
		testCase{name: "no grant type left", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			c := fixture("web")
			c.GrantTypes = nil
			s.putClient(t, c)
			s.revokes(t, "web", "token", pair.access()).done(t)
			s.dead(t, pair.access())
		}})},
	{"RV-02", each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		pair := s.pair(t, client)
		s.revokes(t, client, "token", pair.refresh()).done(t)
		s.ended(t, client, pair)
	})},
	{"RV-03", each(testCase{moves: true}, map[string]time.Duration{"in the window": 0, "after it": 2 * time.Minute}, func(t *testing.T, s *server, wait time.Duration) {
		r0, r1, r2 := refreshedTwice(t, s, "web")
		time.Sleep(wait)
		s.revokes(t, "web", "token", r0.refresh()).done(t)
		s.ended(t, "web", r1, r2)
	})},
	{"RV-04", append(each(testCase{}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, token := range append(damage(pair.access()), damage(pair.refresh())...) {
				s.revokes(t, "web", "token", token).done(t)
			}
			s.revoke(t, "token=%ff%00", as("web")).done(t)
		})
		s.lives(t, "web", pair)
	}),
		testCase{name: "expired", moves: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			time.Sleep(31 * 24 * time.Hour)
			s.unchanged(t, func() {
				s.revokes(t, "web", "token", pair.access()).done(t)
				s.revokes(t, "web", "token", pair.refresh()).done(t)
			})
		}},
		testCase{name: "revoked", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.revokes(t, "web", "token", pair.refresh()).done(t)
			s.unchanged(t, func() {
				s.revokes(t, "web", "token", pair.refresh()).done(t)
				s.revokes(t, "web", "token", pair.access()).done(t)
			})
		}})},
	{"RV-05", each(testCase{foreign: true}, map[string]string{
		"absent": "foo=1", "empty": "token=", "twice": "token=a&token=b", "hint twice": "token=a&token_type_hint=x&token_type_hint=x",
	}, func(t *testing.T, s *server, body string) {
		s.unchanged(t, func() { s.revoke(t, body, as("web")).e400(t, "invalid_request") })
	})},
	{"RV-06", each(testCase{foreign: true}, same(tokenKinds...), func(t *testing.T, s *server, kind string) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			s.revokes(t, "two", "token", pair.member(kind)).e400(t, "unauthorized_client")
			s.revokes(t, "spa", "token", pair.member(kind)).e400(t, "unauthorized_client")
		})
		s.lives(t, "web", pair)
		dead := s.pair(t, "web")
		s.revokes(t, "web", "token", dead.refresh()).done(t)
		s.revokes(t, "two", "token", dead.member(kind)).done(t)
	})},
	{"RV-07", each(testCase{foreign: true}, same(tokenKinds...), func(t *testing.T, s *server, kind string) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			s.revoke(t, form("token", pair.member(kind)), basic("web", "wrong-secret")).e401(t)
			s.revoke(t, form("token", pair.member(kind), "client_id", "web")).e401(t)
			s.revoke(t, form("token", pair.member(kind))).e401(t)
		})
		s.lives(t, "web", pair)
	})},
	{"RV-08", each(testCase{foreign: true}, product(tokenKinds, []string{"access_token", "refresh_token", "id_token", "x", ""}), func(t *testing.T, s *server, c [2]string) {
		pair := s.pair(t, "web")
		s.revokes(t, "web", "token", pair.member(c[0]), "token_type_hint", c[1]).done(t)
		s.revoked(t, "web", c[0], pair)
	})},
	one("RV-09", testCase{foreign: true, run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() { s.revokes(t, "web", "token", code).done(t) })
		s.redeem(t, "web", code).ok(t)
	}}),
	one("RV-10", testCase{foreign: true, run: func(t *testing.T, s *server) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			a := s.get(t, "/revoke?callback=f&"+form("token", pair.access()), as("web")).is(t, 405, "invalid_request")
			if a.header.Get("Allow") != "POST" {
				t.Errorf("got %s", a)
			}
		})
		s.revokes(t, "web", "token", pair.access(), "callback", "f").done(t)
		s.dead(t, pair.access())
	}}),
	{"RV-11", each(testCase{foreign: true}, map[string]func(t *testing.T, s *server, token string){
		"type": func(t *testing.T, s *server, token string) {
			s.send(t, "POST", "/revoke", strings.NewReader(form("token", token)), [2]string{"Content-Type", "text/plain"}, as("web")).e400(t, "invalid_request")
		},
		"json": func(t *testing.T, s *server, token string) {
			s.send(t, "POST", "/revoke", strings.NewReader(`{"token":"`+token+`"}`), [2]string{"Content-Type", "application/json"}, as("web")).e400(t, "invalid_request")
		},
		"oversized": func(t *testing.T, s *server, token string) {
			s.revoke(t, form("token", token)+"&x="+strings.Repeat("x", 64<<10), as("web")).is(t, 413, "invalid_request")
		},
		"chunked": func(t *testing.T, s *server, token string) {
			body := io.MultiReader(strings.NewReader(form("token", token) + "&x=" + strings.Repeat("x", 64<<10)))
			s.send(t, "POST", "/revoke", body, [2]string{"Content-Type", formType}, as("web")).is(t, 413, "invalid_request")
		},
		"query": func(t *testing.T, s *server, token string) {
			s.post(t, "/revoke?token="+token, "", as("web")).e400(t, "invalid_request")
			s.post(t, "/revoke?token="+token, form("token", token), as("web")).e400(t, "invalid_request")
		},
		"encoding": func(t *testing.T, s *server, token string) {
			s.revoke(t, form("token", token)+"&a=%zz", as("web")).e400(t, "invalid_request")
		},
	}, func(t *testing.T, s *server, attempt func(*testing.T, *server, string)) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() { attempt(t, s, pair.refresh()) })
		s.lives(t, "web", pair)
	})},
	{"RV-12", each(testCase{}, breaks, func(t *testing.T, s *server, breakIt func(*faulty)) {
		for _, kind := range tokenKinds {
			pair := s.pair(t, "web")
			breakIt(s.store)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.member(kind)).e503(t) })
			s.store.set(nil, nil, nil)
			s.works(t, pair.access())
			s.revokes(t, "web", "token", pair.member(kind)).done(t)
			s.revoked(t, "web", kind, pair)
		}
	})},
	one("RV-14", testCase{run: func(t *testing.T, s *server) {
		for range 64 {
			r0 := s.pair(t, "web")
			var revoked, refreshed *answer
			var both sync.WaitGroup
			both.Go(func() { revoked = s.revokes(t, "web", "token", r0.refresh()) })
			both.Go(func() { refreshed = s.tryRefresh(t, "web", r0.refresh()) })
			both.Wait()
			revoked.done(t)
			s.dead(t, r0.access())
			if refreshed.status == 200 {
				s.ended(t, "web", r0, refreshed)
			} else {
				refreshed.e400(t, "invalid_grant")
			}
		}
	}}),
	{"RV-15", each(testCase{}, same(tokenKinds...), func(t *testing.T, s *server, kind string) {
		pair, err := s.ours.Issue(t.Context(), grants.Issue{Client: "web", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		token := map[string]string{"access_token": pair.GetAccess(), "refresh_token": pair.GetRefresh()}[kind]
		s.mux.Handle("/cannot", handler.Revoke(unrevokable{s.ours}))
		s.post(t, "/cannot", form("token", token), as("web")).e400(t, "unsupported_token_type")
		s.works(t, pair.GetAccess())
	})},
}
