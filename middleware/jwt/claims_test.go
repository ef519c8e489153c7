package jwt_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// times are JW-12 to the second.
func times(t *testing.T) {
	for name, c := range map[string]struct {
		options []jwt.Option
		leeway  time.Duration
	}{
		"default": {nil, 30 * time.Second}, "none": {[]jwt.Option{jwt.Leeway(0)}, 0}, "two minutes": {[]jwt.Option{jwt.Leeway(2 * time.Minute)}, 2 * time.Minute},
	} {
		inBubble(t, "JW-12/leeway, "+name, func(t *testing.T) {
			i := newIssuerOver(t, true, ed25519Key)
			s := i.resourceOver(t, true, c.options...)
			now := time.Now()
			access := i.sign(ed25519Key, set("exp", now.Add(time.Minute).Unix()))
			s.works(t, access)
			for _, member := range []string{"nbf", "iat"} {
				early := i.sign(ed25519Key, set(member, now.Add(time.Minute+c.leeway).Unix()), set("exp", now.Add(time.Hour).Unix()))
				time.Sleep(time.Until(now.Add(time.Minute - 1)))
				s.refuses(t, early)
				s.refuses(t, early) // though it is remembered
				time.Sleep(time.Nanosecond)
				s.works(t, early)
				now = now.Add(time.Minute)
			}
			now = now.Add(-time.Minute) // the end of access
			if c.leeway == 0 || c.leeway == 30*time.Second {
				s.refuses(t, access)
				return
			}
			time.Sleep(time.Until(now.Add(c.leeway - 1)))
			s.works(t, access)
			time.Sleep(time.Nanosecond)
			s.refuses(t, access)
			s.refuses(t, access)
			s.refuses(t, i.sign(ed25519Key, set("exp", now.Unix()), set("jti", "2")))
		})
	}
	inBubble(t, "JW-12/expires while it is remembered", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		access := i.sign(ed25519Key, set("exp", time.Now().Unix()+10))
		time.Sleep(40*time.Second - 1)
		s.works(t, access)
		time.Sleep(time.Nanosecond)
		s.refuses(t, access)
	})
	t.Run("ATK-25/expired and wrongly signed", func(t *testing.T) {
		i := newIssuer(t, ed25519Key, p256Key, rsaKey, pssKey)
		v := i.validator()
		past := set("exp", time.Now().Unix()-3600)
		if _, err := v.LoadAccessToken(t.Context(), i.sign(ed25519Key, past)); err != oerr.ErrExpiredAccessToken {
			t.Errorf("expired and rightly signed: %v", err)
		}
		tokens := []string{i.sign(attacker, past), i.sign(ed25519Key, past, set("aud", "https://evil.example")), i.sign(ed25519Key, past, set("iss", "https://evil.example"))}
		for _, row := range refusedRows {
			if row.id == "JW-13" || row.id == "JW-03" || row.id == "JW-04" {
				expired := &issuer{t: t, address: i.address}
				expired.late.Store(true)
				for _, a := range row.attempts {
					tokens = append(tokens, a.token(expired))
				}
			}
		}
		for _, access := range tokens {
			if _, err := v.LoadAccessToken(t.Context(), access); err != oerr.ErrInvalidAccessToken {
				t.Errorf("%s: %v", access, err)
			}
		}
	})
	t.Run("JW-12/bound to a key", func(t *testing.T) { // RFC 7800
		i := newIssuer(t, ed25519Key)
		for _, cnf := range []map[string]any{{"jkt": "thumb"}, {"x5t#S256": "thumb"}, {"jwk": p256Key.jwk()}} {
			i.resource(t).turnsAway(t, i.sign(ed25519Key, set("cnf", cnf)), "The access token is bound to a key, and this resource takes no proof of it.")
		}
	})
}

