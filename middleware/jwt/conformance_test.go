package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"math/big"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

// attempt is a token that is presented.
type attempt struct {
	name  string
	token func(i *issuer) string
}

// TestConformance runs the rows of JWT validators, and of attacks on them, over HTTP: a guarded route, and an
// issuer that counts what it is asked.
func TestConformance(t *testing.T) {
	for row, attempts := range map[string][]attempt{"JW-02": accepted} {
		for _, a := range attempts {
			t.Run(row+"/"+a.name, func(t *testing.T) {
				i := newIssuer(t, ed25519Key, p256Key, rsaKey, pssKey)
				s := i.resource(t)
				access := a.token(i)
				s.works(t, access)
				s.works(t, access) // remembered
			})
		}
	}
	for _, row := range refusedRows {
		for _, a := range row.attempts {
			t.Run(row.id+"/"+a.name, func(t *testing.T) { refusedAlways(t, a) })
		}
	}
	for _, row := range refusedRows {
		switch row.id {
		case "JW-03", "JW-04", "JW-05", "JW-06", "JW-07", "JW-08", "JW-09":
			for _, a := range row.attempts {
				t.Run("ATK-25/"+row.id+"/"+a.name, func(t *testing.T) { refusedAlways(t, a) })
			}
		}
	}
	t.Run("JW-06/no request", callsNobody)
	t.Run("ATK-28", callsNobody)
	times(t)
	rotation(t)
	outage(t)
	keySets(t)
	unknownKids(t)
	foreignMetadata(t)
	exhaustion(t)
	resources(t)
	clients(t)
}

// refusedAlways fails unless a token is refused by a resource server that has no keys yet, by one that has them,
// and with no more than one fetch and no other request.
func refusedAlways(t *testing.T, a attempt) {
	i := newIssuer(t, ed25519Key, p256Key, rsaKey, pssKey)
	s := i.resource(t)
	access := a.token(i)
	s.refuses(t, access)
	s.works(t, i.sign(p256Key))
	s.refuses(t, access)
	s.refuses(t, access)
	if n := i.keysAsked.Load(); n != 1 {
		t.Errorf("the keys were fetched %d times", n)
	}
	if n := i.otherAsked.Load(); n != 0 {
		t.Errorf("%d other requests were made", n)
	}
	if strings.Contains(s.log.String(), "kid is unknown") != strings.HasPrefix(a.name, "unknown") {
		t.Errorf("refused for a wrong reason:\n%s", s.log.String())
	}
}

// good makes a token of each key, with claims that are changed.
func good(s signer, changes ...change) func(*issuer) string {
	return func(i *issuer) string { return i.sign(s, changes...) }
}

// headed makes a token whose header is changed.
func headed(s signer, changes ...change) func(*issuer) string {
	return func(i *issuer) string { return s.join(s.header(changes...), i.claims()) }
}

var accepted = []attempt{
	{"EdDSA", good(ed25519Key)}, {"ES256", good(p256Key)}, {"RS256", good(rsaKey)}, {"PS256", good(pssKey)},
	{"typ application/at+jwt", headed(ed25519Key, set("typ", "application/at+jwt"))},
	{"typ AT+JWT", headed(ed25519Key, set("typ", "AT+JWT"))},
	{"typ Application/At+Jwt", headed(ed25519Key, set("typ", "Application/At+Jwt"))},
	{"aud an array that has ours", good(ed25519Key, set("aud", []string{"https://other.example", api}))},
	{"aud an array of ours", good(ed25519Key, set("aud", []string{api}))},
	{"header parameters that are not looked at", headed(ed25519Key, set("jku", "https://evil.example"), set("jwk", attacker.jwk()), set("x5c", []string{"x"}), set("cty", "x"))},
	{"members that nobody knows", good(ed25519Key, set("tenant", map[string]any{"id": []int{7}}), set("act", map[string]any{"sub": "svc"}))},
	{"times with fractions", good(ed25519Key, set("exp", raw("4e9")), set("iat", raw("1.5e9")), set("nbf", 1500000000.5))},
	{"a little late", good(ed25519Key, set("exp", time.Now().Unix()-1))},
	{"a little early", func(i *issuer) string {
		soon := time.Now().Unix() + 20
		return i.sign(ed25519Key, set("iat", soon), set("nbf", soon))
	}},
}

