package interop_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestFailingDisk has commits of the embedded store fail at each of their steps, again and again, under
// writes of all kinds at once: what was acknowledged is there, what was refused is not, and what was in
// doubt was answered by the truth.
func TestFailingDisk(t *testing.T) {
	d := onFailingDisk(t)
	if d == nil {
		return
	}
	t.Run("each failure alone", func(t *testing.T) {
		s := newStorm(t)
		d.set(func() { d.chance, d.steps = 0.2, commitSteps })
		s.run(t, func() bool { return d.commits > 2000 }, d)
		s.verify(t, d)
		if s.inDoubt > 0 {
			t.Errorf("%d writes were left in doubt, although the next commit went well", s.inDoubt)
		}
	})
	t.Run("outages", func(t *testing.T) {
		s := newStorm(t)
		s.patience = 60 * time.Millisecond
		d.set(func() { d.commits, d.failed = 0, make(map[string]int) })
		outages := 0
		go func() {
			for outages < 8 {
				time.Sleep(time.Duration(20+rand.N(100)) * time.Millisecond)
				d.set(func() { d.outage = commitSteps[outages%len(commitSteps)] })
				time.Sleep(time.Duration(20+rand.N(150)) * time.Millisecond)
				d.set(func() { d.outage = ""; outages++ })
			}
		}()
		s.run(t, func() bool { return outages == 8 }, d)
		s.verify(t, d)
		if s.inDoubt == 0 || s.unavailable == 0 {
			t.Errorf("%d writes were left in doubt, and %d refused", s.inDoubt, s.unavailable)
		}
	})
	t.Run("nobody waits for ever", func(t *testing.T) { nobodyWaitsForEver(t, d) })
}

// storm is a load on a store, with what became of each write.
type storm struct {
	path   string
	store  *bolt.Store
	number atomic.Int64 // of the next write

	patience time.Duration // of each write; 0: without end

	mu     sync.Mutex
	grants []storage.ID // that everybody writes to
	writes []stormWrite

	done, refused, unavailable, inDoubt, withdrawn, inDoubtApplied int
}

// stormWrite leaves a word in the scope of a grant, or a client or a secret of that name.
type stormWrite struct {
	grant  storage.ID // zero: a client or a secret
	secret bool
	word   string
	result fate
}

type fate int

const (
	applied fate = iota
	notApplied
	unknownFate
)

func newStorm(t *testing.T) *storm {
	s := &storm{path: filepath.Join(t.TempDir(), "auth.db")}
	s.open(t)
	for range 8 {
		s.grants = append(s.grants, s.insert(t))
	}
	return s
}

func (s *storm) open(t *testing.T) {
	t.Helper()
	store, err := bolt.Open(s.path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	s.store = store
}

func (s *storm) insert(t *testing.T) storage.ID {
	t.Helper()
	g := &storage.Grant{ID: storage.NewID(), Client: "web", User: "alice", Created: time.Now()}
	if err := s.store.Insert(t.Context(), g); err != nil {
		t.Fatal(err)
	}
	return g.ID
}

// run writes from many goroutines until the disk says that it is enough.
func (s *storm) run(t *testing.T, enough func() bool, d *failingDisk) {
	var all sync.WaitGroup
	var stop atomic.Bool
	for range 24 {
		all.Go(func() {
			for !stop.Load() {
				s.write(t)
			}
		})
	}
	for over := false; !over; time.Sleep(time.Millisecond) {
		d.set(func() { over = enough() })
	}
	d.set(func() { d.chance, d.outage, d.next = 0, "", "" })
	stop.Store(true)
	all.Wait()
}

var (
	errDeclined = errors.New("declined")
	errExited   = errors.New("called runtime.Goexit")
)

// write makes one write of some kind and notes what became of it.
func (s *storm) write(t *testing.T) {
	w := stormWrite{word: fmt.Sprintf("w%d", s.number.Add(1))}
	s.mu.Lock()
	at := rand.N(len(s.grants))
	w.grant = s.grants[at]
	s.mu.Unlock()
	full := false
	leave := func(g *storage.Grant) {
		g.Scope = strings.TrimSpace(g.Scope + " " + w.word)
		full = len(g.Scope) > 2000
	}
	ctx, cancel := s.context(t)
	defer cancel()
	var err, known error // known is what the change itself says
	switch n := rand.N(100); {
	case n < 50:
		err = s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); return nil })
	case n < 58:
		known = errDeclined
		err = s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); return errDeclined })
	case n < 61:
		known = errDeclined
		err = panicking(func() error {
			return s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); panic(errDeclined) })
		})
	case n < 64:
		known = errExited
		err = exiting(func() error {
			return s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); runtime.Goexit(); return nil })
		})
	case n < 72:
		ctx, cancel := context.WithTimeout(ctx, time.Duration(rand.N(3000))*time.Microsecond)
		defer cancel()
		err = s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); return nil })
	case n < 76:
		known = storage.ErrNotFound
		w.grant = storage.NewID()
		err = s.store.Update(ctx, w.grant, func(g *storage.Grant) error { leave(g); return nil })
	case n < 80:
		known = storage.ErrExists
		err = s.store.Insert(ctx, &storage.Grant{ID: w.grant, Client: "web", User: "bob", Scope: w.word})
	case n < 91:
		w.grant = storage.NewID()
		err = s.store.Insert(ctx, &storage.Grant{ID: w.grant, Client: "web", User: "alice", Scope: w.word, Created: time.Now()})
	case n < 94:
		w.grant, w.secret = storage.ID{}, true
		_, err = s.store.Secret(ctx, w.word, func(old []byte) ([]byte, error) { return append(old, w.word...), nil })
	case n < 97:
		w.grant = storage.ID{}
		err = s.store.PutClient(ctx, &storage.Client{ID: w.word, Public: true, GrantTypes: []string{"refresh_token"}})
	default:
		w.grant = storage.ID{}
		s.deleteClient(t, w.word)
		return
	}
	s.note(t, w, err, known)
	if err != nil {
		if errors.Is(err, storage.ErrUnavailable) {
			time.Sleep(time.Millisecond)
		}
		return
	}
	if !w.grant.IsZero() {
		if g, err := s.store.Grant(t.Context(), w.grant); err != nil || !has(g, w.word) {
			t.Errorf("%s was acknowledged, and the next read says %v, %v", w.word, g, err)
		}
	}
	if full {
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.grants[at] == w.grant {
			s.grants[at] = storage.NewID()
			for s.store.Insert(t.Context(), &storage.Grant{ID: s.grants[at], Client: "web", User: "alice", Created: time.Now()}) != nil {
				s.grants[at] = storage.NewID() // the outcome is unknown
			}
		}
	}
}

