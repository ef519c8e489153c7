package storage

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
)

// Stored forms are on disks: a later version has to match them too.
func TestStoredFormsOfEarlierVersions(t *testing.T) {
	for stored, plain := range map[Secret]string{
		"sha256:ungWv48Bz-pBQUDeXa4iI7ADYaOWF3qctBD_YfIAFa0":                             "abc",
		"pbkdf2:1000:c2FsdHNhbHQxMjM0NTY3OA:4k505osG8KMN4wotSosGJPlhKDtLiyB61aw4ZQGUPTA": "correct horse", // Python's hashlib
	} {
		if ok, err := stored.Matches(t.Context(), plain); !ok || err != nil {
			t.Errorf("%s: %t, %v", string(stored), ok, err)
		}
		if ok, err := stored.Matches(t.Context(), plain+" "); ok || err != nil {
			t.Errorf("%s with another secret: %t, %v", string(stored), ok, err)
		}
		if !stored.wellFormed() {
			t.Errorf("%s can't be registered", string(stored))
		}
	}
}

// cheap is a slow form that is computed at once.
func cheap(plain string) Secret {
	salt := []byte("saltsalt")
	return Secret(slowForm + "1:" + encode(salt) + ":" + encode(slowKey(plain, salt, 1, 32)))
}

func TestSlowSecretsWaitForTheirTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSlowSecrets()
		if cap(s.turns) != runtime.GOMAXPROCS(0) {
			t.Errorf("%d turns, want as many as there are processors", cap(s.turns))
		}
		for range cap(s.turns) {
			s.turns <- struct{}{}
		}
		ctx, cancel := context.WithCancel(t.Context())
		var right, refused atomic.Int64
		for i := range 20 {
			go func() {
				ctx := ctx
				if i%2 == 0 {
					ctx = t.Context()
				}
				switch ok, err := s.matches(ctx, cheap("it"), "it"); {
				case ok && err == nil:
					right.Add(1)
				case !ok && errors.Is(err, context.Canceled):
					refused.Add(1)
				default:
					t.Errorf("%t, %v", ok, err)
				}
			}()
		}
		synctest.Wait()
		if right.Load() != 0 || refused.Load() != 0 {
			t.Fatal("computed without a turn")
		}
		cancel()
		synctest.Wait()
		if refused.Load() != 10 || right.Load() != 0 {
			t.Fatalf("%d gave up when their context ended, want 10; %d were computed", refused.Load(), right.Load())
		}
		<-s.turns // one turn is enough for all, one after the other
		synctest.Wait()
		if right.Load() != 10 {
			t.Errorf("%d had a turn, want 10", right.Load())
		}
		if len(s.turns) != cap(s.turns)-1 {
			t.Errorf("%d turns are taken, want %d: each is given back", len(s.turns), cap(s.turns)-1)
		}
	})
}

func TestSlowSecretsDoNotComputeForNobody(t *testing.T) {
	s := newSlowSecrets()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // a turn is free, and yet
		if ok, err := s.matches(ended, cheap("it"), "it"); ok || !errors.Is(err, context.Canceled) {
			t.Fatalf("%t, %v", ok, err)
		}
	}
}

func TestSlowSecretsRemember(t *testing.T) {
	s := newSlowSecrets()
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	known := func(stored Secret, plain string) bool {
		ok, _ := s.matches(ended, stored, plain) // which computes nothing
		return ok
	}
	if ok, err := s.matches(t.Context(), cheap("it"), "wrong"); ok || err != nil {
		t.Fatal(ok, err)
	}
	if known(cheap("it"), "wrong") || known(cheap("it"), "it") {
		t.Error("a wrong try was remembered")
	}
	for i := range rememberMost + 10 {
		plain := strconv.Itoa(i)
		if ok, err := s.matches(t.Context(), cheap(plain), plain); !ok || err != nil {
			t.Fatal(ok, err)
		}
		if !known(cheap(plain), plain) {
			t.Fatal("the right try before is not remembered")
		}
		if known(cheap(plain), "x"+plain) || known(cheap("x"+plain), plain) {
			t.Fatal("what is remembered lets another in")
		}
	}
	if len(s.right) != rememberMost {
		t.Errorf("%d are remembered, want %d", len(s.right), rememberMost)
	}
	if newSlowSecrets().key == s.key {
		t.Error("two processes remember under the same key")
	}
}
