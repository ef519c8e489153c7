package middleware_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/models"
)

// Tokens that the fake Validator knows, or knows to be bad.
const (
	good      = "good-5d0c8f1e7a23"      // alice's, client web, orders:read
	writer    = "writer-9b27c41d60ee"    // orders:read and orders:write
	readOnly  = "readonly-1f8e3a90b7c5"  // scope read
	own       = "own-7c21d9e04fb8"       // of the client called alice
	bound     = "bound-3e90a1c7f25d"     // has a confirmation
	forA      = "fora-6a0b4f92d8e1"      // for https://a.example
	wrapped   = "wrapped-0d4e7b61c3f9"   // forA within two wrappers
	expired   = "expired-b8f3150c6d2a"   // ErrExpiredAccessToken
	pair      = "pair-27d1e6f80b4c"      // ErrExpiredRefreshToken, wrapped
	nobody    = "nobody-e5a9027c4d1b"    // (nil, nil)
	nilToken  = "nil-84c6f1d2903e"       // a nil *models.Token, nil
	foreign   = "foreign-a3f70e5b91c8"   // errNoRows
	panicking = "panicking-c2d8e4017fb6" // a panic with the token in it
	hanging   = "hanging-f91b3a60d7e2"   // waits for its context
	failing   = "failing-d60e2c9f8b17"   // an error with the token in it
)

var (
	errNoRows = fmt.Errorf("no rows")
	expiry    = time.Hour
)

func token(client, user, scope string) *models.Token {
	return &models.Token{ClientID: client, UserID: user, Scope: scope, AccessExpiresIn: expiry}
}

// Optional methods of tokens, and wrappers that hide or keep them.
type (
	withAudience struct {
		oauth2.TokenInfo
		audience []string
	}
	withKey struct{ oauth2.TokenInfo }
	wrapper struct{ oauth2.TokenInfo }
)

func (t withAudience) Audience() []string       { return t.audience }
func (withKey) Confirmation() map[string]string { return map[string]string{"jkt": "thumbprint"} }
func (t wrapper) Unwrap() oauth2.TokenInfo      { return t.TokenInfo }

// validator knows the tokens above. It counts what it is asked, and keeps what is logged.
type validator struct {
	down  atomic.Bool
	asked atomic.Int32
	mu    sync.Mutex
	log   bytes.Buffer
}

func (v *validator) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	v.asked.Add(1)
	if v.down.Load() {
		return nil, fmt.Errorf("dial tcp: connection refused")
	}
	switch access {
	case good:
		return token("web", "alice", "orders:read"), nil
	case writer:
		return token("web", "alice", "orders:read orders:write"), nil
	case readOnly:
		return token("web", "alice", "read"), nil
	case own:
		return token("alice", "", "orders:read"), nil
	case bound:
		return withKey{token("web", "alice", "orders:read")}, nil
	case forA:
		return withAudience{token("web", "alice", "orders:read"), []string{"https://a.example", "urn:x"}}, nil
	case wrapped:
		return wrapper{wrapper{withAudience{token("web", "alice", "orders:read"), []string{"https://a.example"}}}}, nil
	case expired:
		return nil, oerr.ErrExpiredAccessToken
	case pair:
		return nil, fmt.Errorf("pair: %w", oerr.ErrExpiredRefreshToken)
	case nobody:
		return nil, nil
	case nilToken:
		return (*models.Token)(nil), nil
	case foreign:
		return nil, errNoRows
	case panicking:
		panic("cannot handle " + access)
	case hanging:
		<-ctx.Done()
		return nil, ctx.Err()
	case failing:
		return nil, fmt.Errorf("get /token/%s: connection reset", access)
	}
	return nil, oerr.ErrInvalidAccessToken
}

func (v *validator) Logger() *slog.Logger { return slog.New(slog.NewJSONHandler(v, nil)) }

func (v *validator) Write(line []byte) (int, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.Write(line)
}

func (v *validator) logged() string {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.log.String()
}

// reply is an HTTP response, read in full.
type reply struct {
	status int
	header http.Header
	body   string
}

// listen serves h over TCP and returns a connection to it.
func listen(t *testing.T, h http.Handler) net.Conn {
	t.Helper()
	s := httptest.NewServer(h)
	t.Cleanup(s.Close)
	conn, err := net.Dial("tcp", s.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	conn.SetDeadline(time.Now().Add(10 * time.Second)) // rather than hang
	return conn
}

// send writes a request as raw bytes, so that it can be as wrong as it likes: a method and a target,
// header lines, and after an empty line the body.
func send(t *testing.T, conn net.Conn, request string) reply {
	t.Helper()
	head, body, _ := strings.Cut(request, "\n\n")
	first, rest, _ := strings.Cut(head, "\n")
	raw := first + " HTTP/1.1\nHost: api.example\n"
	if rest != "" {
		raw += rest + "\n"
	}
	if body != "" && !strings.Contains(rest, "chunked") {
		raw += "Content-Length: " + strconv.Itoa(len(body)) + "\n"
	}
	raw = strings.ReplaceAll(raw, "\n", "\r\n") + "\r\n" + body
	go io.WriteString(conn, raw) // an answer may come before all is read
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatalf("no answer: %v", err)
	}
	defer res.Body.Close()
	content, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	return reply{res.StatusCode, res.Header, string(content)}
}

