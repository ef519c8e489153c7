package handler

import (
	"context"
	"errors"
	"hash/maphash"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/absent"
	"github.com/ostiary-go/ostiary/internal/clientsecret"
	"github.com/ostiary-go/ostiary/internal/pkce"
	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// foreign serves an oauth2.Manager that is not ours. It forwards three grant types and no others, since
// go-oauth2's manager issues tokens for any it is asked for; it proves the client first, compares client
// and scope of a refresh token, lets one request at a time use a code or token, and revokes both halves.
type foreign struct {
	manager oauth2.Manager
	options options
	seed    maphash.Seed
	locks   [64]sync.Mutex
}

const foreignTimeout = 5 * time.Second

func newForeign(m oauth2.Manager, o options) *foreign {
	return &foreign{manager: m, options: o, seed: maphash.MakeSeed()}
}

func (f *foreign) GrantTypes() []string {
	return []string{string(oauth2.AuthorizationCode), string(oauth2.Refreshing), string(oauth2.ClientCredentials)}
}

func (f *foreign) Params() []string { return nil }

func (f *foreign) Logger() *slog.Logger { return slog.Default() }

func (f *foreign) Token(ctx context.Context, r *grants.Request) (oauth2.TokenInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
	defer cancel()
	client, err := f.authenticate(ctx, r)
	if err != nil {
		return nil, err
	}
	if own, ok := client.(*storage.Client); ok && !own.Allows(r.GrantType) {
		return nil, refused("unauthorized_client")
	}
	if r.User != "" && r.GrantType == string(oauth2.ClientCredentials) { // which it could only ignore
		return nil, refused("unauthorized_client")
	}
	tgr := &oauth2.TokenGenerateRequest{ClientID: r.ClientID, ClientSecret: r.ClientSecret, Scope: r.Scope}
	var info oauth2.TokenInfo
	switch oauth2.GrantType(r.GrantType) {
	case oauth2.AuthorizationCode:
		info, err = f.redeem(ctx, r, tgr)
	case oauth2.Refreshing:
		info, err = f.refresh(ctx, r, tgr)
	case oauth2.ClientCredentials:
		info, err = f.serveClient(ctx, client, tgr)
	default:
		return nil, refused("unsupported_grant_type")
	}
	if err != nil {
		return nil, f.errorOf(err)
	}
	return info, nil
}

func (f *foreign) redeem(ctx context.Context, r *grants.Request, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	switch {
	case r.Code == "":
		return nil, invalidRequest("code is missing")
	case r.CodeVerifier != "" && !pkce.WellFormedVerifier(r.CodeVerifier):
		return nil, oerr.ErrInvalidGrant
	}
	defer f.lock(r.Code)()
	tgr.Code, tgr.CodeVerifier, tgr.RedirectURI, tgr.Scope = r.Code, r.CodeVerifier, r.RedirectURI, ""
	return f.manager.GenerateAccessToken(ctx, oauth2.AuthorizationCode, tgr)
}

func (f *foreign) refresh(ctx context.Context, r *grants.Request, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	words, ok := scope.Parse(r.Scope)
	switch {
	case r.RefreshToken == "":
		return nil, invalidRequest("refresh_token is missing")
	case !ok:
		return nil, oerr.ErrInvalidScope
	}
	defer f.lock(r.RefreshToken)()
	info, err := f.manager.LoadRefreshToken(ctx, r.RefreshToken)
	switch {
	case err != nil:
		return nil, err
	case info == nil || info.GetClientID() != r.ClientID:
		return nil, oerr.ErrInvalidGrant
	case !scope.Within(words, info.GetScope()):
		return nil, oerr.ErrInvalidScope
	}
	tgr.Refresh, tgr.Scope = r.RefreshToken, strings.Join(words, " ")
	return f.manager.RefreshAccessToken(ctx, tgr)
}

func (f *foreign) serveClient(ctx context.Context, client oauth2.ClientInfo, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	if client.IsPublic() {
		return nil, oerr.ErrUnauthorizedClient
	}
	registered := f.options.foreignScope
	if own, ok := client.(*storage.Client); ok {
		registered = own.Scope
	}
	words, ok := scope.Parse(tgr.Scope)
	if !ok || !scope.Within(words, registered) {
		return nil, oerr.ErrInvalidScope
	}
	tgr.Scope = strings.Join(words, " ")
	if words == nil {
		tgr.Scope = registered
	}
	return f.manager.GenerateAccessToken(ctx, oauth2.ClientCredentials, tgr)
}

func (f *foreign) Revoke(ctx context.Context, r *grants.Request) error {
	ctx, cancel := context.WithTimeout(ctx, foreignTimeout)
	defer cancel()
	if _, err := f.authenticate(ctx, r); err != nil {
		return err
	}
	if r.Token == "" {
		return invalidRequest("token is missing")
	}
	defer f.lock(r.Token)()
	for _, half := range []struct {
		load   func(context.Context, string) (oauth2.TokenInfo, error)
		remove func(context.Context, oauth2.TokenInfo) error
	}{
		{f.manager.LoadAccessToken, f.removeAccess},
		{f.manager.LoadRefreshToken, f.removeRefresh},
	} {
		info, err := half.load(ctx, r.Token)
		switch {
		case f.isNotFound(err) || err == nil && info == nil:
			continue
		case err != nil:
			return f.errorOf(err)
		case info.GetClientID() != r.ClientID:
			return refused("unauthorized_client")
		}
		if err := half.remove(ctx, info); err != nil {
			return f.errorOf(err)
		}
		return nil
	}
	return nil
}

func (f *foreign) removeAccess(ctx context.Context, info oauth2.TokenInfo) error {
	return f.manager.RemoveAccessToken(ctx, info.GetAccess())
}

func (f *foreign) removeRefresh(ctx context.Context, info oauth2.TokenInfo) error {
	if access := info.GetAccess(); access != "" {
		if err := f.manager.RemoveAccessToken(ctx, access); err != nil && !f.isNotFound(err) {
			return err
		}
	}
	return f.manager.RemoveRefreshToken(ctx, info.GetRefresh())
}

// authenticate proves the client. An unknown one and a client store that fails look alike here, since
// go-oauth2's returns an unnamed error for both.
func (f *foreign) authenticate(ctx context.Context, r *grants.Request) (oauth2.ClientInfo, error) {
	if r.ClientID == "" {
		return nil, refused("invalid_client")
	}
	client, err := f.manager.GetClient(ctx, r.ClientID)
	switch {
	case ctx.Err() != nil:
		return nil, f.errorOf(ctx.Err())
	case err != nil || absent.Nil(client) || client.GetID() != r.ClientID:
		return nil, refused("invalid_client")
	}
	ok, err := clientsecret.Verify(ctx, client, r.ClientSecret)
	switch {
	case err != nil:
		return nil, f.errorOf(err)
	case !ok:
		return nil, refused("invalid_client")
	}
	return client, nil
}

// lock lets one request of this process at a time use a code or token.
func (f *foreign) lock(token string) (unlock func()) {
	l := &f.locks[maphash.String(f.seed, token)%uint64(len(f.locks))]
	l.Lock()
	return l.Unlock
}

// isNotFound tells whether the error of a Load says that the token is not there.
func (f *foreign) isNotFound(err error) bool {
	for _, absent := range []error{oerr.ErrInvalidAccessToken, oerr.ErrExpiredAccessToken, oerr.ErrInvalidRefreshToken, oerr.ErrExpiredRefreshToken} {
		if errors.Is(err, absent) {
			return true
		}
	}
	for _, is := range f.options.notFound {
		if err != nil && is(err) {
			return true
		}
	}
	return false
}

// foreignCodes has the code for each of go-oauth2's errors.
var foreignCodes = []struct {
	is   error
	code string
}{
	{oerr.ErrInvalidRequest, "invalid_request"},
	{oerr.ErrInvalidClient, "invalid_client"},
	{oerr.ErrUnauthorizedClient, "unauthorized_client"},
	{oerr.ErrUnsupportedGrantType, "unsupported_grant_type"},
	{oerr.ErrInvalidScope, "invalid_scope"},
	{oerr.ErrInvalidGrant, "invalid_grant"},
	{oerr.ErrInvalidAuthorizeCode, "invalid_grant"},
	{oerr.ErrInvalidRefreshToken, "invalid_grant"},
	{oerr.ErrExpiredRefreshToken, "invalid_grant"},
	{oerr.ErrInvalidRedirectURI, "invalid_grant"},
	{oerr.ErrInvalidCodeChallenge, "invalid_grant"},
	{oerr.ErrMissingCodeChallenge, "invalid_grant"},
	{oerr.ErrMissingCodeVerifier, "invalid_grant"},
	{errors.ErrUnsupported, "unsupported_token_type"},
}

func (f *foreign) errorOf(err error) error {
	if e, ok := errors.AsType[*grants.Error](err); ok {
		return e
	}
	for _, c := range foreignCodes {
		if errors.Is(err, c.is) {
			return refused(c.code)
		}
	}
	if f.isNotFound(err) {
		return refused("invalid_grant")
	}
	return &grants.Error{Code: "temporarily_unavailable", Description: "the server can not answer for now; try again", Cause: err}
}

func refused(code string) *grants.Error {
	return &grants.Error{Code: code, Description: descriptions[code]}
}

var descriptions = map[string]string{
	"invalid_request":        "the request is malformed",
	"invalid_client":         "client authentication failed",
	"unauthorized_client":    "the client may not do that",
	"unsupported_grant_type": "this grant type is not served here",
	"invalid_scope":          "scope is malformed or goes beyond what may be asked for",
	"invalid_grant":          "the code or refresh token is not accepted",
	"unsupported_token_type": "tokens of this kind can not be revoked",
}
