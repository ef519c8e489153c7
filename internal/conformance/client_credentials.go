package conformance

import (
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// refusedOwnScope makes a case in which a client asks for a scope that it may not have.
func refusedOwnScope(client string) func(t *testing.T, s *server, scope string) {
	return func(t *testing.T, s *server, scope string) {
		s.unchanged(t, func() {
			s.asClient(t, "/token", client, "grant_type", "client_credentials", "scope", scope).e400(t, "invalid_scope")
		})
	}
}

// CC. client_credentials.
var clientCredentialsRows = []row{
	one("CC-01", testCase{foreign: true, run: func(t *testing.T, s *server) {
		a := s.token(t, goodToken, as("svc")).ok(t)
		if a.refresh() != "" {
			t.Errorf("a refresh token: %s", a)
		}
		s.reaches(t, a.access(), "client=svc user= scope=read ")
		s.get(t, "/users", bearer(a.access())).refused(t, 403, "insufficient_scope")
	}}),
	{"CC-02", append(each(testCase{}, map[string]oauth2.ClientInfo{
		"registered":         &storage.Client{ID: "spa", Public: true, GrantTypes: []string{"client_credentials"}, Scope: "read"},
		"may do anything":    &models.Client{ID: "spa", Public: true},
		"registered, secret": &storage.Client{ID: "spa", Public: true, Secret: storage.HashGenerated("x"), GrantTypes: []string{"client_credentials"}, Scope: "read"},
	}, func(t *testing.T, s *server, info oauth2.ClientInfo) {
		s.restart(grants.Clients(clientTable(func(string) (oauth2.ClientInfo, error) { return info, nil })), grants.ForeignScope("read"))
		s.unchanged(t, func() { s.token(t, goodToken+"&client_id=spa").e400(t, "unauthorized_client") })
	}), testCase{name: "not registered", foreign: true, run: func(t *testing.T, s *server) {
		s.unchanged(t, func() { s.token(t, goodToken+"&client_id=spa").e400(t, "unauthorized_client") })
	}})},
	{"CC-03", each(testCase{foreign: true}, map[string]string{"absent": "", "empty": "&scope="}, func(t *testing.T, s *server, scope string) {
		a := s.token(t, "grant_type=client_credentials"+scope, as("svc")).ok(t)
		a.words(t, "jobs", "read")
		s.reaches(t, a.access(), " scope="+a.scope()+" ")
	})},
	{"CC-04", each(testCase{foreign: true}, map[string][2]string{"one": {"read", "read"}, "two": {"jobs read", "jobs read"}, "twice": {"read read", "read"}},
		func(t *testing.T, s *server, c [2]string) {
			a := s.token(t, form("grant_type", "client_credentials", "scope", c[0]), as("svc")).ok(t)
			a.words(t, strings.Split(c[1], " ")...)
			s.reaches(t, a.access(), " scope="+a.scope()+" ")
		})},
	{"CC-05", slices.Concat(
		each(testCase{foreign: true}, same("write", "READ", "read jobs admin"), refusedOwnScope("svc")),
		renamed("for bare", each(testCase{foreign: true}, same("read", "x"), refusedOwnScope("bare"))),
		each(testCase{foreign: true}, malformedScopes, refusedOwnScope("svc")),
	)},
	{"CC-06", each(testCase{foreign: true}, same("username", "user_id", "userId", "sub"), func(t *testing.T, s *server, name string) {
		s.reaches(t, s.token(t, goodToken+"&"+name+"=alice", as("svc")).ok(t).access(), "client=svc user= scope=read ")
	})},
}
