// Package jwt validates access tokens that are signed JSON Web Tokens (RFC 9068), for a resource server that
// knows nothing of the authorization server but its address:
//
//	validator := jwt.New("https://auth.example", "https://orders.example")
//	protect := middleware.Bearer(validator)
//
// A token is held against RFC 9068 4 and RFC 8725, strictly: its algorithm is that of its key (EdDSA on Ed25519,
// ES256, RS256, and PS256 where the key says so), its signature is verified before anything in it is believed,
// and a signature that was verified is remembered, so that a token costs that once. Nothing is known here of
// tokens that were revoked: they are good until they expire.
//
// # Keys
//
// The keys are found through the metadata of the issuer (RFC 8414) when the first token comes. They are fetched
// anew, in the background, when they are older than the issuer's Cache-Control says, though not more often than
// each minute and no less often than each hour; by default after 5 minutes. A token of an unknown key has them
// fetched at once, at most every 10 s: until then such tokens are refused. A key that the issuer no longer tells
// is refused from then on.
//
// While the issuer can't be reached, the keys that are known go on, and what needs others fails, which is not a
// word on the token: middleware.Bearer answers 503. The next try is 5 s later.
//
// Of a key set only what can sign such tokens is used, and no more than 100 keys: public ones with a kid, RSA ones
// from 2,048 to 8,192 bits. Answers of more than 1 MiB, redirects, and addresses that are not https are refused,
// but for http on the loopback interface.
package jwt

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"
	"unsafe"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/internal/b64token"
	"github.com/ostiary-go/ostiary/internal/bounded"
	"github.com/ostiary-go/ostiary/internal/claims"
	"github.com/ostiary-go/ostiary/internal/jws"
)

// Validator validates the access tokens of one issuer for one resource server. It is made by New, is safe for
// concurrent use, and has nothing to close.
type Validator struct {
	issuer    string
	audience  []string
	leeway    time.Duration
	cacheSize int64
	logger    *slog.Logger // nil: slog.Default() at the time of writing

	keys     source
	headers  headers
	verified *bounded.Table[digest, verified]
}

// digest is the SHA-256 of the signature of a token. It is what a token is remembered by, so that nothing that is
// kept opens a door.
type digest [sha256.Size]byte

func digestOf(signature string) digest {
	return sha256.Sum256(unsafe.Slice(unsafe.StringData(signature), len(signature))) // which only reads: spares a copy on the heap
}

// verified is what is remembered of a token.
type verified struct {
	signed string // all of the token but its signature
	claims *claims.Claims
	key    *key // that its signature is of
	size   int64
}

// New returns a Validator of the tokens that issuer gives out for audience, the identifier of this resource
// server: both are compared character by character (RFC 9068 4). It asks nobody until a token comes.
//
// New panics for an issuer that can not be one (RFC 8414 2): it is an https URL without query and fragment, or
// an http one on the loopback interface. So it does for an empty audience.
func New(issuer, audience string, options ...Option) *Validator {
	if !isIssuer(issuer) {
		panic(fmt.Sprintf("jwt: New: issuer %q: want an https URL without query and fragment", issuer))
	}
	if audience == "" {
		panic("jwt: New: the audience is empty")
	}
	v := &Validator{issuer: issuer, audience: []string{audience}, leeway: defaultLeeway, cacheSize: defaultCacheSize}
	v.keys = source{issuer: issuer, metadata: wellKnown(issuer), client: ownClient(), log: v.log}
	for _, set := range options {
		set(v)
	}
	v.verified = bounded.New(v.cacheSize,
		func(d digest) uint64 { return binary.NativeEndian.Uint64(d[:]) },
		func(_ digest, known verified) int64 { return known.size }, nil)
	return v
}

// Audience returns the names of the resource server. By this a middleware.Bearer without an Audience of its
// own lets the tokens through that the Validator does; one that has is narrower.
func (v *Validator) Audience() []string { return slices.Clone(v.audience) }

