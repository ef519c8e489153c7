// Tight serves a token API that has been published for years, so that its clients notice nothing: that of
// Tight (formerly Hurdlr), versions 4 and 5, where partners act for the users and accountants they brought.
//
//	go run ./examples/tight
//
// On the first start it prints the curl lines of the original documentation, ready to paste.
package main

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	_ "embed"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"slices"
	"text/template"
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

func main() { serve.Main("tight", start) }

// start makes the server. The first one registers the partner acme, gives it tokens of the user u1 and
// of the accountant a1, and prints what can be done with them.
func start(ctx context.Context, store *bolt.Store, url string) (http.Handler, error) {
	manager := grants.New(store, append(contract, grants.Issuer(url))...)
	users, err := login.Open(ctx, store, os.Stdout, "u1", "u2")
	if err != nil {
		return nil, err
	}
	if _, err := store.GetByID(ctx, "acme"); err == nil {
		slog.Info("not the first start, which alone shows acme's secret: another -db begins anew")
		return routes(manager, users), nil
	} else if !errors.Is(err, storage.ErrNotFound) {
		return nil, err
	}
	secret, stored := storage.NewSecret()
	if err := store.PutClient(ctx, partner("acme", stored, grantTypes...)); err != nil {
		return nil, err
	}
	user, err1 := manager.Issue(ctx, grants.Issue{Client: "acme", User: "user:u1"})
	accountant, err2 := manager.Issue(ctx, grants.Issue{Client: "acme", User: "accountant:a1"})
	if err := errors.Join(err1, err2); err != nil {
		return nil, err
	}
	return routes(manager, users), lines.Execute(os.Stdout, map[string]string{
		"URL": url, "Secret": secret,
		"Access": user.GetAccess(), "Refresh": user.GetRefresh(), "Accountant": accountant.GetAccess(),
	})
}

// lines are the curl lines of the documentation, to be filled.
var lines = template.Must(template.New("lines.sh").Parse(linesText))

//go:embed lines.sh
var linesText string

// routes are the API. The path of a token endpoint says what a userId is; those who sign in are users.
func routes(manager *grants.Manager, users *login.Login) http.Handler {
	mux := http.NewServeMux()
	users.Mount(mux, "")
	mux.Handle("/oauth/authorize", users.Handler(handler.Authorize(manager, users.As("user:"))))
	mux.Handle("/rest/v4/auth/token", handler.Token(manager, dialect("user:")))
	mux.Handle("/rest/v5/auth/token", handler.Token(manager, dialect("user:")))
	mux.Handle("/rest/v5/accountant/token", handler.Token(manager, dialect("accountant:")))

	protect := middleware.Bearer(manager)
	mux.Handle("POST /rest/v5/accountant/userToken", protect(userToken(manager)))
	mux.Handle("GET /api/whoami", protect(http.HandlerFunc(serve.Whoami)))
	return mux
}

// dialect is where the token endpoints leave the RFCs. All else, errors included, is as they say.
func dialect(kind string) handler.Dialect {
	return handler.Dialect{
		GrantTypes: grantTypes,
		Params:     []string{"userId"},
		Request: func(r *grants.Request) error {
			userID := r.Params.Get("userId")
			if userID == "" && r.GrantType == "client_credentials" {
				return &grants.Error{Code: "invalid_request", Description: "userId is missing"}
			}
			r.User = kind + userID // so that no ID passes as one of the other kind; other grant types ignore it
			return nil
		},
		Success: success,
	}
}

// success has no token_type, but created_at: with expires_in it gives the expiry of the access token,
// also where a lost answer is repeated a while later.
func success(members map[string]any, info oauth2.TokenInfo) {
	delete(members, "token_type")
	expiry := info.GetAccessCreateAt().Add(info.GetAccessExpiresIn())
	members["created_at"] = expiry.Unix() - members["expires_in"].(int64)
}

