package storagetest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"reflect"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// probe is the data set of one promise and the store that is open on it.
type probe struct {
	storage.Store
	clients storage.Clients // nil if the store has none
	keys    storage.Keys    // nil if the store has none
	ctx     context.Context
	open    func() storage.Store
	cancel  context.CancelFunc
}

var (
	errGone      = errors.New("the goroutine ended in the midst")
	errNoClients = errors.New("the store keeps no clients")
	errNoKeys    = errors.New("the store keeps no secrets")
)

func newProbe(open func() storage.Store) *probe {
	p := &probe{open: open}
	p.ctx, p.cancel = context.WithCancel(context.Background())
	p.start()
	return p
}

func (p *probe) start() {
	p.Store = p.open()
	p.clients, _ = p.Store.(storage.Clients)
	p.keys, _ = p.Store.(storage.Keys)
}

func (p *probe) end() {
	p.cancel()
	p.Close()
}

// reopen closes the store and opens its data again.
func (p *probe) reopen() error {
	if err := p.Close(); err != nil {
		return fmt.Errorf("Close returned %w", err)
	}
	p.start()
	return nil
}

// insert stores all grants, many at once.
func (p *probe) insert(grants ...*storage.Grant) error {
	return atOnce(len(grants), func(i int) error {
		if err := p.Insert(p.ctx, grants[i]); err != nil {
			return fmt.Errorf("Insert returned %w", err)
		}
		return nil
	})
}

// register puts all clients, many at once.
func (p *probe) register(clients ...*storage.Client) error {
	return atOnce(len(clients), func(i int) error {
		if err := p.clients.PutClient(p.ctx, clients[i]); err != nil {
			return fmt.Errorf("PutClient returned %w", err)
		}
		return nil
	})
}

// client returns what the store has of that client.
func (p *probe) client(id string) (*storage.Client, error) {
	info, err := p.clients.GetByID(p.ctx, id)
	if err != nil {
		return nil, fmt.Errorf("GetByID(%.40q) returned %w", id, err)
	}
	c, ok := info.(*storage.Client)
	if !ok || c == nil {
		return nil, fmt.Errorf("GetByID(%.40q) returned a %T, want a *storage.Client", id, info)
	}
	return c, nil
}

// stands returns an error unless the store has the grants as they are here.
func (p *probe) stands(grants ...*storage.Grant) error {
	return atOnce(len(grants), func(i int) error {
		got, err := p.Grant(p.ctx, grants[i].ID)
		if err != nil {
			return fmt.Errorf("Grant returned %w", err)
		}
		return same(got, grants[i])
	})
}

// registered returns an error unless the store has the client as it is here, its generation apart.
func (p *probe) registered(want *storage.Client) error {
	got, err := p.client(want.ID)
	if err != nil {
		return err
	}
	return sameClient(got, want)
}

// keep gives a name that value, whatever it had; nil removes it.
func (p *probe) keep(name string, value []byte) error {
	got, err := p.keys.Secret(p.ctx, name, setSecret(value))
	if err != nil {
		return fmt.Errorf("Secret(%.40q) returned %w", name, err)
	}
	return sameSecret("Secret returned", got, value)
}

// keeps returns an error unless the store has that value of the name; nil means none.
func (p *probe) keeps(name string, want []byte) error {
	var saw []byte
	got, err := p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
		saw = slices.Clone(old)
		return old, nil
	})
	if err != nil {
		return fmt.Errorf("Secret(%.40q) returned %w", name, err)
	}
	return errors.Join(sameSecret("change got", saw, want), sameSecret("Secret, with nothing changed, returned", got, want))
}

// absent returns an error unless there is no grant of that ID, neither by itself nor in a list.
func (p *probe) absent(id storage.ID) error {
	if g, err := p.Grant(p.ctx, id); !errors.Is(err, storage.ErrNotFound) {
		return fmt.Errorf("Grant returned %s and error %v where there should be no grant", show(g), err)
	}
	return p.lists(storage.Filter{Grant: id})
}

