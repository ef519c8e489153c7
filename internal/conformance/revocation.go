package conformance

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
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

// spared makes a case in which tokens of web's are revoked in a way that is answered by try and leaves them alive.
func spared[T any](try func(t *testing.T, s *server, token string, v T)) func(t *testing.T, s *server, v T) {
	return func(t *testing.T, s *server, v T) {
		pair := s.pair(t, "web")
		s.unchanged(t, func() {
			for _, kind := range tokenKinds {
				try(t, s, pair.member(kind), v)
			}
		})
		s.lives(t, "web", pair)
	}
}

// badBody is a revocation whose body is not what it should be; TOKEN stands for the token.
type badBody struct {
	types      []string
	path, body string
	chunked    bool
	status     int
}

// RV. Revocation.
var revocationRows = []row{
	{"RV-01", append(each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		pair := s.pair(t, client)
		s.revokes(t, client, "token", pair.access()).done(t)
		s.revoked(t, client, "access_token", pair)
	}),
		testCase{name: "siblings", run: func(t *testing.T, s *server) {
			r0, r1, r2 := refreshedTwice(t, s, "web")
			s.revokes(t, "web", "token", r1.access()).done(t)
			s.dead(t, r1.access())
			s.works(t, r0.access())
			s.lives(t, "web", r2)
		}},
		testCase{name: "no grant type left", run: func(t *testing.T, s *server) {
			for _, client := range []string{"web", "spa"} {
				pair := s.pair(t, client)
				c := fixture(client)
				c.GrantTypes = nil
				s.putClient(t, c)
				s.revokes(t, client, "token", pair.access()).done(t)
				s.putClient(t, fixture(client))
				s.revoked(t, client, "access_token", pair)
			}
		}})},
	{"RV-02", each(testCase{foreign: true}, same("web", "spa"), func(t *testing.T, s *server, client string) {
		pair := s.pair(t, client)
		s.revokes(t, client, "token", pair.refresh()).done(t)
		s.ended(t, client, pair)
	})},
	{"RV-03", []testCase{
		{name: "while it would be repeated", run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			s.revokes(t, "web", "token", r0.refresh()).done(t)
			s.ended(t, "web", r0, r1)
		}},
		{name: "later", moves: true, run: func(t *testing.T, s *server) {
			r0 := s.pair(t, "web")
			r1 := s.refreshes(t, "web", r0.refresh())
			time.Sleep(time.Minute)
			s.revokes(t, "web", "token", r0.refresh()).done(t)
			s.ended(t, "web", r0, r1)
		}},
		{name: "two rotations ago", run: func(t *testing.T, s *server) {
			r0, r1, r2 := refreshedTwice(t, s, "web")
			s.revokes(t, "web", "token", r0.refresh()).done(t)
			s.ended(t, "web", r0, r1, r2)
		}},
	}},
	{"RV-04", slices.Concat(each(testCase{foreign: true}, damages, spared(func(t *testing.T, s *server, token string, damage func(string) []string) {
		for _, damaged := range damage(token) {
			s.revokes(t, "web", "token", damaged).done(t)
		}
	})), each(testCase{foreign: true}, map[string]string{
		"not UTF-8": "\xff", "NUL": "\x00", "not ASCII": "é", "10 KiB": strings.Repeat("x", 10<<10),
	}, spared(func(t *testing.T, s *server, token, odd string) {
		s.revokes(t, "web", "token", odd).done(t)
		s.revokes(t, "web", "token", token+odd).done(t)
	})), []testCase{
		{name: "expired access token", moves: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			time.Sleep(time.Hour)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.access()).done(t) })
			s.refreshes(t, "web", pair.refresh())
		}},
		{name: "expired refresh token", moves: true, options: []grants.Option{grants.RefreshIdle(time.Minute)}, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			time.Sleep(time.Minute)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.refresh()).done(t) })
			s.works(t, pair.access())
		}},
		{name: "ended by client", run: func(t *testing.T, s *server) { // whose records are as they were
			pair := s.pair(t, "web")
			s.end(t, filters["by client"])
			s.unchanged(t, func() {
				for _, kind := range tokenKinds {
					s.revokes(t, "web", "token", pair.member(kind)).done(t)
				}
			})
		}},
		{name: "revoked access token", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.revokes(t, "web", "token", pair.access()).done(t)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.access()).done(t) })
			s.refreshes(t, "web", pair.refresh())
		}},
		{name: "revoked refresh token", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.revokes(t, "web", "token", pair.refresh()).done(t)
			s.unchanged(t, func() {
				s.revokes(t, "web", "token", pair.refresh()).done(t)
				s.revokes(t, "web", "token", pair.access()).done(t)
			})
		}},
	})},
	{"RV-05", each(testCase{foreign: true}, map[string]string{
		"absent": "foo=TOKEN", "empty": "token=&foo=TOKEN", "twice": "token=TOKEN&token=TOKEN", "two": "token=TOKEN&token=x",
		"hint twice": "token=TOKEN&token_type_hint=access_token&token_type_hint=refresh_token",
	}, spared(func(t *testing.T, s *server, token, body string) {
		s.revoke(t, strings.ReplaceAll(body, "TOKEN", token), as("web")).e400(t, "invalid_request")
	}))},
	{"RV-06", append(append(each(testCase{foreign: true}, same("two", "spa"), spared(func(t *testing.T, s *server, token, stranger string) {
		s.revokes(t, stranger, "token", token).e400(t, "unauthorized_client")
	})), renamed("dead", each(testCase{foreign: true}, product([]string{"two", "spa"}, tokenKinds), func(t *testing.T, s *server, c [2]string) {
		pair := s.pair(t, "web")
		s.revokes(t, "web", "token", pair.member(c[1])).done(t)
		s.unchanged(t, func() { s.revokes(t, c[0], "token", pair.member(c[1])).done(t) })
		s.revoked(t, "web", c[1], pair)
	}))...), testCase{name: "client deleted", run: func(t *testing.T, s *server) { // which has ended its tokens
		pair := s.pair(t, "web")
		s.deleteClient(t, "web")
		s.unchanged(t, func() {
			for _, kind := range tokenKinds {
				s.revokes(t, "two", "token", pair.member(kind)).done(t)
			}
			if err := errors.Join(s.ours.RemoveAccessToken(t.Context(), pair.access()), s.ours.RemoveRefreshToken(t.Context(), pair.refresh())); err != nil {
				t.Error(err)
			}
		})
	}})},
	{"RV-07", each(testCase{foreign: true}, map[string]proof{
		"wrong secret": {headers: [][2]string{basic("web", "wrong-secret")}}, "client_id alone": {params: []string{"client_id", "web"}}, "no client": {},
	}, spared(func(t *testing.T, s *server, token string, p proof) {
		s.prove(t, "/revoke", p, "token", token).e401(t)
	}))},
	{"RV-08", each(testCase{foreign: true}, product(tokenKinds, []string{"access_token", "refresh_token", "id_token", "x", ""}), func(t *testing.T, s *server, c [2]string) {
		pair := s.pair(t, "web")
		s.revokes(t, "web", "token", pair.member(c[0]), "token_type_hint", c[1]).done(t)
		s.revoked(t, "web", c[0], pair)
	})},
	one("RV-09", testCase{foreign: true, run: func(t *testing.T, s *server) {
		code := s.newCode(t, "web")
		s.unchanged(t, func() {
			for _, posing := range append(posingAs('a', code), posingAs('r', code)...) {
				s.revokes(t, "web", "token", posing).done(t)
			}
		})
		s.redeem(t, "web", code).ok(t)
	}}),
	{"RV-10", []testCase{
		{name: "GET", foreign: true, run: func(t *testing.T, s *server) {
			spared(func(t *testing.T, s *server, token, callback string) {
				a := s.get(t, "/revoke?"+form("token", token, "callback", callback), as("web")).is(t, 405, "invalid_request")
				if a.header.Get("Allow") != "POST" || strings.Contains(a.body, callback) {
					t.Errorf("got %s", a)
				}
			})(t, s, "package.cb")
		}},
		{name: "POST", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.revokes(t, "web", "token", pair.access(), "callback", "package.cb").done(t)
			s.revoked(t, "web", "access_token", pair)
		}},
	}},
	{"RV-11", each(testCase{foreign: true}, map[string]badBody{
		"no type":        {nil, "", "token=TOKEN", false, 400},
		"json":           {[]string{"application/json"}, "", `{"token":"TOKEN"}`, false, 400},
		"plain":          {[]string{"text/plain"}, "", "token=TOKEN", false, 400},
		"multipart":      {[]string{"multipart/form-data; boundary=x"}, "", "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\nTOKEN\r\n--x--\r\n", false, 400},
		"two types":      {[]string{formType, formType}, "", "token=TOKEN", false, 400},
		"oversized":      {[]string{formType}, "", "token=TOKEN&foo=" + strings.Repeat("x", 64<<10), false, 413},
		"chunked":        {[]string{formType}, "", "token=TOKEN&foo=" + strings.Repeat("x", 64<<10), true, 413},
		"query":          {[]string{formType}, "?token=TOKEN", "", false, 400},
		"query and body": {[]string{formType}, "?token=", "token=TOKEN", false, 400},
		"hint in query":  {[]string{formType}, "?token_type_hint=access_token", "token=TOKEN", false, 400},
		"zz":             {[]string{formType}, "", "token=TOKEN&a=%zz", false, 400},
		"half":           {[]string{formType}, "", "token=TOKEN&a=%4", false, 400},
		"semicolon":      {[]string{formType}, "", "token=TOKEN;a=1", false, 400},
	}, spared(func(t *testing.T, s *server, token string, c badBody) {
		headers := [][2]string{as("web")}
		for _, v := range c.types {
			headers = append(headers, [2]string{"Content-Type", v})
		}
		var body io.Reader = strings.NewReader(strings.ReplaceAll(c.body, "TOKEN", token))
		if c.chunked {
			body = io.MultiReader(body)
		}
		a := s.send(t, "POST", "/revoke"+strings.ReplaceAll(c.path, "TOKEN", token), body, headers...).is(t, c.status, "invalid_request")
		if c.status == 413 && !a.closes {
			t.Errorf("the connection stays open: %s", a)
		}
	}))},
	{"RV-12", each(testCase{}, breaks, func(t *testing.T, s *server, fault func(*testbed.Faulty)) {
		for _, kind := range tokenKinds {
			pair := s.pair(t, "web")
			fault(s.store)
			s.unchanged(t, func() { s.revokes(t, "web", "token", pair.member(kind)).e503(t) })
			s.store.Break(nil, nil, nil)
			s.works(t, pair.access())
			s.revokes(t, "web", "token", pair.member(kind)).done(t)
			s.revoked(t, "web", kind, pair)
		}
	})},
	one("RV-14", testCase{run: func(t *testing.T, s *server) {
		for range 64 {
			r0 := s.pair(t, "web")
			both := atOnce(t, 2, func(i int) *answer {
				if i == 0 {
					return s.revokes(t, "web", "token", r0.refresh())
				}
				return s.tryRefresh(t, "web", r0.refresh())
			})
			both[0].done(t)
			if refreshed := both[1]; refreshed.status == 200 {
				s.ended(t, "web", r0, refreshed.ok(t))
			} else {
				refreshed.e400(t, "invalid_grant")
				s.ended(t, "web", r0)
			}
		}
	}}),
	{"RV-15", each(testCase{}, same(tokenKinds...), func(t *testing.T, s *server, kind string) {
		pair := s.pair(t, "web")
		s.manager = unrevokable{s.ours}
		s.mount()
		s.unchanged(t, func() { s.revokes(t, "web", "token", pair.member(kind)).e400(t, "unsupported_token_type") })
		s.manager = s.ours
		s.mount()
		s.lives(t, "web", pair)
	})},
}
