package grants

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/internal/b64token"
	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// Import says what [Manager.Import] is to take over from an older system: one grant, and the tokens
// that were given out under it.
type Import struct {
	Client   string          // its ID
	User     string          // "": the client's own grant, which has no refresh token
	Scope    string          // exactly that; "" is none
	Audience []string        // resource servers that the tokens are for (RFC 8707); nil: any
	Access   []ImportedToken // oldest first
	Refresh  ImportedToken   // the zero value: none
}

// ImportedToken is a token of an older system, by its value or, where that system kept no more, by the
// SHA-256 of it.
type ImportedToken struct {
	Token   string
	SHA256  storage.Digest
	Expires time.Time // zero: never
}

// ImportedTokens makes the manager honour the tokens that [Manager.Import] took over. Without it a
// string that is no token of this server's is refused without a look into the store; with it that look
// is the price of garbage.
func ImportedTokens() Option {
	return func(m *Manager) { m.importedTokens = true }
}

// Import takes over a grant of an older system with its tokens, so that nobody has to sign in anew. The
// access tokens are good until they expire or the grant gets new ones beyond [LiveAccessTokens]; the
// refresh token until it is used, which brings tokens of this server, or until it expires where the
// client's tokens do not rotate. Whichever is revoked or used, it is one grant: see docs/grant.md. The
// life of the grant counts from the import, and what [RefreshLifetime] allows is not exceeded.
//
// Import may be repeated: what is there already stays as it is, whatever has become of it since, so an
// interrupted import simply starts again. It tells whether anything was new. Access tokens that come
// later with the refresh token, or the first access token, of a grant that is there join it, and of
// several expiries of the refresh token the latest counts while it has not been replaced; a grant that
// has ended gets nothing. Do not repeat it once the grants may have been ended and pruned, since that
// brings them back.
//
// Expired access tokens are left out. One that no guard of package middleware could take is refused: with
// a character that a Bearer header can not carry (RFC 6750 2.1), as in 1|Zm9v, or of more than 8192
// bytes. Leave such a one out; the refresh token brings one that works.
//
// The error is an *[Error] whose code is invalid_grant if nothing is alive, invalid_client for an unknown
// client, invalid_scope for a scope beyond the client's, unauthorized_client for a public client without
// a user, invalid_request for anything else that is wrong with i, a token that was imported under another
// grant included, and temporarily_unavailable if the store failed. After an error nothing is stored, but
// for the last one, where a part may be. Import panics if the manager was made without [ImportedTokens].
func (m *Manager) Import(ctx context.Context, i Import) (imported bool, err error) {
	if !m.importedTokens {
		panic("grants: Import: the manager was made without ImportedTokens")
	}
	var e Event
	imported, refused := m.takeOver(ctx, i, &e)
	m.report(ctx, e, refused)
	if refused != nil {
		return false, refused
	}
	return imported, nil
}

func (m *Manager) takeOver(ctx context.Context, i Import, e *Event) (bool, *Error) {
	ctx, cancel := context.WithTimeout(ctx, m.storeTimeout)
	defer cancel()
	c, err := m.client(ctx, i.Client)
	switch {
	case err == unknownClient:
		return false, refusal(unknownClient)
	case err != nil:
		return false, failure(err)
	}
	e.Client = c.ID
	words, ok := scope.Parse(i.Scope)
	switch {
	case !ok:
		return false, refusal(malformedScope)
	case !scope.Within(words, c.Scope):
		return false, refusal(scopeBeyondClient)
	case i.User == "" && c.Public:
		return false, refusal(publicClient)
	case !utf8.ValidString(i.User):
		return false, refusal(malformedUser)
	}
	i.Scope = strings.Join(words, " ")
	at := now()
	p := m.policyFor(c, i.User != "")
	records, refused := i.records(p, at)
	if refused != nil {
		return false, refused
	}
	imported, refused := m.insert(ctx, records, p)
	if !imported || refused != nil {
		return false, refused
	}
	e.Kind, e.Client, e.User, e.Grant, e.Scope = EventImported, i.Client, i.User, records[0].ID, i.Scope
	return true, nil
}

