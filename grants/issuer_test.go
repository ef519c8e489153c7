package grants_test

import (
	"testing"

	"github.com/ostiary-go/ostiary/grants"
)

func TestConformance(t *testing.T) {
	for name, c := range map[string]struct {
		issuer string
		ok     bool
	}{
		"host":             {"https://auth.example", true},
		"port":             {"https://auth.example:8443", true},
		"path":             {"https://auth.example/t1", true},
		"final slash":      {"https://auth.example/t1/", true},
		"loopback address": {"http://127.0.0.1:8080", true},
		"loopback v6":      {"http://[::1]:8080", true},
		"loopback name":    {"http://localhost:8080", true},
		"empty":            {"", false},
		"query":            {"https://auth.example?a=b", false},
		"empty query":      {"https://auth.example?", false},
		"fragment":         {"https://auth.example#a", false},
		"empty fragment":   {"https://auth.example#", false},
		"http":             {"http://auth.example", false},
		"http lookalike":   {"http://localhost.evil.example", false},
		"scheme":           {"ftp://auth.example", false},
		"relative":         {"/auth", false},
		"no scheme":        {"auth.example", false},
		"no host":          {"https:///auth", false},
		"port alone":       {"https://:443", false},
		"opaque":           {"https:auth.example", false},
		"user":             {"https://u:p@auth.example", false},
		"space":            {"https://auth.example/a b", false},
		"line end":         {"https://auth.example/\r\n", false},
		"quote":            {`https://auth.example/"`, false},
	} {
		t.Run("MD-05/"+name, func(t *testing.T) {
			defer func() {
				if refused := recover() != nil; refused == c.ok {
					t.Errorf("%q: refused %t", c.issuer, refused)
				}
			}()
			if m := grants.New(openStore(t), grants.Issuer(c.issuer)); m.Issuer() != c.issuer {
				t.Errorf("got %q", m.Issuer())
			}
		})
	}
}
