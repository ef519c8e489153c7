package grants_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func openKeys(t testing.TB, store storage.Store, options ...grants.KeysOption) *grants.Keys {
	t.Helper()
	keys, err := grants.OpenKeys(t.Context(), store, options...)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func signing(store storage.Store, keys *grants.Keys, options ...grants.Option) *grants.Manager {
	return grants.New(store, append([]grants.Option{grants.Issuer("https://auth.example"), grants.JWT(keys)}, options...)...)
}

func public(t *testing.T, keys *grants.Keys) []grants.PublicKey {
	t.Helper()
	list, err := keys.Public(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func stateOf(t *testing.T, keys *grants.Keys, state grants.KeyState) grants.PublicKey {
	t.Helper()
	for _, k := range public(t, keys) {
		if k.State == state {
			return k
		}
	}
	t.Fatalf("no %s key", state)
	return grants.PublicKey{}
}

func issued(t testing.TB, m *grants.Manager, user string) string {
	t.Helper()
	info, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: user, Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	return info.GetAccess()
}

func mustLoad(t *testing.T, m *grants.Manager, access string) {
	t.Helper()
	if _, err := m.LoadAccessToken(t.Context(), access); err != nil {
		t.Errorf("a good token: %v", err)
	}
}

func mustNotLoad(t *testing.T, m *grants.Manager, access string) {
	t.Helper()
	if _, err := m.LoadAccessToken(t.Context(), access); err != oerr.ErrInvalidAccessToken {
		t.Errorf("want %v, got %v", oerr.ErrInvalidAccessToken, err)
	}
}

// part is a part of a JWT.
func part(t testing.TB, token string, n int) map[string]any {
	t.Helper()
	parts := strings.Split(token, ".")
	var members map[string]any
	octets, err := base64.RawURLEncoding.DecodeString(parts[n])
	if err != nil || len(parts) != 3 || json.Unmarshal(octets, &members) != nil {
		t.Fatalf("no JWT: %d parts, %v", len(parts), err)
	}
	return members
}

// Ten instances that start at once come to the same keys, and each takes what any has signed.
func TestOneRing(t *testing.T) {
	store := openStore(t)
	managers := make([]*grants.Manager, 10)
	rings := make([][]grants.PublicKey, len(managers))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for i := range managers {
		wg.Go(func() {
			<-start
			keys, err := grants.OpenKeys(context.Background(), store)
			if err != nil {
				t.Error(err)
				return
			}
			rings[i], _ = keys.Public(context.Background())
			managers[i] = signing(store, keys)
		})
	}
	close(start)
	wg.Wait()
	for i, ring := range rings {
		if len(ring) != 2 || ring[0].State != grants.KeyActive || ring[1].State != grants.KeyNext || ring[0].ID == ring[1].ID || ring[0].ID != rings[0][0].ID || ring[1].ID != rings[0][1].ID {
			t.Errorf("instance %d has %v, the first %v", i, ring, rings[0])
		}
	}
	for _, m := range managers {
		access := issued(t, m, "alice")
		for _, other := range managers {
			mustLoad(t, other, access)
		}
	}
}

// A file has the keys, and what was signed before it was closed is good when it is opened again.
func TestKeysAreKept(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	var access []string
	for range 3 {
		store, err := bolt.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := store.PutClient(t.Context(), &storage.Client{ID: "app", Secret: storage.HashGenerated("x"), Scope: "read", GrantTypes: []string{"client_credentials"}}); err != nil {
			t.Fatal(err)
		}
		m := signing(store, openKeys(t, store))
		access = append(access, issued(t, m, "alice"))
		for _, a := range access {
			mustLoad(t, m, a)
		}
		if err := store.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

// At no moment of a rotation is a token refused that is good, whichever of two instances has issued it, and
// a key is told ten minutes before it signs. The instances look at the store by themselves.
func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		options := []grants.KeysOption{grants.RotateEvery(time.Hour), grants.KeepRetired(4 * time.Hour)}
		a := openKeys(t, store, options...)
		b := openKeys(t, store, options...)
		managers := []*grants.Manager{signing(store, a, grants.AccessLifetime(2*time.Hour)), signing(store, b, grants.AccessLifetime(2*time.Hour))}
		told := map[string]time.Time{} // when a key was told first
		for _, k := range public(t, b) {
			told[k.ID] = time.Now().Add(-time.Hour)
		}
		signedBy := map[any]bool{}
		type good struct {
			access  string
			expires time.Time
		}
		var alive []good
		for step := range 12 * 30 { // some minutes each, 30 hours
			time.Sleep(5*time.Minute + time.Duration(step%7)*time.Second)
			if step%50 == 49 { // somebody rotates besides
				if err := a.Rotate(t.Context()); err != nil {
					t.Fatal(err)
				}
			}
			for i, m := range managers {
				access := issued(t, m, "alice")
				kid, _ := part(t, access, 0)["kid"].(string)
				signedBy[kid] = true
				if since, ok := told[kid]; !ok || time.Since(since) < grants.KeysMaxAge {
					t.Fatalf("step %d: instance %d signs by a key that the other tells since %v", step, i, since)
				}
				alive = append(alive, good{access, time.Unix(int64(part(t, access, 1)["exp"].(float64)), 0)})
			}
			for _, k := range public(t, b) {
				if _, ok := told[k.ID]; !ok {
					told[k.ID] = time.Now()
				}
			}
			alive = slices.DeleteFunc(alive, func(g good) bool { return !time.Now().Before(g.expires) })
			for _, g := range alive {
				for i, m := range managers {
					if _, err := m.LoadAccessToken(t.Context(), g.access); err != nil {
						t.Fatalf("step %d: instance %d refuses a good token: %v", step, i, err)
					}
				}
			}
			if n := len(public(t, b)); n > 9 {
				t.Fatalf("%d keys are told", n)
			}
		}
		if len(signedBy) < 28 {
			t.Errorf("%d keys have signed in 30 hours", len(signedBy))
		}
		for _, one := range public(t, a) {
			if !signedBy[one.ID] && one.State == grants.KeyRetired {
				t.Errorf("a retired key has signed nothing: %v", one)
			}
		}
	})
}

// What a removed key has signed is refused, here at once, elsewhere within a minute, remembered or not.
func TestRemoveKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		here, there := openKeys(t, store), openKeys(t, store)
		a, b := signing(store, here), signing(store, there)
		leaked := issued(t, a, "alice")
		mustLoad(t, a, leaked)
		mustLoad(t, b, leaked)
		active, next := stateOf(t, here, grants.KeyActive), stateOf(t, here, grants.KeyNext)
		if err := here.Remove(t.Context(), active.ID); err != nil {
			t.Fatal(err)
		}
		mustNotLoad(t, a, leaked)
		fresh := issued(t, a, "bob")
		if kid := part(t, fresh, 0)["kid"]; kid != next.ID {
			t.Errorf("signed by %v, want the next, %v", kid, next.ID)
		}
		mustLoad(t, a, fresh)
		mustLoad(t, b, fresh)
		time.Sleep(time.Minute)
		mustNotLoad(t, b, leaked) // which only validates
		for _, wrong := range []string{active.ID, "", "x"} {
			if err := here.Remove(t.Context(), wrong); !errors.Is(err, storage.ErrNotFound) {
				t.Errorf("removing %q: %v", wrong, err)
			}
		}
		// The grant is alive: what its client gets next is good.
		if err := here.Remove(t.Context(), stateOf(t, here, grants.KeyNext).ID); err != nil {
			t.Fatal(err)
		}
		if got := stateOf(t, here, grants.KeyNext); time.Until(got.From) < 10*time.Minute {
			t.Errorf("the next key signs too soon: %v", got.From)
		}
	})
}

