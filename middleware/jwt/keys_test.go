package jwt_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// inBubble runs a test whose time moves at once: everything goes over pipes in memory.
func inBubble(t *testing.T, name string, run func(t *testing.T)) {
	t.Run(name, func(t *testing.T) { synctest.Test(t, run) })
}

// hang waits until the request is over.
func hang(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }

func status(code int) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(code) }
}

// settle lets time go on by d, and what is then under way end.
func settle(d time.Duration) {
	time.Sleep(d)
	synctest.Wait()
}

// asked fails unless the keys were fetched so many times since the last look.
func (i *issuer) asked(t *testing.T, times int32) {
	t.Helper()
	if n := i.keysAsked.Swap(0); n != times {
		t.Errorf("the keys were fetched %d times, want %d", n, times)
	}
}

// JW-16: keys that come and go.
func rotation(t *testing.T) {
	other := newEd25519("other")
	inBubble(t, "JW-16/rotated", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		s.works(t, i.sign(ed25519Key))
		settle(time.Minute)
		i.publish(jwks(ed25519Key, other)) // retired, and active
		s.works(t, i.sign(other))          // fetched at once
		s.works(t, i.sign(ed25519Key))
		i.asked(t, 2)
	})
	inBubble(t, "JW-16/retired until it expires", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		access := i.sign(ed25519Key)
		s.works(t, access)
		i.publish(jwks(ed25519Key, other))
		for range 5 {
			settle(10 * time.Minute)
			s.works(t, access)
		}
		settle(10*time.Minute + 29*time.Second) // 3,629 s
		s.works(t, access)
		settle(time.Second)
		s.refuses(t, access)
	})
	for name, forget := range map[string]string{"one of two": jwks(other), "the last": `{"keys":[]}`} {
		inBubble(t, "JW-16/removed, "+name, func(t *testing.T) {
			i := newIssuerOver(t, true, ed25519Key)
			s := i.resourceOver(t, true)
			remembered := i.sign(ed25519Key)
			s.works(t, remembered)
			i.publish(forget)
			settle(5*time.Minute - time.Second)
			s.works(t, remembered) // not yet fetched anew
			settle(2 * time.Second)
			s.works(t, remembered) // starts the fetch
			synctest.Wait()
			s.refuses(t, remembered)
			s.refuses(t, i.sign(ed25519Key, set("jti", "2")))
			s.refuses(t, remembered)
			i.asked(t, 2)
			i.publish(jwks(ed25519Key)) // and back
			settle(11 * time.Second)
			s.works(t, remembered)
		})
	}
	inBubble(t, "JW-16/another key under its kid", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		remembered := i.sign(ed25519Key)
		s.works(t, remembered)
		i.publish(jwks(attacker)) // not an attacker here
		settle(5 * time.Minute)
		s.works(t, remembered)
		synctest.Wait()
		s.refuses(t, remembered)
		s.works(t, i.sign(attacker))
	})
	inBubble(t, "JW-16/removed while nobody came", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		exp := time.Now().Unix() + 1e6
		remembered := i.sign(ed25519Key, set("exp", exp))
		s.works(t, remembered)
		i.publish(jwks(other))
		settle(3 * time.Hour)
		s.refuses(t, remembered) // the keys are so old that new ones are waited for
		settle(3 * time.Hour)
		i.behave(hang)
		began := time.Now()
		s.works(t, i.sign(other)) // but not for long
		if waited := time.Since(began); waited > 2*time.Second {
			t.Errorf("waited for %v", waited)
		}
		settle(10 * time.Second)
		for range 3 {
			began = time.Now()
			s.works(t, i.sign(other)) // and not at all if that has failed
			if waited := time.Since(began); waited != 0 {
				t.Errorf("waited for %v", waited)
			}
			settle(10 * time.Second)
		}
		i.behave(nil)
		settle(10 * time.Second)
	})
}

