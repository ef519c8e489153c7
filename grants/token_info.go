package grants

import (
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/internal/view"
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
	t := &tokenInfo{id: i.id, audience: m.audienceOf(i.audience)}
	t.SetClientID(i.client)
	t.SetUserID(i.user)
	t.SetScope(i.scope)
	t.SetAccess(i.text)
	if m.signed == nil {
		t.SetAccess(m.encoding.Encode(AccessKind, i.id, i.access))
	}
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
func (t *tokenInfo) Audience() []string           { return slices.Clone(t.audience) }
func (t *tokenInfo) LogValue() slog.Value         { return view.LogValue(t) }
func (t *tokenInfo) Format(f fmt.State, _ rune)   { view.Format(f, t) }
func (t *tokenInfo) MarshalJSON() ([]byte, error) { return view.MarshalJSON(t) }

// loaded is a view of one access token of a grant that others may share.
type loaded struct {
	view.Token[shown]
}

func (l *loaded) GrantID() storage.ID { return l.Source.grant.ID }

func (l *loaded) Audience() []string {
	if d := l.Source.described; d != nil {
		return slices.Clone(d.audience)
	}
	return slices.Clone(audienceOf(l.Source.grant, l.Source.access))
}

// Claims returns what the application has to say of the token: see [Claims].
func (l *loaded) Claims() map[string]any {
	if l.Source.described == nil {
		return nil
	}
	return maps.Clone(l.Source.described.claims)
}

// described is what there is to a token beside its grant.
type described struct {
	audience []string // nil: any
	claims   map[string]any
}

var anyone = new(described)

// shown is an access token of a grant as it was presented.
type shown struct {
	grant     *storage.Grant
	access    *storage.Access
	presented string
	described *described // nil: what the grant says; or that it is known to have no audience, which spares a look at it
}

func (s shown) Client() string      { return s.grant.Client }
func (s shown) User() string        { return s.grant.User }
func (s shown) Access() string      { return s.presented }
func (s shown) Created() time.Time  { return s.access.Created }
func (s shown) Life() time.Duration { return untilOrNever(s.access.Expires, s.access.Created) }

func (s shown) Scope() string {
	if s.access.Scope != "" {
		return s.access.Scope
	}
	return s.grant.Scope
}
