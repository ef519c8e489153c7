// Package view shows what is shared as a TokenInfo that may be altered.
package view

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
)

// Source is what a Token shows until it is altered. It is not altered itself.
type Source interface {
	Client() string
	User() string
	Scope() string
	Access() string
	Created() time.Time
	Life() time.Duration // 0: no end
}

// Token is a view of an access token that others may share. Its first setter makes a copy, which it reads
// from then on. It does not print its token.
type Token[S Source] struct {
	Source S
	copied *models.Token
}

func (t *Token[S]) LogValue() slog.Value         { return LogValue(t) }
func (t *Token[S]) Format(f fmt.State, _ rune)   { Format(f, t) }
func (t *Token[S]) MarshalJSON() ([]byte, error) { return MarshalJSON(t) }

func (t *Token[S]) New() oauth2.TokenInfo { return models.NewToken() }

func (t *Token[S]) GetClientID() string {
	if t.copied != nil {
		return t.copied.ClientID
	}
	return t.Source.Client()
}

func (t *Token[S]) GetUserID() string {
	if t.copied != nil {
		return t.copied.UserID
	}
	return t.Source.User()
}

func (t *Token[S]) GetScope() string {
	if t.copied != nil {
		return t.copied.Scope
	}
	return t.Source.Scope()
}

func (t *Token[S]) GetAccess() string {
	if t.copied != nil {
		return t.copied.Access
	}
	return t.Source.Access()
}

func (t *Token[S]) GetAccessCreateAt() time.Time {
	if t.copied != nil {
		return t.copied.AccessCreateAt
	}
	return t.Source.Created()
}

func (t *Token[S]) GetAccessExpiresIn() time.Duration {
	if t.copied != nil {
		return t.copied.AccessExpiresIn
	}
	return t.Source.Life()
}

// edit returns the copy that setters write to.
func (t *Token[S]) edit() *models.Token {
	if t.copied == nil {
		t.copied = &models.Token{
			ClientID:        t.Source.Client(),
			UserID:          t.Source.User(),
			Scope:           t.Source.Scope(),
			Access:          t.Source.Access(),
			AccessCreateAt:  t.Source.Created(),
			AccessExpiresIn: t.Source.Life(),
		}
	}
	return t.copied
}

// kept is the copy if there is one: the rest of a TokenInfo is empty in an access token.
func (t *Token[S]) kept() *models.Token {
	if t.copied == nil {
		return &models.Token{}
	}
	return t.copied
}

func (t *Token[S]) SetClientID(s string)                { t.edit().SetClientID(s) }
func (t *Token[S]) SetUserID(s string)                  { t.edit().SetUserID(s) }
func (t *Token[S]) GetRedirectURI() string              { return t.kept().GetRedirectURI() }
func (t *Token[S]) SetRedirectURI(s string)             { t.edit().SetRedirectURI(s) }
func (t *Token[S]) SetScope(s string)                   { t.edit().SetScope(s) }
func (t *Token[S]) GetCode() string                     { return t.kept().GetCode() }
func (t *Token[S]) SetCode(s string)                    { t.edit().SetCode(s) }
func (t *Token[S]) GetCodeCreateAt() time.Time          { return t.kept().GetCodeCreateAt() }
func (t *Token[S]) SetCodeCreateAt(at time.Time)        { t.edit().SetCodeCreateAt(at) }
func (t *Token[S]) GetCodeExpiresIn() time.Duration     { return t.kept().GetCodeExpiresIn() }
func (t *Token[S]) SetCodeExpiresIn(d time.Duration)    { t.edit().SetCodeExpiresIn(d) }
func (t *Token[S]) GetCodeChallenge() string            { return t.kept().GetCodeChallenge() }
func (t *Token[S]) SetCodeChallenge(s string)           { t.edit().SetCodeChallenge(s) }
func (t *Token[S]) SetAccess(s string)                  { t.edit().SetAccess(s) }
func (t *Token[S]) SetAccessCreateAt(at time.Time)      { t.edit().SetAccessCreateAt(at) }
func (t *Token[S]) SetAccessExpiresIn(d time.Duration)  { t.edit().SetAccessExpiresIn(d) }
func (t *Token[S]) GetRefresh() string                  { return t.kept().GetRefresh() }
func (t *Token[S]) SetRefresh(s string)                 { t.edit().SetRefresh(s) }
func (t *Token[S]) GetRefreshCreateAt() time.Time       { return t.kept().GetRefreshCreateAt() }
func (t *Token[S]) SetRefreshCreateAt(at time.Time)     { t.edit().SetRefreshCreateAt(at) }
func (t *Token[S]) GetRefreshExpiresIn() time.Duration  { return t.kept().GetRefreshExpiresIn() }
func (t *Token[S]) SetRefreshExpiresIn(d time.Duration) { t.edit().SetRefreshExpiresIn(d) }

func (t *Token[S]) GetCodeChallengeMethod() oauth2.CodeChallengeMethod {
	return t.kept().GetCodeChallengeMethod()
}

func (t *Token[S]) SetCodeChallengeMethod(m oauth2.CodeChallengeMethod) {
	t.edit().SetCodeChallengeMethod(m)
}

// LogValue is what may be seen of a token in a log.
func LogValue(info oauth2.TokenInfo) slog.Value {
	return slog.GroupValue(
		slog.String("client", info.GetClientID()),
		slog.String("user", info.GetUserID()),
		slog.String("scope", info.GetScope()),
	)
}

// Format writes what may be seen of a token in a message.
func Format(w io.Writer, info oauth2.TokenInfo) {
	fmt.Fprintf(w, "[token client=%q user=%q scope=%q]", info.GetClientID(), info.GetUserID(), info.GetScope())
}

// MarshalJSON is what may be seen of a token in JSON.
func MarshalJSON(info oauth2.TokenInfo) ([]byte, error) {
	return json.Marshal(struct {
		Client string `json:"client_id"`
		User   string `json:"user_id,omitempty"`
		Scope  string `json:"scope,omitempty"`
	}{info.GetClientID(), info.GetUserID(), info.GetScope()})
}
