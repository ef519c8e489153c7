package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
)

// Whatever a line is: it is an import whose tokens all say when they end, or there is a reason in which
// nothing of it shows.
func FuzzParseLine(f *testing.F) {
	const e = `"expires":"2030-01-01T00:00:00Z"`
	for _, seed := range []string{
		"", "{", "}", "null", "[]", "{}", `""`, "1e999", "\x00", "\xff\xfe", "\ufeff{}", "{}{}", `{"a`, strings.Repeat("[", 20000), strings.Repeat(`{"access":`, 20000),
		`{"client":"app","user":"u","scope":"read","access":[{"token":"a",` + e + `}],"refresh":{"token":"r",` + e + `}}`,
		`{"client":"app","access":[{"sha256":"` + strings.Repeat("ab", 32) + `","expires":"never"}]}`,
		`{"client":"app","access":[{"sha256":"` + strings.Repeat("AB", 32) + `","expires":"0001-01-01T00:00:00Z"}]}`,
		`{"client":"app","access":[{"token":"a","expires":"9999-12-31T23:59:59.999999999+23:59"}]}`,
		`{"client":"app","access":[{"token":"a","expires":"-0001-01-01T00:00:00Z"}]}`,
		`{"client":"app","access":[{"token":"a","expires":"2030-02-30T00:00:00Z"}]}`,
		`{"client":"app","access":[{"token":"a","expires":null}]}`,
		`{"client":"app","access":[{"token":"a",` + e + `,` + e + `}]}`,
		`{"client":"app","access":null,"refresh":null,"audience":null}`,
		`{"client":"app","access":[[]],"refresh":[]}`, `{"client":{"client":"app"}}`,
		`{"client":"\ud800","user":"\udc00\ud800","access":[{"token":"\u0000",` + e + `}]}`,
		`{"CLIENT":"app"}`, `{"clıent":"app"}`, `{"\u0063lient":"app","client":"app"}`, `{"":""}`,
		`{"client":"app","user":"` + strings.Repeat("x", 1<<16) + `"}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i, nothing, reason := parseLine(text)
		if nothing {
			t.Error("a line of ours is never nothing")
		}
		checkParsed(t, text, i, reason)
	})
}

func FuzzParseGoOAuth2(f *testing.F) {
	for _, seed := range []string{
		"", "null", "{}", "[]", `{"ClientID":"app"}`, `{"clientid":"app","ACCESS":"a"}`,
		`{"ClientID":"app","UserID":"u","Access":"a","AccessCreateAt":"2026-01-02T03:04:05.678901234+01:00","AccessExpiresIn":7200000000000,"Refresh":"r","RefreshCreateAt":"2026-01-02T03:04:05Z","RefreshExpiresIn":259200000000000,"Extension":null}`,
		`{"ClientID":"app","Access":"a","AccessCreateAt":"9999-12-31T23:59:59Z","AccessExpiresIn":9223372036854775807}`,
		`{"ClientID":"app","Access":"a","AccessCreateAt":"0001-01-01T00:00:00Z","AccessExpiresIn":-9223372036854775808}`,
		`{"ClientID":"app","Access":"a","AccessExpiresIn":1e30}`, `{"ClientID":"app","Access":"a","AccessCreateAt":"secret-secret-secret"}`,
		`{"ClientID":"app","Access":"a","Extension":{"secret-secret-secret":1}}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		i, nothing, reason := parseGoOAuth2(text)
		if nothing && (reason != "" || i.Client != "") {
			t.Errorf("nothing, and %q", reason)
		}
		checkParsed(t, text, i, reason)
	})
}

func checkParsed(t *testing.T, text []byte, i grants.Import, reason string) {
	t.Helper()
	const word = 9 // octets of the text that would be telling
	for from := 0; reason != "" && from+word <= len(text); from++ {
		if piece := text[from : from+word]; strings.Contains(reason, string(piece)) && !strings.Contains(vocabulary, string(piece)) {
			t.Errorf("%q shows in %q", piece, reason)
		}
	}
	if reason != "" {
		return
	}
	forever := bytes.Contains(text, []byte("never")) || bytes.Contains(text, []byte(`\u00`)) || i.Refresh.Token != "" || len(i.Access) > 0 && !bytes.Contains(text, []byte("expires"))
	for _, token := range append(i.Access, i.Refresh) {
		if token != (grants.ImportedToken{}) && token.Expires.IsZero() && !forever {
			t.Errorf("a token without end of %q", text)
		}
		if (token.Token == "") == token.SHA256.IsZero() && token != (grants.ImportedToken{}) {
			t.Errorf("a token by value and by digest, or by neither, of %q", text)
		}
	}
}

// vocabulary is what reasons are made of.
const vocabulary = `not UTF-8 not a JSON object not JSON, from byte 0123456789 on not JSON: it ends too early more than one JSON value
a member that the format does not have, or a value that it does not take a member stands there twice is of the wrong type
access.expires refresh.expires access.token refresh.token access.sha256 refresh.sha256 access refresh client scope audience
access: refresh: either token or sha256 is needed expires is missing; "never" is a token without end
sha256 is not a digest of 64 hexadecimal digits expires is no time of RFC 3339 user is not Unicode no token of go-oauth2's: it has no ClientID
ClientID UserID RedirectURI Scope Code CodeChallenge CodeChallengeMethod CodeCreateAt CodeExpiresIn Access AccessCreateAt AccessExpiresIn
Refresh RefreshCreateAt RefreshExpiresIn Extension`

// Whatever a file is: buntdb's or not, it ends, and no length in it is believed.
func FuzzReadBuntDB(f *testing.F) {
	for _, seed := range []string{
		"", "*", "*3\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\nv\r\n", "*2\r\n$3\r\ndel\r\n$1\r\nk\r\n", "*1\r\n$7\r\nflushdb\r\n",
		"*5\r\n$3\r\nset\r\n$1\r\nk\r\n$1\r\n{\r\n$2\r\nae\r\n$1\r\n1\r\n", "*9999999999999999999\r\n", "*1\r\n$1048577\r\n", "\x00\x00*0\r\n", "*1\r\n$-1\r\n",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		entries, _, err := readBuntDB(bytes.NewReader(text))
		if err != nil {
			return
		}
		in := newBuntDB(entries)
		for {
			rec, err := in.next()
			if err != nil {
				break
			}
			parseGoOAuth2(rec.text)
		}
	})
}