// A key that another instance has made is known as soon as a token of it comes.
func TestUnknownKeyIsLookedUp(t *testing.T) {
	store := openStore(t)
	here, there := openKeys(t, store), openKeys(t, store)
	a, b := signing(store, here), signing(store, there)
	for range 3 { // by then, none of the keys that b has read first is left
		for _, k := range public(t, here) {
			if err := here.Remove(t.Context(), k.ID); err != nil {
				t.Fatal(err)
			}
		}
	}
	access := issued(t, a, "alice")
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() { mustLoad(t, b, access) })
	}
	wg.Wait()
}

// While the store is away, keys that are known sign and verify; a token of one that is not is neither good nor
// bad.
func TestKeysInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		faulty := &testbed.Faulty{Store: openStore(t)}
		log := new(testbed.Log)
		m := signing(faulty, openKeys(t, faulty), grants.Logger(log.Logger()))
		access := issued(t, m, "alice")
		header := part(t, access, 0)
		header["kid"] = "unknown"
		text, _ := json.Marshal(header)
		unknown := base64.RawURLEncoding.EncodeToString(text) + access[strings.IndexByte(access, '.'):]
		mustNotLoad(t, m, unknown)
		for name, fault := range map[string]testbed.Fault{"fails": testbed.Fail, "hangs": testbed.Hang} {
			faulty.Break(nil, fault, nil) // writes, and secrets with them
			time.Sleep(2 * time.Minute)
			mustLoad(t, m, access)
			before := time.Now()
			if _, err := m.LoadAccessToken(t.Context(), unknown); err == nil || errors.Is(err, oerr.ErrInvalidAccessToken) {
				t.Errorf("%s: an unknown key: %v", name, err)
			}
			if err := m.Revoke(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: unknown}); codeOf(err) != "temporarily_unavailable" {
				t.Errorf("%s: revoking: %v", name, err)
			}
			if _, err := m.Introspect(t.Context(), &grants.Request{ClientID: "app", ClientSecret: "app-secret", Token: unknown}); codeOf(err) != "temporarily_unavailable" {
				t.Errorf("%s: introspecting: %v", name, err)
			}
			if waited := time.Since(before); waited > 20*time.Second {
				t.Errorf("%s: three requests took %v", name, waited)
			}
			faulty.Break(nil, nil, nil)
			mustLoad(t, m, access)
			mustNotLoad(t, m, unknown)
			issued(t, m, "bob")
		}
		if strings.Contains(log.String(), access) {
			t.Error("the log has a token in it")
		}
	})
}