// resources are ATK-22: a token of one resource server at another.
func resources(t *testing.T) {
	serve := func(t *testing.T, v *jwt.Validator, options ...middleware.Option) *resource {
		s := new(resource)
		s.base, s.client = testbed.Serve(t, middleware.Bearer(v, append(options, middleware.Realm("api"))...)(http.HandlerFunc(whoami)), false)
		return s
	}
	t.Run("ATK-22/JWT", func(t *testing.T) {
		i := newIssuer(t, ed25519Key)
		s := i.resource(t)
		s.refuses(t, i.sign(ed25519Key, set("aud", "https://b.example")))
		s.works(t, i.sign(ed25519Key))
	})
	t.Run("ATK-22/JWT, several names", func(t *testing.T) {
		i := newIssuer(t, ed25519Key)
		v := i.validator(jwt.Audience("https://b.example", "https://c.example"), jwt.Audience("https://d.example"))
		s := serve(t, v)
		for _, name := range []string{api, "https://b.example", "https://c.example", "https://d.example"} {
			s.works(t, i.sign(ed25519Key, set("aud", name)))
		}
		s.refuses(t, i.sign(ed25519Key, set("aud", "https://e.example")))
	})
	t.Run("ATK-22/JWT, narrower route", func(t *testing.T) {
		i := newIssuer(t, ed25519Key)
		v := i.validator(jwt.Audience("https://b.example"))
		s := serve(t, v, middleware.Audience("https://b.example"))
		s.works(t, i.sign(ed25519Key, set("aud", "https://b.example")))
		s.works(t, i.sign(ed25519Key, set("aud", []string{api, "https://b.example"})))
		s.turnsAway(t, i.sign(ed25519Key), "The access token is for another resource.")
	})
	t.Run("ATK-22/scope of another route", func(t *testing.T) { // what is remembered of one is used at the other
		i := newIssuer(t, ed25519Key)
		v := i.validator()
		access := i.sign(ed25519Key)
		serve(t, v).works(t, access)
		narrow := middleware.Bearer(v)(middleware.Scope("admin")(http.HandlerFunc(whoami)))
		s := new(resource)
		s.base, s.client = testbed.Serve(t, narrow, false)
		if got := s.get(t, access); got.status != http.StatusForbidden || !strings.Contains(got.header.Get("WWW-Authenticate"), `error="insufficient_scope"`) {
			t.Errorf("got %d %v", got.status, got.header)
		}
	})
}

// clients are ATK-24: a client that is called like a user.
func clients(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	s := i.resource(t)
	t.Run("ATK-24/JWT", func(t *testing.T) {
		if got := s.get(t, i.sign(ed25519Key, set("client_id", "alice"))); got.status != 200 || got.body != "client=alice user= scope=orders:read" {
			t.Errorf("got %d %s", got.status, got.body)
		}
	})
}

// A token says what it came with, to each caller for itself.
func TestLoadAccessToken(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	v := i.validator()
	now := time.Now().Unix()
	access := i.sign(ed25519Key, set("tenant", map[string]any{"ids": []int{7}}), set("aud", []string{api, "x"}), set("iat", now), set("exp", now+600))
	load := func() oauth2.TokenInfo {
		info, err := v.LoadAccessToken(t.Context(), access)
		if err != nil {
			t.Fatal(err)
		}
		return info
	}
	type said interface {
		Claims() map[string]any
		Audience() []string
		Confirmation() map[string]string
	}
	for range 2 {
		info := load()
		if info.GetClientID() != "web" || info.GetUserID() != "alice" || info.GetScope() != "orders:read" || info.GetAccess() != access ||
			!info.GetAccessCreateAt().Equal(time.Unix(now, 0)) || info.GetAccessExpiresIn() != 10*time.Minute {
			t.Errorf("got %v, %v, %v", info, info.GetAccessCreateAt(), info.GetAccessExpiresIn())
		}
		claims := info.(said).Claims()
		if !reflect.DeepEqual(claims["tenant"], map[string]any{"ids": []any{json.Number("7")}}) || claims["exp"] != json.Number(fmt.Sprint(now+600)) || claims["iss"] != i.address {
			t.Errorf("got %v", claims)
		}
		if aud := info.(said).Audience(); !reflect.DeepEqual(aud, []string{api, "x"}) || info.(said).Confirmation() != nil {
			t.Errorf("got %v, %v", aud, info.(said).Confirmation())
		}
		info.SetScope("admin")
		info.SetUserID("bob")
		info.(said).Audience()[0] = "other"
		claims["tenant"].(map[string]any)["ids"].([]any)[0] = 8
		delete(claims, "iss")
		for _, text := range []string{fmt.Sprint(info), fmt.Sprintf("%#v", info), string(must(json.Marshal(info)))} {
			if strings.Contains(text, access) || strings.Contains(text, access[len(access)-20:]) {
				t.Errorf("it prints its token: %s", text)
			}
		}
	}
	i.asked(t, 1)
}

