package conformance

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"maps"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/middleware"
)

// jwks fetches the keys as a validator does, from where the metadata says.
func (s *server) jwks(t *testing.T) []map[string]any {
	t.Helper()
	uri, _ := s.get(t, wellKnown).document(t)["jwks_uri"].(string)
	path, ok := strings.CutPrefix(uri, issuer)
	if !ok {
		t.Fatalf("jwks_uri is %q", uri)
	}
	var keys []map[string]any
	for _, key := range s.get(t, path).document(t)["keys"].([]any) {
		keys = append(keys, key.(map[string]any))
	}
	return keys
}

// verified reads a JWT as somebody does who knows the keys alone, with nothing but the standard library.
func (s *server) verified(t *testing.T, token string) (header, claims map[string]any) {
	t.Helper()
	header, claims = readJWT(token)
	at := strings.LastIndexByte(token, '.')
	signature := octets(t, token[at+1:])
	sum := sha256.Sum256([]byte(token[:at]))
	for _, key := range s.jwks(t) {
		if key["kid"] != header["kid"] {
			continue
		}
		number := func(name string) *big.Int { return new(big.Int).SetBytes(octets(t, key[name])) }
		var good bool
		switch header["alg"] {
		case "EdDSA":
			good = ed25519.Verify(octets(t, key["x"]), []byte(token[:at]), signature)
		case "ES256":
			public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), slices.Concat([]byte{4}, octets(t, key["x"]), octets(t, key["y"])))
			good = err == nil && len(signature) == 64 && ecdsa.Verify(public, sum[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:]))
		case "RS256":
			good = rsa.VerifyPKCS1v15(&rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}, crypto.SHA256, sum[:], signature) == nil
		case "PS256":
			good = rsa.VerifyPSS(&rsa.PublicKey{N: number("n"), E: int(number("e").Int64())}, crypto.SHA256, sum[:], signature, nil) == nil
		}
		if !good || key["alg"] != header["alg"] {
			t.Fatalf("%v has not signed %v", key, header)
		}
		return header, claims
	}
	t.Fatalf("no key %v", header["kid"])
	return nil, nil
}

func octets(t *testing.T, text any) []byte {
	t.Helper()
	octets, err := base64.RawURLEncoding.DecodeString(text.(string))
	if err != nil {
		t.Fatal(err)
	}
	return octets
}

// claimed fails unless an access token has exactly these claims, beside jti, which it returns.
func (s *server) claimed(t *testing.T, access string, want map[string]any) string {
	t.Helper()
	header, claims := s.verified(t, access)
	if header["typ"] != "at+jwt" || header["kid"] == "" || len(header) != 3 {
		t.Errorf("header %v", header)
	}
	jti, _ := claims["jti"].(string)
	delete(claims, "jti")
	isJSON(t, claims, want)
	if len(jti) != 64 {
		t.Errorf("jti %q", jti)
	}
	return jti
}

// about are the claims of a token that was issued now.
func about(client, subject string, life time.Duration, aud any, more ...string) map[string]any {
	now := time.Now()
	want := map[string]any{"iss": issuer, "client_id": client, "sub": subject, "aud": aud, "iat": float64(now.Unix()), "exp": float64(now.Add(life).Unix())}
	for i := 0; i+1 < len(more); i += 2 {
		want[more[i]] = more[i+1]
	}
	return want
}

const own = 15 * time.Minute // the life of a client's own token

// keysOf replaces the server's keys by ones of an algorithm.
func (s *server) keysOf(t *testing.T, algorithm string) {
	t.Helper()
	if _, err := s.store.Secret(t.Context(), "ostiary/keys", func([]byte) ([]byte, error) { return nil, nil }); err != nil {
		t.Fatal(err)
	}
	keys, err := grants.OpenKeys(t.Context(), s.store, grants.Algorithm(algorithm))
	if err != nil {
		t.Fatal(err)
	}
	s.keys = keys
	s.restart(grants.JWT(keys))
}

