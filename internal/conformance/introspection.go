package conformance

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// introspect asks about a token as a fixture client.
func (s *server) introspect(t *testing.T, client, token string, more ...string) *answer {
	t.Helper()
	return s.asClient(t, "/introspect", client, append([]string{"token", token}, more...)...)
}

// active fails unless the answer is about a token that is alive.
func (a *answer) active(t *testing.T) *answer {
	t.Helper()
	if a.status != 200 || a.members["active"] != true {
		t.Fatalf("want active, got %s", a)
	}
	return a
}

// inactive fails unless the answer is the one about every token that there is nothing to say of.
func (a *answer) inactive(t *testing.T) *answer {
	t.Helper()
	if a.status != 200 || a.body != `{"active":false}` {
		t.Fatalf(`want {"active":false}, got %s`, a)
	}
	return a
}

// death is a way in which a token dies: what is presented then.
type death = func(t *testing.T, s *server, pair *answer) (token string)

// deaths are the ways in which tokens of web's die. Each is tried alone.
var deaths = map[string]death{
	"access token expired": func(t *testing.T, s *server, pair *answer) string { time.Sleep(time.Hour); return pair.access() },
	"refresh token expired": func(t *testing.T, s *server, pair *answer) string {
		time.Sleep(30 * 24 * time.Hour)
		return pair.refresh()
	},
	"access token revoked": func(t *testing.T, s *server, pair *answer) string {
		s.asClient(t, "/revoke", "web", "token", pair.access()).done(t)
		return pair.access()
	},
	"refresh token revoked": func(t *testing.T, s *server, pair *answer) string {
		s.asClient(t, "/revoke", "web", "token", pair.refresh()).done(t)
		return pair.refresh()
	},
	"with its refresh token": func(t *testing.T, s *server, pair *answer) string {
		s.asClient(t, "/revoke", "web", "token", pair.refresh()).done(t)
		return pair.access()
	},
	"user ended": func(t *testing.T, s *server, pair *answer) string {
		s.end(t, storage.Filter{User: "alice"})
		return pair.access()
	},
	"client ended": func(t *testing.T, s *server, pair *answer) string {
		s.end(t, storage.Filter{Client: "web"})
		return pair.access()
	},
	"grant ended": func(t *testing.T, s *server, pair *answer) string {
		info, err := s.ours.LoadAccessToken(t.Context(), pair.access())
		if err != nil {
			t.Fatal(err)
		}
		id, _ := grants.GrantID(info)
		s.end(t, storage.Filter{Grant: id})
		return pair.access()
	},
	"client deleted": func(t *testing.T, s *server, pair *answer) string {
		s.deleteClient(t, "web")
		s.putClient(t, fixture("web"))
		return pair.refresh()
	},
	"refresh token spent": func(t *testing.T, s *server, pair *answer) string {
		s.refreshes(t, "web", pair.refresh())
		return pair.refresh()
	},
	"unknown": func(t *testing.T, s *server, pair *answer) string {
		return forged(pair.access(), 'a', func(octets []byte) { octets[20] ^= 1 })
	},
	"unknown grant": func(t *testing.T, s *server, pair *answer) string {
		return forged(pair.refresh(), 'r', func(octets []byte) { octets[3] ^= 1 })
	},
	"garbage":      func(t *testing.T, s *server, pair *answer) string { return "garbage" },
	"long garbage": func(t *testing.T, s *server, pair *answer) string { return strings.Repeat("x", 60<<10) },
	"code":         func(t *testing.T, s *server, pair *answer) string { return s.newCode(t, "web") },
}

