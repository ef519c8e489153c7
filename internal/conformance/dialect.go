package conformance

import (
	"context"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
)

// neighbour is a dialect that leaves the RFCs wherever a dialect can. Endpoints that speak it are mounted
// beside the standard ones on every server, over the same manager, so each row also says that they are
// none the worse for it.
var neighbour = handler.Dialect{
	Params: []string{"userId"},
	Request: func(r *grants.Request) error {
		r.User = strings.Join(r.Params["userId"], "")
		return nil
	},
	Success: func(members map[string]any, _ oauth2.TokenInfo) {
		delete(members, "token_type")
		members["neighbour"] = true
	},
	Errors: map[string]handler.Answer{
		"invalid_request":         {Members: neighbourError},
		"invalid_client":          {Status: 418, Members: neighbourError},
		"invalid_grant":           {Status: 418, Members: neighbourError},
		"unauthorized_client":     {Status: 418, Members: neighbourError},
		"unsupported_grant_type":  {Status: 418, Members: neighbourError},
		"invalid_scope":           {Status: 418, Members: neighbourError},
		"temporarily_unavailable": {Status: 418, Members: neighbourError},
		"server_error":            {Status: 418, Members: neighbourError},
	},
	GrantTypes: []string{"client_credentials", "refresh_token"},
}

var neighbourError = map[string]any{"neighbour": "no"}

// mountNeighbour mounts the endpoints that speak a dialect.
func (s *server) mountNeighbour() {
	s.mux.Handle("/neighbour/token", handler.Token(s.manager, neighbour))
	s.mux.Handle("/neighbour/revoke", handler.Revoke(s.manager, neighbour))
}

// behalf lets every client act for every user, if a dialect says for whom.
func behalf() grants.Option {
	return grants.OnBehalf(func(context.Context, string, string) (bool, error) { return true, nil })
}

// teapot fails unless a is how the neighbour refuses.
func (a *answer) teapot(t *testing.T) {
	t.Helper()
	if a.status != 418 || len(a.members) != 1 || a.member("neighbour") != "no" {
		t.Fatalf("want 418 in the dialect, got %s", a)
	}
}

// Endpoints that speak a dialect beside those that don't: both have been used, and each answers as
// ever.
var dialectRows = []row{
	one("beside_a_dialect", testCase{run: func(t *testing.T, s *server) {
		svc := fixture("svc")
		svc.GrantTypes = append(svc.GrantTypes, "refresh_token")
		s.putClient(t, svc)
		const onBehalf = goodToken + "&userId=bob"
		standard := func() { // CC-01, CC-06 and a refusal
			for _, form := range []string{goodToken, onBehalf} {
				a := s.token(t, form, as("svc")).ok(t)
				if a.refresh() != "" || a.members["neighbour"] != nil {
					t.Errorf("the standard endpoint speaks the dialect: %s", a)
				}
				s.reaches(t, a.access(), "client=svc user= scope=read ")
			}
			s.token(t, onBehalf+"&userId=eve", as("svc")).ok(t) // a word that means nothing there
			s.token(t, goodToken).e401(t)
			s.refreshAs(t, "web", "nonsense").e400(t, "invalid_grant")
		}
		standard()
		pair := s.post(t, "/neighbour/token", onBehalf, as("svc"))
		if pair.status != 200 || pair.access() == "" || pair.refresh() == "" || pair.members["token_type"] != nil || pair.members["neighbour"] != true {
			t.Fatalf("not in the dialect: %s", pair)
		}
		s.reaches(t, pair.access(), "client=svc user=bob scope=read ")
		s.post(t, "/neighbour/token", goodToken).teapot(t)
		s.asClient(t, "/neighbour/token", "web", redemption("web", s.newCode(t, "web"))...).teapot(t)
		standard()

		// One manager: what one endpoint issues the other takes, each in its own words.
		next := s.asClient(t, "/token", "svc", refreshment(pair.refresh())...).ok(t)
		again := s.asClient(t, "/neighbour/token", "svc", refreshment(next.refresh())...)
		if again.status != 200 || again.members["neighbour"] != true {
			t.Fatalf("not in the dialect: %s", again)
		}
		s.reaches(t, again.access(), "client=svc user=bob scope=read ")
		s.asClient(t, "/neighbour/revoke", "web", "token", again.refresh()).teapot(t)
		s.asClient(t, "/revoke", "web", "token", again.refresh()).e400(t, "unauthorized_client")
		s.asClient(t, "/neighbour/revoke", "svc", "token", again.refresh()).done(t)
		s.dead(t, again.access())
		standard()
	}}),
}