// checkRefusal holds a refusal against RFC 6750 3 and the rows G-01 to G-07, whatever it is: code is
// its error, "" for a bare challenge; attributes are those it has beside the three of every one, and
// "realm" if it isn't api.
func checkRefusal(t *testing.T, got reply, request string, status int, code string, attributes map[string]string) {
	t.Helper()
	if got.status != status {
		t.Fatalf("status %d, want %d: %v %s", got.status, status, got.header, got.body)
	}
	var body struct {
		Error       string `json:"error"`
		Description string `json:"error_description"`
	}
	for name, want := range map[string]string{"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff"} {
		if v := got.header.Values(name); len(v) != 1 || v[0] != want {
			t.Errorf("%s is %q, want %q once", name, v, want)
		}
	}
	switch {
	case code == "" || strings.HasPrefix(request, "HEAD "):
		if got.body != "" {
			t.Errorf("body %q, want none", got.body)
		}
	default:
		d := json.NewDecoder(strings.NewReader(got.body))
		d.DisallowUnknownFields()
		if err := d.Decode(&body); err != nil {
			t.Errorf("body %q: %v", got.body, err)
		}
		if body.Error != code {
			t.Errorf("body says %q, want %q", body.Error, code)
		}
	}
	if code != "" && got.header.Get("Content-Type") != "application/json" {
		t.Errorf("Content-Type %q", got.header.Get("Content-Type"))
	}

	challenges := got.header.Values("WWW-Authenticate")
	if status >= 500 {
		if len(challenges) != 0 {
			t.Errorf("challenge %q, want none", challenges)
		}
	} else {
		if len(challenges) != 1 {
			t.Fatalf("challenges %q, want one", challenges)
		}
		a := parseChallenge(t, challenges[0])
		want := map[string]string{"realm": "api"}
		if code != "" {
			want["error"] = code
			want["error_description"] = a["error_description"] // looked at below
		}
		for name, value := range attributes {
			want[name] = value
		}
		if fmt.Sprint(a) != fmt.Sprint(want) {
			t.Errorf("challenge %s\nsays %v\nwant %v", challenges[0], a, want)
		}
		if d := a["error_description"]; code != "" && (d == "" || strings.Trim(d, nqschar) != "") {
			t.Errorf("error_description %q is empty or outside of NQSCHAR", d)
		}
		if got.body != "" && body.Description != a["error_description"] {
			t.Errorf("body describes %q, challenge %q", body.Description, a["error_description"])
		}
	}
	if after := got.header.Get("Retry-After"); (status == 503) != (after != "") {
		t.Errorf("Retry-After %q with %d", after, status)
	} else if _, err := strconv.ParseUint(after, 10, 16); err != nil && after != "" {
		t.Errorf("Retry-After %q isn't in seconds", after)
	}
	for name := range got.header {
		if strings.HasPrefix(name, "Access-Control-") || name == "Set-Cookie" {
			t.Errorf("answer has %s", name)
		}
	}
	if leak := leaked(fmt.Sprint(got.header, got.body), request); leak != "" {
		t.Errorf("answer has %q of the request: %v %s", leak, got.header, got.body)
	}
}

// leaked finds a longer word of the request, names of headers apart, in text.
func leaked(text, request string) string {
	for word := range strings.FieldsFuncSeq(request, func(c rune) bool { return strings.ContainsRune(" \t\n=&?,\"", c) }) {
		if len(word) >= 8 && !strings.HasSuffix(word, ":") && strings.Contains(text, word) {
			return word
		}
	}
	return ""
}

// nqschar is every character of RFC 6750 3: %x20-21 / %x23-5B / %x5D-7E.
var nqschar = func() string {
	var s strings.Builder
	for c := byte(' '); c <= '~'; c++ {
		if c != '"' && c != '\\' {
			s.WriteByte(c)
		}
	}
	return s.String()
}()

// parseChallenge reads a challenge of the scheme Bearer (RFC 9110 11.6.1) whose parameters are all
// quoted-strings, as RFC 6750 3 has them. Each may be there once.
func parseChallenge(t *testing.T, s string) map[string]string {
	t.Helper()
	rest, ok := strings.CutPrefix(s, "Bearer ")
	if !ok {
		t.Fatalf("challenge %q isn't Bearer's", s)
	}
	attributes := map[string]string{}
	for {
		name, value, ok := strings.Cut(rest, `="`)
		if !ok {
			t.Fatalf("challenge %q: no quoted-string in %q", s, rest)
		}
		if _, twice := attributes[name]; twice {
			t.Fatalf("challenge %q has %s twice", s, name)
		}
		var plain strings.Builder
		i := 0
		for ; i < len(value) && value[i] != '"'; i++ {
			if value[i] == '\\' {
				i++
			}
			if i == len(value) || value[i] < ' ' || value[i] > '~' {
				t.Fatalf("challenge %q: bad quoted-string %q", s, value)
			}
			plain.WriteByte(value[i])
		}
		if i == len(value) {
			t.Fatalf("challenge %q: open quoted-string %q", s, value)
		}
		attributes[name] = plain.String()
		if value[i+1:] == "" {
			return attributes
		}
		if rest, ok = strings.CutPrefix(value[i+1:], ", "); !ok {
			t.Fatalf("challenge %q: %q after a quoted-string", s, value[i+1:])
		}
	}
}