// Logger returns the logger that was set, nil if none was.
func (v *Validator) Logger() *slog.Logger { return v.logger }

func (v *Validator) log() *slog.Logger {
	if v.logger != nil {
		return v.logger
	}
	return slog.Default()
}

// LoadAccessToken returns what the token says: GetUserID is its subject, and "" if that is the client itself
// (RFC 9700 4.15). The value has methods Claims() map[string]any, all claims as a copy of the caller's own with
// numbers as json.Number, Audience() []string and Confirmation() map[string]string.
//
// A token that is not good is ErrInvalidAccessToken, one that was and is past its time ErrExpiredAccessToken,
// both of go-oauth2's errors package. Any other error says that the keys of the issuer could not be had.
func (v *Validator) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	if len(access) > tokenLimit {
		return nil, v.refuse(ctx, "it is too long")
	}
	parts, ok := jws.Split(access)
	if !ok {
		return nil, v.refuse(ctx, "it has not three parts")
	}
	now := time.Now()
	keys := v.keys.inHand(ctx, now)
	name := digestOf(parts.Signature)
	known, ok := v.verified.Get(name)
	if !ok || known.signed != parts.Signed || !keys.have(known.key) {
		var err error
		if known, err = v.verify(ctx, keys, parts, now); err != nil {
			return nil, err
		}
		v.verified.Put(name, known, v.verified.Counter(name))
	}
	switch c := known.claims; {
	case !now.Before(c.Expires.Add(v.leeway)):
		return nil, oerr.ErrExpiredAccessToken
	case c.NotBefore.After(now.Add(v.leeway)):
		return nil, v.refuse(ctx, "nbf is ahead")
	case c.Issued.After(now.Add(v.leeway)):
		return nil, v.refuse(ctx, "iat is ahead")
	}
	t := &token{Token: known.claims.Show(access), claims: known.claims}
	copy(t.first[:], known.claims.Audience)
	return t, nil
}

// verify returns what a token says whose signature and claims are good, whatever the time is.
func (v *Validator) verify(ctx context.Context, keys *set, parts jws.Parts, now time.Time) (verified, error) {
	head, reason := v.headers.read(parts.Header)
	if reason != "" {
		return verified{}, v.refuse(ctx, reason)
	}
	signature, ok := jws.Decode(parts.Signature)
	if !ok {
		return verified{}, v.refuse(ctx, "its signature is not Base64url")
	}
	candidates, err := v.keys.find(ctx, keys, head.kid, now)
	if err != nil {
		return verified{}, err
	}
	i := slices.IndexFunc(candidates, func(k *key) bool {
		return k.alg == head.alg && k.method.Verify(parts.Signed, signature, k.public) == nil
	})
	if i < 0 {
		return verified{}, v.refuse(ctx, "it is not signed by a key of its kid and alg")
	}
	v.headers.remember(parts.Header, head)
	c, reason := v.readClaims(parts.Claims)
	if reason != "" {
		return verified{}, v.refuse(ctx, reason)
	}
	return verified{strings.Clone(parts.Signed), c, candidates[i], sizeOf(c) + int64(len(parts.Signed))}, nil
}

// refuse tells whoever listens why a token is not good; the client isn't told.
func (v *Validator) refuse(ctx context.Context, reason string) error {
	v.log().DebugContext(ctx, "jwt: an access token is refused", "reason", reason)
	return oerr.ErrInvalidAccessToken
}

const tokenLimit = b64token.DefaultLimit // bytes

// token is what a handler sees.
type token struct {
	claims.Token
	claims *claims.Claims
	first  [1]string // of its audience
}

// Audience is asked for by Bearer, of each token: one name costs no allocation.
func (t *token) Audience() []string {
	if len(t.claims.Audience) == 1 {
		return t.first[:]
	}
	return slices.Clone(t.claims.Audience)
}