type refusedRow struct {
	id       string
	attempts []attempt
}

var refusedRows = []refusedRow{
	{"JW-03", unsigned()},
	{"JW-04", symmetric()},
	{"JW-05", []attempt{
		{"PS256 by an RS256 key", func(i *issuer) string {
			return as(rsaKey, "PS256").join(rsaKey.header(set("alg", "PS256")), i.claims())
		}},
		{"RS256 by a PS256 key", func(i *issuer) string {
			return as(pssKey, "RS256").join(pssKey.header(set("alg", "RS256")), i.claims())
		}},
		{"RS1 by an RS256 key", func(i *issuer) string { return as(rsaKey, "RS1").join(rsaKey.header(set("alg", "RS1")), i.claims()) }},
		{"PKCS 1.5 said to be PS256", func(i *issuer) string { return as(pssKey, "RS256").join(pssKey.header(), i.claims()) }},
		{"PS256 with a salt of another length", func(i *issuer) string {
			return as(pssKey, "PS256 with a salt of its own").join(pssKey.header(), i.claims())
		}},
		{"ES384 by an ES256 key", headed(p256Key, set("alg", "ES384"))},
		{"EdDSA by an ES256 key", headed(p256Key, set("alg", "EdDSA"))},
		{"ES256 by an EdDSA key", headed(ed25519Key, set("alg", "ES256"))},
		{"RS256 by an EdDSA key", headed(ed25519Key, set("alg", "RS256"))},
		{"alg in other letters", headed(ed25519Key, set("alg", "eddsa"))},
		{"alg of one key and kid of another", func(i *issuer) string { return ed25519Key.join(rsaKey.header(set("alg", "EdDSA")), i.claims()) }},
	}},
	{"JW-06", broughtAlong("https://evil.example/keys")},
	{"JW-07", append(variants("kid", headed, "absent", nil, "empty", "", "a number", 1, "null", raw("null"), "an array", []string{"ed"}, "an object", map[string]any{"ed": 1}),
		variants("kid", headed, "unknown", "other", "unknown ../../etc/passwd", "../../etc/passwd", "unknown ' or 1=1", "' or 1=1", "unknown ED", "ED", "unknown with a zero", "ed\x00", "unknown with a space", "ed ")...)},
	{"JW-08", variants("typ", headed, "absent", nil, "JWT", "JWT", "logout+jwt", "logout+jwt", "token-introspection+jwt", "token-introspection+jwt", "empty", "",
		"null", raw("null"), "an array", []string{"at+jwt"}, "with a space", "at+jwt ", "with a parameter", "at+jwt;x=y", "with a part more", "x/at+jwt", "dpop+jwt", "dpop+jwt")},
	{"JW-09", append(append(append(
		variants("crit", headed, "crit of a name", []string{"b64"}, "crit of exp", []string{"exp"}, "crit empty", []string{}, "crit null", raw("null"), "crit not an array", "exp", "crit an object", map[string]any{}),
		variants("b64", headed, "b64 false", false, "b64 true", true)...),
		variants("zip", headed, "zip", "DEF")...),
		attempt{"five parts", func(i *issuer) string { return i.sign(ed25519Key) + ".e30.e30" }},
		attempt{"five parts of a JWE", func(i *issuer) string {
			return b64([]byte(`{"alg":"dir","enc":"A256GCM","kid":"ed","typ":"at+jwt"}`)) + ".." + strings.Repeat("x", 16) + ".e30." + strings.Repeat("y", 22)
		}},
		attempt{"b64 false with crit, and so signed", func(i *issuer) string {
			header := ed25519Key.header(set("b64", false), set("crit", []string{"b64"}))
			signature := ed25519Key.signature(b64([]byte(header)) + "." + i.claims())
			return b64([]byte(header)) + "." + b64([]byte(i.claims())) + "." + b64(signature)
		}},
		attempt{"header not an object", func(i *issuer) string { return ed25519Key.join(`["EdDSA"]`, i.claims()) }},
		attempt{"header null", func(i *issuer) string { return ed25519Key.join("null", i.claims()) }},
		attempt{"header not UTF-8", func(i *issuer) string {
			return ed25519Key.join(`{"typ":"at+jwt","alg":"EdDSA","kid":"ed","x":"`+"\xff"+`"}`, i.claims())
		}},
		attempt{"header in UTF-16", func(i *issuer) string { return ed25519Key.join("\xff\xfe{\x00}\x00", i.claims()) }},
	)},
	{"JW-10", append([]attempt{
		{"longer", func(i *issuer) string { return i.sign(ed25519Key, set("iss", i.address+"x")) }},
		{"shorter", func(i *issuer) string { return i.sign(ed25519Key, set("iss", i.address[:len(i.address)-1])) }},
		{"with a final slash", func(i *issuer) string { return i.sign(ed25519Key, set("iss", i.address+"/")) }},
		{"an array of ours", func(i *issuer) string { return i.sign(ed25519Key, set("iss", []string{i.address})) }},
		{"in capitals", func(i *issuer) string { return i.sign(ed25519Key, set("iss", strings.ToUpper(i.address))) }},
	}, variants("iss", good, "other", "https://evil.example", "absent", nil, "empty", "", "null", raw("null"), "a number", 1)...)},
	{"JW-11", variants("aud", good, "other", "https://evil.example", "absent", nil, "an empty array", []string{}, "a number", 1, "null", raw("null"), "an object", map[string]any{api: true},
		"empty", "", "shorter", api[:len(api)-1], "longer", api+"x", "with a final slash", api+"/", "in capitals", strings.ToUpper(api), "two in one", api+" https://other.example",
		"others", []string{"https://a.example", "https://b.example"})},
	{"ATK-25", variants("aud", good, "aud array with a number beside ours", []any{api, 1}, "aud array with null", []any{api, nil}, "aud array in an array", []any{[]string{api}},
		"aud array of an object", []any{map[string]any{"x": api}}, "aud array of parts", strings.Split(api, "/"), "aud array with an empty name", []string{""})},
	{"JW-12", slices.Concat(
		variants("exp", good, "exp absent", nil, "exp a string", "9999999999", "exp negative", -1, "exp 1e400", raw("1e400"), "exp -1e400", raw("-1e400"), "exp null", raw("null"), "exp true", true,
			"exp an array", []int{9999999999}, "exp far too large", raw("99999999999999999999"), "exp zero", 0, "exp past", time.Now().Unix()-60, "exp long past", 1, "exp tiny", raw("1e-400")),
		variants("nbf", good, "nbf ahead", time.Now().Unix()+3600, "nbf a string", "0", "nbf null", raw("null"), "nbf negative", -1, "nbf 1e400", raw("1e400")),
		variants("iat", good, "iat ahead", time.Now().Unix()+3600, "iat absent", nil, "iat a string", "1500000000", "iat null", raw("null"), "iat negative", -1, "iat 1e400", raw("1e400"), "iat an object", map[string]any{}),
		variants("sub", good, "sub absent", nil, "sub empty", "", "sub a number", 1, "sub null", raw("null"), "sub an array", []string{"alice"}),
		variants("client_id", good, "client_id absent", nil, "client_id empty", "", "client_id a number", 1, "client_id null", raw("null"), "client_id an object", map[string]any{}),
		variants("jti", good, "jti absent", nil, "jti empty", "", "jti a number", 1, "jti null", raw("null"), "jti true", true),
		variants("scope", good, "scope an array", []string{"orders:read"}, "scope null", raw("null"), "scope a number", 1),
		variants("cnf", good, "cnf null", raw("null"), "cnf empty", map[string]any{}, "cnf a string", "x"),
		[]attempt{
			{"claims an array", func(i *issuer) string { return ed25519Key.join(ed25519Key.header(), "["+i.claims()+"]") }},
			{"claims a string", func(i *issuer) string { return ed25519Key.join(ed25519Key.header(), `"x"`) }},
			{"claims none", func(i *issuer) string { return ed25519Key.join(ed25519Key.header(), "{}") }},
			{"claims not JSON", func(i *issuer) string { return ed25519Key.join(ed25519Key.header(), i.claims()+"}") }},
			{"claims not UTF-8", func(i *issuer) string {
				return ed25519Key.join(ed25519Key.header(), strings.Replace(i.claims(), "alice", "al\xffce", 1))
			}},
			{"NaN", good(ed25519Key, set("exp", raw("NaN")))}, {"Infinity", good(ed25519Key, set("exp", raw("Infinity")))}, {"hexadecimal", good(ed25519Key, set("exp", raw("0x7fffffff")))},
		})},
	{"JW-13", damaged()},
	{"JW-14", twice()},
	{"JW-15", []attempt{
		{"over 8 KiB", func(i *issuer) string { return i.sign(ed25519Key, set("pad", strings.Repeat("x", 8<<10*3/4))) }},
		{"one byte over 8 KiB", func(i *issuer) string {
			for n := 8 << 10 * 3 / 4; ; n-- {
				if access := i.sign(ed25519Key, set("pad", strings.Repeat("x", n))); len(access) <= 8<<10+2 {
					if len(access) <= 8<<10 {
						access = i.sign(ed25519Key, set("pad", strings.Repeat("x", n+1)))
					}
					return access
				}
			}
		}},
		{"100,000 dots", func(i *issuer) string { return strings.Repeat(".", 100_000) }},
		{"8,192 dots", func(i *issuer) string { return strings.Repeat(".", 8192) }},
		{"claims 2,800 deep", func(i *issuer) string { return i.sign(ed25519Key, set("x", raw(nested("[", "]", 2800)))) }},
		{"claims 900 objects deep", func(i *issuer) string { return i.sign(ed25519Key, set("x", raw(nested(`{"":`, "}", 900)))) }},
		{"header 2,800 deep", headed(ed25519Key, set("x", raw(nested("[", "]", 2800))))},
		{"header 10,000 deep", headed(ed25519Key, set("x", raw(nested("[", "]", 10_000))))},
		{"claims 10,000 deep", good(ed25519Key, set("x", raw(nested("[", "]", 10_000))))},
		{"claims 17 deep", good(ed25519Key, set("x", raw(nested("[", "]", 16))))},
	}},
}

