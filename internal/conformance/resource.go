package conformance

import (
	"slices"
	"testing"
)

// badResources are what web can not ask for a token for.
var badResources = map[string]string{
	"relative": "/api", "no scheme": "a.example/api", "fragment": resources[0] + "#x", "bare fragment": resources[0] + "#", "not the client's": "https://d.example/api",
	"other case": "https://A.example/api", "longer": resources[0] + "/", "empty": "", "space": "https://a.example/ api",
}

// goesTo fails unless the access token is good at those of the routes a and b, and refused at the others.
func (s *server) goesTo(t *testing.T, access string, routes ...string) {
	t.Helper()
	for _, route := range []string{"a", "b"} {
		a := s.get(t, "/at/"+route, bearer(access))
		if slices.Contains(routes, route) {
			if a.status != 200 {
				t.Errorf("%s: got %s", route, a)
			}
			continue
		}
		a.refused(t, 401, "invalid_token")
	}
}

// named is web's pair for resources, by the authorization endpoint.
func (s *server) named(t *testing.T, named ...string) *answer {
	t.Helper()
	v := s.alice()
	query := query("scope", "read write", "prompt", "consent")
	for _, r := range named {
		query += "&" + form("resource", r)
	}
	return s.redeem(t, "web", v.approves(t, v.get(t, "/authorize?"+query)).granted(t, "xyz")).ok(t)
}

