package grants_test

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func ExampleAccessLifetime() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.AccessLifetime(10*time.Minute))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(pair.GetAccessExpiresIn())
	// Output: 10m0s
}

func ExampleClientAccessLifetime() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.ClientAccessLifetime(5*time.Minute))

	own, _ := manager.Issue(ctx, grants.Issue{Client: "app"}) // no user: the client's own
	fmt.Println(own.GetAccessExpiresIn())
	// Output: 5m0s
}

func ExampleRefreshIdle() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.RefreshIdle(7*24*time.Hour)) // a week's holiday signs nobody out

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(pair.GetRefreshExpiresIn())
	// Output: 168h0m0s
}

func ExampleRefreshLifetime() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store,
		grants.RefreshIdle(30*24*time.Hour),
		grants.RefreshLifetime(12*time.Hour), // however often it is used: sign in once a day
	)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(pair.GetRefreshExpiresIn())
	// Output: 12h0m0s
}

// exampleCode is an authorization code for alice, bound to the verifier below.
func exampleCode(manager *grants.Manager) oauth2.TokenInfo {
	code, err := manager.GenerateAuthToken(ctx, oauth2.Code, &oauth2.TokenGenerateRequest{
		ClientID: "app", UserID: "alice", RedirectURI: "https://app.example/cb",
		CodeChallenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM", CodeChallengeMethod: oauth2.CodeChallengeS256,
	})
	if err != nil {
		panic(err)
	}
	return code
}

const exampleVerifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"

func ExampleCodeLifetime() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.CodeLifetime(30*time.Second))

	fmt.Println(exampleCode(manager).GetCodeExpiresIn())
	// Output: 30s
}

func ExampleCodeTries() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.CodeTries(1)) // the first wrong verifier kills the code

	redeem := grants.Request{
		GrantType: "authorization_code", ClientID: "app", ClientSecret: "app-secret",
		Code: exampleCode(manager).GetCode(), RedirectURI: "https://app.example/cb",
	}
	redeem.CodeVerifier = "0123456789012345678901234567890123456789012"
	_, err := manager.Token(ctx, &redeem)
	fmt.Println(err)
	redeem.CodeVerifier = exampleVerifier
	_, err = manager.Token(ctx, &redeem)
	fmt.Println(err)
	// Output:
	// grants: invalid_grant: wrong code verifier
	// grants: invalid_grant: too many wrong verifiers
}

func ExampleRetryWindow() {
	store, done := exampleStore()
	defer done()
	pair, _ := grants.New(store).Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	refresh := &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh()}

	manager := grants.New(store) // the default: a minute
	first, _ := manager.Token(ctx, refresh)
	again, _ := manager.Token(ctx, refresh) // the answer was lost on its way
	fmt.Println(again.GetRefresh() == first.GetRefresh())

	strict := grants.New(store, grants.RetryWindow(0))
	refresh.RefreshToken = first.GetRefresh()
	strict.Token(ctx, refresh)
	_, err := strict.Token(ctx, refresh)
	fmt.Println(err) // and the grant has ended
	// Output:
	// true
	// grants: invalid_grant: refresh token was spent before
}

func ExampleLiveAccessTokens() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.LiveAccessTokens(1)) // a new access token ends the one before

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	manager.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh()})
	_, err := manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(err)
	// Output: invalid access token
}

// hanging is a store whose reads never come back by themselves.
type hanging struct{ *bolt.Store }

func (hanging) Grant(ctx context.Context, _ storage.ID) (*storage.Grant, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func ExampleIssuer() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.Issuer("https://auth.example"))
	fmt.Println(manager.Issuer())
	// Output: https://auth.example
}

func ExampleStoreTimeout() {
	store, done := exampleStore()
	defer done()
	pair, _ := grants.New(store).Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	manager := grants.New(hanging{store}, grants.StoreTimeout(10*time.Millisecond))
	_, err := manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(err) // which middleware.Bearer answers 503, not 401
	fmt.Println(err == oerr.ErrInvalidAccessToken)
	// Output:
	// context deadline exceeded
	// false
}

// legacy is a client table that knows go-oauth2's models.Client, which says nothing of scopes.
type legacy struct{}

func (legacy) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	if id != "old" {
		return nil, storage.ErrNotFound
	}
	return &models.Client{ID: "old", Secret: "old-secret"}, nil
}

func ExampleForeignScope() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store, grants.Clients(legacy{}), grants.ForeignScope("read"))

	request := &grants.Request{GrantType: "client_credentials", ClientID: "old", ClientSecret: "old-secret", Scope: "read"}
	info, _ := manager.Token(ctx, request)
	fmt.Println(info.GetScope())
	request.Scope = "write"
	_, err := manager.Token(ctx, request)
	fmt.Println(err)
	// Output:
	// read
	// grants: invalid_scope: scope beyond the client's
}

func ExampleLogger() {
	store, done := exampleStore()
	defer done()
	withoutTime := func(_ []string, a slog.Attr) slog.Attr {
		if a.Key == slog.TimeKey {
			return slog.Attr{}
		}
		return a
	}
	manager := grants.New(store, grants.Logger(slog.New(slog.NewTextHandler(os.Stdout, &slog.HandlerOptions{ReplaceAttr: withoutTime}))))

	manager.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "guess", RefreshToken: "x"})
	// Output: level=INFO msg=oauth event=refused client=app grant_type=refresh_token reason="wrong client secret"
}

func ExampleGrantID() {
	store, done := exampleStore()
	defer done()
	manager := grants.New(store)
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	info, _ := manager.LoadAccessToken(ctx, pair.GetAccess()) // in a handler: middleware.Token(r.Context())
	id, ok := grants.GrantID(info)
	n, _ := manager.End(ctx, storage.Filter{Grant: id}) // sign out this device alone
	fmt.Println(ok, n)
	// Output: true 1
}