func (s *storm) context(t *testing.T) (context.Context, context.CancelFunc) {
	if s.patience == 0 {
		return t.Context(), func() {}
	}
	return context.WithTimeout(t.Context(), s.patience)
}

// deleteClient registers a client and deletes it: the word is there unless the deletion was done.
func (s *storm) deleteClient(t *testing.T, word string) {
	if s.store.PutClient(t.Context(), &storage.Client{ID: word, Public: true, GrantTypes: []string{"refresh_token"}}) != nil {
		return
	}
	ctx, cancel := s.context(t)
	defer cancel()
	err := s.store.DeleteClient(ctx, word)
	w := stormWrite{word: word}
	s.note(t, w, err, nil)
	s.mu.Lock()
	defer s.mu.Unlock()
	last := &s.writes[len(s.writes)-1]
	for i := len(s.writes) - 1; last.word != word; i-- {
		last = &s.writes[i]
	}
	switch last.result {
	case applied:
		last.result = notApplied
	case notApplied:
		last.result = applied
	}
}

// note keeps what became of a write. known is what it may say beside that the store is unavailable.
func (s *storm) note(t *testing.T, w stormWrite, err, known error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case err == nil:
		if known != nil {
			t.Errorf("%s: no error, want %v", w.word, known)
		}
		w.result = applied
		s.done++
	case known != nil && errors.Is(err, known):
		w.result = notApplied
		s.refused++
	case errors.Is(err, context.DeadlineExceeded):
		w.result = notApplied
		s.withdrawn++
	case !errors.Is(err, storage.ErrUnavailable):
		t.Errorf("%s: %v", w.word, err)
	case strings.Contains(err.Error(), "the outcome of the write is not known"):
		w.result = unknownFate
		s.inDoubt++
	default:
		w.result = notApplied
		s.unavailable++
	}
	s.writes = append(s.writes, w)
}

// verify holds the store, and the file once it is closed and opened again, against what was answered.
// It ends with the store closed.
func (s *storm) verify(t *testing.T, d *failingDisk) {
	t.Helper()
	s.hold(t)
	before := testbed.Dump(t, s.store)
	if err := s.store.Close(); err != nil {
		t.Error(err)
	}
	if err := bolt.Check(s.path); err != nil {
		t.Error(err)
	}
	s.open(t)
	defer s.store.Close()
	if testbed.Dump(t, s.store) != before {
		t.Error("the file is not what the store was")
	}
	s.hold(t)
	t.Logf("%d commits went well, %v failed; %d writes: %d acknowledged, %d refused by the change, %d withdrawn, %d unavailable, %d in doubt (%d of them applied)",
		d.commits, d.failed, len(s.writes), s.done, s.refused, s.withdrawn, s.unavailable, s.inDoubt, s.inDoubtApplied)
}

