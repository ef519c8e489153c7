package main

import (
	"time"

	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/grants"
)

// parseGoOAuth2 is the [parser] of go-oauth2's models.Token, as its stores keep it in JSON.
func parseGoOAuth2(text []byte) (i grants.Import, nothing bool, reason string) {
	var t models.Token
	if reason := decode(text, &t); reason != "" {
		return i, false, reason
	}
	switch {
	case t.ClientID == "":
		return i, false, "no token of go-oauth2's: it has no ClientID"
	case t.Access == "" && t.Refresh == "": // a code, which lives ten minutes, or what was removed
		return i, true, ""
	}
	i = grants.Import{Client: t.ClientID, User: t.UserID, Scope: t.Scope}
	if t.Access != "" {
		i.Access = []grants.ImportedToken{{Token: t.Access, Expires: accessEnd(&t)}}
	}
	if t.Refresh != "" {
		i.Refresh = grants.ImportedToken{Token: t.Refresh, Expires: refreshEnd(&t)}
	}
	return i, false, ""
}

// accessEnd is when go-oauth2 no longer takes the access token: it never outlives a refresh token that
// came with it.
func accessEnd(t *models.Token) time.Time {
	end := goOAuth2End(t.AccessCreateAt, t.AccessExpiresIn)
	if t.Refresh == "" {
		return end
	}
	refresh := refreshEnd(t)
	if end.IsZero() || !refresh.IsZero() && refresh.Before(end) {
		return refresh
	}
	return end
}

func refreshEnd(t *models.Token) time.Time {
	return goOAuth2End(t.RefreshCreateAt, t.RefreshExpiresIn)
}

// goOAuth2End is the end of a life that go-oauth2 describes; 0 is one without end.
func goOAuth2End(created time.Time, life time.Duration) time.Time {
	if life == 0 {
		return time.Time{}
	}
	return sinceEpoch(created.Add(life))
}
