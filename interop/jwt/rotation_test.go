package jwt_test

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

const rotationAPI = "https://orders.example" // the audience

// rotationSite is one issuer: several instances on one store, each with Keys of its own, at /0, /1 and so on
// of the same address. What everybody may read is answered by any of them. Resource servers that have the
// address alone are added below /remote.
type rotationSite struct {
	base   string
	client *http.Client

	instances []*rotationInstance
	turn      atomic.Uint32 // whose turn it is to tell keys

	mu      sync.Mutex
	remotes map[string]http.Handler
}

type rotationInstance struct {
	keys *grants.Keys
	mux  *http.ServeMux
}

func rotationStore(t *testing.T, life time.Duration) *bolt.Store {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	c := &storage.Client{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"}, Scope: "read", AccessLifetime: life}
	if err := store.PutClient(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	return store
}

// newRotationSite serves n instances, over TCP, or over pipes, which let the time of a synctest bubble go on.
func newRotationSite(t *testing.T, pipes bool, n int, store *bolt.Store, options ...grants.KeysOption) *rotationSite {
	t.Helper()
	s := &rotationSite{remotes: make(map[string]http.Handler)}
	s.base, s.client = testbed.Serve(t, s, pipes)
	if pipes {
		s.base = "http://127.0.0.1" // where pipes lead to as well
	} else {
		s.client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64}}
		t.Cleanup(s.client.CloseIdleConnections)
	}
	for range n {
		keys, err := grants.OpenKeys(t.Context(), store, options...)
		if err != nil {
			t.Fatal(err)
		}
		s.instances = append(s.instances, nil)
		s.start(len(s.instances)-1, store, keys)
	}
	return s
}

// start makes an instance.
func (s *rotationSite) start(n int, store *bolt.Store, keys *grants.Keys) {
	m := grants.New(store, grants.Issuer(s.base), grants.JWT(keys), grants.DefaultAudience(rotationAPI), grants.Logger(slog.New(slog.DiscardHandler)))
	i := &rotationInstance{keys, http.NewServeMux()}
	i.mux.Handle("/token", handler.Token(m))
	i.mux.Handle("/keys", handler.JWKS(m))
	i.mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(m, handler.Paths{Token: "/token", JWKS: "/keys"}))
	i.mux.Handle("/metadata", handler.Metadata(m, handler.Paths{Token: "/token", JWKS: fmt.Sprintf("/%d/keys", n)})) // leads nowhere else
	i.mux.Handle("/orders", rotationGuard(m))
	s.instances[n] = i
}

func rotationGuard(v middleware.Validator) http.Handler {
	return middleware.Bearer(v, middleware.Audience(rotationAPI))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, middleware.Token(r.Context()).GetClientID())
	}))
}

func (s *rotationSite) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	first, _, _ := strings.Cut(r.URL.Path[1:], "/")
	if n, err := strconv.Atoi(first); err == nil {
		http.StripPrefix("/"+first, s.instances[n].mux).ServeHTTP(w, r)
		return
	}
	if name, ok := strings.CutPrefix(r.URL.Path, "/remote/"); ok {
		s.mu.Lock()
		h := s.remotes[name]
		s.mu.Unlock()
		h.ServeHTTP(w, r)
		return
	}
	s.instances[int(s.turn.Add(1))%len(s.instances)].mux.ServeHTTP(w, r)
}

// remote starts a resource server and returns its path.
func (s *rotationSite) remote(name string, options ...jwt.Option) string {
	v := jwt.New(s.base, rotationAPI, append(options, jwt.HTTPClient(s.client), jwt.Logger(slog.New(slog.DiscardHandler)))...)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.remotes[name] = rotationGuard(v)
	return "/remote/" + name
}

func (s *rotationSite) at(instance int) string { return fmt.Sprintf("/%d/orders", instance) }

