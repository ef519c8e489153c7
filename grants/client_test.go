package grants_test

import (
	"context"
	"errors"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// clientStore is an application's own client table.
type clientStore func(id string) (oauth2.ClientInfo, error)

func (f clientStore) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) { return f(id) }

// verifying is a client that checks secrets itself, and says yes to whatever it is asked.
type verifying struct{ oauth2.ClientInfo }

func (verifying) VerifyPassword(secret string) bool { return secret == "right" || secret == "" }

func TestClientsOfTheApplication(t *testing.T) {
	down := errors.New("table is away")
	const missing = "no such row"
	table := clientStore(func(id string) (oauth2.ClientInfo, error) {
		switch id {
		case "plain":
			return &models.Client{ID: id, Secret: "right", Domain: "https://plain.example/cb"}, nil
		case "public":
			return &models.Client{ID: id, Public: true, Domain: "https://plain.example/cb"}, nil
		case "no secret":
			return &models.Client{ID: id}, nil
		case "verifying":
			return verifying{&models.Client{ID: id}}, nil
		case "wrapped": // has lost VerifyPassword, and has no secret to compare
			return struct{ oauth2.ClientInfo }{&storage.Client{ID: id}}, nil
		case "ours":
			return &storage.Client{ID: id, Secret: storage.HashGenerated("right"), Scope: "read", GrantTypes: []string{"client_credentials"}}, nil
		case "typed nil":
			return (*storage.Client)(nil), nil
		case "typed nil of another type":
			return (*models.Client)(nil), nil
		case "nil":
			return nil, nil
		case "case":
			return &models.Client{ID: "CASE", Secret: "right"}, nil
		case "unnamed":
			return nil, errors.New(missing)
		case "upstream's":
			return nil, oerr.ErrInvalidClient
		case "ours not found":
			return nil, storage.ErrNotFound
		}
		return nil, down
	})
	m := grants.New(openStore(t), quiet, grants.ForeignScope("read"),
		grants.Clients(table, func(err error) bool { return err.Error() == missing }))
	for _, c := range []struct{ client, secret, code string }{
		{"plain", "right", ""},
		{"plain", "wrong", "invalid_client"},
		{"plain", "", "invalid_client"},
		{"public", "", "unauthorized_client"},
		{"public", "right", "invalid_client"},
		{"no secret", "", "invalid_client"},
		{"no secret", "x", "invalid_client"},
		{"verifying", "right", ""},
		{"verifying", "wrong", "invalid_client"},
		{"verifying", "", "invalid_client"},
		{"wrapped", "", "invalid_client"},
		{"wrapped", "x", "invalid_client"},
		{"ours", "right", ""},
		{"ours", "", "invalid_client"},
		{"typed nil", "right", "invalid_client"},
		{"typed nil of another type", "right", "invalid_client"},
		{"nil", "right", "invalid_client"},
		{"case", "right", "invalid_client"},
		{"unnamed", "right", "invalid_client"},
		{"upstream's", "right", "invalid_client"},
		{"ours not found", "right", "invalid_client"},
		{"broken", "right", "temporarily_unavailable"},
	} {
		info, err := m.Token(t.Context(), &grants.Request{GrantType: "client_credentials", ClientID: c.client, ClientSecret: c.secret})
		if got := code(t, err); got != c.code {
			t.Errorf("%s with %q: got %q, want %q", c.client, c.secret, got, c.code)
		}
		if err == nil && info.GetScope() != "read" {
			t.Errorf("%s: scope %q", c.client, info.GetScope())
		}
	}

	redirect := func(client, uri string) error {
		_, err := m.GenerateAuthToken(t.Context(), oauth2.Code, &oauth2.TokenGenerateRequest{
			ClientID: client, UserID: "alice", RedirectURI: uri,
			CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
		})
		return err
	}
	if err := redirect("plain", "https://plain.example/cb"); err != nil {
		t.Error(err)
	}
	if err := redirect("plain", "https://evil.plain.example/cb"); err != oerr.ErrInvalidRedirectURI {
		t.Errorf("a redirect URI by host suffix: %v", err)
	}
	if err := redirect("broken", "https://plain.example/cb"); !errors.Is(err, down) {
		t.Errorf("a broken table: %v", err)
	}
}

// unwrapping is a store inside a type of the application's, a tracer say.
type unwrapping struct{ storage.Store }

func (u unwrapping) Unwrap() storage.Store { return u.Store }

// unwrappingClients is a client store inside a type of the application's.
type unwrappingClients struct{ oauth2.ClientStore }