func nested(opening, closing string, depth int) string {
	if opening == "[" {
		return strings.Repeat("[", depth) + strings.Repeat("]", depth)
	}
	return strings.Repeat(opening, depth) + "1" + strings.Repeat(closing, depth)
}

// variants are tokens of which one member has each of the values: pairs of a name and a value, nil for none.
func variants(member string, make func(signer, ...change) func(*issuer) string, pairs ...any) (attempts []attempt) {
	for n := 0; n < len(pairs); n += 2 {
		alter := set(member, pairs[n+1])
		if pairs[n+1] == nil {
			alter = without(member)
		}
		attempts = append(attempts, attempt{pairs[n].(string), make(ed25519Key, alter)})
	}
	return attempts
}

// as is a signer that goes by another algorithm.
func as(s signer, alg string) signer {
	s.alg = alg
	return s
}

// JW-03.
func unsigned() (attempts []attempt) {
	for name, alg := range map[string]any{"none": "none", "None": "None", "nOnE": "nOnE", "NONE": "NONE", "empty": "", "null": raw("null"), "an array": []string{"EdDSA"}, "an object": map[string]any{}, "a number": 1, "absent": nil} {
		alter := set("alg", alg)
		if alg == nil {
			alter = without("alg")
		}
		attempts = append(attempts,
			attempt{name + ", no signature", func(i *issuer) string {
				return b64([]byte(ed25519Key.header(alter))) + "." + b64([]byte(i.claims())) + "."
			}},
			attempt{name + ", some signature", func(i *issuer) string {
				return b64([]byte(ed25519Key.header(alter))) + "." + b64([]byte(i.claims())) + ".c2ln"
			}},
			attempt{name + ", a good signature", headed(ed25519Key, alter)})
	}
	return append(attempts, attempt{"EdDSA, empty signature", func(i *issuer) string {
		access := i.sign(ed25519Key)
		return access[:strings.LastIndexByte(access, '.')+1]
	}})
}

