package grants

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/storage"
)

// GrantID returns the grant of a TokenInfo that a Manager returned, also where it is wrapped by a type
// with an Unwrap method. ok is false for any other.
func GrantID(info oauth2.TokenInfo) (id storage.ID, ok bool) {
	for {
		switch i := info.(type) {
		case interface{ GrantID() storage.ID }:
			return i.GrantID(), true
		case interface{ Unwrap() oauth2.TokenInfo }:
			info = i.Unwrap()
		default:
			return storage.ID{}, false
		}
	}
}

// tokenInfo is what was issued: a value of the caller's own.
type tokenInfo struct {
	models.Token
	id       storage.ID
	audience []string
}

func (m *Manager) info(i *issued, at time.Time) *tokenInfo {
	if at.Before(i.accessCreated) { // a clock that was set back
		at = i.accessCreated
	}
	t := &tokenInfo{id: i.id, audience: i.audience}
	t.SetClientID(i.client)
	t.SetUserID(i.user)
	t.SetScope(i.scope)
	t.SetAccess(m.encoding.Encode(AccessKind, i.id, i.access))
	t.SetAccessCreateAt(at)
	t.SetAccessExpiresIn(i.accessExpires.Sub(at))
	if i.refresh != nil {
		t.SetRefresh(m.text(RefreshKind, *i.refresh))
		t.SetRefreshCreateAt(at)
		t.SetRefreshExpiresIn(untilOrNever(i.refreshExpires, at))
	}
	return t
}

// untilOrNever is the time left, and 0, which go-oauth2 reads as never, if there is no end.
func untilOrNever(end, at time.Time) time.Duration {
	if end.IsZero() {
		return 0
	}
	return end.Sub(at)
}

func (t *tokenInfo) GrantID() storage.ID          { return t.id }
func (t *tokenInfo) Audience() []string           { return t.audience }
func (t *tokenInfo) LogValue() slog.Value         { return logValue(t) }
func (t *tokenInfo) Format(f fmt.State, _ rune)   { format(f, t) }
func (t *tokenInfo) MarshalJSON() ([]byte, error) { return marshalJSON(t) }

// loaded is a view of one access token of a grant that others may share. Its first setter makes a copy,
// which it reads from then on.
type loaded struct {
	grant     *storage.Grant
	access    *storage.Access
	presented string
	copied    *models.Token
	anyone    bool // it is known to have no audience, which spares a look at the grant
}

func (l *loaded) GrantID() storage.ID          { return l.grant.ID }
func (l *loaded) LogValue() slog.Value         { return logValue(l) }
func (l *loaded) Format(f fmt.State, _ rune)   { format(f, l) }
func (l *loaded) MarshalJSON() ([]byte, error) { return marshalJSON(l) }

func (l *loaded) Audience() []string {
	if l.anyone {
		return nil
	}
	return slices.Clone(audienceOf(l.grant, l.access))
}

func (l *loaded) New() oauth2.TokenInfo { return models.NewToken() }

func (l *loaded) GetClientID() string {
	if l.copied != nil {
		return l.copied.ClientID
	}
	return l.grant.Client
}

func (l *loaded) GetUserID() string {
	if l.copied != nil {
		return l.copied.UserID
	}
	return l.grant.User
}

func (l *loaded) GetScope() string {
	switch {
	case l.copied != nil:
		return l.copied.Scope
	case l.access.Scope != "":
		return l.access.Scope
	}
	return l.grant.Scope
}

func (l *loaded) GetAccess() string {
	if l.copied != nil {
		return l.copied.Access
	}
	return l.presented
}

func (l *loaded) GetAccessCreateAt() time.Time {
	if l.copied != nil {
		return l.copied.AccessCreateAt
	}
	return l.access.Created
}

func (l *loaded) GetAccessExpiresIn() time.Duration {
	if l.copied != nil {
		return l.copied.AccessExpiresIn
	}
	return untilOrNever(l.access.Expires, l.access.Created)
}