// The keys are kept for as long as the issuer says, within reason (RFC 9111 5.2.2).
func TestMaxAge(t *testing.T) {
	for told, age := range map[string]time.Duration{
		"": 5 * time.Minute, "public": 5 * time.Minute, "max-age=600": 10 * time.Minute, "public, Max-Age=600 , immutable": 10 * time.Minute, `max-age="600"`: 10 * time.Minute,
		"max-age=1": time.Minute, "max-age=0": time.Minute, "max-age=-5": time.Minute, "max-age=x": time.Minute, "no-store": time.Minute, "no-cache, max-age=600": time.Minute,
		"max-age=99999": time.Hour, "max-age=99999999999999999999": time.Minute, "s-maxage=7": 5 * time.Minute,
	} {
		inBubble(t, told, func(t *testing.T) {
			i := newIssuerOver(t, true, ed25519Key)
			i.behave(func(w http.ResponseWriter, r *http.Request) {
				if told != "" {
					w.Header().Set("Cache-Control", told)
				}
				i.answer(w, r)
			})
			s := i.resourceOver(t, true)
			access := i.sign(ed25519Key, set("exp", time.Now().Add(24*time.Hour).Unix()))
			s.works(t, access)
			for range 3 {
				i.asked(t, 1)
				settle(age - time.Second)
				s.works(t, access)
				synctest.Wait()
				i.asked(t, 0)
				settle(2 * time.Second)
				s.works(t, access)
				s.works(t, access)
				synctest.Wait()
			}
			i.asked(t, 1)
		})
	}
}

// JW-17: keys that can't be had.
func outage(t *testing.T) {
	broken := map[string]http.HandlerFunc{
		"killed":  func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"hangs":   hang,
		"500":     status(500),
		"503":     status(503),
		"404":     status(404),
		"401":     status(401),
		"204":     status(204),
		"garbage": func(w http.ResponseWriter, _ *http.Request) { w.Write([]byte("<html>")) },
		"nothing": func(http.ResponseWriter, *http.Request) {},
		"slow": func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write([]byte(" ")); err != nil {
					return
				}
				http.NewResponseController(w).Flush()
				time.Sleep(time.Second)
			}
		},
		"cut": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Length", "1000")
			w.Write([]byte("{"))
		},
		"endless": func(w http.ResponseWriter, _ *http.Request) {
			for {
				if _, err := w.Write([]byte(strings.Repeat(" ", 4096))); err != nil {
					return
				}
			}
		},
	}
	only := func(path string, i *issuer, h http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if path != "" && r.URL.Path != path {
				i.answer(w, r)
				return
			}
			h(w, r)
		}
	}
	for name, answer := range broken {
		for part, path := range map[string]string{"": "", ", the keys alone": "/keys"} {
			inBubble(t, "JW-17/at first need, "+name+part, func(t *testing.T) {
				i := newIssuerOver(t, true, ed25519Key)
				i.behave(only(path, i, answer))
				s := i.resourceOver(t, true)
				began := time.Now()
				s.fails(t, i.sign(ed25519Key))
				if waited := time.Since(began); waited > 5*time.Second {
					t.Errorf("waited for %v", waited)
				}
				synctest.Wait()
				requests := i.metadataAsked.Load() + i.keysAsked.Load()
				began = time.Now()
				for range 20 { // at once, and asks nobody
					s.fails(t, i.sign(ed25519Key))
					s.fails(t, i.sign(attacker))
				}
				if waited := time.Since(began); waited != 0 || i.metadataAsked.Load()+i.keysAsked.Load() != requests {
					t.Errorf("waited for %v, and asked %d times", waited, i.metadataAsked.Load()+i.keysAsked.Load()-requests)
				}
				s.refuses(t, "garbage") // which is so whatever the keys are
				i.behave(nil)
				settle(6 * time.Second)
				s.works(t, i.sign(ed25519Key))
				s.refuses(t, i.sign(attacker))
			})
			inBubble(t, "JW-17/later, "+name+part, func(t *testing.T) {
				i := newIssuerOver(t, true, ed25519Key)
				s := i.resourceOver(t, true)
				remembered := i.sign(ed25519Key, set("exp", time.Now().Add(24*time.Hour).Unix()))
				s.works(t, remembered)
				i.behave(only(path, i, answer))
				settle(11 * time.Second)
				s.fails(t, i.sign(p256Key))
				s.fails(t, i.sign(p256Key))
				for range 3 { // in the back-off, after it, and once the keys are stale
					s.works(t, remembered)
					s.works(t, i.sign(ed25519Key))
					s.refuses(t, i.sign(attacker))
					settle(10 * time.Minute)
				}
				if !strings.Contains(s.log.String(), "the old keys go on") {
					t.Errorf("nobody was told:\n%s", s.log.String())
				}
				i.publish(jwks(ed25519Key, p256Key))
				i.behave(nil)
				settle(6 * time.Second)
				s.works(t, i.sign(p256Key))
				s.works(t, remembered)
			})
		}
	}
	inBubble(t, "JW-17/a fresh set does not have it", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		s.refuses(t, i.sign(p256Key))
		i.behave(status(500))
		s.refuses(t, i.sign(p256Key))
		settle(11 * time.Second)
		s.fails(t, i.sign(p256Key))
	})
	inBubble(t, "JW-17/nothing piles up", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		s.works(t, i.sign(ed25519Key))
		i.behave(hang)
		settle(11 * time.Second)
		i.asked(t, 1)
		i.metadataAsked.Store(0)
		var all sync.WaitGroup
		for n := range 100 {
			all.Go(func() {
				s.fails(t, signer{fmt.Sprint(n), "EdDSA", ed25519Key.private}.join(ed25519Key.header(set("kid", fmt.Sprint(n))), i.claims()))
			})
		}
		all.Wait()
		if n := i.metadataAsked.Load(); n != 1 {
			t.Errorf("%d requests hang", n)
		}
	})
}