// list returns the grants that f chooses, as the store yields them.
func (p *probe) list(f storage.Filter) ([]*storage.Grant, error) {
	var grants []*storage.Grant
	for g, err := range p.Grants(p.ctx, f) {
		if err != nil {
			return nil, fmt.Errorf("Grants yielded %w", err)
		}
		if g == nil {
			return nil, errors.New("Grants yielded neither a grant nor an error")
		}
		grants = append(grants, g)
	}
	return grants, nil
}

// lists returns an error unless f chooses exactly these grants, in the order of their IDs.
func (p *probe) lists(f storage.Filter, want ...*storage.Grant) error {
	got, err := p.list(f)
	if err != nil {
		return err
	}
	want = slices.SortedFunc(slices.Values(want), byID)
	if got, want := ids(got), ids(want); !slices.Equal(got, want) {
		return fmt.Errorf("Grants(%s) yielded %d grants\n%.1000v\nwant these %d\n%.1000v", show(f), len(got), got, len(want), want)
	}
	for i := range got {
		if err := same(got[i], want[i]); err != nil {
			return err
		}
	}
	return nil
}

// dump is all that the store lists, as text.
func (p *probe) dump() (string, error) {
	grants, err := p.list(storage.Filter{})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, g := range grants {
		fmt.Fprintln(&b, show(g))
	}
	if p.clients == nil {
		return b.String(), nil
	}
	for c, err := range p.clients.Clients(p.ctx) {
		if err != nil {
			return "", fmt.Errorf("Clients yielded %w", err)
		}
		fmt.Fprintln(&b, show(c))
	}
	return b.String(), nil
}

func byID(a, b *storage.Grant) int { return slices.Compare(a.ID[:], b.ID[:]) }

func ids(grants []*storage.Grant) []storage.ID {
	ids := make([]storage.ID, len(grants))
	for i, g := range grants {
		ids[i] = g.ID
	}
	return ids
}

// encoded is the whole of a grant, to compare.
func encoded(g *storage.Grant) string {
	b, err := g.MarshalBinary()
	if err != nil {
		panic(err)
	}
	return string(b)
}

func same(got, want *storage.Grant) error {
	if got == nil {
		return errors.New("neither a grant nor an error was returned")
	}
	if encoded(got) != encoded(want) {
		return fmt.Errorf("the grant is\n%s\nwant\n%s", show(got), show(want))
	}
	return nil
}

func sameSecret(what string, got, want []byte) error {
	if !bytes.Equal(got, want) || (got == nil) != (want == nil) {
		return fmt.Errorf("%s %d octets %.60q (nil: %t), want %d octets %.60q (nil: %t)", what, len(got), got, got == nil, len(want), want, want == nil)
	}
	return nil
}

func sameClient(got, want *storage.Client) error {
	got, want = got.Clone(), want.Clone()
	if got.Generation == 0 {
		return errors.New("the client has generation 0")
	}
	got.Generation, want.Generation = 0, 0
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("the client is\n%s\nwant\n%s", show(got), show(want))
	}
	return nil
}

// show is v as text of bounded length.
func show(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		return err.Error()
	}
	if len(b) > 2000 {
		b = append(b[:2000], "..."...)
	}
	return string(b)
}

// wantErr returns an error unless got is want.
func wantErr(call string, got, want error) error {
	if !errors.Is(got, want) {
		return fmt.Errorf("%s returned error %v, want %v", call, got, want)
	}
	return nil
}

// lastError runs through the sequence to its end, which has to be its only error.
func lastError[T any](seq iter.Seq2[*T, error]) error {
	var last error
	for v, err := range seq {
		switch {
		case last != nil:
			return fmt.Errorf("the sequence went on after the error %v", last)
		case (v == nil) == (err == nil):
			return fmt.Errorf("the sequence yielded %v beside the error %v", v, err)
		}
		last = err
	}
	return last
}
