package grants_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

var ctx = context.Background()

// exampleStore is a fresh file with the client app in it.
func exampleStore() (*bolt.Store, func()) {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		panic(err)
	}
	err = store.PutClient(ctx, &storage.Client{
		ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read write",
		GrantTypes: []string{"authorization_code", "refresh_token", "password"}, RedirectURIs: []string{"https://app.example/cb"},
	})
	if err != nil {
		panic(err)
	}
	slog.SetDefault(slog.New(slog.DiscardHandler))
	return store, func() { store.Close(); os.RemoveAll(dir) }
}

func ExampleNew() {
	store, done := exampleStore()
	defer done()

	manager := grants.New(store, grants.AccessLifetime(5*time.Minute))
	pair, err := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
	fmt.Println(pair.GetAccessExpiresIn(), err)
	// Output: 5m0s <nil>
}

func ExampleManager_Issue() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)

	pair, err := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(pair.GetAccess()[:5], pair.GetRefresh()[:5], pair.GetScope())
	fmt.Println(pair) // a token does not print itself
	// Output:
	// osta_ ostr_ read
	// [token client="app" user="alice" scope="read"]
}

func ExampleManager_LoadAccessToken() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})

	info, err := manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(info.GetClientID(), info.GetUserID(), info.GetScope(), err)

	_, err = manager.LoadAccessToken(ctx, "nonsense")
	fmt.Println(err == oerr.ErrInvalidAccessToken)
	// Output:
	// app alice read <nil>
	// true
}

func ExampleManager_End() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	phone, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	id, _ := grants.GrantID(phone)
	n, err := manager.End(ctx, storage.Filter{Grant: id}) // one device
	fmt.Println(n, err)
	n, err = manager.End(ctx, storage.Filter{User: "alice"}) // everywhere
	fmt.Println(n, err)
	_, err = manager.End(ctx, storage.Filter{}) // never by accident
	fmt.Println(err)
	// Output:
	// 1 <nil>
	// 1 <nil>
	// storage: the filter names no grant, user or client
}

func ExampleManager_Forget() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	n, err := manager.Forget(ctx, "alice")
	fmt.Println(n, err)
	// Output: 1 <nil>
}

func ExampleManager_Token() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	// What handler.Token asks for a request to refresh.
	next, err := manager.Token(ctx, &grants.Request{
		GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh(),
	})
	fmt.Println(next.GetRefresh() != pair.GetRefresh(), err)

	_, err = manager.Token(ctx, &grants.Request{
		GrantType: "refresh_token", ClientID: "app", ClientSecret: "guess", RefreshToken: next.GetRefresh(),
	})
	refused, _ := errors.AsType[*grants.Error](err)
	fmt.Println(refused.Code, "-", refused.Description)
	// Output:
	// true <nil>
	// invalid_client - client authentication failed
}

func ExampleManager_Revoke() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	err := manager.Revoke(ctx, &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: pair.GetRefresh()})
	fmt.Println(err)
	_, err = manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(err)
	// Output:
	// <nil>
	// invalid access token
}

func ExampleManager_GenerateAuthToken() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)

	_, err := manager.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: "app", UserID: "alice", RedirectURI: "https://app.example/cb",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
	})
	fmt.Println(err)
	_, err = manager.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: "app", UserID: "alice", RedirectURI: "https://evil.app.example/cb",
	})
	fmt.Println(err == oerr.ErrInvalidRedirectURI) // show a page; never redirect there
	// Output:
	// <nil>
	// true
}

func ExampleOnEvent() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.OnEvent(func(_ context.Context, e grants.Event) {
		fmt.Printf("%s client=%q user=%q reason=%q\n", e.Kind, e.Client, e.User, e.Reason)
	}))
	manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	manager.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "guess"})
	// Output:
	// issued client="app" user="alice" reason=""
	// refused client="app" user="" reason="wrong client secret"
}

// Somebody who migrates and still has clients that send passwords can serve them for a while. It is not
// offered ready-made because the client sees the password, no second factor fits in, and OAuth 2.1 has
// dropped it (RFC 9700 2.4).
func ExampleExtend() {
	store, done := exampleStore()
	defer done()
	checkPassword := func(user, password string) bool { return user == "alice" && password == "wonderland" }

	manager := grants.New(store, grants.Extend(grants.Extension{
		Name:   "password",
		Params: []string{"username", "password"},
		Grant: func(_ context.Context, r *grants.Request) (grants.Issue, error) {
			user := r.Params.Get("username")
			if !checkPassword(user, r.Params.Get("password")) {
				return grants.Issue{}, &grants.Error{Code: "invalid_grant", Description: "wrong user name or password"}
			}
			return grants.Issue{User: user, Scope: r.Scope}, nil
		},
	}))
	fmt.Println(manager.GrantTypes())
	// Output: [authorization_code refresh_token client_credentials password]
}

// table is a client table of the application's own.
type table map[string]*storage.Client

func (t table) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	if c, ok := t[id]; ok {
		return c, nil
	}
	return nil, storage.ErrNotFound
}

func ExampleClients() {
	store, done := exampleStore()
	defer done()
	clients := table{"partner": {ID: "partner", Secret: storage.HashGenerated("partner-secret"), GrantTypes: []string{"client_credentials"}, Scope: "read"}}

	manager := grants.New(store, grants.Clients(clients))
	info, err := manager.Token(ctx, &grants.Request{GrantType: "client_credentials", ClientID: "partner", ClientSecret: "partner-secret"})
	fmt.Println(info.GetScope(), err)
	// Output: read <nil>
}

// dotted is the shape of some older system: secret and masked grant ID in hexadecimal, no kind, no
// checksum.
type dotted struct{}

func (dotted) Encode(_ grants.Kind, id storage.ID, secret [32]byte) string {
	masked := mask(id, secret)
	return hex.EncodeToString(secret[:]) + "." + hex.EncodeToString(masked[:])
}

func (dotted) Decode(token string) (kind grants.Kind, id storage.ID, secret [32]byte, ok bool) {
	if len(token) != 97 || token[64] != '.' {
		return 0, id, secret, false
	}
	_, err1 := hex.Decode(secret[:], []byte(token[:64]))
	_, err2 := hex.Decode(id[:], []byte(token[65:]))
	id = mask(id, secret)
	return grants.UnknownKind, id, secret, err1 == nil && err2 == nil && dotted{}.Encode(0, id, secret) == token
}

// mask hides the ID behind a hash of the secret, so that a mistyped digit names no grant.
func mask(id storage.ID, secret [32]byte) storage.ID {
	sum := sha256.Sum256(secret[:])
	for i := range id {
		id[i] ^= sum[i]
	}
	return id
}

func ExampleTokens() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.Tokens(dotted{}))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	_, err := manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(len(pair.GetAccess()), err)
	_, err = manager.LoadAccessToken(ctx, pair.GetRefresh()) // the kind is not in the shape, and still told apart
	fmt.Println(err)
	// Output:
	// 97 <nil>
	// invalid access token
}