func codeOf(err error) string {
	if e, ok := errors.AsType[*grants.Error](err); ok {
		return e.Code
	}
	return ""
}

// With EncryptKeys the file has nothing of a private key in it, and can't be used without.
func TestEncryptKeys(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	one, two := [32]byte{1}, [32]byte{2}
	ring := func() []byte {
		secret, err := store.Secret(t.Context(), "ostiary/keys", func(old []byte) ([]byte, error) { return old, nil })
		if err != nil {
			t.Fatal(err)
		}
		return secret
	}
	clear := openKeys(t, store)
	active := stateOf(t, clear, grants.KeyActive).ID
	if !bytes.Contains(ring(), []byte(`"private"`)) {
		t.Fatal("where are the keys?")
	}
	for _, options := range [][]grants.KeysOption{{grants.EncryptKeys(one)}, {grants.EncryptKeys(one)}, {grants.EncryptKeys(two, one)}, {grants.EncryptKeys(two)}} {
		keys := openKeys(t, store, options...)
		if got := stateOf(t, keys, grants.KeyActive).ID; got != active {
			t.Errorf("another key, %s", got)
		}
		if b := ring(); bytes.Contains(b, []byte("private")) || bytes.Contains(b, []byte("ES256")) {
			t.Error("the ring can be read")
		}
	}
	for name, options := range map[string][]grants.KeysOption{"no key": nil, "old key": {grants.EncryptKeys(one)}} {
		if _, err := grants.OpenKeys(t.Context(), store, options...); err == nil || !strings.Contains(err.Error(), "encrypted") {
			t.Errorf("%s: %v", name, err)
		}
	}
	before := ring()
	openKeys(t, store, grants.EncryptKeys(two))
	if !bytes.Equal(ring(), before) {
		t.Error("it is written anew though nothing has changed")
	}
	if octets, err := os.ReadFile(path); err != nil || !bytes.Contains(octets, []byte("ostiary/keys")) {
		t.Fatal("the file has no keys at all", err)
	}
}