// Only the whole of a token that is remembered is good.
func TestRememberedWhole(t *testing.T) {
	i := newIssuer(t, ed25519Key, rsaKey)
	for _, key := range []signer{ed25519Key, rsaKey} {
		s := i.resource(t)
		one, other := i.sign(key), i.sign(key, set("jti", "other"))
		s.works(t, one)
		s.works(t, other)
		signed, signature := one[:strings.LastIndexByte(one, '.')], one[strings.LastIndexByte(one, '.'):]
		_, claims, _ := strings.Cut(signed, ".")
		for _, mixed := range []string{
			other[:strings.LastIndexByte(other, '.')] + signature,
			b64([]byte(key.header(set("x", 1)))) + "." + claims + signature,
			signed + signature[:len(signature)-1],
			signed + signature + "A",
			signed + ".",
			signed,
			signature,
			".." + signature,
		} {
			s.refuses(t, mixed)
		}
		s.works(t, one)
		s.works(t, other)
	}
}

// What one caller does with an audience is not seen by another.
func TestAudienceIsTheCallers(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	v := i.validator()
	for _, aud := range []any{api, []string{api}, []string{api, "https://stock.example"}} {
		access := i.sign(ed25519Key, set("aud", aud))
		for range 2 {
			token, err := v.LoadAccessToken(t.Context(), access)
			if err != nil {
				t.Fatal(err)
			}
			audience := token.(interface{ Audience() []string }).Audience()
			if audience[0] != api {
				t.Errorf("got %v", audience)
			}
			audience[0] = "https://other.example"
		}
	}
}

// A token that is remembered costs little: the view, and what Bearer needs.
func TestAllocations(t *testing.T) {
	i := newIssuer(t, ed25519Key, rsaKey)
	for _, key := range []signer{ed25519Key, rsaKey} {
		v, access := i.validator(), i.sign(key)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		r, err := http.NewRequestWithContext(ctx, "GET", "/", nil)
		if err != nil {
			t.Fatal(err)
		}
		r.Header.Set("Authorization", "Bearer "+access)
		reached := 0
		h := middleware.Bearer(v)(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached++ }))
		w := blank{http.Header{}}
		h.ServeHTTP(w, r)
		if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 3 {
			t.Errorf("%v allocations", n)
		}
		if reached != 102 {
			t.Errorf("%d of 102 requests were let through", reached)
		}
	}
}

// RFC 9068 2.2: what has no end has not come to it.
func TestWithoutExp(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	for _, member := range []string{"exp", "iat"} {
		if _, err := i.validator().LoadAccessToken(t.Context(), i.sign(ed25519Key, without(member))); err != oerr.ErrInvalidAccessToken {
			t.Errorf("without %s: %v", member, err)
		}
	}
}

func TestErrorsAreNamed(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	i.behave(status(500))
	_, err := i.validator().LoadAccessToken(t.Context(), i.sign(ed25519Key))
	if err == nil || !strings.Contains(err.Error(), i.address) || !strings.Contains(err.Error(), "500") || errors.Is(err, oerr.ErrInvalidAccessToken) {
		t.Errorf("got %v", err)
	}
}

// What is remembered stays so when the keys are fetched anew and are the same.
func TestRememberedOverFetches(t *testing.T) {
	inBubble(t, "renewed", func(t *testing.T) {
		i := newIssuerOver(t, true, rsaKey)
		v, access := i.validator(), i.sign(rsaKey)
		load := func() uint64 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if _, err := v.LoadAccessToken(t.Context(), access); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			return after.Mallocs - before.Mallocs
		}
		load()
		settle(6 * time.Minute)
		load() // starts the fetch
		synctest.Wait()
		i.asked(t, 2)
		if n := load(); n > 8 {
			t.Errorf("%d allocations: it was verified once more", n)
		}
	})
}
