package conformance

import (
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/storage"
)

// CC. client_credentials.
var clientCredentialsRows = []row{
	one("CC-01", testCase{run: func(t *testing.T, s *server) {
		a := s.token(t, goodToken, as("svc")).ok(t)
		if a.refresh() != "" {
			t.Errorf("a refresh token: %s", a)
		}
		if saw := s.works(t, a.access()); !strings.Contains(saw, "client=svc user= ") {
			t.Errorf("the route saw %s", saw)
		}
	}}),
	one("CC-02", testCase{run: func(t *testing.T, s *server) {
		s.unchanged(t, func() { s.token(t, "grant_type=client_credentials&client_id=spa").e400(t, "unauthorized_client") })
		s.useTable(func(id string) (oauth2.ClientInfo, error) {
			return &storage.Client{ID: id, Public: true, GrantTypes: []string{"client_credentials"}, Scope: "read"}, nil
		})
		s.unchanged(t, func() { s.token(t, goodToken+"&client_id=spa").e400(t, "unauthorized_client") })
	}}),
	{"CC-03", each(testCase{foreign: true}, map[string]string{"absent": "", "empty": "&scope="}, func(t *testing.T, s *server, scope string) {
		s.token(t, "grant_type=client_credentials"+scope, as("svc")).ok(t).words(t, "jobs", "read")
	})},
	{"CC-04", each(testCase{foreign: true}, map[string][2]string{"one": {"read", "read"}, "two": {"jobs read", "jobs read"}, "twice": {"read read", "read"}},
		func(t *testing.T, s *server, c [2]string) {
			s.token(t, form("grant_type", "client_credentials", "scope", c[0]), as("svc")).ok(t).words(t, strings.Split(c[1], " ")...)
		})},
	{"CC-05", append(each(testCase{foreign: true}, same("write", "READ", "read jobs admin"), func(t *testing.T, s *server, scope string) {
		s.unchanged(t, func() {
			s.token(t, form("grant_type", "client_credentials", "scope", scope), as("svc")).e400(t, "invalid_scope")
			s.token(t, form("grant_type", "client_credentials", "scope", "read"), as("bare")).e400(t, "invalid_scope")
		})
	}), each(testCase{foreign: true}, malformedScopes, func(t *testing.T, s *server, scope string) {
		s.unchanged(t, func() {
			s.token(t, form("grant_type", "client_credentials", "scope", scope), as("svc")).e400(t, "invalid_scope")
		})
	})...)},
	{"CC-06", each(testCase{foreign: true}, same("username", "user_id", "userId", "sub"), func(t *testing.T, s *server, name string) {
		a := s.token(t, goodToken+"&"+name+"=alice", as("svc")).ok(t)
		if saw := s.works(t, a.access()); !strings.Contains(saw, "client=svc user= ") {
			t.Errorf("the route saw %s", saw)
		}
	})},
}