// forgeries are JWTs that this server has not signed, made of one that it has, by hand.
var forgeries = map[string]func(t *testing.T, s *server, header, claims map[string]any) string{
	"none": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["alg"] = "none"
		return joined(t, h, c, nil)
	},
	"nOnE": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["alg"] = "nOnE"
		return joined(t, h, c, []byte("x"))
	},
	"no alg": func(t *testing.T, _ *server, h, c map[string]any) string {
		delete(h, "alg")
		return joined(t, h, c, []byte("x"))
	},
	"HS256 by the key": func(t *testing.T, s *server, h, c map[string]any) string {
		h["alg"] = "HS256"
		mac := hmac.New(sha256.New, octets(t, s.jwks(t)[0]["x"]))
		text := joined(t, h, c, nil)
		mac.Write([]byte(strings.TrimSuffix(text, ".")))
		return joined(t, h, c, mac.Sum(nil))
	},
	"own key in jwk": func(t *testing.T, _ *server, h, c map[string]any) string {
		public, private, _ := ed25519.GenerateKey(nil)
		h["jwk"] = map[string]any{"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(public)}
		return signedBy(t, private, h, c)
	},
	"own key, kid of the server's": func(t *testing.T, _ *server, h, c map[string]any) string {
		_, private, _ := ed25519.GenerateKey(nil)
		return signedBy(t, private, h, c)
	},
	"own key, kid of its own": func(t *testing.T, _ *server, h, c map[string]any) string {
		_, private, _ := ed25519.GenerateKey(nil)
		h["kid"] = "mine"
		return signedBy(t, private, h, c)
	},
	"own key, no kid": func(t *testing.T, _ *server, h, c map[string]any) string {
		_, private, _ := ed25519.GenerateKey(nil)
		delete(h, "kid")
		return signedBy(t, private, h, c)
	},
	"kid a path": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["kid"] = "../../etc/passwd"
		return joined(t, h, c, make([]byte, 64))
	},
	"kid no string": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["kid"] = []int{1}
		return joined(t, h, c, make([]byte, 64))
	},
	"other algorithm": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["alg"] = "ES256"
		return joined(t, h, c, make([]byte, 64))
	},
	"other user": func(t *testing.T, _ *server, h, c map[string]any) string {
		c["sub"] = "bob"
		return joined(t, h, c, make([]byte, 64))
	},
	"signature cut": func(t *testing.T, _ *server, h, c map[string]any) string { return joined(t, h, c, make([]byte, 63)) },
	"typ": func(t *testing.T, _ *server, h, c map[string]any) string {
		h["typ"] = "JWT"
		return joined(t, h, c, make([]byte, 64))
	},
	"header no object": func(t *testing.T, _ *server, h, c map[string]any) string {
		return "W10." + strings.SplitN(joined(t, h, c, []byte("x")), ".", 2)[1]
	},
}

// joined is a JWT of these parts.
func joined(t *testing.T, header, claims map[string]any, signature []byte) string {
	t.Helper()
	var parts []string
	for _, part := range []map[string]any{header, claims} {
		text, err := json.Marshal(part)
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, base64.RawURLEncoding.EncodeToString(text))
	}
	return strings.Join(append(parts, base64.RawURLEncoding.EncodeToString(signature)), ".")
}

func signedBy(t *testing.T, key ed25519.PrivateKey, header, claims map[string]any) string {
	t.Helper()
	return joined(t, header, claims, ed25519.Sign(key, []byte(strings.TrimSuffix(joined(t, header, claims, nil), "."))))
}

