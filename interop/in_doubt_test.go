package interop_test

import (
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestConformance holds what a row says of a commit that fails so that nobody knows what it did. The
// other rows, and the rest of G-05, are tested beside the handlers.
func TestConformance(t *testing.T) {
	t.Run("G-05/in_doubt", func(t *testing.T) {
		d := onFailingDisk(t)
		if d == nil {
			return
		}
		for _, step := range commitSteps {
			t.Run(step, func(t *testing.T) {
				s := newDoubtful(t, d, step)
				t.Run("settled/refresh", s.settledRefresh)
				t.Run("settled/code", s.settledCode)
				t.Run("refresh", s.refreshInDoubt)
				t.Run("code", s.codeInDoubt)
				t.Run("revoke", s.revokeInDoubt)
			})
		}
	})
}

// doubtful is a server on a disk that fails at one step of its commits.
type doubtful struct {
	*site
	disk  *failingDisk
	step  string
	store *bolt.Store
}

func newDoubtful(t *testing.T, d *failingDisk, step string) *doubtful {
	store, _ := openStore(t)
	return &doubtful{ours(t, grantsOn(store, grants.StoreTimeout(300*time.Millisecond))), d, step, store}
}

// done tells whether a commit that fails at the step has happened.
func (s *doubtful) done() bool { return s.step == syncMeta }

// once has the next commit fail, but not the one after it, which makes sure of it.
func (s *doubtful) once() { s.disk.set(func() { s.disk.next = s.step }) }

// outage has commits fail while do runs. A token that is not concerned works meanwhile.
func (s *doubtful) outage(t *testing.T, do func()) {
	t.Helper()
	other := s.pair(t, "b")
	// Commits without pages have one step less.
	s.disk.set(func() { s.disk.next, s.disk.outage = s.step, s.step })
	if s.step == writePages {
		s.disk.set(func() { s.disk.outage = syncPages })
	}
	do()
	s.works(t, other.access())
	s.refresh(t, as("b"), other.refresh()).is(t, 503, "temporarily_unavailable")
	s.disk.set(func() { s.disk.outage = "" })
	deadline := time.Now().Add(10 * time.Second)
	for {
		a := s.refresh(t, as("b"), other.refresh())
		if a.status == http.StatusOK {
			break
		}
		a.is(t, 503, "temporarily_unavailable")
		if time.Now().After(deadline) {
			t.Fatal("the outage does not end")
		}
	}
}

func (s *doubtful) unavailable(t *testing.T, a *answer) {
	t.Helper()
	a.is(t, 503, "temporarily_unavailable")
	if a.header.Get("Retry-After") == "" || a.header.Get("Cache-Control") != "no-store" {
		t.Errorf("got %s", a)
	}
}

// grant is what is stored of a token's grant, which is whole.
func (s *doubtful) grant(t *testing.T, pair *answer) *storage.Grant {
	t.Helper()
	id, ok := grantOf(t, s, pair.access())
	if !ok {
		t.Fatal("no such token")
	}
	return s.stored(t, id)
}

func (s *doubtful) stored(t *testing.T, id storage.ID) *storage.Grant {
	t.Helper()
	g, err := s.store.Grant(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	if g.Code != nil && g.Code.Redeemed.IsZero() != (g.Refresh == nil && len(g.Access) == 0) {
		t.Errorf("half a grant: %+v", g)
	}
	return g
}

func grantOf(t *testing.T, s *doubtful, access string) (storage.ID, bool) {
	t.Helper()
	info, err := s.manager.LoadAccessToken(t.Context(), access)
	if err != nil {
		return storage.ID{}, false
	}
	return grants.GrantID(info)
}

func (s *doubtful) settledRefresh(t *testing.T) {
	first := s.pair(t, "a")
	s.once()
	a := s.refresh(t, as("a"), first.refresh())
	if s.done() {
		a.ok(t)
	} else {
		s.unavailable(t, a)
		a = s.refresh(t, as("a"), first.refresh()).ok(t)
	}
	s.onePair(t, first, a)
}

// onePair fails unless the repeat of a refresh brings a, and that works.
func (s *doubtful) onePair(t *testing.T, first, a *answer) {
	t.Helper()
	again := s.refresh(t, as("a"), first.refresh()).ok(t)
	if again.access() != a.access() || again.refresh() != a.refresh() {
		t.Error("the repeat brought another pair")
	}
	if g := s.grant(t, a); len(g.Access) != 2 || !g.Ended.IsZero() {
		t.Errorf("the refresh left %+v", g)
	}
	s.works(t, first.access())
	s.works(t, a.access())
	s.works(t, s.refresh(t, as("a"), a.refresh()).ok(t).access())
}

func (s *doubtful) settledCode(t *testing.T) {
	code := s.code(t, "a")
	s.once()
	a := s.redeem(t, "a", code)
	if s.done() {
		a.ok(t)
	} else {
		s.unavailable(t, a)
		a = s.redeem(t, "a", code).ok(t)
	}
	s.works(t, a.access())
	s.redeem(t, "a", code).is(t, 400, "invalid_grant")
	s.dead(t, a.access())
}

func (s *doubtful) refreshInDoubt(t *testing.T) {
	first := s.pair(t, "a")
	s.outage(t, func() {
		s.unavailable(t, s.refresh(t, as("a"), first.refresh()))
		s.unavailable(t, s.refresh(t, as("a"), first.refresh()))
	})
	if n := len(s.grant(t, first).Access); (n == 2) != s.done() {
		t.Errorf("%d access tokens are stored", n)
	}
	s.onePair(t, first, s.refresh(t, as("a"), first.refresh()).ok(t))
}

func (s *doubtful) codeInDoubt(t *testing.T) {
	before := s.ids(t)
	code := s.code(t, "a")
	id := s.ids(t)[len(before)]
	s.outage(t, func() {
		s.unavailable(t, s.redeem(t, "a", code))
		s.unavailable(t, s.redeem(t, "a", code))
	})
	g := s.stored(t, id)
	if !g.Code.Redeemed.IsZero() != s.done() {
		t.Errorf("the commit that failed left %+v", g)
	}
	a := s.redeem(t, "a", code)
	if !s.done() {
		s.works(t, a.ok(t).access())
		return
	}
	a.is(t, 400, "invalid_grant")
	if g := s.stored(t, id); g.Ended.IsZero() {
		t.Error("the repeat of a code did not end its grant")
	}
}

func (s *doubtful) revokeInDoubt(t *testing.T) {
	first := s.pair(t, "a")
	s.outage(t, func() { s.unavailable(t, s.post(t, "/revoke", as("a"), "token", first.refresh())) })
	if a := s.post(t, "/revoke", as("a"), "token", first.refresh()); a.status != http.StatusOK {
		t.Errorf("the repeat of a revocation: %s", a)
	}
	s.dead(t, first.access())
	s.refresh(t, as("a"), first.refresh()).is(t, 400, "invalid_grant")
}

func (s *doubtful) ids(t *testing.T) (ids []storage.ID) {
	t.Helper()
	for g, err := range s.store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, g.ID)
	}
	return slices.Clip(ids)
}
