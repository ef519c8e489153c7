package grants

import (
	"context"
	"unicode/utf8"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/pkce"
	"github.com/ostiary-go/ostiary/storage"
)

// GenerateAuthToken makes an authorization code for the user tgr.UserID, who has been asked (RFC 6749
// 4.1.2). Only response_type code is offered, and only S256 as code_challenge_method, demanded unless
// the client's registration says otherwise. An empty redirect URI stands for the only one registered,
// an empty scope for the client's whole. tgr.AccessTokenExp, if set, shortens the life of the grant's
// access tokens.
//
// The error is one of go-oauth2's as it is: ErrUnsupportedResponseType, ErrInvalidClient,
// ErrUnauthorizedClient, ErrInvalidRedirectURI (never redirect to it), ErrCodeChallengeRquired,
// ErrUnsupportedCodeChallengeMethod, ErrInvalidCodeChallengeLen, ErrInvalidScope or ErrAccessDenied (no
// user); any other is a failure.
func (m *Manager) GenerateAuthToken(ctx context.Context, rt oauth2.ResponseType, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	if rt != oauth2.Code {
		return nil, oerr.ErrUnsupportedResponseType
	}
	bounded, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.client(bounded, tgr.ClientID)
	switch {
	case err == unknownClient:
		return nil, oerr.ErrInvalidClient
	case err != nil:
		return nil, sound(err)
	}
	redirectURI, ok := redirectTo(c, tgr.RedirectURI)
	if !ok {
		return nil, oerr.ErrInvalidRedirectURI
	}
	if !c.Allows(authorizationCode) {
		return nil, oerr.ErrUnauthorizedClient
	}
	if err := checkChallenge(c, tgr); err != nil {
		return nil, sound(err)
	}
	granted, refused := grantable(c, tgr.Scope)
	if refused != nil {
		return nil, bare(refused)
	}
	if tgr.UserID == "" || !utf8.ValidString(tgr.UserID) {
		return nil, oerr.ErrAccessDenied
	}

	g, code := m.newCode(c, &storage.Code{
		RedirectURI:     redirectURI,
		RedirectURISent: tgr.RedirectURI != "",
		Challenge:       tgr.CodeChallenge,
	})
	g.ID, g.User, g.Scope, g.AccessLifetime = storage.NewID(), tgr.UserID, granted, tgr.AccessTokenExp
	if err := m.store.Insert(bounded, g); err != nil {
		return nil, sound(err)
	}
	m.event(ctx, Event{Kind: EventAuthorized, Client: c.ID, User: g.User, Grant: g.ID, Scope: g.Scope})

	info := &tokenInfo{id: g.ID}
	info.SetClientID(g.Client)
	info.SetUserID(g.User)
	info.SetScope(g.Scope)
	info.SetRedirectURI(tgr.RedirectURI)
	info.SetCode(m.encoding.Encode(CodeKind, g.ID, code))
	info.SetCodeCreateAt(g.Created)
	info.SetCodeExpiresIn(m.codeLifetime)
	info.SetCodeChallenge(tgr.CodeChallenge)
	info.SetCodeChallengeMethod(tgr.CodeChallengeMethod)
	info.SetAccessExpiresIn(tgr.AccessTokenExp)
	return info, nil
}

// newCode is a grant, yet without ID, user and scope, that begins with an authorization code.
func (m *Manager) newCode(c *client, of *storage.Code) (g *storage.Grant, code [32]byte) {
	at, code := now(), newDraw().access
	of.Digest, of.Expires = digest(CodeKind, code[:]), at.Add(m.codeLifetime)
	g = &storage.Grant{Client: c.ID, Generation: c.Generation, Created: at, Code: of}
	setExpires(g)
	return g, code
}

// redirectTo is where an authorization response goes (RFC 6749 3.1.2.3): to the URI that was sent, if it
// is one of the client's, or to the only one registered.
func redirectTo(c *client, sent string) (uri string, ok bool) {
	if sent == "" {
		uri = c.GetDomain()
		return uri, uri != ""
	}
	return sent, allowsRedirect(c.RedirectURIs, sent)
}

// checkChallenge checks the challenge before the method (RFC 7636 4.3): go-oauth2's server fills in
// plain where neither was sent.
func checkChallenge(c *client, tgr *oauth2.TokenGenerateRequest) error {
	switch {
	case tgr.CodeChallenge == "" && c.InsecureNoPKCE && !c.Public:
		return nil
	case tgr.CodeChallenge == "":
		return oerr.ErrCodeChallengeRquired
	case tgr.CodeChallengeMethod != oauth2.CodeChallengeS256:
		return oerr.ErrUnsupportedCodeChallengeMethod
	case !pkce.WellFormedChallenge(tgr.CodeChallenge):
		return oerr.ErrInvalidCodeChallengeLen
	}
	return nil
}