// JW-04: HMAC by what everybody knows.
func symmetric() (attempts []attempt) {
	public := rsaKey.private.(*rsa.PrivateKey).Public()
	der := must(x509.MarshalPKIXPublicKey(public))
	pkcs1 := x509.MarshalPKCS1PublicKey(public.(*rsa.PublicKey))
	for name, secret := range map[string][]byte{
		"PEM":          pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"PEM trimmed":  bytes.TrimSpace(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der})),
		"PEM PKCS 1":   pem.EncodeToMemory(&pem.Block{Type: "RSA PUBLIC KEY", Bytes: pkcs1}),
		"DER":          der,
		"DER PKCS 1":   pkcs1,
		"JWK":          must(json.Marshal(rsaKey.jwk())),
		"JWK text":     []byte(object(rsaKey.jwk(), nil)),
		"modulus":      public.(*rsa.PublicKey).N.Bytes(),
		"modulus text": []byte(b64(public.(*rsa.PublicKey).N.Bytes())),
		"nothing":      {},
		"EdDSA octets": ed25519Key.private.(ed25519.PrivateKey).Public().(ed25519.PublicKey),
	} {
		for _, alg := range []string{"HS256", "RS256", "EdDSA"} {
			for _, kid := range []string{"rsa", "ed"} {
				attempts = append(attempts, attempt{name + ", " + alg + " of " + kid, func(i *issuer) string {
					return signer{kid, alg, secret}.join(signer{kid, alg, nil}.header(), i.claims())
				}})
			}
		}
	}
	return attempts
}

