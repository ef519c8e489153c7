package grants

import (
	"context"
	"crypto"
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// Keys are the keys that sign JWT access tokens (RFC 9068), and those that are told beside them so that
// what is or will be signed can be verified: [OpenKeys] keeps them in the store and rotates them,
// [SupplyKeys] takes keys that live elsewhere. It is safe for concurrent use, by several Managers too.
type Keys struct {
	store    storage.Keys // nil: supplied
	locker   locker
	schedule schedule
	make     string // the algorithm of keys to come

	set     atomic.Pointer[keySet]
	loading chan struct{} // holds one
	begun   atomic.Uint64 // loads
	loaded  atomic.Uint64 // the last of them that came to its end
	tried   atomic.Int64  // when one of them began last, in Unix milliseconds
}

// Format prints nothing of the keys, which have secrets in them.
func (k *Keys) Format(f fmt.State, _ rune) { io.WriteString(f, "[keys]") }

// PublicKey is one of the Keys as others may know it.
type PublicKey struct {
	ID        string           // kid: the thumbprint of the key (RFC 7638)
	Algorithm string           // EdDSA, ES256, RS256 or PS256
	Key       crypto.PublicKey // ed25519.PublicKey, *ecdsa.PublicKey or *rsa.PublicKey
	State     KeyState
	From      time.Time // when it signs, or did so first; zero for supplied keys
}

// KeyState says what a key is good for.
type KeyState string

// The states of keys.
const (
	KeyNext    KeyState = "next"    // it will sign
	KeyActive  KeyState = "active"  // it signs
	KeyRetired KeyState = "retired" // what it has signed is good
)

// keySet is what was read of the keys. It is not altered.
type keySet struct {
	ring ring // of those in the store
	keys []*signingKey
	byID map[string]*signingKey
}

// The default times of keys.
const (
	defaultRotateEvery = 90 * 24 * time.Hour
	defaultKeepRetired = 30 * 24 * time.Hour
)

// KeysOption changes what [OpenKeys] and [SupplyKeys] make. A value that makes no sense panics where the
// option is called.
type KeysOption func(*Keys)

// Algorithm sets by what keys sign that are made from now on (RFC 7518 3.1): "ES256", the default, "EdDSA",
// "RS256" or "PS256". Keys that are there go on as they are. Of supplied keys it is needed for PS256 alone.
func Algorithm(name string) KeysOption {
	if methodOf(name) == nil {
		panic("grants: Algorithm: want EdDSA, ES256, RS256 or PS256")
	}
	return func(k *Keys) { k.make = name }
}

// RotateEvery sets how long a key signs before the next one does. Default 90 days, at least 1 h;
// [storage.Unlimited] means until [Keys.Rotate].
func RotateEvery(d time.Duration) KeysOption {
	atLeast("RotateEvery", d, time.Hour)
	return func(k *Keys) { k.schedule.rotateEvery = d }
}

// KeepRetired sets how long keys are told after they have signed last. Default 30 days, at least 1 s. No JWT
// lives longer than that, whatever the Manager or the client's registration say.
func KeepRetired(d time.Duration) KeysOption {
	atLeast("KeepRetired", d, time.Second)
	hasEnd("KeepRetired", d)
	return func(k *Keys) { k.schedule.keepRetired = d }
}

// EncryptKeys keeps the keys in the store encrypted under key, by AES-256-GCM: whoever reads the data alone
// can sign nothing then. Keys that are there in the clear, or under one of old, are encrypted anew when they
// are opened. Default: in the clear.
func EncryptKeys(key [32]byte, old ...[32]byte) KeysOption {
	return func(k *Keys) { k.locker = append(locker{key}, old...) }
}

func newKeys(options []KeysOption) *Keys {
	k := &Keys{schedule: schedule{defaultRotateEvery, defaultKeepRetired}, loading: make(chan struct{}, 1)}
	for _, o := range options {
		o(k)
	}
	return k
}

// ringName is under which name a store keeps the ring.
const ringName = "ostiary/keys"

// OpenKeys opens the keys that store keeps, which has to be a [storage.Keys], and makes the first ones if
// there are none. However many instances do so at once, they come to the same keys.
//
// There is always a key that signs, a next one that is told already, and those that are retired. Rotation
// needs no attention: it is the clock that makes the next key the one that signs, at the same moment
// everywhere, and whoever notices first makes another next. Each instance looks at the store about once a
// minute while it is used, and at once for a key that it does not know.
//
// The error tells what is wrong with the options or the keys in the store, or is that of the store, as where
// that is open for reading only.
func OpenKeys(ctx context.Context, store storage.Store, options ...KeysOption) (*Keys, error) {
	k := newKeys(options)
	if k.make == "" {
		k.make = defaultAlgorithm
	}
	keys, ok := ability[storage.Keys](store)
	if !ok {
		return nil, errors.New("grants: OpenKeys: the store keeps no secrets of the server's own: it is no storage.Keys")
	}
	k.store = hurried{keys, defaultStoreTimeout}
	if k.schedule.keepRetired/k.schedule.rotateEvery >= mostKeys/2 {
		return nil, fmt.Errorf("grants: OpenKeys: KeepRetired is more than %d times RotateEvery: too many keys would be kept", mostKeys/2)
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	return k, nil
}

// SupplyKeys makes Keys of one that is kept elsewhere, as in a KMS or an HSM, which signs, and of further
// ones that are told, which will sign or have signed. They change when the application makes others. The
// algorithm of a key is EdDSA for Ed25519, ES256 for P-256, and RS256 for RSA of 2048 bits and more, unless
// the option [Algorithm] says PS256.
//
// The signer is called by many goroutines at once. It is tried once here; the error is its own, or says what
// is wrong with a key. A signer that fails later is answered as a store that fails: nothing is issued, and
// nothing is spent.
func SupplyKeys(active crypto.Signer, told []crypto.PublicKey, options ...KeysOption) (*Keys, error) {
	k := newKeys(options)
	set := &keySet{byID: make(map[string]*signingKey)}
	for i, public := range slices.Insert(slices.Clone(told), 0, active.Public()) {
		algorithm := methodFor(public)
		if m := methodOf(k.make); m != nil && m.fits(public) {
			algorithm = k.make
		}
		var signer crypto.Signer
		if i == 0 {
			signer = active
		}
		key, err := newSigningKey(algorithm, public, signer)
		if err != nil {
			return nil, err
		}
		if set.byID[key.ID] != nil {
			return nil, fmt.Errorf("grants: SupplyKeys: the key %s stands there twice", key.ID)
		}
		key.State = KeyRetired
		set.keys, set.byID[key.ID] = append(set.keys, key), key
	}
	first := set.keys[0]
	first.places = make(chan struct{}, mostSigning)
	first.State = KeyActive
	const probe = "ostiary"
	signature, err := first.method.Sign(probe, active)
	if err != nil {
		return nil, fmt.Errorf("grants: SupplyKeys: the signer fails: %w", err)
	}
	if err := first.method.Verify(probe, signature, first.Key); err != nil {
		return nil, errors.New("grants: SupplyKeys: what the signer signs is not verified by its public key")
	}
	k.set.Store(set)
	return k, nil
}

// Public returns the keys as others may know them, the oldest first. The error is that of the store, which
// may have others than were known last: these are returned beside it.
func (k *Keys) Public(ctx context.Context) ([]PublicKey, error) {
	set, err := k.current(ctx)
	signs := set.signs(time.Now())
	keys := make([]PublicKey, len(set.keys))
	for i, key := range set.keys {
		keys[i] = key.PublicKey
		if k.store != nil {
			keys[i].State = [...]KeyState{KeyRetired, KeyActive, KeyNext}[1+compare(i, signs)]
		}
	}
	return keys, err
}

func compare(a, b int) int { return max(-1, min(1, a-b)) }

// Rotate has the next key sign. That happens at once, or within ten minutes if it is told since less than
// that: whoever keeps the answer of the keys endpoint has to have it first. What the key before it has signed
// stays good.
//
// The error is errors.ErrUnsupported for supplied keys, and else that of the store.
func (k *Keys) Rotate(ctx context.Context) error {
	return k.change(ctx, func(r ring, now time.Time) (ring, error) {
		if len(r) >= mostKeys {
			return nil, fmt.Errorf("grants: Rotate: %d keys are kept already; wait until some of them are gone", len(r))
		}
		r.rotate(now)
		return r, nil
	})
}

// Remove removes a key, as one does with a key that may have become known: what it has signed is good no
// more, here at once, at other instances within a minute, and at validators that have the keys alone once they
// ask for them anew. If it is the key that signs, the next one does at once.
//
// The error is storage.ErrNotFound if there is no key of that ID, errors.ErrUnsupported for supplied keys,
// and else that of the store.
func (k *Keys) Remove(ctx context.Context, id string) error {
	return k.change(ctx, func(r ring, now time.Time) (ring, error) {
		for _, one := range r {
			if key, err := one.key(); err == nil && key.ID == id {
				return r.without(one.Public, now), nil
			}
		}
		return nil, storage.ErrNotFound
	})
}

// longestLife is how long a token may live.
func (k *Keys) longestLife() time.Duration {
	if k.store == nil {
		return storage.Unlimited
	}
	return k.schedule.keepRetired
}

// signer is the key that signs now. The error is that of the store, which does not keep the key from
// signing.
func (k *Keys) signer(ctx context.Context) (*signingKey, error) {
	set, err := k.current(ctx)
	return set.keys[set.signs(time.Now())], err
}

// find returns the key of that ID, or nil if there is none. For one that is not known the store is asked,
// by one at a time.
func (k *Keys) find(ctx context.Context, id string) (*signingKey, error) {
	if key := k.set.Load().byID[id]; key != nil || k.store == nil {
		return key, nil
	}
	if err := k.load(ctx); err != nil {
		return nil, err
	}
	return k.set.Load().byID[id], nil
}

// current is what is known of the keys. One of those who ask looks at the store where the last look is too
// old, and again no sooner where it fails. It does so as long as it would wait, even if nobody waits for it
// any more: others rely on it.
func (k *Keys) current(ctx context.Context) (*keySet, error) {
	if tried := k.tried.Load(); k.stale(tried) && k.tried.CompareAndSwap(tried, time.Now().UnixMilli()) {
		deadline, limited := ctx.Deadline()
		ctx = context.WithoutCancel(ctx)
		if limited {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, deadline)
			defer cancel()
		}
		err := k.load(ctx)
		return k.set.Load(), err
	}
	return k.set.Load(), nil
}

// stale tells whether a look at the store at that time is too old, or was before a clock was set back.
func (k *Keys) stale(tried int64) bool {
	age := time.Since(time.UnixMilli(tried))
	return k.store != nil && (age >= reloadAfter || age < 0)
}

// load reads the keys from the store, and does what is due. Of those who call it at a time, one does so
// after the other, and who finds that it was begun since it came, and done, is through: so they are never
// many, and nobody is left with what was read before.
func (k *Keys) load(ctx context.Context) error {
	came := k.begun.Load()
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	if k.loaded.Load() > came {
		return nil
	}
	return k.update(ctx, func(r ring, _ time.Time) (ring, error) { return r, nil })
}

// change alters the ring in the store, in one step with what is due. how may be run more than once.
func (k *Keys) change(ctx context.Context, how func(r ring, now time.Time) (ring, error)) error {
	if k.store == nil {
		return errors.ErrUnsupported
	}
	if err := k.enter(ctx); err != nil {
		return err
	}
	defer k.leave()
	return k.update(ctx, how)
}

func (k *Keys) enter(ctx context.Context) error {
	select {
	case k.loading <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (k *Keys) leave() { <-k.loading }

var errNoSpare = errors.New("grants: one more key has to be made")

// update is for one at a time.
func (k *Keys) update(ctx context.Context, how func(r ring, now time.Time) (ring, error)) error {
	number := k.begun.Add(1)
	k.tried.Store(time.Now().UnixMilli())
	var made spares
	for {
		var read ring
		at := now()
		_, err := k.store.Secret(ctx, ringName, func(old []byte) (stored []byte, err error) {
			var before ring
			again := false
			if old != nil {
				if before, again, err = k.locker.decode(old); err != nil {
					return nil, err
				}
			}
			left := slices.Clone(made)
			due, more := before.turn(&left, k.schedule, at)
			if more {
				return nil, errNoSpare
			}
			after, err := how(slices.Clone(due), at)
			if err != nil {
				return nil, err
			}
			if read, more = after.turn(&left, k.schedule, at); more {
				return nil, errNoSpare
			}
			if !again && reflect.DeepEqual(read, before) {
				return old, nil
			}
			return k.locker.encode(read)
		})
		switch {
		case err == nil:
			if err = k.keep(read); err == nil {
				k.loaded.Store(number)
			}
			return err
		case !errors.Is(err, errNoSpare):
			return err
		}
		one, err := spare(k.make)
		if err != nil {
			return err
		}
		made = append(made, one)
	}
}

// keep is what was read from now on.
func (k *Keys) keep(r ring) error {
	if known := k.set.Load(); known != nil && reflect.DeepEqual(known.ring, r) { // which spares reading the keys
		return nil
	}
	set := &keySet{ring: r, byID: make(map[string]*signingKey)}
	for _, one := range r {
		key, err := one.key()
		if err != nil {
			return err
		}
		key.From = one.From
		set.keys, set.byID[key.ID] = append(set.keys, key), key
	}
	if set.keys[set.signs(time.Now())].signer == nil {
		return errRing
	}
	k.set.Store(set)
	return nil
}

// signs is the index of the key that signs.
func (s *keySet) signs(now time.Time) int { return max(0, s.ring.active(now)) }
