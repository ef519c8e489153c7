package storage

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"runtime"
	"sync"
)

// slow checks the secrets of this process that people have chosen.
var slow = newSlowSecrets()

// slowSecrets computes slow hashes, as many at a time as there are processors, and remembers which
// secret was right as an HMAC under a key that never leaves memory.
type slowSecrets struct {
	turns chan struct{}
	key   [32]byte

	mu    sync.Mutex
	right map[Secret][sha256.Size]byte // at most rememberMost entries
}

const rememberMost = 4096

func newSlowSecrets() *slowSecrets {
	s := &slowSecrets{
		turns: make(chan struct{}, runtime.GOMAXPROCS(0)),
		right: make(map[Secret][sha256.Size]byte),
	}
	rand.Read(s.key[:])
	return s
}

func (s *slowSecrets) matches(ctx context.Context, stored Secret, plain string) (bool, error) {
	mac := hmac.New(sha256.New, s.key[:])
	mac.Write([]byte(stored))
	mac.Write([]byte{0})
	mac.Write([]byte(plain))
	mark := [sha256.Size]byte(mac.Sum(nil))

	s.mu.Lock()
	known, ok := s.right[stored]
	s.mu.Unlock()
	if ok && hmac.Equal(known[:], mark[:]) {
		return true, nil
	}

	rounds, salt, key, ok := stored.slowParts()
	if !ok {
		return false, nil
	}
	select {
	case s.turns <- struct{}{}:
		defer func() { <-s.turns }()
	case <-ctx.Done():
		return false, ctx.Err()
	}
	if ctx.Err() != nil { // both were ready
		return false, ctx.Err()
	}
	if subtle.ConstantTimeCompare(slowKey(plain, salt, rounds, len(key)), key) != 1 {
		return false, nil
	}
	s.remember(stored, mark)
	return true, nil
}

func (s *slowSecrets) remember(stored Secret, mark [sha256.Size]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for other := range s.right { // whichever comes first makes room: it costs its client one slow check
		if len(s.right) < rememberMost {
			break
		}
		delete(s.right, other)
	}
	s.right[stored] = mark
}