// IN. Introspection.
var introspectionRows = []row{
	{"IN-01", []testCase{
		{name: "user's", moves: true, opaque: true, run: func(t *testing.T, s *server) {
			began := time.Now()
			pair := s.redeem(t, "web", s.newCode(t, "web")).ok(t)
			time.Sleep(10 * time.Second)
			a := s.introspect(t, "rs", pair.access()).active(t)
			want := map[string]any{
				"active": true, "scope": pair.scope(), "client_id": "web", "sub": "alice", "iss": issuer, "token_type": "Bearer",
				"iat": float64(began.Unix()), "exp": float64(began.Add(time.Hour).Unix()),
			}
			if !maps.Equal(a.members, want) {
				t.Errorf("got %v, want %v", a.members, want)
			}
		}},
		{name: "client's own", run: func(t *testing.T, s *server) {
			a := s.introspect(t, "rs", s.token(t, goodToken, as("svc")).ok(t).access()).active(t)
			if _, told := a.members["sub"]; told || a.member("client_id") != "svc" {
				t.Errorf("got %s", a)
			}
		}},
		{name: "narrowed", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			next := s.refreshAs(t, "web", pair.refresh(), "scope", "read").ok(t)
			if a := s.introspect(t, "rs", next.access()).active(t); a.scope() != "read" {
				t.Errorf("got %s", a)
			}
		}},
		{name: "imported", options: []grants.Option{grants.ImportedTokens()}, run: func(t *testing.T, s *server) {
			_, err := s.ours.Import(t.Context(), grants.Import{
				Client: "web", User: "alice", Scope: "read",
				Access:  []grants.ImportedToken{{Token: "old-access"}, {Token: "old-access-2"}}, // which never expire
				Refresh: grants.ImportedToken{Token: "old-refresh"},
			})
			if err != nil {
				t.Fatal(err)
			}
			for _, access := range []string{"old-access", "old-access-2"} {
				a := s.introspect(t, "rs", access).active(t)
				if _, told := a.members["exp"]; told || a.member("sub") != "alice" || a.member("client_id") != "web" || a.scope() != "read" || a.member("token_type") != "Bearer" {
					t.Errorf("got %s", a)
				}
				s.introspect(t, "two", access).inactive(t)
			}
			s.introspect(t, "web", "old-refresh").active(t)
			s.introspect(t, "rs", "old-refresh").inactive(t)
			s.refreshes(t, "web", "old-refresh")
			s.introspect(t, "web", "old-refresh").inactive(t)
			s.introspect(t, "rs", "old-access").active(t)
		}},
		{name: "audience", run: func(t *testing.T, s *server) {
			for _, audience := range [][]string{{"https://api.example"}, {"https://api.example", "https://b.example"}} {
				info, err := s.ours.Issue(t.Context(), grants.Issue{Client: "web", User: "alice", Audience: audience})
				if err != nil {
					t.Fatal(err)
				}
				var got []string
				switch aud := s.introspect(t, "rs", info.GetAccess()).active(t).members["aud"].(type) {
				case string:
					got = []string{aud}
				case []any:
					for _, one := range aud {
						got = append(got, one.(string))
					}
				}
				if !slices.Equal(got, audience) {
					t.Errorf("got %v, want %v", got, audience)
				}
			}
		}},
	}},
	{"IN-02", each(testCase{moves: true}, deaths, func(t *testing.T, s *server, die death) {
		pair := s.pair(t, "web")
		for range 2 { // from the store, and from the cache
			s.introspect(t, "web", pair.access()).active(t)
			s.introspect(t, "web", pair.refresh()).active(t)
			s.introspect(t, "rs", pair.access()).active(t)
		}
		token := die(t, s, pair)
		s.unchanged(t, func() { s.introspect(t, "web", token).inactive(t) })
		s.unchanged(t, func() { s.introspect(t, "rs", token).inactive(t) })
	})},
	{"IN-03", each(testCase{}, map[string]struct {
		form    []string
		headers [][2]string
	}{
		"wrong secret":  {headers: [][2]string{basic("rs", "wrong-secret")}},
		"no client":     {},
		"public client": {form: []string{"client_id", "spa"}},
		"bearer":        {headers: [][2]string{bearer("x")}},
	}, func(t *testing.T, s *server, c struct {
		form    []string
		headers [][2]string
	}) {
		pair := s.pair(t, "spa")
		s.unchanged(t, func() {
			s.post(t, "/introspect", form(append(c.form, "token", pair.access())...), c.headers...).e401(t)
			s.post(t, "/introspect", form("token", "x"), bearer(pair.access())).e401(t)
		})
	})},
	{"IN-04", []testCase{
		{name: "own", run: func(t *testing.T, s *server) { s.introspect(t, "web", s.pair(t, "web").access()).active(t) }},
		{name: "another's", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "two")
			s.introspect(t, "web", pair.access()).inactive(t)
			s.lives(t, "two", pair)
		}},
	}},
	{"IN-05", []testCase{
		{name: "own client", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			a := s.introspect(t, "web", pair.refresh()).active(t)
			if _, told := a.members["token_type"]; told || a.member("client_id") != "web" || a.member("sub") != "alice" {
				t.Errorf("got %s", a)
			}
			s.lives(t, "web", pair)
		}},
		{name: "rs", run: func(t *testing.T, s *server) { s.introspect(t, "rs", s.pair(t, "web").refresh()).inactive(t) }},
		{name: "another client", run: func(t *testing.T, s *server) { s.introspect(t, "two", s.pair(t, "web").refresh()).inactive(t) }},
	}},
	{"IN-07", append(each(testCase{}, map[string]struct {
		method, path, contentType, body string
		status                          int
	}{
		"absent":       {"POST", "", formType, "", 400},
		"empty":        {"POST", "", formType, "token=", 400},
		"twice":        {"POST", "", formType, "token=TOKEN&token=TOKEN", 400},
		"in the query": {"POST", "?token=TOKEN", formType, "", 400},
		"JSON":         {"POST", "", "application/json", `{"token":"TOKEN"}`, 400},
		"GET":          {"GET", "?token=TOKEN", "", "", 405},
	}, func(t *testing.T, s *server, c struct {
		method, path, contentType, body string
		status                          int
	}) {
		access := s.pair(t, "web").access()
		fill := func(text string) string { return strings.ReplaceAll(text, "TOKEN", access) }
		s.send(t, c.method, "/introspect"+fill(c.path), strings.NewReader(fill(c.body)), [2]string{"Content-Type", c.contentType}, as("rs")).is(t, c.status, "invalid_request")
	}), each(testCase{}, same("refresh_token", "unknown", "access_token", ""), func(t *testing.T, s *server, hint string) {
		pair := s.pair(t, "web")
		s.introspect(t, "web", pair.access(), "token_type_hint", hint).active(t)
		s.introspect(t, "web", pair.refresh(), "token_type_hint", hint).active(t)
	})...)},
	{"IN-08", append(each(testCase{}, readParts, func(t *testing.T, s *server, set storePart) {
		pair := s.pair(t, "web")
		for _, fault := range []testbed.Fault{testbed.Fail, explode} {
			set(s.store, fault)
			for _, token := range []string{pair.access(), pair.refresh()} {
				if a := s.introspect(t, "web", token); a.status < 500 {
					t.Errorf("got %s", a)
				}
			}
		}
		set(s.store, testbed.Fail)
		s.introspect(t, "web", pair.access()).e503(t)
		set(s.store, nil)
		s.introspect(t, "web", pair.access()).active(t)
	}), testCase{name: "writes", run: func(t *testing.T, s *server) { // of which there are none
		pair := s.pair(t, "web")
		s.store.Break(nil, testbed.Fail, nil)
		s.introspect(t, "web", pair.access()).active(t)
		s.introspect(t, "web", pair.refresh()).active(t)
	}})},
	{"ATK-23", append(each(testCase{moves: true}, deaths, func(t *testing.T, s *server, die death) {
		pair := s.pair(t, "web")
		s.introspect(t, "rs", pair.access()).active(t)
		token := die(t, s, pair)
		live := s.pair(t, "web")
		unknown := s.introspect(t, "two", "x").inactive(t)
		unknown.header.Del("Date")
		same := func(client, token string) {
			a := s.introspect(t, client, token).inactive(t)
			a.header.Del("Date")
			if a.String() != unknown.String() {
				t.Errorf("got %s, want %s", a, unknown)
			}
		}
		for _, secret := range []string{token, live.access(), live.refresh()} {
			same("two", secret)
		}
		for _, client := range []string{"web", "rs"} {
			same(client, token)
		}
		s.dead(t, token)
		s.lives(t, "web", live)
	}), testCase{name: "walk", run: func(t *testing.T, s *server) { // a guess of what follows an ID ends nothing
		pair := s.pair(t, "web")
		for i := range 48 {
			for _, kind := range tokenKinds {
				s.introspect(t, "two", forged(pair.member(kind), pair.member(kind)[3], func(octets []byte) { octets[i] ^= 1 })).inactive(t)
				s.introspect(t, "web", forged(pair.member(kind), pair.member(kind)[3], func(octets []byte) { octets[i] ^= 1 })).inactive(t)
			}
		}
		s.lives(t, "web", pair)
	}})},
}