// broughtAlong are tokens of JW-06: signed by the attacker's key, which they bring or say where it is.
func broughtAlong(address string) (attempts []attempt) {
	certificate := func(s signer) []string {
		template := &x509.Certificate{SerialNumber: big.NewInt(1)}
		der := must(x509.CreateCertificate(rand.Reader, template, template, s.private.(crypto.Signer).Public(), s.private))
		return []string{base64.StdEncoding.EncodeToString(der)}
	}
	for _, s := range []signer{attacker, attackerRSA} {
		for name, alter := range map[string]change{
			"jwk": set("jwk", s.jwk()), "jku": set("jku", address), "x5u": set("x5u", address), "x5c": set("x5c", certificate(s)),
			"all": func(h map[string]any) {
				h["jwk"], h["jku"], h["x5u"], h["x5c"] = s.jwk(), address, address, certificate(s)
			},
			"kid is the address and jku": set("jku", address),
		} {
			attempts = append(attempts, attempt{name + " " + s.alg, headed(s, alter)},
				attempt{"unknown kid, " + name + " " + s.alg, headed(s, alter, set("kid", address))},
				attempt{"no kid, " + name + " " + s.alg, headed(s, alter, without("kid"))})
		}
	}
	return attempts
}

// callsNobody presents tokens that name a trap, at which the attacker's key can be had.
func callsNobody(t *testing.T) {
	var heard atomic.Int32
	trap := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		heard.Add(1)
		w.Write([]byte(jwks(attacker, attackerRSA)))
	}))
	defer trap.Close()
	for _, name := range []string{"jku", "x5u"} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, ed25519Key, p256Key, rsaKey, pssKey)
			s := i.resource(t)
			for _, a := range broughtAlong(trap.URL) {
				s.refuses(t, a.token(i))
			}
			s.refuses(t, i.sign(attacker, set("iss", trap.URL)))
			s.refuses(t, i.sign(attacker, set("jku", trap.URL), set("jwks_uri", trap.URL)))
			s.works(t, i.sign(ed25519Key))
			if heard.Load() != 0 || i.otherAsked.Load() != 0 || i.keysAsked.Load() != 1 {
				t.Errorf("the trap has heard %d requests, the issuer %d of keys and %d others", heard.Load(), i.keysAsked.Load(), i.otherAsked.Load())
			}
		})
	}
}

