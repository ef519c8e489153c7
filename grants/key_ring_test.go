package grants

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// fakeKeys makes keys of which a ring looks at nothing.
type fakeKeys int

func (f *fakeKeys) make() ringKey {
	*f++
	name := []byte(fmt.Sprint("key ", *f))
	return ringKey{Algorithm: "ES256", Private: name, Public: name}
}

// turned is what turn comes to with as many spares as it needs.
func turned(t *testing.T, r ring, s schedule, f *fakeKeys, now time.Time) ring {
	t.Helper()
	var made spares
	for range 3 {
		left := slices.Clone(made)
		after, more := r.turn(&left, s, now)
		if !more {
			if again, more := after.turn(new(spares), s, now); more || !reflect.DeepEqual(again, after) {
				t.Fatalf("turned twice in one moment:\n%s\nthen\n%s", show(after), show(again))
			}
			return after
		}
		made = append(made, f.make())
	}
	t.Fatal("it wants more than two keys")
	return nil
}

func show(r ring) string {
	var s strings.Builder
	for _, k := range r {
		fmt.Fprintf(&s, "%s signs from %s, told since %s, private %t\n", k.Public, k.From.Format(time.RFC3339), k.Created.Format(time.RFC3339), k.Private != nil)
	}
	return s.String()
}

// Whatever happens to a ring, in every order: a key signs, another is told, each is told before it signs and
// as long as what it has signed may live. Steps of time are such that everything that has a time comes to it.
func TestRing(t *testing.T) {
	const hour = time.Hour
	s := schedule{rotateEvery: 10 * hour, keepRetired: 15 * hour}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	steps := []struct {
		name  string
		after time.Duration
		do    func(r ring, now time.Time) ring
	}{
		{"an hour", hour, nil}, {"a minute", time.Minute, nil}, {"eleven hours", 11 * hour, nil}, {"a month", 720 * hour, nil}, {"clock set back", -3 * hour, nil},
		{"rotate", 0, func(r ring, now time.Time) ring { r.rotate(now); return r }},
		{"remove the active", 0, func(r ring, now time.Time) ring { return r.without(r[r.active(now)].Public, now) }},
		{"remove the next", 0, func(r ring, now time.Time) ring { return r.without(r[len(r)-1].Public, now) }},
		{"remove the oldest", 0, func(r ring, now time.Time) ring { return r.without(r[0].Public, now) }},
	}
	type state struct {
		r     ring
		now   time.Time
		last  map[string]time.Time // when a key signed last
		gone  map[string]bool      // removed
		hasty bool                 // the key that signs had to: the one before it was removed
		trace string
	}
	const depth = 5
	count := 0
	var walk func(st state, f fakeKeys, left int)
	walk = func(st state, f fakeKeys, left int) {
		count++
		check := func(ok bool, what string) {
			if !ok {
				t.Fatalf("%s\nafter%s at %s\n%s", what, st.trace, st.now.Format(time.RFC3339), show(st.r))
			}
		}
		active := st.r.active(st.now)
		signs := st.r[active]
		check(signs.Private != nil, "the key that signs can't")
		check(active == len(st.r)-2, "not one next key")
		check(st.r[active+1].Private != nil, "the next key could not sign")
		if !strings.Contains(st.trace, "back") {
			check(!signs.From.After(st.now), "a key signs before its time")
			check(st.hasty || st.now.Sub(signs.Created) >= toldBefore || signs.Created.Equal(start), "a key signs before it was told long enough")
			check(st.r[active+1].From.After(st.now), "the next key does not sign though its time has come")
			for name, at := range st.last {
				if !st.gone[name] && !past(at.Add(s.keepRetired), st.now) {
					check(slices.ContainsFunc(st.r, func(k ringKey) bool { return string(k.Public) == name }), name+" is gone, though what it signed may live")
				}
			}
			for _, k := range st.r[:active] {
				check(k.Private == nil, "a retired key can still sign")
			}
			check(len(st.r) <= 8, "keys are kept for ever")
		}
		if left == 0 {
			return
		}
		for _, step := range steps {
			next := state{r: slices.Clone(st.r), now: st.now.Add(step.after), last: map[string]time.Time{}, gone: map[string]bool{}, hasty: st.hasty, trace: st.trace + ", " + step.name}
			for k, v := range st.last {
				next.last[k] = v
			}
			for k, v := range st.gone {
				next.gone[k] = v
			}
			// Until the ring is turned, the clock alone decides who signs.
			for at := st.now; !at.After(next.now); at = at.Add(hour) {
				next.last[string(next.r[next.r.active(at)].Public)] = at
			}
			g := f
			if step.do != nil {
				before := next.r
				next.r = step.do(slices.Clone(next.r), next.now)
				for _, k := range before {
					if !slices.ContainsFunc(next.r, func(other ringKey) bool { return bytes.Equal(k.Public, other.Public) }) {
						next.gone[string(k.Public)] = true
						next.hasty = true
					}
				}
			}
			next.r = turned(t, next.r, s, &g, next.now)
			next.last[string(next.r[next.r.active(next.now)].Public)] = next.now
			walk(next, g, left-1)
		}
	}
	var f fakeKeys
	r := turned(t, nil, s, &f, start)
	walk(state{r: r, now: start, last: map[string]time.Time{}, gone: map[string]bool{}}, f, depth)
	t.Logf("%d states", count)
}