func TestOpenKeysRefuses(t *testing.T) {
	store, all := openStore(t), signers(t)
	agreement, err := ecdh.X25519().GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := grants.OpenKeys(t.Context(), struct{ storage.Store }{store}); err == nil || !strings.Contains(err.Error(), "storage.Keys") {
		t.Errorf("a store without secrets: %v", err)
	}
	if _, err := grants.OpenKeys(t.Context(), store, grants.RotateEvery(time.Hour)); err == nil || !strings.Contains(err.Error(), "too many") {
		t.Errorf("hourly keys for a month: %v", err)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := grants.OpenKeys(ended, store); !errors.Is(err, context.Canceled) {
		t.Errorf("ended context: %v", err)
	}
	for name, ring := range map[string]string{
		"no key":                 `{"keys":[{"alg":"ES256","public":"eA=="}]}`,
		"private key damaged":    fmt.Sprintf(`{"keys":[%s]}`, ringKey(t, "ES256", "x", all["ES256"].Public())),
		"private key of another": fmt.Sprintf(`{"keys":[%s]}`, ringKey(t, "ES256", signers(t)["ES256"], all["ES256"].Public())),
		"key that can't sign":    fmt.Sprintf(`{"keys":[%s]}`, ringKey(t, "ES256", agreement, all["ES256"].Public())),
		"other algorithm":        fmt.Sprintf(`{"keys":[%s]}`, ringKey(t, "EdDSA", all["ES256"], all["ES256"].Public())),
	} {
		if _, err := store.Secret(t.Context(), "ostiary/keys", func([]byte) ([]byte, error) { return []byte(ring), nil }); err != nil {
			t.Fatal(err)
		}
		if _, err := grants.OpenKeys(t.Context(), store); err == nil || !strings.Contains(err.Error(), "can't be") {
			t.Errorf("a ring with %s: %v", name, err)
		}
	}
	for name, f := range map[string]func(){
		"algorithm":         func() { grants.Algorithm("HS256") },
		"rotation":          func() { grants.RotateEvery(time.Minute) },
		"retirement":        func() { grants.KeepRetired(0) },
		"endless":           func() { grants.KeepRetired(storage.Unlimited) },
		"no keys":           func() { grants.JWT(nil) },
		"empty keys":        func() { grants.JWT(new(grants.Keys)) },
		"no issuer":         func() { grants.New(store, grants.JWT(supplied(t))) },
		"no claims":         func() { grants.Claims(nil) },
		"no audience":       func() { grants.DefaultAudience() },
		"an empty audience": func() { grants.DefaultAudience("a", "") },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := recover(); p == nil || !strings.HasPrefix(fmt.Sprint(p), "grants: ") {
					t.Errorf("got %v", p)
				}
			}()
			f()
		})
	}
}

