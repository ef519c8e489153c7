package handler

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// pending is an authorization request that waits for its user: in the address that a login sends him
// back to, and in the form of the consent page. It is sealed, so that nobody can read or alter it.
type pending struct {
	Values   url.Values `json:"v"`           // as they were sent
	Repeated bool       `json:"r,omitempty"` // one of them twice
	Grant    storage.ID `json:"g"`           // that an approval makes: no approval makes two
	Browser  []byte     `json:"b"`           // SHA-256 of its cookie
	Expires  int64      `json:"e"`           // Unix seconds
	Asked    int64      `json:"a,omitempty"` // when a login was shown, in Unix seconds

	User  string   `json:"u,omitempty"` // to whom the consent page was shown
	Shown []string `json:"s,omitempty"` // the scopes on it
}

const (
	pendingLifetime = 30 * time.Minute
	longestPending  = 64 << 10 // bytes of a query
)

// seal makes a string of p for this browser.
func (s *site) seal(w http.ResponseWriter, r *http.Request, p *pending) (string, error) {
	sealed := *p
	sealed.Browser = digestOf(s.browser(w, r))
	sealed.Expires = time.Now().Add(pendingLifetime).Unix()
	plain, err := json.Marshal(sealed)
	if err != nil {
		return "", err
	}
	return s.sealer.seal(r.Context(), plain)
}

// open reads what seal has made for this browser.
func (s *site) open(r *http.Request, values url.Values) (*pending, error) {
	if len(values["pending"]) != 1 {
		return nil, badPage("pending stands there more than once")
	}
	plain, err := s.sealer.open(r.Context(), values.Get("pending"))
	if err != nil {
		return nil, err
	}
	p := new(pending)
	if plain == nil || json.Unmarshal(plain, p) != nil {
		return nil, badPage("the address or the form has been altered")
	}
	cookie, err := r.Cookie(s.cookie)
	switch {
	case time.Now().Unix() >= p.Expires:
		return nil, badPage("it took too long")
	case err != nil || subtle.ConstantTimeCompare(digestOf(cookie.Value), p.Browser) != 1:
		return nil, badPage("it was begun in another browser, or this one keeps no cookies")
	}
	return p, nil
}

// returnTo is the address at which p goes on.
func (s *site) returnTo(w http.ResponseWriter, r *http.Request, p *pending) (string, error) {
	sealed, err := s.seal(w, r, p)
	return here(r) + "?pending=" + sealed, err
}

// here is the path that the browser asked for, also where a mux has stripped some of it.
func here(r *http.Request) string {
	path := r.URL.EscapedPath()
	if u, err := url.ParseRequestURI(r.RequestURI); err == nil {
		path = u.EscapedPath()
	}
	return "/" + strings.TrimLeft(path, "/") // two would begin with a host
}

// browser is the value of the cookie that tells this browser from others. It is set if it is not there.
func (s *site) browser(w http.ResponseWriter, r *http.Request) string {
	if cookie, err := r.Cookie(s.cookie); err == nil && len(cookie.Value) >= len(rand.Text()) && len(cookie.Value) < 128 {
		return cookie.Value
	}
	cookie := &http.Cookie{Name: s.cookie, Value: rand.Text(), Path: "/", HttpOnly: true, Secure: s.secure, SameSite: http.SameSiteLaxMode}
	http.SetCookie(w, cookie)
	r.AddCookie(cookie) // for whoever asks once more
	return cookie.Value
}

func digestOf(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}

// sealer seals with a key that the store keeps, so that every instance opens what another has sealed.
type sealer struct {
	keys storage.Keys
	aead atomic.Pointer[cipher.AEAD]
}

const sealingKey = "authorize"

func (s *sealer) key(ctx context.Context) (cipher.AEAD, error) {
	if aead := s.aead.Load(); aead != nil {
		return *aead, nil
	}
	fresh := make([]byte, 32)
	rand.Read(fresh)
	key, err := s.keys.Secret(ctx, sealingKey, func(old []byte) ([]byte, error) {
		if len(old) == len(fresh) {
			return old, nil
		}
		return fresh, nil
	})
	if err != nil {
		return nil, unavailable(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		return nil, err
	}
	s.aead.Store(&aead)
	return aead, nil
}

func (s *sealer) seal(ctx context.Context, plain []byte) (string, error) {
	aead, err := s.key(ctx)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(aead.Seal(nil, nil, plain, nil)), nil
}

// open returns nil for what was not sealed by this key.
func (s *sealer) open(ctx context.Context, sealed string) ([]byte, error) {
	aead, err := s.key(ctx)
	if err != nil {
		return nil, err
	}
	octets, err := base64.RawURLEncoding.Strict().DecodeString(sealed)
	if err != nil || base64.RawURLEncoding.EncodeToString(octets) != sealed { // it skips line ends
		return nil, nil
	}
	plain, err := aead.Open(nil, nil, octets, nil)
	if err != nil {
		return nil, nil
	}
	return plain, nil
}

func unavailable(cause error) *grants.Error {
	return &grants.Error{Code: "temporarily_unavailable", Description: "the server can not answer for now; try again", Cause: cause}
}