// Rotation on demand waits until the next key is told long enough, and without a schedule it is the only one.
func TestRingRotates(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := schedule{rotateEvery: storage.Unlimited, keepRetired: time.Hour}
	var f fakeKeys
	r := turned(t, nil, s, &f, start)
	if at := r.active(start.Add(1000 * 24 * time.Hour)); at != 0 {
		t.Fatalf("without a schedule key %d signs after 1,000 days", at)
	}
	r.rotate(start.Add(time.Minute))
	if got, want := r[1].From, start.Add(toldBefore); !got.Equal(want) {
		t.Errorf("told since a minute, the next key signs from %v on, want %v", got, want)
	}
	r.rotate(start.Add(2 * time.Minute))
	if got, want := r[1].From, start.Add(toldBefore); !got.Equal(want) {
		t.Errorf("asked twice, it signs from %v on, want %v", got, want)
	}
	now := start.Add(toldBefore)
	r = turned(t, r, s, &f, now)
	if len(r) != 3 || r.active(now) != 1 || r[0].Private != nil {
		t.Errorf("got\n%s", show(r))
	}
	now = now.Add(24 * time.Hour)
	r = turned(t, r, s, &f, now)
	r.rotate(now)
	if got := r.active(now); got != 1 || string(r[got].Public) != "key 3" {
		t.Errorf("told since a day, it does not sign at once:\n%s", show(r))
	}
}

// Where keys were made under a slower schedule, the next one does not wait for that.
func TestRingIsHastened(t *testing.T) {
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	const day = 24 * time.Hour
	for name, tt := range map[string]struct {
		was, is, after, want time.Duration
	}{
		"shorter":           {90 * day, 30 * day, day, 30 * day},
		"never before":      {storage.Unlimited, 30 * day, day, 30 * day},
		"already due":       {90 * day, day, 50 * day, 50 * day},
		"told just now":     {90 * day, time.Hour, 0, time.Hour},
		"longer":            {30 * day, 90 * day, day, 30 * day},
		"never now":         {30 * day, storage.Unlimited, day, 30 * day},
		"clock is set back": {90 * day, 30 * day, -day, 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			var f fakeKeys
			r := turned(t, nil, schedule{tt.was, day}, &f, start)
			now := start.Add(tt.after)
			r = turned(t, r, schedule{tt.is, day}, &f, now)
			if got := r[1].From.Sub(start); got != tt.want {
				t.Errorf("the next key signs after %v, want %v:\n%s", got, tt.want, show(r))
			}
			if len(r) < 2 || r[0].Private != nil && !now.Before(r[1].From) {
				t.Errorf("got\n%s", show(r))
			}
		})
	}
}