// ringKey is a key as a store has it; private may be damaged, or nil.
func ringKey(t *testing.T, algorithm string, private any, public crypto.PublicKey) string {
	t.Helper()
	key := map[string]any{"alg": algorithm, "created": time.Now(), "from": time.Now()}
	var err, also error
	switch private := private.(type) {
	case nil:
	case string:
		key["private"] = []byte(private)
	default:
		key["private"], err = x509.MarshalPKCS8PrivateKey(private)
	}
	key["public"], also = x509.MarshalPKIXPublicKey(public)
	text, last := json.Marshal(key)
	if err := errors.Join(err, also, last); err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// secrets is a store whose secrets can be slow, or fail.
type secrets struct {
	*bolt.Store
	before atomic.Pointer[func(context.Context) error]
}

func (s *secrets) Secret(ctx context.Context, name string, change func([]byte) ([]byte, error)) ([]byte, error) {
	if before := s.before.Load(); before != nil {
		if err := (*before)(ctx); err != nil {
			return nil, err
		}
	}
	return s.Store.Secret(ctx, name, change)
}

func (s *secrets) set(before func(context.Context) error) { s.before.Store(&before) }

// Of many who come with a key that is not known, nobody is told that it is none because a look of somebody
// else's has failed.
func TestUnknownKeyInOutage(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		broken := &secrets{Store: store}
		here, there := openKeys(t, store), openKeys(t, broken)
		a, b := signing(store, here), signing(broken, there)
		for range 2 { // then b knows no key that signs
			if err := here.Remove(t.Context(), stateOf(t, here, grants.KeyActive).ID); err != nil {
				t.Fatal(err)
			}
		}
		access := issued(t, a, "alice")
		broken.set(func(ctx context.Context) error {
			time.Sleep(time.Second)
			return errors.Join(ctx.Err(), testbed.ErrBroken)
		})
		ask := func(good bool) {
			var wg sync.WaitGroup
			for i := range 20 {
				wg.Go(func() {
					ctx, cancel := context.WithTimeout(context.Background(), time.Duration(1+i)*time.Second)
					defer cancel()
					if _, err := b.LoadAccessToken(ctx, access); (err == nil) != good || errors.Is(err, oerr.ErrInvalidAccessToken) {
						t.Errorf("request %d: %v", i, err)
					}
				})
			}
			wg.Wait()
		}
		ask(false)
		broken.set(func(context.Context) error { return nil })
		ask(true)
	})
}

// Whoever goes away while he looks at the keys for all keeps nobody from knowing what has become of them.
func TestLookIsNotGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		slow := &secrets{Store: store}
		here, there := openKeys(t, store), openKeys(t, slow)
		gone := stateOf(t, here, grants.KeyActive).ID
		if err := here.Remove(t.Context(), gone); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute)
		slow.set(func(ctx context.Context) error {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(time.Second):
				return nil
			}
		})
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(100*time.Millisecond, cancel)
		there.Public(ctx)
		for _, k := range public(t, there) {
			if k.ID == gone {
				t.Error("the removed key is told")
			}
		}
		// But nobody waits longer than he would.
		time.Sleep(time.Minute)
		ctx, cancel = context.WithTimeout(t.Context(), 100*time.Millisecond)
		defer cancel()
		before := time.Now()
		if keys, err := there.Public(ctx); !errors.Is(err, context.DeadlineExceeded) || len(keys) != 2 || time.Since(before) > 100*time.Millisecond {
			t.Errorf("after %v: %v, %v", time.Since(before), keys, err)
		}
	})
}

// away is a store that can be away, of which the caches still go on.
type away struct {
	secrets
	fault testbed.Fault
}

func (a *away) Grant(ctx context.Context, id storage.ID) (*storage.Grant, error) {
	if a.fault != nil {
		return nil, a.fault(ctx)
	}
	return a.secrets.Grant(ctx, id)
}

// A token that is cached goes on while the store is away, for whoever looks at the keys for all as well, and
// it is not looked at for longer than StoreTimeout.
func TestCachedTokenInOutage(t *testing.T) {
	for name, fault := range map[string]testbed.Fault{"fails": testbed.Fail, "hangs": testbed.Hang} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				store := &away{secrets: secrets{Store: openStore(t)}}
				m := signing(store, openKeys(t, store), grants.StoreTimeout(time.Second))
				access := issued(t, m, "alice")
				mustLoad(t, m, access)
				store.fault = fault
				store.set(fault)
				for range 3 {
					time.Sleep(time.Minute)
					before := time.Now()
					mustLoad(t, m, access)
					if waited := time.Since(before); waited > time.Second {
						t.Errorf("it took %v", waited)
					}
					mustLoad(t, m, access)
				}
			})
		})
	}
}

