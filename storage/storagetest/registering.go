package storagetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// registering holds the promises of how clients come into a store.
var registering = ofClients([]promise{
	{"GetByID/own", "GetByID returns the client as a *Client of the caller's own, or ErrNotFound.", getByIDOwn},
	{"GetByID/bytes", "IDs are compared byte by byte.", getByIDBytes},
	{"PutClient/round_trip", "PutClient registers c, or replaces the client of that ID.", putClientRoundTrip},
	{"PutClient/mistakes", "A registration with mistakes is refused with a *RegistrationError that lists them all, and nothing is stored.", putClientMistakes},
	{"PutClient/generation", "The store draws the generation (8 random bytes, never 0) when the ID is first put, and keeps it when the client is replaced; c.Generation is not looked at.", putClientGeneration},
	{"PutClient/at_the_same_time", "and keeps it when the client is replaced", putClientAtTheSameTime},
	{"PutClient/argument", "c is not altered and not kept.", putClientArgument},
})

// ofClients leaves the promises out for a store without clients.
func ofClients(promises []promise) []promise {
	for i, row := range promises {
		promises[i].try = func(p *probe) error {
			if p.clients == nil {
				return errNoClients
			}
			return row.try(p)
		}
	}
	return promises
}

func getByIDOwn(p *probe) error {
	if err := p.register(fullClient("web", 1)); err != nil {
		return err
	}
	c, err := p.client("web")
	if err != nil {
		return err
	}
	generation := c.Generation
	spoilClient(c)
	c, err = p.client("web")
	if err != nil {
		return err
	}
	if err := sameClient(c, fullClient("web", 1)); err != nil {
		return fmt.Errorf("what GetByID had returned was altered, and so was the client: %w", err)
	}
	if c.Generation != generation {
		return errors.New("what GetByID had returned was altered, and so was the generation")
	}
	for _, id := range []string{"", "we", "webb", "unknown"} {
		c, err := p.clients.GetByID(p.ctx, id)
		if err := wantErr("GetByID of an unknown client", err, storage.ErrNotFound); err != nil {
			return fmt.Errorf("%w (and %s)", err, show(c))
		}
	}
	return nil
}

