package jwt_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ostiary-go/ostiary/middleware/jwt"
)

func TestPanics(t *testing.T) {
	for want, build := range map[string]func(){
		"jwt: New: the audience is empty":  func() { jwt.New("https://auth.example", "") },
		"jwt: Audience(): want":            func() { jwt.Audience() },
		"jwt: Audience: a name is empty":   func() { jwt.Audience("x", "") },
		"jwt: Leeway(-1ns): want":          func() { jwt.Leeway(-1) },
		"jwt: CacheSize(-1): want":         func() { jwt.CacheSize(-1) },
		`jwt: Metadata("/x"): want`:        func() { jwt.Metadata("/x") },
		`jwt: Metadata("http://x/"): want`: func() { jwt.Metadata("http://x/") },
		"jwt: HTTPClient: the client":      func() { jwt.HTTPClient(nil) },
		"jwt: Logger: the logger":          func() { jwt.Logger(nil) },
	} {
		t.Run(want, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, want) {
					t.Errorf("panic %q", got)
				}
			}()
			build()
		})
	}
}

// RFC 8414 2.
func TestIssuer(t *testing.T) {
	for _, issuer := range []string{"https://auth.example", "https://auth.example/", "https://auth.example/t1", "https://auth.example:8443", "http://127.0.0.1:8080", "http://[::1]", "http://localhost/x"} {
		if v := jwt.New(issuer, api); v == nil {
			t.Error(issuer)
		}
	}
	for _, issuer := range []string{"", "auth.example", "/x", "//auth.example", "http://auth.example", "https://", "https:auth.example", "https://auth.example?x=y", "https://auth.example?", "https://auth.example#x", "https://auth.example#",
		"https://u@auth.example", "https://auth.example/ x", "https://auth.example/\n", "https://auth.example/é", "HTTP://x", "ftp://auth.example", "http://127.0.0.1.evil.example", "http://localhost.evil.example", "https://%zz", `https://auth.example/"`, `https://auth.example\x`} {
		t.Run(issuer, func(t *testing.T) {
			defer func() {
				if got := fmt.Sprint(recover()); !strings.HasPrefix(got, "jwt: New: issuer ") {
					t.Errorf("panic %q", got)
				}
			}()
			jwt.New(issuer, api)
		})
	}
}

// Tokens of many callers, keys that change under them, and a small memory.
func TestConcurrency(t *testing.T) {
	i := newIssuer(t, ed25519Key, p256Key)
	for _, size := range []int64{0, 1 << 20, 16 << 20} {
		v := i.validator(jwt.CacheSize(size))
		var tokens []string
		for n := range 40 {
			tokens = append(tokens, i.sign(ed25519Key, set("jti", fmt.Sprint(n))), i.sign(p256Key, set("jti", fmt.Sprint(n))))
		}
		var all sync.WaitGroup
		for worker := range 8 {
			all.Go(func() {
				for n := range 200 {
					want := tokens[(n*7+worker)%len(tokens)]
					info, err := v.LoadAccessToken(t.Context(), want)
					if err != nil || info.GetAccess() != want {
						t.Errorf("got %v, %v", info, err)
						return
					}
					info.SetUserID("mine")
				}
			})
		}
		all.Wait()
	}
	i.asked(t, 3)
}
