package grants_test

import (
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

func introspectAs(t *testing.T, m *grants.Manager, client, token string) *grants.Introspection {
	t.Helper()
	i, err := m.Introspect(t.Context(), &grants.Request{ClientID: client, ClientSecret: client + "-secret", Token: token})
	if err != nil {
		t.Fatal(err)
	}
	return i
}

func TestIntrospect(t *testing.T) {
	store := openStore(t)
	err := store.PutClient(t.Context(), &storage.Client{ID: "rs", Secret: storage.HashGenerated("rs-secret"), Introspect: true})
	if err != nil {
		t.Fatal(err)
	}
	m := grants.New(store, quiet)
	pair := issue(t, m, grants.Issue{Client: "app", User: "alice", Scope: "read", Audience: []string{"https://api.example"}})

	t.Run("RFC7662/2.2/access_token", func(t *testing.T) {
		want := &grants.Introspection{
			Active: true, Client: "app", User: "alice", Scope: "read", Audience: []string{"https://api.example"},
			Issued: pair.GetAccessCreateAt(), Expires: pair.GetAccessCreateAt().Add(pair.GetAccessExpiresIn()),
		}
		for _, client := range []string{"app", "rs", "rs"} {
			got := introspectAs(t, m, client, pair.GetAccess())
			if !got.Issued.Equal(want.Issued) || !got.Expires.Equal(want.Expires) {
				t.Errorf("%s: from %s to %s, want from %s to %s", client, got.Issued, got.Expires, want.Issued, want.Expires)
			}
			got.Issued, got.Expires = want.Issued, want.Expires // in another location
			if !reflect.DeepEqual(got, want) {
				t.Errorf("%s: got %+v, want %+v", client, got, want)
			}
			got.Audience[0] = "altered by whoever asked" // which nobody else sees
		}
	})

	t.Run("RFC7662/2.2/refresh_token", func(t *testing.T) {
		got := introspectAs(t, m, "app", pair.GetRefresh())
		if !got.Active || !got.Refresh || got.Client != "app" || got.User != "alice" || got.Scope != "read" || !slices.Equal(got.Audience, []string{"https://api.example"}) || !got.Expires.Equal(got.Issued.Add(pair.GetRefreshExpiresIn())) {
			t.Errorf("got %+v", got)
		}
	})

	t.Run("RFC7662/2.2/nothing_of_a_token_that_is_not_active", func(t *testing.T) {
		for client, token := range map[string]string{"other": pair.GetAccess(), "rs": pair.GetRefresh(), "app": "nonsense"} {
			if got := introspectAs(t, m, client, token); !reflect.DeepEqual(got, &grants.Introspection{}) {
				t.Errorf("%s is told %+v", client, got)
			}
		}
	})

	t.Run("RFC7662/2.1/refused", func(t *testing.T) {
		for name, c := range map[string]struct {
			request grants.Request
			code    string
		}{
			"no client":      {grants.Request{}, "invalid_client"},
			"unknown client": {grants.Request{ClientID: "nobody", ClientSecret: "nobody-secret"}, "invalid_client"},
			"wrong secret":   {grants.Request{ClientID: "app", ClientSecret: "other-secret"}, "invalid_client"},
			"no secret":      {grants.Request{ClientID: "app"}, "invalid_client"},
			"public client":  {grants.Request{ClientID: "spa"}, "invalid_client"},
		} {
			c.request.Token = pair.GetAccess()
			if got, err := m.Introspect(t.Context(), &c.request); code(t, err) != c.code || got != nil {
				t.Errorf("%s: got %+v, %v", name, got, err)
			}
		}
		if got, err := m.Introspect(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret"}); code(t, err) != "invalid_request" || got != nil {
			t.Errorf("no token: got %+v, %v", got, err)
		}
	})
}

// A refusal is an event. What a client learns, or does not, is none.
func TestIntrospectEvents(t *testing.T) {
	var events []grants.Event
	log := new(testbed.Log)
	m := grants.New(openStore(t), grants.Logger(log.Logger()), grants.OnEvent(func(_ context.Context, e grants.Event) { events = append(events, e) }))
	pair := issue(t, m, grants.Issue{Client: "app", User: "alice"})
	events = nil
	for _, token := range []string{pair.GetAccess(), pair.GetRefresh(), "nonsense"} {
		introspectAs(t, m, "app", token)
		introspectAs(t, m, "other", token)
	}
	if len(events) != 0 {
		t.Errorf("got %+v", events)
	}
	for _, c := range []struct {
		request grants.Request
		reason  string
	}{
		{grants.Request{ClientID: "app", ClientSecret: "other-secret"}, "wrong client secret"},
		{grants.Request{ClientID: "spa"}, "client is public"},
		{grants.Request{ClientID: "app", ClientSecret: "app-secret"}, "a parameter is missing"},
	} {
		events = nil
		c.request.RemoteAddr = "192.0.2.1:7"
		m.Introspect(t.Context(), &c.request)
		want := grants.Event{Kind: grants.EventRefused, Client: c.request.ClientID, Reason: c.reason, RemoteAddr: "192.0.2.1:7"}
		if !reflect.DeepEqual(events, []grants.Event{want}) {
			t.Errorf("got %+v, want %+v", events, want)
		}
	}
}
