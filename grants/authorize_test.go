package grants_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// asking is a manager, a good request to it, and what it told.
func asking(t *testing.T) (*grants.Manager, *grants.AuthorizationRequest, *[]grants.Event) {
	t.Helper()
	store := openStore(t)
	err := store.PutClient(t.Context(), &storage.Client{
		ID: "web", Secret: storage.HashGenerated("web-secret"), Scope: "read write", GrantTypes: []string{"authorization_code"}, RedirectURIs: []string{"https://web.example/cb"},
	})
	if err != nil {
		t.Fatal(err)
	}
	events := new([]grants.Event)
	m := grants.New(store, quiet, grants.OnEvent(func(_ context.Context, e grants.Event) { *events = append(*events, e) }))
	return m, &grants.AuthorizationRequest{
		ClientID: "web", ResponseType: "code", Scope: "read", RemoteAddr: "192.0.2.1:1",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: "S256",
	}, events
}

// Approve holds what was asked for, whatever it is told, and tells what happened.
func TestApprove(t *testing.T) {
	id := storage.NewID()
	for name, c := range map[string]struct {
		request func(*grants.AuthorizationRequest)
		approve grants.Approval
		code    string // of the error
		event   grants.EventKind
	}{
		"good":          {nil, grants.Approval{Grant: id, User: "alice", Scope: []string{"read"}}, "", grants.EventAuthorized},
		"less":          {nil, grants.Approval{Grant: id, User: "alice"}, "", grants.EventAuthorized},
		"more":          {nil, grants.Approval{Grant: id, User: "alice", Scope: []string{"read", "write"}}, "invalid_scope", grants.EventRefused},
		"refused":       {func(r *grants.AuthorizationRequest) { r.ResponseType = "token" }, grants.Approval{Grant: id, User: "alice"}, "unsupported_response_type", grants.EventRefused},
		"nobody":        {nil, grants.Approval{Grant: id, Scope: []string{"read"}}, "invalid_request", grants.EventRefused},
		"user no UTF-8": {nil, grants.Approval{Grant: id, User: "\xff", Scope: []string{"read"}}, "invalid_request", grants.EventRefused},
	} {
		t.Run(name, func(t *testing.T) {
			m, r, events := asking(t)
			if c.request != nil {
				c.request(r)
			}
			asked, err := m.Authorization(t.Context(), r)
			if err != nil {
				t.Fatal(err)
			}
			authorized, err := m.Approve(t.Context(), asked, c.approve)
			if code(t, err) != c.code || (authorized == "") != (c.code != "") {
				t.Fatalf("%q, %v", authorized, err)
			}
			if len(*events) != 1 {
				t.Fatalf("told %+v", *events)
			}
			e := (*events)[0]
			if e.Kind != c.event || e.Client != "web" || e.User != c.approve.User || e.RemoteAddr != r.RemoteAddr || (e.Grant == id) != (c.code == "") || (e.Reason == "") != (c.code == "") {
				t.Errorf("told %+v", e)
			}
			if c.code == "" && e.Scope != map[string]string{"good": "read", "less": ""}[name] {
				t.Errorf("told %+v", e)
			}
			if c.code == "" {
				if again, err := m.Approve(t.Context(), asked, c.approve); code(t, err) != "invalid_request" || again != "" {
					t.Errorf("approved twice: %q, %v", again, err)
				}
			}
		})
	}
}

// Refusals are told of, by the manager and by who asks it.
func TestAuthorizationRefused(t *testing.T) {
	m, r, events := asking(t)
	asked, err := m.Authorization(t.Context(), r)
	if err != nil {
		t.Fatal(err)
	}
	m.Refuse(t.Context(), asked, "alice", &grants.Error{Code: "access_denied", Cause: errors.New("the user has refused")})
	r.ClientID = "nobody"
	if _, err := m.Authorization(t.Context(), r); code(t, err) != "invalid_request" {
		t.Errorf("an unknown client: %v", err)
	}
	want := []grants.Event{
		{Kind: grants.EventRefused, Client: "web", User: "alice", Reason: "access_denied", RemoteAddr: r.RemoteAddr},
		{Kind: grants.EventRefused, Reason: "unknown client", RemoteAddr: r.RemoteAddr},
	}
	if !slices.Equal(*events, want) {
		t.Errorf("told %+v, want %+v", *events, want)
	}
}

// Keys waits for the store no longer than everything else does.
func TestKeysHaveATimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &testbed.Faulty{Store: openStore(t)}
		keys := grants.New(store, quiet, grants.StoreTimeout(2*time.Second)).Keys()
		store.Break(testbed.Hang, nil, nil)
		began := time.Now()
		_, err := keys.Secret(t.Context(), "key", func(old []byte) ([]byte, error) { return old, nil })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(began) != 2*time.Second {
			t.Errorf("%v after %v", err, time.Since(began))
		}
	})
}
