package b64token

import (
	"regexp"
	"strings"
	"testing"
)

var syntax = regexp.MustCompile(`\A[A-Za-z0-9._~+/-]+=*\z`)

func TestValid(t *testing.T) {
	for c := range 256 {
		one := string([]byte{byte(c)})
		tries := []string{one, "a" + one, one + "a", "a" + one + "=", "a=" + one, one + one}
		for at := range 18 { // in long ones, at each place
			tries = append(tries, strings.Repeat("a", at)+one+strings.Repeat("a", 17-at))
		}
		for _, s := range tries {
			if got, want := Valid(s), syntax.MatchString(s); got != want {
				t.Errorf("%q: %t, want %t", s, got, want)
			}
		}
	}
	for s, want := range map[string]bool{"": false, "=": false, "===": false, "a===": true, "a=b": false, "1|Zm9v": false, "ä": false, "mF_9.B5f-4.1JqM": true} {
		if Valid(s) != want {
			t.Errorf("%q: %t, want %t", s, !want, want)
		}
	}
}