// ask presents a token and returns the status of the answer, 0 if there was none.
func (s *rotationSite) ask(path, access string) int {
	r, err := http.NewRequest(http.MethodGet, s.base+path, nil)
	if err != nil {
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+access)
	res, err := s.client.Do(r)
	if err != nil {
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	return res.StatusCode
}

func (s *rotationSite) wants(t *testing.T, status int, access string, paths ...string) {
	t.Helper()
	for _, path := range paths {
		if got := s.ask(path, access); got != status {
			t.Errorf("%s: a token of %.8s: want %d, got %d", path, rotationKid(access), status, got)
		}
	}
}

// rotationToken is an access token, and what has to be known of it.
type rotationToken struct {
	access, kid string
	expires     time.Time
}

// issue has an instance issue a token.
func (s *rotationSite) issue(instance int) (rotationToken, error) {
	r, err := http.NewRequest(http.MethodPost, fmt.Sprintf("%s/%d/token", s.base, instance), strings.NewReader(url.Values{"grant_type": {"client_credentials"}}.Encode()))
	if err != nil {
		return rotationToken{}, err
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("svc", "svc-secret")
	res, err := s.client.Do(r)
	if err != nil {
		return rotationToken{}, err
	}
	defer res.Body.Close()
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || res.StatusCode != http.StatusOK {
		return rotationToken{}, fmt.Errorf("the token endpoint answered %d, %v", res.StatusCode, err)
	}
	var claims struct{ Exp int64 }
	rotationPart(answer.Access, 1, &claims)
	return rotationToken{answer.Access, rotationKid(answer.Access), time.Unix(claims.Exp, 0)}, nil
}

func (s *rotationSite) mustIssue(t *testing.T, instance int) rotationToken {
	t.Helper()
	issued, err := s.issue(instance)
	if err != nil || issued.kid == "" {
		t.Fatalf("%q, %v", issued.kid, err)
	}
	return issued
}

// rotationPart reads a part of a token.
func rotationPart(access string, n int, into any) {
	if parts := strings.Split(access, "."); n < len(parts) {
		octets, _ := base64.RawURLEncoding.DecodeString(parts[n])
		json.Unmarshal(octets, into)
	}
}

// rotationKid is the kid of a token.
func rotationKid(access string) string {
	var header struct{ Kid string }
	rotationPart(access, 0, &header)
	return header.Kid
}

func rotationKey(t *testing.T, keys *grants.Keys, state grants.KeyState) grants.PublicKey {
	t.Helper()
	all, err := keys.Public(t.Context())
	at := slices.IndexFunc(all, func(k grants.PublicKey) bool { return k.State == state })
	if err != nil || at < 0 {
		t.Fatalf("no %s key: %v", state, err)
	}
	return all[at]
}

// Through days of rotation, by the clock and by hand, no token is refused while it is good: by no instance,
// and by no resource server that has the keys alone, whenever that was started and however long it slept.
func TestRotationRefusesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const life = 2 * time.Hour
		s := newRotationSite(t, true, 3, rotationStore(t, life), grants.RotateEvery(time.Hour), grants.KeepRetired(life)) // as short as can be
		always := []string{s.at(0), s.at(1), s.at(2), s.remote("first")}
		sleeper := s.remote("sleeper")
		var slept time.Time

		began := time.Now()
		var alive []rotationToken
		signed, byHand, asked, refused := map[string]bool{}, 0, new(atomic.Int64), new(atomic.Int64)
		check := func(path string, tokens []rotationToken) {
			for _, one := range tokens {
				asked.Add(1)
				if status := s.ask(path, one.access); status != http.StatusOK && refused.Add(1) < 10 {
					t.Errorf("after %v, %s answers %d to a token of %.8s that is good for %v", time.Since(began), path, status, one.kid, time.Until(one.expires))
				}
			}
		}
		for step := 0; time.Since(began) < 2*24*time.Hour; step++ {
			pause := 8*time.Minute + time.Duration(rand.N(8*60*1000))*time.Millisecond
			told, err := s.instances[step%3].keys.Public(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			edge := time.Duration(rand.N(5)-2)*time.Millisecond + time.Until(told[len(told)-1].From)
			if step%3 == 0 && len(alive) > 0 { // or when a token expires
				edge = time.Until(alive[0].expires) - time.Duration(1+rand.N(999))*time.Millisecond
			}
			if edge > 0 && edge < pause {
				pause = edge
			}
			time.Sleep(pause)
			if rand.N(20) == 0 {
				byHand++
				for range 1 + rand.N(3) { // as by several who are in a hurry
					if err := s.instances[rand.N(3)].keys.Rotate(t.Context()); err != nil {
						t.Fatal(err)
					}
				}
			}
			if step%96 == 95 {
				always = append(always, s.remote(fmt.Sprintf("later%d", step)))
			}
			alive = slices.DeleteFunc(alive, func(one rotationToken) bool { return time.Until(one.expires) <= 0 })
			var fresh []rotationToken
			for i := range s.instances {
				fresh = append(fresh, s.mustIssue(t, i))
			}
			for _, one := range fresh {
				signed[one.kid] = true
			}
			alive = append(alive, fresh...)
			sample := append(slices.Clone(fresh), alive[0])
			for range 2 {
				sample = append(sample, alive[rand.N(len(alive))])
			}
			paths := append(slices.Clone(always), s.remote("new"))
			if time.Since(slept) > 5*time.Hour {
				paths, slept = append(paths, sleeper), time.Now()
			}
			var all sync.WaitGroup
			for _, path := range paths {
				all.Go(func() { check(path, sample) })
			}
			all.Wait()
			if t.Failed() {
				return
			}
		}
		t.Logf("%d keys have signed, %d rotations by hand, %d resource servers at the end, %d requests", len(signed), byHand, len(always), asked.Load())
		if len(signed) < 48 || byHand == 0 {
			t.Errorf("there was no rotation to speak of: %d keys", len(signed))
		}
	})
}

