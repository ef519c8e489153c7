package middleware

import (
	"net/url"
	"strings"
	"testing"
)

// FuzzParameter compares parameter with net/url, which is what handlers read the same string with.
func FuzzParameter(f *testing.F) {
	for _, seed := range []string{
		"", "&", "=", "access_token", "access_token=", "access_token=a", "access_token=a=b", "access_token=a&access_token=b",
		"access%5Ftoken=a", "%61ccess_token=%62", "access_token=a+b", "access_token=%zz", "access_token%zz=a", "x=1&access_token=a&y",
		"access_token=a;access_token=b", "Access_Token=a", "access_token[]=a", "&&access_token=a&&",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		value, times := parameter(s)
		values, err := url.ParseQuery(s)
		if err != nil { // pairs that net/url skips are seen, and are no tokens
			if times < len(values["access_token"]) {
				t.Errorf("%q: %d times, net/url finds %q", s, times, values["access_token"])
			}
			return
		}
		want := strings.Join(values["access_token"][max(0, len(values["access_token"])-1):], "")
		if times != len(values["access_token"]) || value != want {
			t.Errorf("%q: %q, %d times; net/url finds %q", s, value, times, values["access_token"])
		}
	})
}
