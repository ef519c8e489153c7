package grants

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"time"

	"github.com/ostiary-go/ostiary/internal/bounded"
	"github.com/ostiary-go/ostiary/internal/jws"
	"github.com/ostiary-go/ostiary/storage"
)

// JWT makes access tokens JWTs (RFC 9068), signed by keys, so that services which know nothing but the
// issuer can check them: [Issuer] is required with it. Codes and refresh tokens stay as they are, and so do
// revocation, introspection and the Manager as a validator: it looks the grant up, as for opaque tokens.
// Services that have the keys alone take a token until it expires, whatever became of its grant: keep
// [AccessLifetime] short. Opaque access tokens that were issued before stay good.
//
// The audience of a token is what was asked for (RFC 8707), else [DefaultAudience], else the issuer. Its jti
// names the grant and the token, and is no secret: who has it has nothing.
func JWT(keys *Keys) Option {
	if keys == nil || keys.set.Load() == nil {
		panic("grants: JWT: no keys")
	}
	return func(m *Manager) {
		m.longestSigned = keys.longestLife()
		m.newSigned = func(m *Manager, cacheSize int64) signed { return newJWTs(m, keys, cacheSize) }
	}
}

// signed are access tokens that are signed. Manager knows them as an interface, by which a program that has
// none links nothing of them.
type signed interface {
	// text is the token.
	text(ctx context.Context, i *issued, audience []string, claims map[string]any) (string, error)

	// read reads a token; ok is false where it is none of ours. The error is that of the store.
	read(ctx context.Context, s string) (t token, ok bool, err error)

	// remembered is read for what was read before. It goes on where the store is away.
	remembered(ctx context.Context, s string) (t token, ok bool)

	public(ctx context.Context) ([]PublicKey, error)
}

type jwts struct {
	issuer       string
	keys         *Keys
	storeTimeout time.Duration
	warn         func(ctx context.Context, err error) // of keys that could not be looked at

	verified *bounded.Table[[sha256.Size]byte, verifiedJWT]
}

// verifiedJWT is what is left to know of a token whose signature was verified.
type verifiedJWT struct {
	grant  storage.ID
	digest storage.Digest
	key    string // its ID
}

func newJWTs(m *Manager, keys *Keys, cacheSize int64) *jwts {
	hash := func(sum [sha256.Size]byte) uint64 { return binary.LittleEndian.Uint64(sum[:]) }
	cost := func([sha256.Size]byte, verifiedJWT) int64 { return 0 }
	return &jwts{
		issuer: m.issuer, keys: keys, storeTimeout: m.storeTimeout, verified: bounded.New(cacheSize, hash, cost, nil),
		warn: func(ctx context.Context, err error) {
			m.logger.WarnContext(ctx, "the keys that sign could not be looked at; those known go on", "error", err.Error())
		},
	}
}

const typeAccessToken = "at+jwt" // RFC 9068 2.1

func (j *jwts) text(ctx context.Context, i *issued, audience []string, claims map[string]any) (string, error) {
	key, err := j.keys.signer(ctx)
	if err != nil {
		j.warn(ctx, err)
	}
	subject := i.user
	if subject == "" {
		subject = i.client // RFC 9068 2.2
	}
	hidden := digest(AccessKind, i.access[:])
	members := map[string]any{
		"iss": j.issuer, "sub": subject, "client_id": i.client, "aud": oneOrAll(audience),
		"iat": i.accessCreated.Unix(), "exp": i.accessExpires.Unix(), "jti": jti(i.id, hidden[:]),
	}
	if i.scope != "" {
		members["scope"] = i.scope
	}
	for name, value := range claims {
		members[name] = value
	}
	text, err := key.sign(ctx, typeAccessToken, members)
	if err == nil && len(text) > longestJWT {
		return "", errTooLong
	}
	return text, err
}

// oneOrAll is how an audience is written (RFC 7519 4.1.3).
func oneOrAll(audience []string) any {
	if len(audience) == 1 {
		return audience[0]
	}
	return audience
}

// jti is the ID of a token: that of its grant, and the digest of its secret, which is then forgotten. The
// record has nothing else, and the digest opens nothing where it is presented as a secret.
func jti(id storage.ID, digest []byte) string {
	return base64.RawURLEncoding.EncodeToString(append(id[:], digest...))
}

// jti is that of a signed token.
func (t token) jti() string { return jti(t.id, t.secret) }

func (j *jwts) public(ctx context.Context) ([]PublicKey, error) { return j.keys.Public(ctx) }

func (j *jwts) remembered(ctx context.Context, s string) (t token, ok bool) {
	v, ok := j.verified.Get(sha256.Sum256([]byte(s)))
	if !ok || j.look(ctx).byID[v.key] == nil { // it was removed
		return token{}, false
	}
	return v.token(), true
}

// look is what is known of the keys, of which the store is asked where it is time for that.
func (j *jwts) look(ctx context.Context) *keySet {
	if !j.keys.stale(j.keys.tried.Load()) {
		return j.keys.set.Load()
	}
	bounded, cancel := context.WithTimeout(ctx, j.storeTimeout)
	defer cancel()
	set, err := j.keys.current(bounded)
	if err != nil {
		j.warn(ctx, err)
	}
	return set
}

func (v verifiedJWT) token() token {
	return token{kind: AccessKind, id: v.grant, secret: v.digest[:], signed: true}
}

// longestJWT is more than what fits a header anywhere. A longer one is neither issued nor looked at.
const longestJWT = 64 << 10

var errTooLong = errors.New("grants: JWT: the token would be too long")

func (j *jwts) read(ctx context.Context, s string) (t token, ok bool, err error) {
	if t, ok := j.remembered(ctx, s); ok {
		return t, true, nil
	}
	parts, ok := jws.Split(s)
	if !ok || len(s) > longestJWT {
		return t, false, nil
	}
	header, err := part(parts.Header)
	if err != nil {
		return t, false, nil
	}
	kid, _ := header["kid"].(string)
	if _, critical := header["crit"]; header["typ"] != typeAccessToken || kid == "" || critical { // RFC 7515 4.1.11
		return t, false, nil
	}
	j.look(ctx)
	key, err := j.keys.find(ctx, kid)
	if err != nil {
		return t, false, err
	}
	signature, decoded := jws.Decode(parts.Signature)
	if key == nil || header["alg"] != key.Algorithm || !decoded || key.method.Verify(parts.Signed, signature, key.Key) != nil {
		return t, false, nil
	}
	claims, err := part(parts.Claims)
	if err != nil || claims["iss"] != j.issuer {
		return t, false, nil
	}
	id, _ := claims["jti"].(string)
	octets, ok := jws.Decode(id)
	if v := (verifiedJWT{key: kid}); ok && len(octets) == len(v.grant)+len(v.digest) {
		copy(v.digest[:], octets[copy(v.grant[:], octets):])
		sum := sha256.Sum256([]byte(s))
		j.verified.Put(sum, v, j.verified.Counter(sum))
		return v.token(), true, nil
	}
	return t, false, nil
}

func part(s string) (map[string]any, error) {
	octets, _ := jws.Decode(s)
	return jws.Object(octets) // which nothing is not
}