// A waiter leaves when its request is over; what it waits for goes on for others.
func TestWaiterLeaves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		release := make(chan struct{})
		i.behave(func(w http.ResponseWriter, r *http.Request) {
			<-release
			i.answer(w, r)
		})
		v, access := i.validator(), i.sign(ed25519Key)
		ctx, cancel := context.WithCancel(t.Context())
		left, stayed := make(chan error, 1), make(chan error, 1)
		go func() { _, err := v.LoadAccessToken(ctx, access); left <- err }()
		go func() { _, err := v.LoadAccessToken(t.Context(), access); stayed <- err }()
		synctest.Wait()
		cancel()
		if err := <-left; !errors.Is(err, context.Canceled) || errors.Is(err, oerr.ErrInvalidAccessToken) {
			t.Errorf("got %v", err)
		}
		close(release)
		if err := <-stayed; err != nil {
			t.Errorf("got %v", err)
		}
		i.asked(t, 1)
	})
}

// panicking is a client that can't be relied on.
type panicking struct{}

func (panicking) RoundTrip(*http.Request) (*http.Response, error) { panic("no") }

// lying fails with an error that says of a token what it can't know.
type lying struct{}

func (lying) RoundTrip(*http.Request) (*http.Response, error) {
	return nil, fmt.Errorf("proxy: %w", oerr.ErrInvalidAccessToken)
}

func TestClientFails(t *testing.T) {
	for name, transport := range map[string]http.RoundTripper{"panics": panicking{}, "lies": lying{}} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, ed25519Key)
			s := i.resource(t, jwt.HTTPClient(&http.Client{Transport: transport}))
			s.fails(t, i.sign(ed25519Key))
		})
	}
}

