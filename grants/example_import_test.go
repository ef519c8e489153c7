package grants_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

func ExampleManager_Import() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.ImportedTokens())

	move := grants.Import{
		Client: "app", User: "alice", Scope: "read",
		Access:  []grants.ImportedToken{{Token: "c0ffee", Expires: time.Now().Add(time.Hour)}},
		Refresh: grants.ImportedToken{SHA256: sha256.Sum256([]byte("decaf")), Expires: time.Now().Add(30 * 24 * time.Hour)},
	}
	imported, err := manager.Import(ctx, move)
	fmt.Println(imported, err)
	imported, err = manager.Import(ctx, move) // once more, after a crash, say
	fmt.Println(imported, err)

	// alice's application goes on with what it has, and gets tokens of this server at its next refresh.
	info, _ := manager.LoadAccessToken(ctx, "c0ffee")
	fmt.Println(info.GetUserID(), info.GetScope())
	pair, _ := manager.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: "decaf"})
	fmt.Println(pair.GetRefresh()[:5])

	// It is one grant: what ends it ends the old tokens, too.
	n, _ := manager.End(ctx, storage.Filter{User: "alice"})
	_, err = manager.LoadAccessToken(ctx, "c0ffee")
	fmt.Println(n, err)
	// Output:
	// true <nil>
	// false <nil>
	// alice read
	// ostr_
	// 1 invalid access token
}

func ExampleImportedTokens() {
	store, done := exampleStore()
	defer done()
	moving := grants.New(store, grants.ImportedTokens())
	moving.Import(ctx, grants.Import{
		Client: "app", User: "alice", Scope: "read",
		Access: []grants.ImportedToken{{Token: "c0ffee", Expires: time.Now().Add(time.Hour)}},
	})
	_, err := moving.LoadAccessToken(ctx, "c0ffee")
	fmt.Println(err)

	settled := grants.New(store) // once the last of the old tokens has expired
	_, err = settled.LoadAccessToken(ctx, "c0ffee")
	fmt.Println(err)
	// Output:
	// <nil>
	// invalid access token
}

// A partner's server asks for tokens of users who have an account with it. No parameter of OAuth names
// the user: a dialect of the endpoint reads it (handler.Dialect), and grants.Request carries it.
func ExampleOnBehalf() {
	store, done := exampleStore()
	defer done()
	store.PutClient(ctx, &storage.Client{
		ID: "partner", Secret: storage.HashGenerated("partner-secret"), Scope: "read",
		GrantTypes: []string{"client_credentials", "refresh_token"},
	})
	accounts := map[string]string{"alice": "partner"} // of each user, with whom the account is

	manager := grants.New(store, grants.OnBehalf(func(_ context.Context, client, user string) (bool, error) {
		return accounts[user] == client, nil
	}))
	request := &grants.Request{GrantType: "client_credentials", ClientID: "partner", ClientSecret: "partner-secret", User: "alice"}
	pair, _ := manager.Token(ctx, request)
	fmt.Println(pair.GetUserID(), pair.GetRefresh() != "")

	request.User = "bob"
	_, err := manager.Token(ctx, request)
	fmt.Println(err)
	// Output:
	// alice true
	// grants: invalid_grant: client may not act for the user
}
