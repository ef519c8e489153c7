package introspect

import (
	"crypto/sha256"
	"fmt"
	"runtime"
	"testing"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

func answerOf(t testing.TB, text string) answer {
	a, err := policy{}.read([]byte(text), time.Now())
	if err != nil {
		t.Fatal(err)
	}
	a.until = time.Now().Add(time.Hour)
	return a
}

func typical(user int) string {
	return fmt.Sprintf(`{"active":true,"client_id":"web","sub":"user-%d","scope":"orders:read orders:write","token_type":"Bearer","exp":4102444800,"iat":1767225600,"iss":"https://auth.example"}`, user)
}

// Tokens that are refused, however many, push out none of the good ones, and are bounded themselves.
func TestFloodOfRefusedTokens(t *testing.T) {
	k := newKept(4 << 20)
	for i := range 500 {
		k.put(sha256.Sum256(fmt.Append(nil, "good", i)), answerOf(t, typical(i)))
	}
	before := k.good.Stats().Entries
	refused := answer{refusal: oerr.ErrInvalidAccessToken, until: time.Now().Add(time.Hour)}
	for i := range 20_000 {
		k.put(sha256.Sum256(fmt.Append(nil, "bad", i)), refused)
	}
	if after := k.good.Stats().Entries; after != before || before != 500 {
		t.Errorf("%d good tokens before, %d after", before, after)
	}
	if s := k.refused.Stats(); s.Entries < 100 || s.Bytes > 4<<20/refusedShare {
		t.Errorf("refused tokens: %+v", s)
	}
	if a, ok := k.get(sha256.Sum256([]byte("bad19999")), time.Now()); !ok || a.refusal != oerr.ErrInvalidAccessToken {
		t.Errorf("got %v, %t", a, ok)
	}
}

// The bytes of the cache are about those of memory, and there are never more than it may have.
func TestCacheSizeIsInBytes(t *testing.T) {
	memory := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := memory()
	k := newKept(8 << 20)
	for i := range 8000 {
		k.put(sha256.Sum256(fmt.Append(nil, i)), answerOf(t, typical(i)))
	}
	took := float64(memory() - before)
	s := k.good.Stats()
	if ratio := float64(s.Bytes) / took; ratio < 0.5 || ratio > 2 {
		t.Errorf("%d answers are counted as %d bytes, and take %.0f", s.Entries, s.Bytes, took)
	}
	if s.Bytes > 8<<20 || s.Bytes < 6<<20 {
		t.Errorf("%+v", s)
	}
	t.Logf("%d bytes an answer", s.Bytes/s.Entries)
	runtime.KeepAlive(k)
}

// Who has not found an answer and then comes too late for the request to join finds what it brought.
func TestAnswerThatHasComeMeanwhile(t *testing.T) {
	v := New("https://auth.example", "orders", "secret")
	v.kept.put(digest{1}, answerOf(t, typical(1)))
	if f, found := v.board(t.Context(), digest{1}, "x"); f != nil || found.claims.Subject != "user-1" {
		t.Errorf("got %v, %v", f, found)
	}
}