// insert stores what is not there yet of a grant and its aliases, the grant first, and tells whether
// there was anything. Where somebody else imports the same meanwhile, it looks again. To a grant that
// has ended it adds nothing.
func (m *Manager) insert(ctx context.Context, records []*storage.Grant, p policy) (imported bool, err *Error) {
look:
	for {
		stored, missing, refused := m.missing(ctx, records)
		if refused != nil {
			return imported, refused
		}
		if stored != nil {
			if longer, _ := prolonged(stored, records[0], p); longer == nil && len(missing) == 0 {
				return imported, m.confirm(ctx, records[len(records)-1].ID)
			}
			changed, ended, failed := m.join(ctx, records[0], missing, p)
			imported = imported || changed
			if failed != nil || ended {
				return imported, failed
			}
		}
		for _, g := range missing {
			switch err := m.store.Insert(ctx, g); {
			case errors.Is(err, storage.ErrExists):
				continue look
			case err != nil:
				return imported, failure(err)
			}
			imported = true
		}
		return imported, nil
	}
}

// confirm returns when what was read of a record is on disk: a reader may be ahead of that.
func (m *Manager) confirm(ctx context.Context, id storage.ID) *Error {
	err := m.store.Update(ctx, id, func(*storage.Grant) error { return nil })
	if err != nil && !errors.Is(err, storage.ErrNotFound) {
		return failure(err)
	}
	return nil
}

// join gives a grant that is there the access tokens whose aliases are missing, and the later expiry of
// the refresh token: an older system may have kept several records with one refresh token. It goes
// before the aliases, so that one that is there says that its token has been in the grant, whatever has
// become of it. It tells whether it changed the grant, and whether that has ended.
func (m *Manager) join(ctx context.Context, g *storage.Grant, missing []*storage.Grant, p policy) (changed, ended bool, refused *Error) {
	err := m.store.Update(ctx, g.ID, func(stored *storage.Grant) error {
		changed, ended = false, p.over(stored)
		if ended {
			return nil
		}
		for _, a := range g.Access {
			joins := slices.ContainsFunc(missing, func(alias *storage.Grant) bool { return alias.ID == importedID(a.Digest) })
			if !joins || findAccess(stored, a.Digest) >= 0 {
				continue
			}
			if g.Scope != stored.Scope {
				a.Scope = g.Scope
			}
			if a.Scope == "" && stored.Scope != g.Scope || !slices.Equal(g.Audience, stored.Audience) {
				return errUnlike // "" and nil would mean the grant's
			}
			stored.Access = append(stored.Access, a)
			stored.Expires = later(stored.Expires, a.Expires)
			changed = true
		}
		if longer, end := prolonged(stored, g, p); longer != nil {
			stored.Refresh, changed = longer, true
			stored.Expires = later(stored.Expires, end)
		}
		return nil
	})
	switch {
	case err == errUnlike:
		return false, false, badImport("an access token has another audience than its grant, or no scope where that has one")
	case err != nil:
		return false, false, failure(err)
	}
	return changed, ended, nil
}

// prolonged is the refresh token of a grant that is there with the expiry that g says, if that is later
// and the token is still the imported one; else nil. End is that expiry, within what is allowed since
// the first import.
func prolonged(stored, g *storage.Grant, p policy) (longer *storage.Refresh, end time.Time) {
	if p.over(stored) || stored.Refresh == nil || g.Refresh == nil {
		return nil, end
	}
	r := *stored.Refresh
	if r.Ancestor.IsZero() || r.Current != r.Ancestor {
		return nil, end
	}
	end = earlier(g.Refresh.Expires, after(stored.Created, p.refreshLifetime))
	if !p.rotate { // see records
		r.Limit = later(r.Limit, end)
	}
	idle := end
	if !r.Created.Equal(stored.Created) { // used: its idle time counts
		idle = after(r.Created, p.refreshIdle)
		if r.Limit.Equal(stored.Refresh.Limit) {
			return nil, end
		}
	}
	r.Expires = later(r.Expires, earlier(idle, r.Limit))
	if r.Expires.Equal(stored.Refresh.Expires) && r.Limit.Equal(stored.Refresh.Limit) {
		return nil, end
	}
	return &r, end
}

var errUnlike = errors.New("grants: an access token unlike its grant")