// RFC 8707: resources and audiences.
var resourceRows = []row{
	{"T-19", slices.Concat(
		each(testCase{}, badResources, func(t *testing.T, s *server, resource string) {
			s.unchanged(t, func() {
				s.token(t, goodToken+"&"+form("resource", resource), as("svc")).e400(t, "invalid_target")
				s.token(t, goodToken+"&"+form("resource", resources[0], "resource", resource), as("svc")).e400(t, "invalid_target")
			})
		}),
		renamed("at the code", each(testCase{}, badResources, func(t *testing.T, s *server, resource string) {
			code := s.newCode(t, "web")
			s.unchanged(t, func() { s.redeem(t, "web", code, "resource", resource).e400(t, "invalid_target") })
			s.redeem(t, "web", code).ok(t)
		})),
		[]testCase{
			{name: "client without resources", run: func(t *testing.T, s *server) {
				s.token(t, form("grant_type", "client_credentials", "resource", resources[0]), as("bare")).e400(t, "invalid_target")
			}},
			{name: "one", run: func(t *testing.T, s *server) {
				s.goesTo(t, s.token(t, goodToken+"&"+form("resource", resources[0]), as("svc")).ok(t).access(), "a")
			}},
			{name: "several", run: func(t *testing.T, s *server) {
				s.goesTo(t, s.token(t, goodToken+"&"+form("resource", resources[1], "resource", resources[0], "resource", resources[1]), as("svc")).ok(t).access(), "a", "b")
			}},
			{name: "none", run: func(t *testing.T, s *server) {
				s.goesTo(t, s.token(t, goodToken, as("svc")).ok(t).access(), "a", "b")
			}},
		},
	)},
	{"RT-22", []testCase{
		{name: "not the grant's", run: func(t *testing.T, s *server) {
			pair := s.named(t, resources[0], resources[1])
			for _, wrong := range []string{resources[2], "https://d.example/api", "/api", resources[0] + "#x"} {
				s.unchanged(t, func() { s.refreshAs(t, "web", pair.refresh(), "resource", wrong).e400(t, "invalid_target") })
			}
			s.refreshes(t, "web", pair.refresh())
		}},
		{name: "subset", run: func(t *testing.T, s *server) {
			pair := s.named(t, resources[0], resources[1])
			s.goesTo(t, pair.access(), "a", "b")
			next := s.refreshAs(t, "web", pair.refresh(), "resource", resources[1]).ok(t)
			s.goesTo(t, next.access(), "b")
			s.goesTo(t, s.refreshAs(t, "web", next.refresh()).ok(t).access(), "a", "b") // it binds that token alone
		}},
		{name: "of any", run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			next := s.refreshAs(t, "web", pair.refresh(), "resource", resources[1]).ok(t)
			s.goesTo(t, next.access(), "b")
		}},
		{name: "lost answer", run: func(t *testing.T, s *server) {
			pair := s.named(t, resources[0], resources[1])
			next := s.refreshAs(t, "web", pair.refresh(), "resource", resources[1]).ok(t)
			again := s.refreshAs(t, "web", pair.refresh(), "resource", resources[1]).ok(t)
			if again.access() != next.access() {
				t.Error("another token")
			}
			s.refreshAs(t, "web", pair.refresh(), "resource", resources[0]).e400(t, "invalid_grant")
			s.refreshAs(t, "web", pair.refresh()).e400(t, "invalid_grant")
			s.refreshes(t, "web", next.refresh())
		}},
		{name: "at the code", run: func(t *testing.T, s *server) {
			v := s.alice()
			code := v.approves(t, v.get(t, "/authorize?"+query()+"&"+form("resource", resources[0], "resource", resources[1]))).granted(t, "xyz")
			s.unchanged(t, func() { s.redeem(t, "web", code, "resource", resources[2]).e400(t, "invalid_target") })
			pair := s.redeem(t, "web", code, "resource", resources[0]).ok(t)
			s.goesTo(t, pair.access(), "a")
			s.goesTo(t, s.refreshes(t, "web", pair.refresh()).access(), "a", "b")
		}},
	}},
	{"AZ-14", append(each(testCase{}, badResources, func(t *testing.T, s *server, resource string) {
		v := s.alice()
		s.unchanged(t, func() {
			v.get(t, "/authorize?"+query()+"&"+form("resource", resources[0], "resource", resource)).returned(t, "invalid_target", "xyz")
		})
	}), testCase{name: "resource", run: func(t *testing.T, s *server) {
		s.goesTo(t, s.named(t, resources[1], resources[1]).access(), "b")
	}}, testCase{name: "consent is for resources", run: func(t *testing.T, s *server) {
		s.named(t, resources[0])
		v := s.alice()
		asks := func(more string) bool { return v.get(t, "/authorize?"+query()+more).status == 200 }
		if asks("&"+form("resource", resources[0])) || !asks("&"+form("resource", resources[1])) || !asks("") {
			t.Error("consent for one resource")
		}
		s.pair(t, "web") // for any
		if asks("&"+form("resource", resources[1])) || asks("") {
			t.Error("consent for all resources")
		}
	}})},
	{"IN-06", []testCase{{name: "opaque", opaque: true, run: func(t *testing.T, s *server) {
		rs := fixture("rs")
		rs.Audience = []string{resources[1]}
		s.putClient(t, rs)
		s.introspect(t, "rs", s.named(t, resources[0]).access()).inactive(t)
		s.introspect(t, "rs", s.named(t, resources[0], resources[1]).access()).active(t)
		s.introspect(t, "rs", s.pair(t, "web").access()).active(t)
		own := s.named(t, resources[0])
		s.introspect(t, "web", own.access()).active(t)
	}}}},
	{"ATK-20", []testCase{{name: "resource", run: func(t *testing.T, s *server) {
		pair := s.named(t, resources[0])
		s.unchanged(t, func() {
			s.refreshAs(t, "web", pair.refresh(), "resource", resources[1]).e400(t, "invalid_target")
			s.refreshAs(t, "web", pair.refresh(), "resource", resources[0], "resource2", resources[1], "audience", resources[1], "scope", "read admin").e400(t, "invalid_scope")
		})
		s.goesTo(t, s.refreshes(t, "web", pair.refresh()).access(), "a")
	}}}},
	{"ATK-22", []testCase{
		{name: "opaque", run: func(t *testing.T, s *server) {
			access := s.named(t, resources[0]).access()
			for range 2 { // the second time from the cache
				s.goesTo(t, access, "a")
			}
			s.dead(t, access) // at a route that names no resource
		}},
		{name: "introspected", run: func(t *testing.T, s *server) {
			a := s.introspect(t, "rs", s.named(t, resources[0]).access()).active(t)
			if a.members["aud"] != resources[0] {
				t.Errorf("got %s", a)
			}
		}},
		{name: "more scope", run: func(t *testing.T, s *server) {
			access := s.token(t, form("grant_type", "client_credentials", "scope", "read", "resource", resources[0]), as("svc")).ok(t).access()
			s.goesTo(t, access, "a")
			s.get(t, "/at/a/jobs", bearer(access)).refused(t, 403, "insufficient_scope")
			s.goesTo(t, access, "a")
		}},
	}},
}