// What a removed key has signed is refused where it was removed at once, at another instance within a minute,
// whatever that one does, and elsewhere once the keys were fetched anew, though its signature is remembered.
// Tokens of other keys go on.
func TestRemovedKey(t *testing.T) {
	for name, issues := range map[string]bool{"the other instance issues": true, "the other instance validates alone": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newRotationSite(t, true, 2, rotationStore(t, 3*time.Hour), grants.RotateEvery(time.Hour), grants.KeepRetired(4*time.Hour))
				here, there, remote := s.at(0), s.at(1), s.remote("api", jwt.Metadata(s.base+"/0/metadata"))
				old := s.mustIssue(t, 0)
				time.Sleep(time.Until(rotationKey(t, s.instances[0].keys, grants.KeyNext).From) + 15*time.Minute)
				leaked, unseen := s.mustIssue(t, 0), s.mustIssue(t, 0)
				if old.kid == leaked.kid || rotationKey(t, s.instances[1].keys, grants.KeyActive).ID != leaked.kid {
					t.Fatal("there was no rotation")
				}
				s.wants(t, 200, old.access, here, there, remote)
				s.wants(t, 200, leaked.access, here, there, remote)
				removed := time.Now()
				if err := s.instances[0].keys.Remove(t.Context(), leaked.kid); err != nil {
					t.Fatal(err)
				}
				s.wants(t, 401, leaked.access, here)
				s.wants(t, 401, unseen.access, here)
				fresh := s.mustIssue(t, 0)
				if fresh.kid == leaked.kid {
					t.Fatal("a removed key signs")
				}
				goOn := func(until time.Duration) {
					for time.Since(removed) < until {
						s.wants(t, 200, old.access, here, there, remote)
						s.wants(t, 200, fresh.access, here, there, remote)
						s.wants(t, 200, s.mustIssue(t, 0).access, here, there, remote)
						if issues {
							s.mustIssue(t, 1)
						}
						time.Sleep(5 * time.Second)
					}
				}
				goOn(time.Minute)
				s.wants(t, 401, leaked.access, here, there)
				s.wants(t, 401, unseen.access, here, there)
				s.wants(t, 200, old.access, remote)
				goOn(grants.KeysMaxAge)
				s.wants(t, 200, old.access, remote) // which has it fetch
				synctest.Wait()
				s.wants(t, 401, leaked.access, here, there, remote)
				s.wants(t, 401, unseen.access, here, there, remote)
				goOn(grants.KeysMaxAge + time.Minute)
			})
		})
	}
}

