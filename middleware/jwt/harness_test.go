package jwt_test

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/hmac"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

const api = "https://orders.example" // the audience

// Tokens are made by hand here, of the standard library alone.

func b64(octets []byte) string { return base64.RawURLEncoding.EncodeToString(octets) }

// signer is a private key, and what it is called.
type signer struct {
	kid, alg string
	private  any // []byte: HMAC
}

// must is for what only a broken random source could make fail.
func must[T any](value T, err error) T {
	if err != nil {
		panic(err)
	}
	return value
}

func newEd25519(kid string) signer {
	_, private, err := ed25519.GenerateKey(rand.Reader)
	return signer{kid, "EdDSA", must(private, err)}
}

func newP256(kid string) signer {
	return signer{kid, "ES256", must(ecdsa.GenerateKey(elliptic.P256(), rand.Reader))}
}

func newRSA(kid, alg string, bits int) signer {
	return signer{kid, alg, must(rsa.GenerateKey(rand.Reader, bits))}
}

var (
	ed25519Key = newEd25519("ed")
	p256Key    = newP256("p256")
	rsaKey     = newRSA("rsa", "RS256", 2048)
	pssKey     = newRSA("pss", "PS256", 2048)

	attacker    = newEd25519("ed")
	attackerRSA = newRSA("rsa", "RS256", 2048)
)

// signature is that of s over text, by an algorithm of any name that it can do.
func (s signer) signature(text string) []byte {
	sum := sha256.Sum256([]byte(text))
	switch key := s.private.(type) {
	case ed25519.PrivateKey:
		return ed25519.Sign(key, []byte(text))
	case *ecdsa.PrivateKey:
		if key.Curve != elliptic.P256() {
			sum := crypto.SHA384.New()
			sum.Write([]byte(text))
			return fixed(key, sum.Sum(nil), 48)
		}
		return fixed(key, sum[:], 32)
	case *rsa.PrivateKey:
		switch s.alg {
		case "PS256":
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: rsa.PSSSaltLengthEqualsHash}))
		case "PS256 with a salt of its own":
			return must(rsa.SignPSS(rand.Reader, key, crypto.SHA256, sum[:], &rsa.PSSOptions{SaltLength: 20}))
		case "RS1":
			h := crypto.SHA1.New()
			h.Write([]byte(text))
			return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA1, h.Sum(nil)))
		}
		return must(rsa.SignPKCS1v15(rand.Reader, key, crypto.SHA256, sum[:]))
	case []byte:
		h := hmac.New(sha256.New, key)
		h.Write([]byte(text))
		return h.Sum(nil)
	}
	panic("what key is this?")
}

// fixed is an ECDSA signature as RFC 7518 3.4 has it.
func fixed(key *ecdsa.PrivateKey, sum []byte, size int) []byte {
	r, s, err := ecdsa.Sign(rand.Reader, key, sum)
	if err != nil {
		panic(err)
	}
	return append(r.FillBytes(make([]byte, size)), s.FillBytes(make([]byte, size))...)
}

// jwk is the public key of s as a member of a key set.
func (s signer) jwk(changes ...change) map[string]any {
	jwk := map[string]any{"kid": s.kid, "alg": s.alg, "use": "sig"}
	switch key := s.private.(type) {
	case ed25519.PrivateKey:
		jwk["kty"], jwk["crv"], jwk["x"] = "OKP", "Ed25519", b64(key.Public().(ed25519.PublicKey))
	case *ecdsa.PrivateKey:
		point := must(key.PublicKey.Bytes())[1:]
		jwk["kty"], jwk["crv"], jwk["x"], jwk["y"] = "EC", key.Params().Name, b64(point[:len(point)/2]), b64(point[len(point)/2:])
	case *rsa.PrivateKey:
		jwk["kty"], jwk["n"], jwk["e"] = "RSA", b64(key.N.Bytes()), "AQAB"
	}
	for _, alter := range changes {
		alter(jwk)
	}
	return jwk
}

// change alters a JSON object.
type change func(map[string]any)

func set(name string, value any) change { return func(o map[string]any) { o[name] = value } }
func without(name string) change        { return func(o map[string]any) { delete(o, name) } }