// JW-18: key sets that are not as they should be.
func keySets(t *testing.T) {
	small := newRSA("small", "RS256", 1024)
	p384 := signer{"p384", "ES384", must(ecdsa.GenerateKey(elliptic.P384(), rand.Reader))}
	octets := []byte("0123456789abcdef0123456789abcdef")
	text := func(jwk map[string]any) string { return object(jwk, nil) }
	big := func(bytes int) string {
		b := make([]byte, bytes)
		for i := range b {
			b[i] = 0xff
		}
		return b64(b)
	}
	for name, c := range map[string]struct {
		member string // of the set
		token  func(*issuer) string
	}{
		"oct":                 {`{"kty":"oct","kid":"x","k":"` + b64(octets) + `"}`, headedAs(signer{"x", "HS256", octets})},
		"oct said to be RSA":  {`{"kty":"oct","kid":"x","alg":"RS256","k":"` + b64(octets) + `"}`, headedAs(signer{"x", "HS256", octets})},
		"use enc":             {text(p256Key.jwk(set("use", "enc"))), nil},
		"use not a string":    {text(p256Key.jwk(set("use", []string{"sig"}))), nil},
		"key_ops sign":        {text(p256Key.jwk(set("key_ops", []string{"sign"}))), nil},
		"key_ops empty":       {text(p256Key.jwk(set("key_ops", []string{}))), nil},
		"key_ops not a list":  {text(p256Key.jwk(set("key_ops", "verify"))), nil},
		"private d":           {text(p256Key.jwk(set("d", "AA"))), nil},
		"private null":        {text(p256Key.jwk(set("d", raw("null")))), nil},
		"private p":           {text(rsaKey.jwk(set("kid", "p256"), set("p", "AA"))), asKid(rsaKey, "p256")},
		"private qi":          {text(rsaKey.jwk(set("kid", "p256"), set("qi", "AA"))), asKid(rsaKey, "p256")},
		"with k":              {text(rsaKey.jwk(set("kid", "p256"), set("k", "AA"))), asKid(rsaKey, "p256")},
		"RSA of 1,024 bits":   {text(small.jwk()), good(small)},
		"RSA of 16,384 bits":  {text(rsaKey.jwk(set("kid", "p256"), set("n", big(2048)))), nil},
		"RSA, even":           {text(rsaKey.jwk(set("kid", "p256"), set("n", big(255)+"8A"))), nil},
		"RSA, exponent 1":     {text(rsaKey.jwk(set("kid", "p256"), set("e", "AQ"))), asKid(rsaKey, "p256")},
		"RSA, exponent even":  {text(rsaKey.jwk(set("kid", "p256"), set("e", "AQAA"))), asKid(rsaKey, "p256")},
		"RSA, exponent huge":  {text(rsaKey.jwk(set("kid", "p256"), set("e", big(9)))), asKid(rsaKey, "p256")},
		"RSA, exponent wraps": {text(rsaKey.jwk(set("kid", "p256"), set("e", b64([]byte{1, 0, 0, 0, 0, 0, 1, 0, 1})))), asKid(rsaKey, "p256")},
		"RSA, exponent 2^31":  {text(rsaKey.jwk(set("kid", "p256"), set("e", b64([]byte{0x80, 0, 0, 1})))), asKid(rsaKey, "p256")},
		"RSA, no exponent":    {text(rsaKey.jwk(set("kid", "p256"), without("e"))), asKid(rsaKey, "p256")},
		"RSA, no modulus":     {text(rsaKey.jwk(set("kid", "p256"), without("n"))), asKid(rsaKey, "p256")},
		"RSA, modulus padded": {text(rsaKey.jwk(set("kid", "p256"), set("n", rsaKey.jwk()["n"].(string)+"=="))), asKid(rsaKey, "p256")},
		"RSA for ES256":       {text(rsaKey.jwk(set("kid", "p256"), set("alg", "ES256"))), asKid(rsaKey, "p256")},
		"RSA for RSA-OAEP":    {text(rsaKey.jwk(set("kid", "p256"), set("alg", "RSA-OAEP"))), asKid(rsaKey, "p256")},
		"RSA for HS256":       {text(rsaKey.jwk(set("kid", "p256"), set("alg", "HS256"))), nil},
		"EC off the curve":    {text(p256Key.jwk(set("y", b64(octets)))), nil},
		"EC of zeros":         {text(p256Key.jwk(set("x", b64(make([]byte, 32))), set("y", b64(make([]byte, 32))))), nil},
		"EC without y":        {text(p256Key.jwk(without("y"))), nil},
		"EC, x short":         {text(p256Key.jwk(set("x", "AA"))), nil},
		"EC, other curve":     {text(p384.jwk()), good(p384)},
		"EC, curve unsaid":    {text(p256Key.jwk(without("crv"))), nil},
		"EC for EdDSA":        {text(p256Key.jwk(set("alg", "EdDSA"))), nil},
		"EC, alg null":        {text(p256Key.jwk(set("alg", raw("null")))), nil},
		"OKP, X25519":         {text(ed25519Key.jwk(set("kid", "p256"), set("crv", "X25519"))), asKid(ed25519Key, "p256")},
		"OKP, short":          {text(ed25519Key.jwk(set("kid", "p256"), set("x", "AA"))), asKid(ed25519Key, "p256")},
		"OKP, x a number":     {text(ed25519Key.jwk(set("kid", "p256"), set("x", 1))), asKid(ed25519Key, "p256")},
		"kty unknown":         {text(p256Key.jwk(set("kty", "AKP"))), nil},
		"kty absent":          {text(p256Key.jwk(without("kty"))), nil},
		"kid absent":          {text(p256Key.jwk(without("kid"))), nil},
		"kid empty":           {text(p256Key.jwk(set("kid", ""))), nil},
		"kid a number":        {text(p256Key.jwk(set("kid", 1))), nil},
		"names in capitals":   {strings.ToUpper(text(p256Key.jwk())), nil},
		"a member twice":      {strings.Replace(text(p256Key.jwk()), "{", `{"use":"sig",`, 1), nil},
		"no object":           {`"key"`, nil}, "null": {"null", nil}, "an array": {"[[]]", nil}, "a number": {"7", nil},
		"deep": {`{"kty":` + nested("[", "]", 5000) + "}", nil},
	} {
		t.Run("JW-18/"+name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(`{"keys":[` + c.member + "," + text(ed25519Key.jwk()) + "," + c.member + "]}")
			s := i.resource(t)
			s.works(t, i.sign(ed25519Key))
			if c.token == nil {
				c.token = good(p256Key)
			}
			s.refuses(t, c.token(i))
		})
	}

	for name, set := range map[string]struct {
		text  string
		works []signer
	}{
		"10,000 keys of no use":    {`{"keys":[` + strings.Repeat(`{"kty":"oct","kid":"x","k":"AA"},`, 9_999) + text(ed25519Key.jwk()) + "]}", []signer{ed25519Key}},
		"keys of one kid":          {jwks(attacker, ed25519Key, attackerRSA, rsaKey), []signer{ed25519Key, attacker, rsaKey, attackerRSA}},
		"one kid, two kinds":       {jwkSet(ed25519Key.jwk(set("kid", "x")), p256Key.jwk(set("kid", "x"))), []signer{{"x", "EdDSA", ed25519Key.private}, {"x", "ES256", p256Key.private}}},
		"the same key twice":       {jwks(ed25519Key, ed25519Key), []signer{ed25519Key}},
		"alg unsaid":               {jwkSet(ed25519Key.jwk(without("alg")), p256Key.jwk(without("alg")), rsaKey.jwk(without("alg"))), []signer{ed25519Key, p256Key, rsaKey}},
		"use unsaid":               {jwkSet(ed25519Key.jwk(without("use"))), []signer{ed25519Key}},
		"key_ops":                  {jwkSet(ed25519Key.jwk(set("key_ops", []string{"verify"}))), []signer{ed25519Key}},
		"with certificates":        {jwkSet(ed25519Key.jwk(set("x5c", []string{"garbage"}), set("x5u", "http://evil.example"))), []signer{ed25519Key}},
		"zeros before the modulus": {jwkSet(rsaKey.jwk(set("n", "AAAA"+rsaKey.jwk()["n"].(string)))), []signer{rsaKey}},
		"other members":            {`{"next":["x"],` + jwks(ed25519Key)[1:], []signer{ed25519Key}},
		"RSA of 4,096 bits":        {jwks(larger), []signer{larger}},
	} {
		t.Run("JW-18/"+name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(set.text)
			s := i.resource(t)
			for _, key := range set.works {
				s.works(t, i.sign(key))
			}
			i.asked(t, 1)
		})
	}
	t.Run("JW-18/PS256 only where it is said", func(t *testing.T) {
		i := newIssuer(t)
		i.publish(jwkSet(pssKey.jwk(without("alg"))))
		i.resource(t).refuses(t, i.sign(pssKey))
	})
	t.Run("JW-18/10,000 good keys", func(t *testing.T) {
		i := newIssuer(t)
		var members []string
		for n := range 10_000 {
			members = append(members, fmt.Sprintf(`{"kty":"OKP","crv":"Ed25519","kid":"%d","x":"%s"}`, n, ed25519Key.jwk()["x"]))
		}
		i.publish(`{"keys":[` + strings.Join(members, ",") + `]}`)
		s := i.resource(t)
		s.works(t, asKid(ed25519Key, "0")(i))
		s.works(t, asKid(ed25519Key, "99")(i))
		s.refuses(t, asKid(ed25519Key, "100")(i))
		s.refuses(t, asKid(ed25519Key, "9999")(i))
	})
	inBubble(t, "JW-18/a hang", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		i.behave(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/keys" {
				hang(w, r)
			}
			i.answer(w, r)
		})
		s := i.resourceOver(t, true)
		began := time.Now()
		s.fails(t, i.sign(ed25519Key))
		if waited := time.Since(began); waited != 5*time.Second {
			t.Errorf("waited for %v", waited)
		}
		i.behave(nil)
		settle(5 * time.Second)
		s.works(t, i.sign(ed25519Key))
	})
	for name, wrong := range map[string]string{"no keys": "{}", "null": `{"keys":null}`, "an object": `{"keys":{}}`, "an array": "[]", "cut": `{"keys":[`, "Keys": `{"Keys":[]}`, "empty": ""} {
		t.Run("JW-18/no set, "+name, func(t *testing.T) {
			i := newIssuer(t)
			i.publish(wrong)
			i.resource(t).fails(t, i.sign(ed25519Key))
		})
	}
}