// missing are those of the records that are not stored yet, and the grant as it is stored, or nil. What
// is stored under their names has to be the same grant.
func (m *Manager) missing(ctx context.Context, records []*storage.Grant) (grant *storage.Grant, missing []*storage.Grant, refused *Error) {
	for _, g := range records {
		stored, err := m.store.Grant(ctx, g.ID)
		switch {
		case errors.Is(err, storage.ErrNotFound):
			missing = append(missing, g)
		case err != nil:
			return nil, nil, failure(err)
		case stored.See != g.See || stored.Client != g.Client || stored.User != g.User && stored.Ended.IsZero():
			return nil, nil, badImport("a token was imported before, under another grant")
		case g == records[0]:
			grant = stored
		}
	}
	return grant, missing, nil
}

// records are the grant and its aliases. The grant stands under the name of its refresh token or, if it
// has none, of the first access token; under the names of the others stand aliases.
func (i Import) records(p policy, at time.Time) ([]*storage.Grant, *Error) {
	g := &storage.Grant{
		Client:     i.Client,
		User:       i.User,
		Generation: p.generation,
		Scope:      i.Scope,
		Audience:   slices.Clone(i.Audience),
		Created:    at,
		Expires:    at, // at the least: see setExpires
	}
	alive := false
	var seen []storage.Digest
	records := []*storage.Grant{g}
	for n, t := range append([]ImportedToken{i.Refresh}, i.Access...) {
		refresh := n == 0
		if refresh && t == (ImportedToken{}) {
			continue
		}
		d, wrong := t.digest()
		switch {
		case wrong != "":
			return nil, badImport(wrong)
		case slices.Contains(seen, d):
			return nil, badImport("a token stands there twice")
		case refresh && i.User == "":
			return nil, badImport("a client's own grant has no refresh token")
		case !refresh:
			wrong = t.unsendable()
		}
		if wrong != "" {
			return nil, badImport(wrong)
		}
		first := len(seen) == 0
		seen = append(seen, d)
		if first {
			g.ID = importedID(d)
		}
		expires := t.Expires.Truncate(time.Millisecond)
		switch {
		case refresh:
			limit := after(at, p.refreshLifetime)
			expires = earlier(expires, limit)
			if !p.rotate { // it stays the one that expires then, however often it is used
				limit = expires
			}
			g.Refresh = &storage.Refresh{Current: d, Ancestor: d, Created: at, Expires: expires, Limit: limit}
		case past(expires, at):
			continue
		default:
			g.Access = append(g.Access, storage.Access{Digest: d, Created: at, Expires: expires})
			if !first {
				records = append(records, &storage.Grant{ID: importedID(d), See: g.ID, Created: at, Expires: expires})
			}
		}
		alive = alive || !past(expires, at)
	}
	switch {
	case len(seen) == 0:
		return nil, badImport("there is no token")
	case !alive:
		return nil, refusal(expired)
	}
	setExpires(g)
	return records, nil
}

// digest is the SHA-256 of the token, or what is wrong with it.
func (t ImportedToken) digest() (d storage.Digest, wrong string) {
	switch {
	case (t.Token == "") == t.SHA256.IsZero():
		return d, "a token is told by its value or by its SHA-256"
	case t.Token == "":
		return t.SHA256, ""
	case strings.ContainsFunc(t.Token, func(r rune) bool { return r < ' ' || r > '~' }):
		return d, "a token has a character outside of %x20-7E, and could never be sent"
	}
	return sha256.Sum256([]byte(t.Token)), ""
}

// unsendable says why the guards of resource servers would never take the access token.
func (t ImportedToken) unsendable() (wrong string) {
	const advice = "; leave it out: the refresh token brings one that works"
	switch {
	case t.Token == "": // not known
	case !b64token.Valid(t.Token):
		return "an access token has a character that no Bearer header can carry (RFC 6750 2.1)" + advice
	case len(t.Token) > b64token.DefaultLimit:
		return fmt.Sprintf("an access token is longer than the %d bytes that a guard takes", b64token.DefaultLimit) + advice
	}
	return ""
}

func badImport(description string) *Error {
	return &Error{Code: "invalid_request", Description: description, Cause: wrongImport}
}
