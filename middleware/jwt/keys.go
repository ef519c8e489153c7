package jwt

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

const (
	interval = 10 * time.Second // from a fetch to the next one for a kid that is unknown
	backOff  = 5 * time.Second  // from a fetch that failed to the next
	patience = time.Second      // for new keys, where the old ones have lain unused for long
)

// source has the keys of an issuer. They are fetched by one goroutine at a time, which somebody's need starts
// and which ends by itself.
type source struct {
	issuer   string
	metadata []string // addresses, of which a later one is asked if the one before is not there
	client   *http.Client
	foreign  bool // the client is the application's
	log      func() *slog.Logger

	set atomic.Pointer[set] // nil: there were none yet

	mu      sync.Mutex
	flight  *flight   // the fetch that is under way
	next    time.Time // not before, a fetch
	failure error     // of the last fetch
}

// set is what one fetch brought. It is not altered.
type set struct {
	keys  map[string][]*key // by kid
	stale time.Time         // from then on
}

// flight is a fetch. err is there once done is closed.
type flight struct {
	done chan struct{}
	err  error
}

// have tells whether k is among the keys. There is no set yet if s is nil.
func (s *set) have(k *key) bool { return s != nil && slices.Contains(s.keys[k.kid], k) }

// named returns the keys of a kid.
func (s *set) named(kid string) []*key {
	if s == nil {
		return nil
	}
	return s.keys[kid]
}

// inHand returns the keys that there are, nil if there are none yet. Stale ones go on while new ones are
// fetched. Where nobody has used them for long the new ones are waited for, though not for long.
func (s *source) inHand(ctx context.Context, now time.Time) *set {
	keys := s.set.Load()
	if keys == nil || now.Before(keys.stale) {
		return keys
	}
	f, failure := s.start(now)
	if f == nil || failure != nil || now.Before(keys.stale.Add(mostAge)) {
		return keys
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-f.done:
	case <-timer.C:
	case <-ctx.Done():
	}
	return s.set.Load()
}

// find returns the keys of a kid, at least one. keys is what is in hand. A kid that is unknown is one that the
// issuer doesn't have: ErrInvalidAccessToken, if it could be asked at most an interval ago. If not, that is
// another error.
func (s *source) find(ctx context.Context, keys *set, kid string, now time.Time) ([]*key, error) {
	if found := keys.named(kid); found != nil {
		return found, nil
	}
	f, failure := s.start(now)
	if f != nil {
		select {
		case <-f.done:
			failure = f.err
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	if found := s.set.Load().named(kid); found != nil {
		return found, nil
	}
	if failure != nil {
		return nil, failure
	}
	s.log().DebugContext(ctx, "jwt: an access token is refused", "reason", "its kid is unknown")
	return nil, oerr.ErrInvalidAccessToken
}

// start returns the fetch that is under way, or starts one. If it is not yet time there is none. failure is that
// of the last one that has ended.
func (s *source) start(now time.Time) (f *flight, failure error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.flight == nil && !now.Before(s.next) {
		s.flight = &flight{done: make(chan struct{})}
		go s.run(s.flight)
	}
	return s.flight, s.failure
}

func (s *source) run(f *flight) {
	keys, err := s.renew()
	s.mu.Lock()
	now := time.Now()
	if err == nil {
		s.set.Store(keys)
		s.next = now.Add(interval)
	} else {
		s.next = now.Add(backOff)
	}
	s.failure, f.err, s.flight = err, err, nil
	s.mu.Unlock()
	close(f.done)
	if err != nil && s.set.Load() != nil {
		s.log().Warn("jwt: the old keys go on", "error", err)
	}
}

// renew fetches the keys. A client that panics does so here, and not in a goroutine where nobody recovers.
func (s *source) renew() (renewed *set, err error) {
	defer func() {
		if p := recover(); p != nil {
			renewed, err = nil, fmt.Errorf("jwt: keys of %s: a panic of %T", s.issuer, p)
		}
	}()
	fetched, age, err := s.fetch(context.Background())
	if err != nil {
		return nil, fmt.Errorf("jwt: keys of %s: %v", s.issuer, err) // %v: it is never taken for a word on a token
	}
	old := s.set.Load()
	renewed = &set{keys: make(map[string][]*key, len(fetched)), stale: time.Now().Add(age)}
	for _, k := range fetched {
		for _, known := range old.named(k.kid) { // what it has signed is remembered by it
			if known.alg == k.alg && known.public.Equal(k.public) {
				k = known
			}
		}
		if !slices.Contains(renewed.keys[k.kid], k) {
			renewed.keys[k.kid] = append(renewed.keys[k.kid], k)
		}
	}
	return renewed, nil
}