// JW-13.
func damaged() []attempt {
	of := func(s signer, alter func(head, claims, signature string) string) func(*issuer) string {
		return func(i *issuer) string {
			parts := strings.Split(i.sign(s), ".")
			return alter(parts[0], parts[1], parts[2])
		}
	}
	resigned := func(s signer, alter func(signature []byte) []byte) func(*issuer) string {
		return of(s, func(head, claims, signature string) string {
			octets := must(base64.RawURLEncoding.DecodeString(signature))
			return head + "." + claims + "." + b64(alter(octets))
		})
	}
	attempts := []attempt{
		{"ECDSA as DER", resigned(p256Key, func(b []byte) []byte {
			return must(asn1.Marshal(struct{ R, S *big.Int }{new(big.Int).SetBytes(b[:32]), new(big.Int).SetBytes(b[32:])}))
		})},
		{"ECDSA of zeros", resigned(p256Key, func([]byte) []byte { return make([]byte, 64) })},
		{"ECDSA of the order", resigned(p256Key, func([]byte) []byte {
			n := elliptic.P256().Params().N.Bytes()
			return append(n, n...)
		})},
		{"EdDSA of zeros", resigned(ed25519Key, func([]byte) []byte { return make([]byte, 64) })},
		{"EdDSA malleable", resigned(ed25519Key, addOrder)},
		{"RSA of zeros", resigned(rsaKey, func([]byte) []byte { return make([]byte, 256) })},
		{"RSA of one", resigned(rsaKey, func([]byte) []byte { return append(make([]byte, 255), 1) })},
		{"of another ES256 key", func(i *issuer) string { return newP256("p256").join(p256Key.header(), i.claims()) }},
		{"claims of another token", of(ed25519Key, func(head, claims, signature string) string {
			return head + "." + b64([]byte(`{"sub":"bob"}`)) + "." + signature
		})},
		{"header of another token", of(ed25519Key, func(head, claims, signature string) string {
			return b64([]byte(ed25519Key.header(set("x", 1)))) + "." + claims + "." + signature
		})},
	}
	for _, s := range []signer{ed25519Key, p256Key, rsaKey, pssKey} {
		attempts = append(attempts,
			attempt{s.alg + " cut", resigned(s, func(b []byte) []byte { return b[:len(b)-1] })},
			attempt{s.alg + " cut in front", resigned(s, func(b []byte) []byte { return b[1:] })},
			attempt{s.alg + " halved", resigned(s, func(b []byte) []byte { return b[:len(b)/2] })},
			attempt{s.alg + " longer", resigned(s, func(b []byte) []byte { return append(b, 0) })},
			attempt{s.alg + " longer in front", resigned(s, func(b []byte) []byte { return append([]byte{0}, b...) })},
			attempt{s.alg + " first bit changed", resigned(s, func(b []byte) []byte { b[0] ^= 0x80; return b })},
			attempt{s.alg + " last bit changed", resigned(s, func(b []byte) []byte { b[len(b)-1] ^= 1; return b })},
			attempt{s.alg + " of another token", func(i *issuer) string {
				one, other := i.sign(s), i.sign(s, set("jti", "2"))
				return one[:strings.LastIndexByte(one, '.')] + other[strings.LastIndexByte(other, '.'):]
			}},
			attempt{s.alg + " padded", of(s, func(head, claims, signature string) string {
				return head + "." + claims + "." + signature + strings.Repeat("=", (4-len(signature)%4)%4+4*(1-min(1, len(signature)%4)))
			})},
			attempt{s.alg + " with bits left over", of(s, func(head, claims, signature string) string {
				const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
				last := strings.IndexByte(alphabet, signature[len(signature)-1])
				return head + "." + claims + "." + signature[:len(signature)-1] + alphabet[last|1:last|1+1]
			})},
			attempt{s.alg + " header padded", of(s, func(head, claims, signature string) string { return head + "==." + claims + "." + signature })},
			attempt{s.alg + " claims padded", func(i *issuer) string {
				signed := b64([]byte(s.header())) + "." + base64.URLEncoding.EncodeToString([]byte(i.claims(set("x", strings.Repeat("y", 2)))))
				return signed + "=." + b64(s.signature(signed+"="))
			}},
			attempt{s.alg + " a fourth part", func(i *issuer) string { return i.sign(s) + ".e30" }},
			attempt{s.alg + " a trailing dot", func(i *issuer) string { return i.sign(s) + "." }},
			attempt{s.alg + " a leading dot", func(i *issuer) string { return "." + i.sign(s) }},
			attempt{s.alg + " trailing bytes", func(i *issuer) string { return i.sign(s) + "AAAA" }},
			attempt{s.alg + " twice", func(i *issuer) string { return i.sign(s) + "." + i.sign(s) }},
			attempt{s.alg + " two parts", of(s, func(head, claims, signature string) string { return head + "." + claims })},
			attempt{s.alg + " no header", of(s, func(head, claims, signature string) string { return "." + claims + "." + signature })},
			attempt{s.alg + " no claims", of(s, func(head, claims, signature string) string { return head + ".." + signature })},
			attempt{s.alg + " standard Base64", func(i *issuer) string {
				for n := 0; ; n++ { // until a signature has a character that differs
					access := i.sign(s, set("jti", strings.Repeat("x", n)+"."))
					if at := strings.LastIndexByte(access, '.'); strings.ContainsAny(access[at:], "-_") {
						return access[:at] + strings.NewReplacer("-", "+", "_", "/").Replace(access[at:])
					}
				}
			}})
	}
	return attempts
}