// Each namespace of a database has keys of its own.
func TestKeysOfNamespaces(t *testing.T) {
	db, err := bbolt.Open(filepath.Join(t.TempDir(), "shared.db"), 0o600, &bbolt.Options{NoFreelistSync: true})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	seen := make(map[string]bool)
	for _, name := range []string{"one", "two"} {
		store, err := bolt.New(db, bolt.Namespace(name))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for range 2 {
			for _, k := range public(t, openKeys(t, store)) {
				seen[k.ID] = true
			}
		}
	}
	if len(seen) != 4 {
		t.Errorf("%d keys", len(seen))
	}
}

// A file that is open for reading only gives no keys, and says why.
func TestKeysOfReader(t *testing.T) {
	path := filepath.Join(t.TempDir(), "auth.db")
	store, err := bolt.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	openKeys(t, store)
	store.Close()
	reader, err := bolt.Open(path, bolt.ReadOnly())
	if err != nil {
		t.Fatal(err)
	}
	defer reader.Close()
	if _, err := grants.OpenKeys(t.Context(), reader); err == nil || !strings.Contains(err.Error(), "reading only") {
		t.Errorf("got %v", err)
	}
}

// Whoever prints keys, or what has them, prints none of them, and not what encrypts them.
func TestKeysPrintNothing(t *testing.T) {
	store := openStore(t)
	secret := [32]byte([]byte("0123456789abcdef0123456789abcdef"))
	keys := openKeys(t, store, grants.EncryptKeys(secret), grants.Algorithm("EdDSA"))
	plain := openKeys(t, openStore(t), grants.Algorithm("EdDSA"))
	_, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	kept, err := grants.SupplyKeys(private, nil)
	if err != nil {
		t.Fatal(err)
	}
	options := []grants.KeysOption{grants.EncryptKeys(secret)}
	var b strings.Builder
	for _, v := range []any{keys, plain, kept, struct{ Keys *grants.Keys }{keys}, []*grants.Keys{keys, kept}, options, grants.JWT(keys), signing(store, keys), signing(store, kept), public(t, kept)} {
		fmt.Fprintf(&b, "%v %+v %#v %s %x %d\n", v, v, v, v, v, v)
		slog.New(slog.NewTextHandler(&b, nil)).Info("", "v", v)
		slog.New(slog.NewJSONHandler(&b, nil)).Info("", "v", v)
	}
	for _, secret := range [][]byte{secret[:], private.Seed()} {
		shown := fmt.Sprintf("%s|%x|%d|%d", secret, secret, secret[:8], secret[0:4])
		for one := range strings.SplitSeq(strings.NewReplacer("[", "", "]", "").Replace(shown), "|") {
			if strings.Contains(b.String(), one) {
				t.Errorf("a secret is printed as %q", one)
			}
		}
	}
}

// Too many rotations on demand are refused, lest the ring outgrow its record.
func TestRotateRefuses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := openStore(t)
		keys := openKeys(t, store, grants.Algorithm("EdDSA"))
		var err error
		n := 0
		for ; err == nil && n < 100; n++ {
			time.Sleep(10 * time.Minute)
			err = keys.Rotate(t.Context())
		}
		if err == nil || !strings.Contains(err.Error(), "kept already") || len(public(t, keys)) < 32 {
			t.Errorf("after %d rotations there are %d keys: %v", n, len(public(t, keys)), err)
		}
		time.Sleep(31 * 24 * time.Hour)
		if err := keys.Rotate(t.Context()); err != nil {
			t.Errorf("a month later: %v", err)
		}
		if n := len(public(t, keys)); n > 4 {
			t.Errorf("%d keys are left", n)
		}
	})
}