func (s *storm) hold(t *testing.T) {
	t.Helper()
	scopes, users := make(map[storage.ID]map[string]bool), 0
	for g, err := range s.store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		scopes[g.ID] = make(map[string]bool)
		for word := range strings.FieldsSeq(g.Scope) {
			if scopes[g.ID][word] {
				t.Errorf("%s was applied twice", word)
			}
			scopes[g.ID][word] = true
		}
	}
	for g, err := range s.store.Grants(t.Context(), storage.Filter{User: "alice"}) {
		if err != nil {
			t.Fatal(err)
		}
		users++
		if scopes[g.ID] == nil {
			t.Errorf("%s is in the index alone", g.ID)
		}
	}
	if users != len(scopes) {
		t.Errorf("%d grants in the index, %d in all", users, len(scopes))
	}
	clients := make(map[string]bool)
	for c, err := range s.store.Clients(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		clients[c.ID] = true
	}
	s.inDoubtApplied = 0
	for _, w := range s.writes {
		there := scopes[w.grant][w.word]
		if w.grant.IsZero() {
			there = clients[w.word]
		}
		if w.secret {
			there = s.keeps(t, w.word)
		}
		switch {
		case w.result == unknownFate && there:
			s.inDoubtApplied++
		case w.result == applied && !there:
			t.Errorf("%s was acknowledged and is not there", w.word)
		case w.result == notApplied && there:
			t.Errorf("%s was refused and is there", w.word)
		}
	}
}

// keeps tells whether there is a secret of that name. To look at it is a write, which waits for the end of an
// outage.
func (s *storm) keeps(t *testing.T, word string) bool {
	t.Helper()
	same := func(old []byte) ([]byte, error) { return old, nil }
	value, err := s.store.Secret(t.Context(), word, same)
	for tries := 0; errors.Is(err, storage.ErrUnavailable) && tries < 1000; tries++ {
		time.Sleep(10 * time.Millisecond)
		value, err = s.store.Secret(t.Context(), word, same)
	}
	if err != nil || value != nil && string(value) != word {
		t.Errorf("secret %s: %q, %v", word, value, err)
	}
	return value != nil
}

func has(g *storage.Grant, word string) bool {
	return g != nil && strings.Contains(" "+g.Scope+" ", " "+word+" ")
}

// panicking returns what f panics with as its error.
func panicking(f func() error) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = p.(error)
		}
	}()
	return f()
}

// exiting returns errExited if f calls runtime.Goexit.
func exiting(f func() error) error {
	result := make(chan error, 1)
	go func() {
		err := errExited
		defer func() { result <- err }()
		err = f()
	}()
	return <-result
}

// nobodyWaitsForEver looks at writes while failures go on, and at Close.
func nobodyWaitsForEver(t *testing.T, d *failingDisk) {
	s := newStorm(t)
	id := s.grants[0]
	leave := func(ctx context.Context, word string) error {
		return s.store.Update(ctx, id, func(g *storage.Grant) error { g.Scope += " " + word; return nil })
	}
	const soon = 2 * time.Second // the machine may be busy
	timed := func(what string, do func()) {
		began := time.Now()
		do()
		if took := time.Since(began); took > soon {
			t.Errorf("%s took %v", what, took)
		}
	}
	d.set(func() { d.outage = syncMeta })
	timed("the write whose commit failed", func() {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		if err := leave(ctx, "first"); !errors.Is(err, storage.ErrUnavailable) {
			t.Errorf("a write whose outcome is not known: %v", err)
		}
	})
	for range 50 {
		timed("a write meanwhile", func() {
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Millisecond)
			defer cancel()
			err := s.store.Insert(ctx, &storage.Grant{ID: storage.NewID(), Client: "web"})
			if !errors.Is(err, storage.ErrUnavailable) && !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("a write meanwhile: %v", err)
			}
		})
		timed("a read meanwhile", func() {
			if _, err := s.store.Grant(t.Context(), id); err != nil {
				t.Errorf("a read meanwhile: %v", err)
			}
		})
	}
	d.set(func() {
		if d.failed[syncMeta] < 3 {
			t.Errorf("the store tried %v times only to make sure", d.failed)
		}
	})
	timed("Close", func() { t.Log("Close while the outcome is not known: ", s.store.Close()) })
	d.set(func() { d.outage = "" })
	timed("Open", func() { s.open(t) })
	defer s.store.Close()
	if err := leave(t.Context(), "second"); err != nil {
		t.Error(err)
	}
	g, err := s.store.Grant(t.Context(), id)
	if err != nil || !has(g, "second") {
		t.Errorf("after the outage: %v, %v", g, err)
	}
}