// addOrder makes another signature of the same text, if s is not held against the order of the group.
func addOrder(signature []byte) []byte {
	order, _ := new(big.Int).SetString("7237005577332262213973186563042994240857116359379907606001950938285454250989", 10)
	s := bytes.Clone(signature[32:])
	for i, j := 0, len(s)-1; i < j; i, j = i+1, j-1 {
		s[i], s[j] = s[j], s[i]
	}
	sum := new(big.Int).Add(new(big.Int).SetBytes(s), order).FillBytes(make([]byte, 32))
	for i, j := 0, len(sum)-1; i < j; i, j = i+1, j-1 {
		sum[i], sum[j] = sum[j], sum[i]
	}
	return append(bytes.Clone(signature[:32]), sum...)
}

// JW-14.
func twice() (attempts []attempt) {
	doubled := func(text, member string) string { return strings.Replace(text, "{", "{"+member+",", 1) }
	for _, member := range []string{`"alg":"EdDSA"`, `"alg":"none"`, `"kid":"ed"`, `"kid":"rsa"`, `"typ":"at+jwt"`, `"typ":"JWT"`, `"\u0061lg":"EdDSA"`} {
		attempts = append(attempts, attempt{"header " + member, func(i *issuer) string {
			return ed25519Key.join(doubled(ed25519Key.header(), member), i.claims())
		}})
	}
	for _, member := range []string{`"sub":"alice"`, `"sub":"bob"`, `"exp":9999999999`, `"exp":1`, `"aud":"` + api + `"`, `"aud":"x"`, `"iss":"x"`, `"scope":"admin"`, `"client_id":"web"`, `"jti":"1"`, `"su\u0062":"bob"`,
		`"x":{"y":1,"y":1}`, `"x":[{"y":1,"y":2}]`} {
		attempts = append(attempts, attempt{"claim " + member, func(i *issuer) string {
			return ed25519Key.join(ed25519Key.header(), doubled(i.claims(), member))
		}})
	}
	return attempts
}
