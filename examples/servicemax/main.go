// Servicemax serves the token and revocation endpoints that ServiceMax documents for its Max platform,
// as clients of that platform know them, and an API behind them: one process, one file.
//
//	go run ./examples/servicemax
//
// What it prints is that documentation's own curl line, and two more, to be pasted into a terminal.
// Where the endpoints leave the RFCs stands in the two dialects; first tokens come by the code grant
// with PKCE at /oauth/token, which speaks as the RFCs do.
package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/examples/internal/login"
	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

const demoClient = "57d22b28e0c5962541889195" // that of the documentation

// walkthrough is what is printed; its first line is the documentation's own.
const walkthrough = `curl %[1]s/sec/auth/token -d "grant_type=refresh_token&client_id=%[2]s&refresh_token=%[3]s"
curl %[1]s/api/whoami -H "Authorization: Bearer %[4]s"
curl %[1]s/sec/auth/token/revoke -d "token=%[3]s&client_id=%[2]s"
`

func main() { serve.Main("servicemax", setUp) }

// setUp registers the demo client the first time and gives a user of it a pair of tokens each time.
func setUp(ctx context.Context, store *bolt.Store, url string) (http.Handler, error) {
	_, err := store.GetByID(ctx, demoClient)
	if errors.Is(err, storage.ErrNotFound) {
		err = store.PutClient(ctx, client(demoClient))
	}
	if err != nil {
		return nil, err
	}
	manager := newManager(store, grants.Issuer(url))
	users, err := login.Open(ctx, store, os.Stdout, "w1", "w2")
	if err != nil {
		return nil, err
	}
	pair, err := manager.Issue(ctx, grants.Issue{Client: demoClient, User: "w1"}) // those of earlier starts stay
	if err != nil {
		return nil, err
	}
	slog.Info("standard output is for another terminal: refresh, call the API, revoke")
	_, err = fmt.Printf(walkthrough, url, demoClient, pair.GetRefresh(), pair.GetAccess())
	return routes(manager, users), err
}

// newManager also takes over what the old system has given out, so that nobody has to sign in anew (see
// Manager.Import), and lets many machines share a refresh token without ending each other's access.
func newManager(store storage.Store, more ...grants.Option) *grants.Manager {
	options := []grants.Option{grants.ImportedTokens(), grants.LiveAccessTokens(16)}
	return grants.New(store, append(options, more...)...)
}

// client is how a client of the platform is registered: it has no secret, and its refresh token stays
// as it is for 30 days. That is a risk: who steals the token can use it as long, and nobody notices.
func client(id string) *storage.Client {
	return &storage.Client{
		ID:                       id,
		Public:                   true,
		GrantTypes:               []string{"authorization_code", "refresh_token"},
		RedirectURIs:             []string{"http://127.0.0.1/callback"},
		Scope:                    "token",
		AccessLifetime:           86400 * time.Second,
		RefreshIdle:              storage.Unlimited,
		RefreshLifetime:          2592000 * time.Second,
		InsecureNoRotation:       true,
		InsecurePublicNoRotation: true,
	}
}

// routes is the authorization server and the API that it guards.
func routes(manager *grants.Manager, users *login.Login) http.Handler {
	mux := http.NewServeMux()
	users.Mount(mux, "")
	mux.Handle("/oauth/authorize", users.Handler(handler.Authorize(manager, users.User))) // for these
	token := handler.Token(manager, tokenDialect)
	mux.Handle("/sec/auth/token", token)
	mux.Handle("/auth/token", token)
	mux.Handle("/sec/auth/token/revoke", handler.Revoke(manager, revokeDialect))
	mux.Handle("/oauth/token", handler.Token(manager)) // RFC 6749: first tokens

	mux.Handle("GET /api/whoami", middleware.Bearer(manager)(http.HandlerFunc(serve.Whoami)))
	return mux
}

// The bodies of errors. Only two have a description.
var (
	invalidRequest = map[string]any{"error": "invalid_request"}
	invalidGrant   = map[string]any{"error": "invalid_grant"}
	invalidClient  = map[string]any{"error": "invalid_client", "error_description": "client is invalid"}
	invalidToken   = map[string]any{"error": "invalid_token", "error_description": "invalid token provided"}
	serverError    = map[string]any{"error": "server_error"}
)

// tokenDialect is how the platform refreshes: all parameters have to be there, the answer has no
// refresh token since the old one stays good, and errors are the platform's own.
var tokenDialect = handler.Dialect{
	GrantTypes: []string{"refresh_token"},
	Request: func(r *grants.Request) error {
		r.ClientSecret = "" // in the body or by Basic: no client can prove itself here
		if r.GrantType == "refresh_token" && (r.ClientID == "" || r.RefreshToken == "") {
			return &grants.Error{Code: "invalid_request"}
		}
		return nil
	},
	Success: func(members map[string]any, _ oauth2.TokenInfo) {
		members["token_type"] = "bearer"
		delete(members, "refresh_token")
		delete(members, "scope")
	},
	Errors: map[string]handler.Answer{ // by what RFC 6749 5.2 would say
		"invalid_request":         {Members: invalidRequest}, // with 400, 405 or 413
		"invalid_scope":           {Status: 400, Members: invalidRequest},
		"unsupported_grant_type":  {Status: 400, Members: invalidGrant},
		"unauthorized_client":     {Status: 400, Members: invalidGrant},
		"invalid_client":          {Status: 400, Members: invalidClient},
		"invalid_grant":           {Status: 401, Members: invalidToken},
		"temporarily_unavailable": {Status: 500, Members: serverError},
		"server_error":            {Status: 500, Members: serverError},
	},
}

// revokeDialect is how the platform revokes: a client names itself, and proves nothing.
var revokeDialect = handler.Dialect{
	Request: func(r *grants.Request) error {
		r.ClientSecret = ""
		if r.ClientID == "" || r.Token == "" {
			return &grants.Error{Code: "invalid_request"}
		}
		return nil
	},
	Errors: map[string]handler.Answer{ // by what RFC 7009 2.2.1 would say
		"invalid_request":         {Members: invalidRequest},
		"unauthorized_client":     {Status: 400, Members: invalidGrant}, // another client's token
		"invalid_client":          {Status: 400, Members: invalidClient},
		"temporarily_unavailable": {Status: 500, Members: serverError},
		"server_error":            {Status: 500, Members: serverError},
	},
}