// edit returns the copy that setters write to.
func (l *loaded) edit() *models.Token {
	if l.copied == nil {
		l.copied = &models.Token{
			ClientID:        l.GetClientID(),
			UserID:          l.GetUserID(),
			Scope:           l.GetScope(),
			Access:          l.GetAccess(),
			AccessCreateAt:  l.GetAccessCreateAt(),
			AccessExpiresIn: l.GetAccessExpiresIn(),
		}
	}
	return l.copied
}

// kept is the copy if there is one: the rest of a TokenInfo is empty in a loaded access token.
func (l *loaded) kept() *models.Token {
	if l.copied == nil {
		return &models.Token{}
	}
	return l.copied
}

func (l *loaded) SetClientID(s string)                { l.edit().SetClientID(s) }
func (l *loaded) SetUserID(s string)                  { l.edit().SetUserID(s) }
func (l *loaded) GetRedirectURI() string              { return l.kept().GetRedirectURI() }
func (l *loaded) SetRedirectURI(s string)             { l.edit().SetRedirectURI(s) }
func (l *loaded) SetScope(s string)                   { l.edit().SetScope(s) }
func (l *loaded) GetCode() string                     { return l.kept().GetCode() }
func (l *loaded) SetCode(s string)                    { l.edit().SetCode(s) }
func (l *loaded) GetCodeCreateAt() time.Time          { return l.kept().GetCodeCreateAt() }
func (l *loaded) SetCodeCreateAt(t time.Time)         { l.edit().SetCodeCreateAt(t) }
func (l *loaded) GetCodeExpiresIn() time.Duration     { return l.kept().GetCodeExpiresIn() }
func (l *loaded) SetCodeExpiresIn(d time.Duration)    { l.edit().SetCodeExpiresIn(d) }
func (l *loaded) GetCodeChallenge() string            { return l.kept().GetCodeChallenge() }
func (l *loaded) SetCodeChallenge(s string)           { l.edit().SetCodeChallenge(s) }
func (l *loaded) SetAccess(s string)                  { l.edit().SetAccess(s) }
func (l *loaded) SetAccessCreateAt(t time.Time)       { l.edit().SetAccessCreateAt(t) }
func (l *loaded) SetAccessExpiresIn(d time.Duration)  { l.edit().SetAccessExpiresIn(d) }
func (l *loaded) GetRefresh() string                  { return l.kept().GetRefresh() }
func (l *loaded) SetRefresh(s string)                 { l.edit().SetRefresh(s) }
func (l *loaded) GetRefreshCreateAt() time.Time       { return l.kept().GetRefreshCreateAt() }
func (l *loaded) SetRefreshCreateAt(t time.Time)      { l.edit().SetRefreshCreateAt(t) }
func (l *loaded) GetRefreshExpiresIn() time.Duration  { return l.kept().GetRefreshExpiresIn() }
func (l *loaded) SetRefreshExpiresIn(d time.Duration) { l.edit().SetRefreshExpiresIn(d) }

func (l *loaded) GetCodeChallengeMethod() oauth2.CodeChallengeMethod {
	return l.kept().GetCodeChallengeMethod()
}

func (l *loaded) SetCodeChallengeMethod(m oauth2.CodeChallengeMethod) {
	l.edit().SetCodeChallengeMethod(m)
}

// What may be seen of a token in a log, a message or JSON.
func logValue(info oauth2.TokenInfo) slog.Value {
	return slog.GroupValue(
		slog.String("client", info.GetClientID()),
		slog.String("user", info.GetUserID()),
		slog.String("scope", info.GetScope()),
	)
}

func format(w io.Writer, info oauth2.TokenInfo) {
	fmt.Fprintf(w, "[token client=%q user=%q scope=%q]", info.GetClientID(), info.GetUserID(), info.GetScope())
}

func marshalJSON(info oauth2.TokenInfo) ([]byte, error) {
	return json.Marshal(struct {
		Client string `json:"client_id"`
		User   string `json:"user_id,omitempty"`
		Scope  string `json:"scope,omitempty"`
	}{info.GetClientID(), info.GetUserID(), info.GetScope()})
}