// While keys are removed as fast as that goes, there is no answer but the right one: tokens of removed keys
// are refused, all others are good, nothing fails.
func TestKeysUnderLoad(t *testing.T) {
	s := newRotationSite(t, false, 2, rotationStore(t, time.Hour))
	issuer := s.instances[0].keys
	remote := s.remote("first")
	s.wants(t, 200, s.mustIssue(t, 0).access, s.at(0), s.at(1), remote)
	known := []string{rotationKey(t, issuer, grants.KeyActive).ID, rotationKey(t, issuer, grants.KeyNext).ID}

	var removals sync.Map // kid to *removal
	type removal struct{ began, ended atomic.Int64 }
	of := func(kid string) *removal {
		r, _ := removals.LoadOrStore(kid, new(removal))
		return r.(*removal)
	}
	var answers [4]struct{ good, refused, either atomic.Int64 }
	// judge holds an answer against what was removed when it was asked for and when it came.
	judge := func(n int, path string, one rotationToken, lags bool) {
		removed := of(one.kid).ended.Load() != 0
		status := s.ask(path, one.access)
		removing := of(one.kid).began.Load() != 0
		switch {
		case status == 200 && (!removed || lags):
			answers[n].good.Add(1)
		case status == 401 && removing:
			answers[n].refused.Add(1)
		default:
			t.Errorf("%s: %d to a token of %.8s, removed before: %t, by now: %t", path, status, one.kid, removed, removing)
		}
		if removing && !removed {
			answers[n].either.Add(1)
		}
	}

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var all sync.WaitGroup
	rounds, progress := 0, make(chan struct{})
	all.Go(func() {
		defer cancel()
		for ctx.Err() == nil && (time.Since(began) < 2*time.Second || rounds < 10) {
			for n := 0; n < 24 && rounds%4 == 0; n++ { // now and then a key lives for some tokens
				select {
				case <-progress:
				case <-ctx.Done():
				}
			}
			if rounds++; rounds%8 == 0 {
				if err := issuer.Rotate(context.Background()); err != nil {
					t.Error(err)
				}
			}
			keys, err := issuer.Public(context.Background())
			if err != nil {
				t.Error(err)
			}
			for _, key := range keys {
				if key.State != grants.KeyActive {
					continue
				}
				r := of(key.ID)
				r.began.Store(1)
				if err := issuer.Remove(context.Background(), key.ID); err != nil {
					t.Error(err)
				}
				r.ended.Store(1)
			}
		}
	})
	var issued atomic.Int64
	for worker := range 8 {
		all.Go(func() {
			var before rotationToken
			for n := 0; ctx.Err() == nil && !t.Failed(); n++ {
				one, err := s.issue(0)
				if err != nil {
					t.Error(err)
					return
				}
				issued.Add(1)
				for _, one := range []rotationToken{one, before} {
					if one.access == "" {
						continue
					}
					judge(0, s.at(0), one, false)
					judge(1, s.at(1), one, true) // which reads the keys once a minute, and for those that it does not know
					if status, want := s.ask(remote, one.access), map[bool]int{true: 200, false: 401}[slices.Contains(known, one.kid)]; status != want {
						t.Errorf("with keys from the start: %d to a token of %.8s, want %d", status, one.kid, want)
					}
					answers[2].good.Add(1)
				}
				if n%4 == 0 {
					judge(3, s.remote(fmt.Sprintf("new%d", worker), jwt.Metadata(s.base+"/0/metadata")), one, false)
				}
				if n%3 == 0 {
					before = one
				}
				select {
				case progress <- struct{}{}:
				default:
				}
			}
		})
	}
	all.Wait()
	t.Logf("%d keys removed, %d tokens issued", rounds, issued.Load())
	for n, path := range []string{"where it is removed", "the other instance", "keys from the start", "keys fetched now"} {
		a := &answers[n]
		t.Logf("%s: %d accepted, %d refused, %d of these meanwhile", path, a.good.Load(), a.refused.Load(), a.either.Load())
	}
	if rounds < 3 || answers[0].good.Load() == 0 || answers[0].refused.Load() == 0 {
		t.Error("too little was going on")
	}
}

// Ten instances that start at once serve the same keys, and take each other's tokens.
func TestInstancesStartAtOnce(t *testing.T) {
	store := rotationStore(t, time.Hour)
	s := newRotationSite(t, false, 0, store)
	s.instances = make([]*rotationInstance, 10)
	told := make([]string, len(s.instances))
	start := make(chan struct{})
	var all sync.WaitGroup
	for i := range s.instances {
		all.Go(func() {
			<-start
			keys, err := grants.OpenKeys(context.Background(), store)
			if err != nil {
				t.Error(err)
				return
			}
			s.start(i, store, keys)
			res, err := s.client.Get(fmt.Sprintf("%s/%d/keys", s.base, i))
			if err != nil {
				t.Error(err)
				return
			}
			defer res.Body.Close()
			body, err := io.ReadAll(res.Body)
			if err != nil {
				t.Error(err)
			}
			told[i] = string(body)
		})
	}
	close(start)
	all.Wait()
	if t.Failed() {
		return
	}
	for i, body := range told {
		if body != told[0] || strings.Count(body, `"kid"`) != 2 {
			t.Errorf("instance %d tells %s, the first %s", i, body, told[0])
		}
	}
	remote := s.remote("api")
	for i := range s.instances {
		one := s.mustIssue(t, i)
		s.wants(t, 200, one.access, remote)
		for other := range s.instances {
			s.wants(t, 200, one.access, s.at(other))
		}
	}
}
