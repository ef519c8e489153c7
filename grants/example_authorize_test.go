package grants_test

import (
	"fmt"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// askedFor is what a browser brings to the authorization endpoint.
var askedFor = &grants.AuthorizationRequest{
	ClientID: "app", ResponseType: "code", Scope: "read", State: "xyz",
	CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: "S256",
}

// An authorization endpoint of one's own: handler.Authorize is the one that is ready.
func ExampleManager_Authorization() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	asked, err := manager.Authorization(ctx, askedFor)
	if err != nil {
		fmt.Println("a page, and never a redirect:", err)
		return
	}
	if asked.Refused != nil {
		manager.Refuse(ctx, asked, "alice", asked.Refused)
		fmt.Println("back to", asked.RedirectURI, "with error", asked.Refused.Code)
		return
	}
	known, _ := manager.Consented(ctx, asked, "alice")
	fmt.Println(asked.Client.ID, asked.Scope, asked.Prompts("none"), "consented before:", known)

	code, err := manager.Approve(ctx, asked, grants.Approval{Grant: storage.NewID(), User: "alice", Scope: asked.Scope})
	fmt.Println(code != "", err)
	// Output:
	// app [read] false consented before: false
	// true <nil>
}

func ExampleManager_Connected() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
	manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "write"})
	apps, _ := manager.Connected(ctx, "alice")
	for _, app := range apps {
		fmt.Println(app.Client.ID, app.Scope, app.Grants)
	}
	// Output: app [read write] 2
}

func ExampleManager_Introspect() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
	i, err := manager.Introspect(ctx, &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: pair.GetAccess()})
	fmt.Println(i.Active, i.Client, i.User, i.Scope, err)
	// Output: true app alice read <nil>
}

// Secrets of the server's own are where its grants are.
func ExampleManager_Keys() {
	store, done := exampleStore()
	defer done()
	keys := grants.New(store).Keys()
	key, err := keys.Secret(ctx, "csrf", func(old []byte) ([]byte, error) {
		if old != nil {
			return old, nil
		}
		return []byte("drawn at random"), nil
	})
	fmt.Println(len(key) > 0, err)
	// Output: true <nil>
}