// A clock that was set back keeps nobody from looking at the store.
func TestStale(t *testing.T) {
	k := &Keys{store: hurried{}}
	for after, want := range map[time.Duration]bool{
		time.Second: false, reloadAfter - time.Second: false, reloadAfter: true, time.Hour: true, -time.Minute: true, -time.Hour: true,
	} {
		if got := k.stale(time.Now().Add(-after).UnixMilli()); got != want {
			t.Errorf("%v after the last look: %t", after, got)
		}
	}
	if new(Keys).stale(0) {
		t.Error("supplied keys are stale")
	}
}

func TestLocker(t *testing.T) {
	var f fakeKeys
	r := turned(t, nil, schedule{rotateEvery: time.Hour, keepRetired: time.Hour}, &f, time.Unix(1e9, 0).UTC())
	a, b := [32]byte{1}, [32]byte{2}
	encode := func(l locker) []byte {
		octets, err := l.encode(r)
		if err != nil {
			t.Fatal(err)
		}
		return octets
	}
	for name, tt := range map[string]struct {
		stored []byte
		with   locker
		again  bool
		err    string
	}{
		"in the clear":               {encode(nil), nil, false, ""},
		"in the clear, now a key":    {encode(nil), locker{a}, true, ""},
		"encrypted":                  {encode(locker{a}), locker{a}, false, ""},
		"encrypted, key replaced":    {encode(locker{a}), locker{b, a}, true, ""},
		"encrypted, old one stays":   {encode(locker{a}), locker{a, b}, false, ""},
		"encrypted, other key":       {encode(locker{a}), locker{b}, false, "another key"},
		"encrypted, no key":          {encode(locker{a}), nil, false, "EncryptKeys"},
		"encrypted, cut":             {encode(locker{a})[:20], locker{a}, false, "damaged"},
		"encrypted, nothing left":    {[]byte{ringEncrypted}, locker{a}, false, "damaged"},
		"encrypted, a bit flipped":   {append([]byte{ringEncrypted}, flip(encode(locker{a})[1:])...), locker{a}, false, "damaged"},
		"in the clear, cut":          {encode(nil)[:20], nil, false, "can't be read"},
		"in the clear, without keys": {[]byte(`{"keys":[]}`), nil, false, "can't be read"},
		"of another form":            {[]byte{7}, nil, false, "can't be read"},
	} {
		t.Run(name, func(t *testing.T) {
			got, again, err := tt.with.decode(tt.stored)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) || strings.Contains(err.Error(), "key 1") {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil || again != tt.again || !reflect.DeepEqual(got, r) {
				t.Errorf("got %v, again %t, %v", got, again, err)
			}
		})
	}
	if sealed := encode(locker{a}); bytes.Contains(sealed, []byte("key 1")) || bytes.Contains(sealed, []byte("private")) || bytes.Equal(sealed, encode(locker{a})) {
		t.Error("what is encrypted can be read, or is the same twice")
	}
}

func flip(b []byte) []byte { b[len(b)/2] ^= 1; return b }

func FuzzLocker(f *testing.F) {
	f.Add([]byte(`{"keys":[{"alg":"ES256","private":"a2V5","public":"a2V5","created":"2026-01-01T00:00:00Z","from":"2026-01-01T00:00:00Z"}]}`))
	f.Add([]byte{ringEncrypted, 2, 3})
	f.Fuzz(func(t *testing.T, stored []byte) {
		for _, l := range []locker{nil, {{1}}} {
			r, _, err := l.decode(stored)
			if err != nil {
				continue
			}
			if json.Valid(stored) == (stored[0] == ringEncrypted) {
				t.Fatalf("%q was read", stored)
			}
			r.active(time.Now()) // and nothing panics
			r.turn(new(spares), schedule{time.Hour, time.Hour}, time.Now())
			for _, k := range r {
				k.key()
			}
		}
	})
}