func (u unwrappingClients) Unwrap() oauth2.ClientStore { return u.ClientStore }

func TestAbilitiesSurviveWrapping(t *testing.T) {
	for name, wrap := range map[string]func(store *bolt.Store) *grants.Manager{
		"store": func(store *bolt.Store) *grants.Manager { return grants.New(unwrapping{store}, quiet) },
		"client store": func(store *bolt.Store) *grants.Manager {
			return grants.New(store, quiet, grants.Clients(unwrappingClients{store}))
		},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			m := wrap(store)
			info := issue(t, m, grants.Issue{Client: "app", User: "alice"})
			if err := store.DeleteClient(t.Context(), "app"); err != nil {
				t.Fatal(err)
			}
			if _, err := m.LoadAccessToken(t.Context(), info.GetAccess()); err != oerr.ErrInvalidAccessToken {
				t.Errorf("the token of a deleted client: %v", err)
			}
		})
	}
}

// What was issued while clients were in the store is good when they have moved to a table of the
// application's, which has no generations.
func TestClientsMoveToATable(t *testing.T) {
	store := openStore(t)
	before := grants.New(store, quiet)
	code, pair := authorize(t, before, "app", 0).GetCode(), issue(t, before, grants.Issue{Client: "app", User: "alice"})
	m := grants.New(store, quiet, grants.Clients(clientStore(func(id string) (oauth2.ClientInfo, error) {
		info, err := store.GetByID(context.Background(), id)
		if err != nil {
			return nil, err
		}
		c := info.(*storage.Client).Clone()
		c.Generation = 0
		return c, nil
	})))
	works := func(what, access string) {
		t.Helper()
		if _, err := m.LoadAccessToken(t.Context(), access); err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
	works("validation", pair.GetAccess())
	if _, err := m.LoadRefreshToken(t.Context(), pair.GetRefresh()); err != nil {
		t.Errorf("the refresh token: %v", err)
	}
	next := asApp(t, m, grants.Request{GrantType: "refresh_token", RefreshToken: pair.GetRefresh()})
	works("refresh", next.GetAccess())
	redeemed := asApp(t, m, grants.Request{GrantType: "authorization_code", Code: code, CodeVerifier: verifier})
	works("redeem", redeemed.GetAccess())
	if n, err := m.End(t.Context(), storage.Filter{Client: "app"}); n != 2 || err != nil {
		t.Errorf("ended %d, %v", n, err)
	}
	if _, err := m.LoadAccessToken(t.Context(), next.GetAccess()); err != oerr.ErrInvalidAccessToken {
		t.Errorf("an ended grant: %v", err)
	}
}

// The time of an answer must not tell which clients exist: a client nobody registered costs a hash of
// the kind that registered ones cost. Counted, not timed, by a context that has no time left for it.
func TestUnknownClientsCostWhatKnownOnesDo(t *testing.T) {
	chosen, generated := storage.Hash("chosen-secret"), storage.HashGenerated("generated-secret")
	for name, known := range map[string]struct {
		client *storage.Client
		waits  string // what comes of a try that has no time for a slow hash
	}{
		"chosen":                   {&storage.Client{ID: "known", Secret: chosen}, "temporarily_unavailable"},
		"generated, chosen before": {&storage.Client{ID: "known", Secret: generated, OldSecret: chosen}, "temporarily_unavailable"},
		"chosen, generated before": {&storage.Client{ID: "known", Secret: chosen, OldSecret: generated}, "temporarily_unavailable"},
		"generated":                {&storage.Client{ID: "known", Secret: generated}, "invalid_client"},
	} {
		t.Run(name, func(t *testing.T) {
			store := openStore(t)
			if err := store.PutClient(t.Context(), known.client); err != nil {
				t.Fatal(err)
			}
			// A table whose answer takes all the time there is: a slow hash is then refused with the context's error.
			late := clientStore(func(id string) (oauth2.ClientInfo, error) { return store.GetByID(context.Background(), id) })
			m := grants.New(store, quiet, grants.Clients(late))
			ask := func(ctx context.Context, client string) string {
				_, err := m.Token(ctx, &grants.Request{GrantType: "client_credentials", ClientID: client, ClientSecret: "wrong"})
				return code(t, err)
			}
			if got := ask(t.Context(), "known"); got != "invalid_client" {
				t.Fatalf("got %q", got)
			}
			ended, cancel := context.WithCancel(t.Context())
			cancel()
			for _, client := range []string{"known", "nobody"} {
				if got := ask(ended, client); got != known.waits {
					t.Errorf("%s: got %q, want %q", client, got, known.waits)
				}
			}
		})
	}
}