// raw is JSON as it stands, as 1e400.
func raw(text string) json.RawMessage { return json.RawMessage(text) }

// header is that of a good token of s.
func (s signer) header(changes ...change) string {
	return object(map[string]any{"typ": "at+jwt", "alg": s.alg, "kid": s.kid}, changes)
}

// object writes JSON, with values of raw as they are.
func object(members map[string]any, changes []change) string {
	for _, alter := range changes {
		alter(members)
	}
	var fields []string
	for _, name := range slices.Sorted(maps.Keys(members)) {
		value, ok := members[name].(json.RawMessage)
		if !ok {
			value = must(json.Marshal(members[name]))
		}
		fields = append(fields, strconv.Quote(name)+":"+string(value))
	}
	return "{" + strings.Join(fields, ",") + "}"
}

// join signs header and claims as they stand.
func (s signer) join(header, claims string) string {
	signed := b64([]byte(header)) + "." + b64([]byte(claims))
	return signed + "." + b64(s.signature(signed))
}

// issuer is an authorization server's metadata and keys, with what it was asked.
type issuer struct {
	t        testing.TB
	address  string
	client   *http.Client
	handler  atomic.Pointer[http.HandlerFunc] // nil: what follows
	metadata atomic.Pointer[string]
	keySet   atomic.Pointer[string]
	late     atomic.Bool // its tokens have expired

	metadataAsked, keysAsked, otherAsked atomic.Int32
}

// newIssuer serves the keys over TCP, newIssuerOver by what it is told.
func newIssuer(t testing.TB, keys ...signer) *issuer { return newIssuerOver(t, false, keys...) }

func newIssuerOver(t testing.TB, pipes bool, keys ...signer) *issuer {
	i := &issuer{t: t}
	base, client := testbed.Serve(t, i, pipes)
	i.address, i.client = strings.Replace(base, "ostiary.test", "127.0.0.1", 1), client // pipes lead there, too
	i.tell()
	i.publish(jwks(keys...))
	return i
}

// tell sets the metadata.
func (i *issuer) tell(changes ...change) {
	text := object(map[string]any{"issuer": i.address, "jwks_uri": i.address + "/keys", "response_types_supported": []string{"code"}}, changes)
	i.metadata.Store(&text)
}

// publish sets the key set.
func (i *issuer) publish(text string) { i.keySet.Store(&text) }

// behave replaces all answers, until it is told nil.
func (i *issuer) behave(h http.HandlerFunc) {
	if h == nil {
		i.handler.Store(nil)
		return
	}
	i.handler.Store(&h)
}

func jwks(keys ...signer) string {
	var members []map[string]any
	for _, s := range keys {
		members = append(members, s.jwk())
	}
	return jwkSet(members...)
}

func jwkSet(members ...map[string]any) string {
	var texts []string
	for _, jwk := range members {
		texts = append(texts, object(jwk, nil))
	}
	return `{"keys":[` + strings.Join(texts, ",") + `]}`
}

func (i *issuer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		i.metadataAsked.Add(1)
	case "/keys":
		i.keysAsked.Add(1)
	default:
		i.otherAsked.Add(1)
	}
	if h := i.handler.Load(); h != nil {
		(*h)(w, r)
		return
	}
	i.answer(w, r)
}

func (i *issuer) answer(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	switch r.URL.Path {
	case "/.well-known/oauth-authorization-server":
		io.WriteString(w, *i.metadata.Load())
	case "/keys":
		io.WriteString(w, *i.keySet.Load())
	default:
		http.NotFound(w, r)
	}
}

// claims are those of a good token: alice's, of the client web.
func (i *issuer) claims(changes ...change) string {
	now := time.Now().Unix()
	if i.late.Load() {
		now -= 7200
	}
	return object(map[string]any{
		"iss": i.address, "aud": api, "sub": "alice", "client_id": "web", "scope": "orders:read", "jti": "1", "iat": now, "exp": now + 3600,
	}, changes)
}

// sign makes a token that is good but for the changes of its claims.
func (i *issuer) sign(s signer, changes ...change) string {
	return s.join(s.header(), i.claims(changes...))
}