var larger = newRSA("larger", "RS256", 4096)

func headedAs(s signer) func(*issuer) string {
	return func(i *issuer) string { return i.sign(s) }
}

// asKid makes a token by a key that goes by another kid.
func asKid(s signer, kid string) func(*issuer) string {
	s.kid = kid
	return good(s)
}

// JW-07, ATK-26: tokens of unknown kids have the keys fetched once an interval, whoever else comes.
func unknownKids(t *testing.T) {
	for row, tokens := range map[string]int{"JW-07/an interval": 50, "ATK-26/1,000 unknown kids": 1000} {
		inBubble(t, row, func(t *testing.T) {
			i := newIssuerOver(t, true, ed25519Key)
			s := i.resourceOver(t, true)
			s.works(t, i.sign(ed25519Key))
			i.asked(t, 1)
			for interval := range 3 {
				settle(10 * time.Second)
				var all sync.WaitGroup
				for n := range tokens {
					kid := fmt.Sprint(interval, "/", n)
					all.Go(func() { s.refuses(t, attacker.join(attacker.header(set("kid", kid)), i.claims())) })
					if n%10 == 0 {
						all.Go(func() { s.works(t, i.sign(ed25519Key, set("jti", kid))) })
					}
				}
				all.Wait()
				i.asked(t, 1)
				settle(9 * time.Second)
				s.refuses(t, asKid(p256Key, "other")(i))
				i.asked(t, 0)
			}
		})
	}
	inBubble(t, "ATK-26/valid tokens meanwhile", func(t *testing.T) {
		i := newIssuerOver(t, true, ed25519Key)
		s := i.resourceOver(t, true)
		s.works(t, i.sign(ed25519Key))
		settle(10 * time.Second)
		i.behave(hang) // while the fetch for an unknown one hangs
		go s.get(t, i.sign(p256Key))
		synctest.Wait()
		began := time.Now()
		s.works(t, i.sign(ed25519Key))
		s.works(t, i.sign(ed25519Key, set("jti", "2")))
		if waited := time.Since(began); waited != 0 {
			t.Errorf("waited for %v", waited)
		}
		settle(5 * time.Second)
	})
}