func getByIDBytes(p *probe) error {
	var clients []*storage.Client
	for i, id := range []string{"web", "Web", "WEB", "web ", " web", "we", "web/", "web%20", "%", "_", "we_", "*", `'"\`, "1", "01", strings.Repeat("c", 2048), strings.Repeat("c", 2047)} {
		c := fullClient(id, i)
		clients = append(clients, c)
	}
	if err := p.register(clients...); err != nil {
		return err
	}
	for _, c := range clients {
		if err := p.registered(c); err != nil {
			return err
		}
	}
	for _, id := range []string{"wEb", "web  ", "web\x00", "w%", "2"} {
		_, err := p.clients.GetByID(p.ctx, id)
		if err := wantErr(fmt.Sprintf("GetByID(%q)", id), err, storage.ErrNotFound); err != nil {
			return err
		}
	}
	return p.listsClients(clients...)
}

func putClientRoundTrip(p *probe) error {
	public := plainClient("public")
	public.Name, public.Scope, public.AccessLifetime = "Public", "read", time.Second
	clients := []*storage.Client{fullClient("full", 1), public, plainClient("plain")}
	large := fullClient("large", 2)
	large.Metadata["large"] = strings.Repeat("large", 1<<20/5)
	clients = append(clients, large)
	if err := p.register(clients...); err != nil {
		return err
	}
	if err := p.listsClients(clients...); err != nil {
		return err
	}
	clients[0] = plainClient("full") // replaced as a whole: no field of the old one stays
	clients[2] = fullClient("plain", 3)
	if err := p.register(clients[0], clients[2]); err != nil {
		return err
	}
	for range 2 {
		for _, c := range clients {
			if err := p.registered(c); err != nil {
				return err
			}
		}
		if err := p.listsClients(clients...); err != nil {
			return err
		}
		if err := p.reopen(); err != nil {
			return err
		}
	}
	return nil
}

func putClientMistakes(p *probe) error {
	if err := p.register(plainClient("web")); err != nil {
		return err
	}
	before, err := p.client("web")
	if err != nil {
		return err
	}
	for _, c := range []*storage.Client{
		{ID: "web"},
		{ID: "web", Secret: "in the clear", RedirectURIs: []string{"javascript:alert(1)", "http://web.example/"}, Scope: " "},
		{ID: "new", Public: true, GrantTypes: []string{"implicit", "authorization_code"}},
		{ID: "", Public: true},
	} {
		err := p.clients.PutClient(p.ctx, c)
		var got, want *storage.RegistrationError
		if !errors.As(err, &got) {
			return fmt.Errorf("PutClient of a registration with mistakes returned %v, want a *RegistrationError", err)
		}
		if errors.As(c.Validate(), &want); !reflect.DeepEqual(got, want) {
			return fmt.Errorf("PutClient returned\n%v\nwant\n%v", got, want)
		}
	}
	after, err := p.client("web")
	if err != nil {
		return err
	}
	if !reflect.DeepEqual(after, before) {
		return fmt.Errorf("a refused registration changed the client to\n%s", show(after))
	}
	return p.listsClients(before)
}

func putClientGeneration(p *probe) error {
	var seen []uint64
	for i, id := range []string{"web", "app", "cli"} {
		c := fullClient(id, i)
		c.Generation = 7
		if err := p.register(c); err != nil {
			return err
		}
		first, err := p.client(id)
		if err != nil {
			return err
		}
		if !random(first.Generation, seen) {
			return fmt.Errorf("a new client has generation %d, want a random one", first.Generation)
		}
		seen = append(seen, first.Generation)
		for _, generation := range []uint64{0, 7, first.Generation + 1} {
			replacement := plainClient(id)
			replacement.Generation = generation
			if err := p.register(replacement); err != nil {
				return err
			}
			if err := p.hasGeneration(id, first.Generation); err != nil {
				return err
			}
		}
		if err := p.reopen(); err != nil {
			return err
		}
		if err := p.hasGeneration(id, first.Generation); err != nil {
			return err
		}
	}
	return nil
}

// random tells whether n can be drawn at random: it is neither small nor close to one seen before.
func random(n uint64, seen []uint64) bool {
	const close = 1 << 20
	return n > close && !slices.ContainsFunc(seen, func(m uint64) bool { return max(n, m)-min(n, m) < close })
}

func (p *probe) hasGeneration(id string, want uint64) error {
	c, err := p.client(id)
	if err == nil && c.Generation != want {
		err = fmt.Errorf("client %s has generation %d, want still %d", id, c.Generation, want)
	}
	return err
}

func putClientAtTheSameTime(p *probe) error {
	var first atomic.Uint64
	return atOnce(20, func(i int) error {
		for range i { // so that between two that write there is one who reads
			pace()
		}
		if err := p.register(fullClient("web", i)); err != nil {
			return err
		}
		c, err := p.client("web")
		if err == nil && !first.CompareAndSwap(0, c.Generation) && first.Load() != c.Generation {
			err = errors.New("of concurrent PutClients of one ID, one drew the generation of another anew")
		}
		return err
	})
}

func putClientArgument(p *probe) error {
	c := fullClient("web", 1)
	c.Generation = 7
	want := c.Clone()
	for range 2 {
		if err := p.register(c); err != nil {
			return err
		}
		if !reflect.DeepEqual(c, want) {
			return fmt.Errorf("PutClient altered its argument to\n%s", show(c))
		}
	}
	spoilClient(c)
	if err := p.registered(want); err != nil {
		return fmt.Errorf("after PutClient its argument was altered, and so was the client: %w", err)
	}
	return nil
}
