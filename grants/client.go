package grants

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/absent"
	"github.com/ostiary-go/ostiary/internal/clientsecret"
	"github.com/ostiary-go/ostiary/storage"
)

// client is a client as the manager sees it, wherever it comes from.
type client struct {
	*storage.Client
	info oauth2.ClientInfo // as the client store gave it
	gone atomic.Bool       // from the cache: it has changed, or may have
}

// client looks up a client, which is shared: read only. An unknown one is the reason unknownClient; any
// other error is a failure.
func (m *Manager) client(ctx context.Context, id string) (*client, error) {
	if m.cache == nil || m.registry == nil {
		return m.readClient(ctx, id)
	}
	if c, ok := m.cache.clients.Get(id); ok {
		return c, nil
	}
	counter := m.cache.clients.Counter(id)
	c, err := m.readClient(ctx, id)
	if err == nil {
		m.cache.clients.Put(id, c, counter)
	}
	return c, err
}

func (m *Manager) readClient(ctx context.Context, id string) (*client, error) {
	info, err := m.clients.GetByID(ctx, id)
	switch {
	case err != nil && m.isNotFound(err):
		return nil, unknownClient
	case err != nil:
		return nil, err
	case absent.Nil(info):
		return nil, unknownClient
	}
	c := &client{info: info}
	if own, ok := info.(*storage.Client); ok {
		c.Client = own
	} else {
		c.Client = m.foreignClient(info)
	}
	if c.ID != id { // a table that compares without regard to case, say
		return nil, unknownClient
	}
	return c, nil
}

func (m *Manager) isNotFound(err error) bool {
	if errors.Is(err, storage.ErrNotFound) || errors.Is(err, oerr.ErrInvalidClient) {
		return true
	}
	for _, f := range m.notFound {
		if f(err) {
			return true
		}
	}
	return false
}

// foreignClient reads a ClientInfo that is no *storage.Client: see Clients.
func (m *Manager) foreignClient(info oauth2.ClientInfo) *storage.Client {
	c := &storage.Client{ID: info.GetID(), Public: info.IsPublic(), GrantTypes: m.GrantTypes(), Scope: m.foreignScope}
	if uri := info.GetDomain(); uri != "" {
		c.RedirectURIs = []string{uri}
	}
	return c
}

// authenticate proves the client of a request (RFC 6749 2.3). It tells nothing of why it refuses.
func (m *Manager) authenticate(ctx context.Context, r *Request, e *Event) (*client, *Error) {
	if r.ClientID == "" {
		return nil, refusal(noClient)
	}
	c, err := m.client(ctx, r.ClientID)
	switch {
	case err == unknownClient:
		if _, err := m.decoys.pick(r.ClientID).VerifySecret(ctx, r.ClientSecret); err != nil {
			return nil, failure(err)
		}
		return nil, refusal(unknownClient)
	case err != nil:
		return nil, failure(err)
	}
	e.Client = c.ID
	m.decoys.met(c.Client)
	ok, err := clientsecret.Verify(ctx, c.info, r.ClientSecret)
	switch {
	case err != nil:
		return nil, failure(err)
	case !ok:
		return nil, refusal(wrongSecret)
	}
	return c, nil
}

// decoys are clients to prove in the place of those that do not exist, one for each pair of secrets that
// those which do exist have, so that the time of an answer does not tell one from the other.
type decoys struct {
	seed  maphash.Seed
	kinds [len(secretKinds) * len(secretKinds)]atomic.Pointer[storage.Client]
}

// secretKinds are what a secret can be, by the time that a wrong try takes.
var secretKinds = [...]func(storage.Secret) bool{
	func(s storage.Secret) bool { return s == "" },
	func(s storage.Secret) bool { return s != "" && !s.Slow() },
	storage.Secret.Slow,
}

func kindOf(s storage.Secret) int {
	return slices.IndexFunc(secretKinds[:], func(is func(storage.Secret) bool) bool { return is(s) })
}

// met notes that there are clients like c.
func (d *decoys) met(c *storage.Client) {
	kind := &d.kinds[kindOf(c.Secret)*len(secretKinds)+kindOf(c.OldSecret)]
	if c.Secret == "" || kind.Load() != nil {
		return
	}
	decoy := &storage.Client{Secret: c.Secret.Decoy()}
	if c.OldSecret != "" {
		decoy.OldSecret = c.OldSecret.Decoy()
	}
	kind.Store(decoy)
}

// pick returns the decoy for an ID: always the same one for the same ID, while the kinds are the same.
func (d *decoys) pick(id string) *storage.Client {
	var known []*storage.Client
	for i := range d.kinds {
		if decoy := d.kinds[i].Load(); decoy != nil {
			known = append(known, decoy)
		}
	}
	if known == nil {
		return &storage.Client{}
	}
	return known[maphash.String(d.seed, id)%uint64(len(known))]
}