var jwtRows = []row{
	{"JW-01", slices.Concat(
		each(testCase{jwt: true, moves: true}, map[string]func(t *testing.T, s *server){
			"user": func(t *testing.T, s *server) {
				s.claimed(t, s.pair(t, "web").access(), about("web", "alice", time.Hour, issuer, "scope", "read write"))
			},
			"refreshed": func(t *testing.T, s *server) {
				pair := s.pair(t, "web")
				time.Sleep(1700 * time.Millisecond)
				a := s.refreshAs(t, "web", pair.refresh(), "scope", "read").ok(t)
				want := about("web", "alice", time.Hour, issuer, "scope", "read")
				s.claimed(t, a.access(), want)
				if left := want["exp"].(float64) - float64(time.Now().UnixMilli())/1000; a.members["expires_in"].(float64) < left || a.members["expires_in"].(float64) >= left+1 {
					t.Errorf("%v s are left: %s", left, a)
				}
			},
			"client's own": func(t *testing.T, s *server) {
				s.claimed(t, s.token(t, goodToken, as("svc")).ok(t).access(), about("svc", "svc", own, issuer, "scope", "read"))
			},
			"no scope": func(t *testing.T, s *server) {
				s.claimed(t, s.token(t, "grant_type=client_credentials", as("bare")).ok(t).access(), about("bare", "bare", own, issuer))
			},
			"resource": func(t *testing.T, s *server) {
				s.claimed(t, s.token(t, goodToken+"&"+form("resource", resources[1]), as("svc")).ok(t).access(), about("svc", "svc", own, resources[1], "scope", "read"))
			},
			"resources": func(t *testing.T, s *server) {
				access := s.named(t, resources[1], resources[0]).access()
				s.claimed(t, access, func() map[string]any {
					want := about("web", "alice", time.Hour, nil, "scope", "read write")
					want["aud"] = words(resources[0], resources[1])
					return want
				}())
			},
		}, func(t *testing.T, s *server, run func(t *testing.T, s *server)) { run(t, s) }),
		[]testCase{{name: "default audience", jwt: true, moves: true, options: []grants.Option{grants.DefaultAudience("https://api.example")}, run: func(t *testing.T, s *server) {
			s.claimed(t, s.token(t, goodToken, as("svc")).ok(t).access(), about("svc", "svc", own, "https://api.example", "scope", "read"))
			s.claimed(t, s.token(t, goodToken+"&"+form("resource", resources[1]), as("svc")).ok(t).access(), about("svc", "svc", own, resources[1], "scope", "read"))
			s.guard("GET /named", nil, middleware.Audience("https://api.example"))
			access := s.token(t, goodToken, as("svc")).ok(t).access()
			if a := s.get(t, "/named", bearer(access)); a.status != 200 {
				t.Errorf("got %s", a)
			}
			s.dead(t, access) // where no name is named
		}}},
		each(testCase{jwt: true, moves: true}, same("EdDSA", "ES256", "RS256", "PS256"), func(t *testing.T, s *server, algorithm string) {
			s.keysOf(t, algorithm)
			access := s.pair(t, "web").access()
			if header, _ := readJWT(access); header["alg"] != algorithm {
				t.Errorf("header %v", header)
			}
			s.claimed(t, access, about("web", "alice", time.Hour, issuer, "scope", "read write"))
			s.works(t, access)
		}),
	)},
	{"T-18", []testCase{{name: "jwt", jwt: true, moves: true, run: func(t *testing.T, s *server) {
		a, b := s.token(t, goodToken, as("svc")).ok(t), s.token(t, goodToken, as("svc")).ok(t)
		if a.access() == b.access() {
			t.Error("one and the same token")
		}
		s.works(t, a.access())
		s.works(t, b.access())
	}}}},
	{"RT-07", each(testCase{jwt: true, moves: true}, same("EdDSA", "ES256", "RS256", "PS256"), func(t *testing.T, s *server, algorithm string) {
		s.keysOf(t, algorithm)
		r0 := s.pair(t, "web")
		r1 := s.refreshes(t, "web", r0.refresh())
		_, want := s.verified(t, r1.access())
		time.Sleep(5 * time.Second)
		again := s.refreshes(t, "web", r0.refresh())
		if _, got := s.verified(t, again.access()); !maps.Equal(got, want) || again.refresh() != r1.refresh() || again.members["expires_in"] != 3595. {
			t.Errorf("got %s with %v, want %v", again, got, want)
		}
		s.lives(t, "web", again)
	})},
	{"RV-13", []testCase{{name: "", jwt: true, run: func(t *testing.T, s *server) {
		pair, other := s.pair(t, "web"), s.pair(t, "web")
		s.works(t, pair.access())
		s.revoke(t, form("token", other.access()), as("two")).e400(t, "unauthorized_client")
		s.revoke(t, form("token", pair.access()), as("web")).done(t)
		for range 2 {
			s.dead(t, pair.access())
			s.introspect(t, "rs", pair.access()).inactive(t)
			if _, err := s.ours.LoadAccessToken(t.Context(), pair.access()); err == nil {
				t.Error("the Manager takes it")
			}
		}
		s.works(t, other.access())
		s.works(t, s.refreshes(t, "web", pair.refresh()).access()) // it has ended alone
		s.verified(t, pair.access())                               // who has the keys alone does not know
	}}}},
	{"ATK-17", []testCase{{name: "jti as a secret", jwt: true, run: func(t *testing.T, s *server) {
		victim := s.pair(t, "web")
		_, claims := readJWT(victim.access())
		s.unchanged(t, func() {
			for _, kind := range []byte{'a', 'r', 'c'} {
				token := shaped(kind, octetsOf(claims))
				s.dead(t, token)
				s.tryRefresh(t, "web", token).e400(t, "invalid_grant")
				s.redeem(t, "web", token).e400(t, "invalid_grant")
				s.revokes(t, "web", "token", token).done(t)
			}
			s.dead(t, claims["jti"].(string))
		})
		s.lives(t, "web", victim)
	}}}},
	{"ATK-25", each(testCase{jwt: true}, forgeries, func(t *testing.T, s *server, forge func(t *testing.T, s *server, header, claims map[string]any) string) {
		victim := s.pair(t, "web")
		forged := forge(t, s, first(readJWT(victim.access())), second(readJWT(victim.access())))
		s.unchanged(t, func() {
			s.dead(t, forged)
			s.introspect(t, "web", forged).inactive(t)
			s.introspect(t, "rs", forged).inactive(t)
			s.revokes(t, "web", "token", forged).done(t)
		})
		s.lives(t, "web", victim)
	})},
	{"ATK-28", each(testCase{jwt: true}, same("jku", "x5u", "kid"), func(t *testing.T, s *server, name string) {
		trap, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		heard := make(chan struct{}, 10)
		go http.Serve(trap, http.HandlerFunc(func(http.ResponseWriter, *http.Request) { heard <- struct{}{} }))
		header, claims := readJWT(s.pair(t, "web").access())
		header[name] = "http://" + trap.Addr().String() + "/keys"
		forged := joined(t, header, claims, make([]byte, 64))
		s.dead(t, forged)
		s.introspect(t, "rs", forged).inactive(t)
		s.revokes(t, "web", "token", forged).done(t)
		trap.Close()
		select {
		case <-heard:
			t.Error("the trap was called")
		default:
		}
	})},
	{"IN-01", []testCase{{name: "jwt", jwt: true, moves: true, run: func(t *testing.T, s *server) {
		pair := s.pair(t, "web")
		want := about("web", "alice", time.Hour, issuer, "scope", "read write", "token_type", "Bearer", "jti", second(readJWT(pair.access()))["jti"].(string))
		want["active"] = true
		time.Sleep(10 * time.Second)
		isJSON(t, s.introspect(t, "rs", pair.access()).active(t).members, want)
		isJSON(t, s.introspect(t, "web", pair.access()).active(t).members, want)
		if a := s.introspect(t, "web", pair.refresh()).active(t); a.members["jti"] != nil || a.members["aud"] != nil {
			t.Errorf("a refresh token is no JWT: %s", a)
		}
	}}}},
	{"IN-06", []testCase{{name: "jwt", jwt: true, run: func(t *testing.T, s *server) {
		rs := fixture("rs")
		rs.Audience = []string{resources[1]}
		s.putClient(t, rs)
		s.introspect(t, "rs", s.named(t, resources[0]).access()).inactive(t)
		s.introspect(t, "rs", s.named(t, resources[0], resources[1]).access()).active(t)
		s.introspect(t, "rs", s.pair(t, "web").access()).inactive(t) // which says that it is for the issuer
		s.introspect(t, "web", s.named(t, resources[0]).access()).active(t)
	}}}},
	{"IN-09", []testCase{{name: "not offered", jwt: true, run: func(t *testing.T, s *server) {
		access := s.pair(t, "web").access()
		for token, active := range map[string]bool{access: true, "x": false} {
			a := s.post(t, "/introspect", form("token", token), as("rs"), [2]string{"Accept", "application/token-introspection+jwt"})
			if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.members["active"] != active {
				t.Errorf("got %s", a)
			}
		}
	}}}},
	{"MD-04", []testCase{{name: "jwt", jwt: true, moves: true, run: func(t *testing.T, s *server) {
		for _, header := range [][2]string{{"Host", "evil.example"}, {"X-Forwarded-Host", "evil.example"}, {"X-Forwarded-Proto", "http"}, {"Forwarded", "host=evil.example"}} {
			s.claimed(t, s.token(t, goodToken, as("svc"), header).ok(t).access(), about("svc", "svc", own, issuer, "scope", "read"))
			if got := s.get(t, wellKnown, header).document(t)["jwks_uri"]; got != issuer+allPaths.JWKS {
				t.Errorf("jwks_uri %v", got)
			}
		}
	}}}},
	{"MD-06", []testCase{{name: "keys", jwt: true, run: func(t *testing.T, s *server) {
		for _, origin := range []string{"https://spa.example", "https://evil.example", "null", ""} {
			a := s.get(t, allPaths.JWKS, [2]string{"Origin", origin})
			a.document(t)
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("got %s", a)
			}
		}
	}}}},
	{"MD-08", slices.Concat(
		each(testCase{jwt: true, moves: true}, same("EdDSA", "ES256", "RS256", "PS256"), func(t *testing.T, s *server, algorithm string) {
			s.keysOf(t, algorithm)
			old := s.pair(t, "web").access()
			time.Sleep(10 * time.Minute)
			if err := s.keys.Rotate(t.Context()); err != nil {
				t.Fatal(err)
			}
			fresh := s.pair(t, "web").access()
			kids := make(map[any]bool)
			for _, key := range s.jwks(t) {
				kids[key["kid"]] = true
				for name := range key {
					if !slices.Contains([]string{"kty", "crv", "x", "y", "n", "e", "kid", "alg", "use"}, name) {
						t.Errorf("a key has the member %s", name)
					}
				}
			}
			was, is := first(readJWT(old))["kid"], first(readJWT(fresh))["kid"]
			if len(kids) != 3 || was == is || !kids[was] || !kids[is] {
				t.Errorf("keys %v, signed by %v, then by %v", kids, was, is)
			}
			s.verified(t, old)
			s.verified(t, fresh)
			s.works(t, old)
			s.works(t, fresh)
			if got := s.get(t, allPaths.JWKS).header.Get("Cache-Control"); got != "public, max-age=300" {
				t.Errorf("Cache-Control %s", got)
			}
		}),
		each(testCase{jwt: true}, same("POST", "PUT", "DELETE", "OPTIONS"), func(t *testing.T, s *server, method string) {
			if a := s.send(t, method, allPaths.JWKS, nil); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
				t.Errorf("got %s", a)
			}
		}),
		[]testCase{
			{name: "opaque", run: func(t *testing.T, s *server) {
				if got, there := s.get(t, wellKnown).document(t)["jwks_uri"]; there {
					t.Errorf("jwks_uri %v", got)
				}
			}},
			{name: "store fails", jwt: true, moves: true, run: func(t *testing.T, s *server) {
				keys := s.jwks(t)
				for _, broken := range breaks {
					broken(s.store)
					time.Sleep(time.Hour)
					if now := s.jwks(t); !slices.EqualFunc(now, keys, func(a, b map[string]any) bool { return maps.Equal(a, b) }) {
						t.Errorf("told %v, then %v", keys, now)
					}
				}
			}},
		},
	)},
}

func first(a, _ map[string]any) map[string]any  { return a }
func second(_, b map[string]any) map[string]any { return b }