func (i *issuer) validator(options ...jwt.Option) *jwt.Validator {
	return jwt.New(i.address, api, slices.Concat([]jwt.Option{jwt.HTTPClient(i.client), jwt.Logger(slog.New(slog.DiscardHandler))}, options)...)
}

// resource is a resource server with one guarded route.
type resource struct {
	base   string
	client *http.Client
	log    logged
}

// logged is what was written to a log.
type logged struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *logged) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *logged) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// resource serves a route that is guarded by a Validator of the issuer's.
func (i *issuer) resource(t *testing.T, options ...jwt.Option) *resource {
	return i.resourceOver(t, false, options...)
}

func (i *issuer) resourceOver(t *testing.T, pipes bool, options ...jwt.Option) *resource {
	s := new(resource)
	logger := slog.New(slog.NewJSONHandler(&s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	v := i.validator(append([]jwt.Option{jwt.Logger(logger)}, options...)...)
	protect := middleware.Bearer(v, middleware.Realm("api"), middleware.TokenLimit(1<<20)) // ours is less
	s.base, s.client = testbed.Serve(t, protect(http.HandlerFunc(whoami)), pipes)
	return s
}

func whoami(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	fmt.Fprintf(w, "client=%s user=%s scope=%s", token.GetClientID(), token.GetUserID(), token.GetScope())
}

const alices = "client=web user=alice scope=orders:read"

// reply is an answer, read in full.
type reply struct {
	status int
	header http.Header
	body   string
}

// get may be called by any goroutine.
func (s *resource) get(t *testing.T, access string) (got reply) {
	t.Helper()
	r, err := http.NewRequest(http.MethodGet, s.base+"/orders", nil)
	if err != nil {
		t.Error(err)
		return got
	}
	r.Header.Set("Authorization", "Bearer "+access)
	res, err := s.client.Do(r)
	if err != nil {
		t.Error(err)
		return got
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	return reply{res.StatusCode, res.Header, string(body)}
}

// works fails unless the token is good, and alice's.
func (s *resource) works(t *testing.T, access string) {
	t.Helper()
	if got := s.get(t, access); got.status != http.StatusOK || got.body != alices {
		t.Errorf("want %s, got %d %v %s\n%s", alices, got.status, got.header, got.body, s.log.String())
	}
}

// refuses fails unless the token is turned away (RFC 6750 3.1), with nothing of it in answer and log.
func (s *resource) refuses(t *testing.T, access string) {
	t.Helper()
	s.turnsAway(t, access, "The access token is malformed, unknown, expired or revoked.")
}

func (s *resource) turnsAway(t *testing.T, access, description string) {
	t.Helper()
	got := s.get(t, access)
	challenge := `Bearer realm="api", error="invalid_token", error_description="` + description + `"`
	body := `{"error":"invalid_token","error_description":"` + description + `"}`
	if got.status != http.StatusUnauthorized || !slices.Equal(got.header.Values("WWW-Authenticate"), []string{challenge}) || got.body != body || got.header.Get("Cache-Control") != "no-store" {
		t.Errorf("want 401 invalid_token, got %d %v %s\n%s", got.status, got.header, got.body, s.log.String())
	}
	s.keepsQuiet(t, access)
}

// fails fails unless the token can't be told good or bad right now.
func (s *resource) fails(t *testing.T, access string) {
	t.Helper()
	got := s.get(t, access)
	const body = `{"error":"temporarily_unavailable","error_description":"The access token could not be checked right now."}`
	if got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" || got.header.Values("WWW-Authenticate") != nil || got.body != body {
		t.Errorf("want 503, got %d %v %s\n%s", got.status, got.header, got.body, s.log.String())
	}
	s.keepsQuiet(t, access)
}

func (s *resource) keepsQuiet(t *testing.T, access string) {
	t.Helper()
	if len(access) > 64<<10 {
		access = access[:64<<10]
	}
	for part := range strings.SplitSeq(access, ".") {
		if len(part) >= 8 && strings.Contains(s.log.String(), part) {
			t.Errorf("the log has a part of the token:\n%s", s.log.String())
			return
		}
	}
}
