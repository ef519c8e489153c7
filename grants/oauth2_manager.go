package grants

import (
	"context"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/storage"
)

// What is left of go-oauth2's oauth2.Manager: thin callers of Token and Revoke. Their errors are
// go-oauth2's as they are, and whatever the store returned.

// GetClient returns a client as its store has it; an unknown one is go-oauth2's ErrInvalidClient.
func (m *Manager) GetClient(ctx context.Context, clientID string) (oauth2.ClientInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.client(ctx, clientID)
	switch {
	case err == unknownClient:
		return nil, oerr.ErrInvalidClient
	case err != nil:
		return nil, sound(err)
	}
	if own, ok := c.info.(*storage.Client); ok {
		return own.Clone(), nil // the caller's own
	}
	return c.info, nil
}

// GenerateAccessToken is [Manager.Token] for go-oauth2's server. It proves the client and serves the
// grant types that Token serves and no others. tgr.Request is not looked at.
func (m *Manager) GenerateAccessToken(ctx context.Context, gt oauth2.GrantType, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	info, err := m.Token(ctx, requestOf(gt, tgr))
	if err != nil {
		return nil, bare(err)
	}
	return info, nil
}

// RefreshAccessToken is [Manager.Token] with grant_type refresh_token for go-oauth2's server.
func (m *Manager) RefreshAccessToken(ctx context.Context, tgr *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	return m.GenerateAccessToken(ctx, oauth2.Refreshing, tgr)
}

func requestOf(gt oauth2.GrantType, tgr *oauth2.TokenGenerateRequest) *Request {
	return &Request{
		GrantType:    string(gt),
		ClientID:     tgr.ClientID,
		ClientSecret: tgr.ClientSecret,
		Code:         tgr.Code,
		CodeVerifier: tgr.CodeVerifier,
		RedirectURI:  tgr.RedirectURI,
		RefreshToken: tgr.Refresh,
		Scope:        tgr.Scope,
	}
}

// RemoveAccessToken ends an access token, whosever it is. What is no live access token is no error.
func (m *Manager) RemoveAccessToken(ctx context.Context, access string) error {
	if access == "" {
		return oerr.ErrInvalidAccessToken
	}
	readings, err := m.accessReadings(ctx, access)
	if err != nil {
		return sound(err)
	}
	return m.remove(ctx, readings, AccessKind)
}

// RemoveRefreshToken ends the grant of a refresh token of any age, whosever it is. What is no refresh
// token of a live grant is no error.
func (m *Manager) RemoveRefreshToken(ctx context.Context, refresh string) error {
	if refresh == "" {
		return oerr.ErrInvalidRefreshToken
	}
	return m.remove(ctx, m.readings(refresh, RefreshKind), RefreshKind)
}

func (m *Manager) remove(ctx context.Context, readings []token, kind Kind) error {
	for i := range readings {
		readings[i].kind = kind
	}
	var e Event
	bounded, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	err := m.revoke(bounded, "", readings, &e)
	m.report(ctx, e, err)
	if err != nil {
		return bare(err)
	}
	return nil
}