// A token lives no longer than the key that has signed it is told.
func TestRetirementBoundsLife(t *testing.T) {
	store := openStore(t)
	m := signing(store, openKeys(t, store, grants.KeepRetired(10*time.Minute)))
	for user, access := range map[string]string{"alice": issued(t, m, "alice"), "": issued(t, m, "")} {
		claims := part(t, access, 1)
		if life := claims["exp"].(float64) - claims["iat"].(float64); life < 599 || life > 600 {
			t.Errorf("user %q: %v s", user, life)
		}
	}
}

// remote is a key that is elsewhere: a crypto.Signer and nothing else.
type remote struct {
	crypto.Signer
	before func() error
}

func (r remote) Sign(random io.Reader, digest []byte, opts crypto.SignerOpts) ([]byte, error) {
	if r.before != nil {
		if err := r.before(); err != nil {
			return nil, err
		}
	}
	return r.Signer.Sign(random, digest, opts)
}

func supplied(t *testing.T) *grants.Keys {
	t.Helper()
	_, key, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := grants.SupplyKeys(key, nil)
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

func signers(t *testing.T) map[string]crypto.Signer {
	t.Helper()
	_, ed, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	p256, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsa2048, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]crypto.Signer{"EdDSA": ed, "ES256": p256, "RS256": rsa2048, "PS256": rsa2048}
}

// A KMS or an HSM is a crypto.Signer, whose key nobody sees.
func TestSupplyKeys(t *testing.T) {
	store := openStore(t)
	all := signers(t)
	for algorithm, signer := range all {
		t.Run(algorithm, func(t *testing.T) {
			var options []grants.KeysOption
			if algorithm == "PS256" {
				options = append(options, grants.Algorithm("PS256"))
			}
			retired := all["EdDSA"].Public()
			if algorithm == "EdDSA" {
				retired = all["ES256"].Public()
			}
			keys, err := grants.SupplyKeys(remote{Signer: signer}, []crypto.PublicKey{retired}, options...)
			if err != nil {
				t.Fatal(err)
			}
			m := signing(store, keys)
			access := issued(t, m, "alice")
			header := part(t, access, 0)
			if list := public(t, keys); header["alg"] != algorithm || len(list) != 2 || header["kid"] != list[0].ID || list[0].State != grants.KeyActive || list[0].Algorithm != algorithm || list[1].State != grants.KeyRetired {
				t.Errorf("header %v of %v", header, list)
			}
			mustLoad(t, m, access)
			if err := keys.Rotate(t.Context()); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Rotate: %v", err)
			}
			if err := keys.Remove(t.Context(), "x"); !errors.Is(err, errors.ErrUnsupported) {
				t.Errorf("Remove: %v", err)
			}
		})
	}
}