// contract is what the manager has to know: the shape of tokens, that those which the old system gave
// out are good (Manager.Import takes them over), and whom a partner may act for without asking.
var contract = []grants.Option{grants.Tokens(dotted{}), grants.ImportedTokens(), grants.OnBehalf(mayActFor)}

// mayActFor would look into a table of the application's. An error would say that it can't.
func mayActFor(_ context.Context, client, user string) (bool, error) {
	return partners[user] == client, nil
}

var (
	grantTypes = []string{"refresh_token", "authorization_code", "client_credentials"}
	partners   = map[string]string{"user:u1": "acme", "user:u2": "acme", "user:u3": "beta", "accountant:a1": "acme"}
	opens      = map[string][]string{"accountant:a1": {"user:u1"}} // whose accounts an accountant may open
)

// partner is a client of the API. Its access tokens live 90 days, a refresh token 180 days from each
// refresh, without end; a code is exchanged without PKCE and without the redirect URI.
func partner(id string, secret storage.Secret, grantTypes ...string) *storage.Client {
	return &storage.Client{
		ID: id, Secret: secret, GrantTypes: grantTypes, Scope: "token",
		RedirectURIs:          []string{"https://" + id + ".example/callback"},
		AccessLifetime:        90 * 24 * time.Hour,
		RefreshIdle:           180 * 24 * time.Hour,
		RefreshLifetime:       storage.Unlimited,
		InsecureNoPKCE:        true,
		InsecureNoRedirectURI: true,
	}
}

// userToken gives an accountant, whose access token opens this route, an access token of a user's.
func userToken(manager *grants.Manager) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		err := r.ParseForm()
		user, accountant := "user:"+r.PostForm.Get("userId"), middleware.Token(r.Context())
		client := accountant.GetClientID()
		switch {
		case err != nil || len(r.PostForm["userId"]) != 1 || user == "user:":
			serve.JSON(w, http.StatusBadRequest, map[string]any{"error": "invalid_request"})
			return
		case partners[user] != client || !slices.Contains(opens[accountant.GetUserID()], user):
			serve.JSON(w, http.StatusForbidden, map[string]any{"error": "access_denied"})
			return
		}
		info, err := manager.Issue(r.Context(), grants.Issue{Client: client, User: user, NoRefresh: true})
		if err != nil {
			manager.Logger().Error("userToken", "error", err)
			serve.JSON(w, http.StatusServiceUnavailable, map[string]any{"error": "temporarily_unavailable"})
			return
		}
		members := map[string]any{"access_token": info.GetAccess(), "scope": "token", "expires_in": int64(info.GetAccessExpiresIn() / time.Second)}
		success(members, info)
		serve.JSON(w, http.StatusOK, members)
	}
}

// dotted is the shape of tokens: 32 octets of secret, 16 of ID, and neither kind nor checksum. Two tokens
// of one grant do not look alike, and a mistyped digit names no grant.
type dotted struct{}

func (dotted) Encode(_ grants.Kind, id storage.ID, secret [32]byte) string {
	hide(secret[:16], secret[16:]) // which refresh tokens of a grant have in common
	hide(id[:], secret[:])
	return fmt.Sprintf("%x.%x", secret[:], id[:])
}

func (dotted) Decode(token string) (kind grants.Kind, id storage.ID, secret [32]byte, ok bool) {
	if len(token) != 97 {
		return grants.UnknownKind, id, secret, false
	}
	hex.Decode(secret[:], []byte(token[:64])) // whatever is wrong shows in the comparison below
	hex.Decode(id[:], []byte(token[65:]))
	hide(id[:], secret[:])
	hide(secret[:16], secret[16:])
	return grants.UnknownKind, id, secret, token == dotted{}.Encode(kind, id, secret)
}

// hide puts b behind a hash of other octets, and takes it out again.
func hide(b, behind []byte) {
	sum := sha256.Sum256(behind)
	subtle.XORBytes(b, b, sum[:])
}