func TestSupplyKeysRefuses(t *testing.T) {
	all := signers(t)
	small, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	p384, err := ecdsa.GenerateKey(elliptic.P384(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		signer crypto.Signer
		told   []crypto.PublicKey
		err    string
	}{
		"small RSA":        {small, nil, "2048"},
		"other curve":      {p384, nil, "P-256"},
		"told other curve": {all["EdDSA"], []crypto.PublicKey{p384.Public()}, "P-256"},
		"told no key":      {all["EdDSA"], []crypto.PublicKey{"x"}, "string"},
		"twice":            {all["EdDSA"], []crypto.PublicKey{all["EdDSA"].Public()}, "twice"},
		"fails":            {remote{all["ES256"], func() error { return errors.New("no such key version") }}, nil, "no such key version"},
		"other key":        {mismatched{all["ES256"], all["EdDSA"].Public()}, nil, "not verified"},
		"no ASN.1":         {garbled{all["ES256"]}, nil, "no ECDSA signature"},
	} {
		if _, err := grants.SupplyKeys(tt.signer, tt.told); err == nil || !strings.Contains(err.Error(), tt.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

type mismatched struct {
	crypto.Signer
	public crypto.PublicKey
}

func (m mismatched) Public() crypto.PublicKey { return m.public }

func (m mismatched) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) {
	return make([]byte, 64), nil
}

type garbled struct{ crypto.Signer }

func (garbled) Sign(io.Reader, []byte, crypto.SignerOpts) ([]byte, error) { return []byte("x"), nil }

// A signer that fails, hangs or panics is an outage: nothing is spent, nothing piles up, and the same request
// is good afterwards.
func TestSignerInOutage(t *testing.T) {
	var fault func() error
	var mu sync.Mutex
	breakIt := func(f func() error) {
		mu.Lock()
		defer mu.Unlock()
		fault = f
	}
	signer := remote{signers(t)["ES256"], func() error {
		mu.Lock()
		f := fault
		mu.Unlock()
		if f == nil {
			return nil
		}
		return f()
	}}
	store := openStore(t)
	keys, err := grants.SupplyKeys(signer, nil)
	if err != nil {
		t.Fatal(err)
	}
	log := new(testbed.Log)
	m := signing(store, keys, grants.StoreTimeout(200*time.Millisecond), grants.Logger(log.Logger()))
	hang := make(chan struct{})
	for name, f := range map[string]func() error{
		"fails": func() error { return errors.New("quota") }, "panics": func() error { panic("quota") }, "hangs": func() error { <-hang; return errors.New("late") },
	} {
		t.Run(name, func(t *testing.T) {
			code := authorize(t, m, "app", 0).GetCode()
			redeem := &grants.Request{GrantType: "authorization_code", ClientID: "app", ClientSecret: "app-secret", Code: code, CodeVerifier: verifier, RedirectURI: "https://app.example/cb"}
			before, goroutines := testbed.Dump(t, store), runtime.NumGoroutine()
			breakIt(f)
			var wg sync.WaitGroup
			for range 300 {
				wg.Go(func() {
					if _, err := m.Token(context.Background(), redeem); codeOf(err) != "temporarily_unavailable" {
						t.Errorf("redeeming: %v", err)
					}
					if _, err := m.Token(context.Background(), &grants.Request{GrantType: "client_credentials", ClientID: "app", ClientSecret: "app-secret"}); codeOf(err) != "temporarily_unavailable" {
						t.Errorf("client_credentials: %v", err)
					}
				})
			}
			wg.Wait()
			if n := runtime.NumGoroutine() - goroutines; n > 70 {
				t.Errorf("%d goroutines are left", n)
			}
			if after := testbed.Dump(t, store); after != before {
				t.Error("something was stored")
			}
			breakIt(nil)
			if name == "hangs" {
				close(hang)
			}
			pair, err := m.Token(t.Context(), redeem)
			if err != nil {
				t.Fatalf("afterwards: %v", err)
			}
			refresh := &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh()}
			breakIt(func() error { return errors.New("quota") })
			if _, err := m.Token(t.Context(), refresh); codeOf(err) != "temporarily_unavailable" {
				t.Errorf("refreshing: %v", err)
			}
			breakIt(nil)
			if _, err := m.Token(t.Context(), refresh); err != nil {
				t.Errorf("refreshing afterwards: %v", err)
			}
			mustLoad(t, m, pair.GetAccess())
		})
	}
}

// Of many who refresh at once, each gets the pair that was stored, signed.
func TestSignedRace(t *testing.T) {
	store := openStore(t)
	m := signing(store, openKeys(t, store, grants.Algorithm("EdDSA")))
	for range 10 {
		pair, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice"})
		if err != nil {
			t.Fatal(err)
		}
		var mu sync.Mutex
		got := map[string]int{}
		var wg sync.WaitGroup
		for range 64 {
			wg.Go(func() {
				next, err := m.Token(context.Background(), &grants.Request{GrantType: "refresh_token", ClientID: "app", ClientSecret: "app-secret", RefreshToken: pair.GetRefresh()})
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				defer mu.Unlock()
				got[next.GetAccess()+" "+next.GetRefresh()]++
			})
		}
		wg.Wait()
		if len(got) != 1 {
			t.Fatalf("%d pairs", len(got))
		}
		for both := range got {
			access, _, _ := strings.Cut(both, " ")
			mustLoad(t, m, access)
		}
	}
}
