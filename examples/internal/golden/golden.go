// Package golden holds a server against the golden cases of a published contract: over HTTP, on a real
// file, each case with fresh fixtures and a clock that it moves.
package golden

import (
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// Case is a row of the contract's table.
type Case[F any] struct {
	ID    string
	Paths []string // on which it holds, each tried on a server of its own; nil: it names none
	Run   func(t *testing.T, s *Server[F])
}

// Server is the server of one case and what is behind it.
type Server[F any] struct {
	Fixtures F
	Path     string // the one of Case.Paths that is tried
	Store    *testbed.Faulty
	Log      *testbed.Log

	base    string
	client  *http.Client
	secrets []string
}

// Run runs the cases as TestSeedContracts/ID. setup registers the fixtures in the store and returns the
// routes.
func Run[F any](t *testing.T, cases []Case[F], setup func(t *testing.T, store testbed.Store, logger *slog.Logger) (http.Handler, F)) {
	for _, c := range cases {
		t.Run(c.ID, func(t *testing.T) {
			if c.Paths == nil {
				runOn(t, c, "", setup)
				return
			}
			for _, path := range c.Paths {
				t.Run(strings.ReplaceAll(strings.Trim(path, "/"), "/", "_"), func(t *testing.T) { runOn(t, c, path, setup) })
			}
		})
	}
}

func runOn[F any](t *testing.T, c Case[F], path string, setup func(*testing.T, testbed.Store, *slog.Logger) (http.Handler, F)) {
	synctest.Test(t, func(t *testing.T) {
		store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"), bolt.PruneEvery(0))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		s := &Server[F]{Path: path, Store: &testbed.Faulty{Store: store}, Log: new(testbed.Log)}
		routes, fixtures := setup(t, s.Store, s.Log.Logger())
		s.Fixtures = fixtures
		s.base, s.client = testbed.Serve(t, routes, true)
		c.Run(t, s)
	})
}

// Header is a field of a request.
type Header struct{ Name, Value string }

// Bearer is the header that carries a token.
func Bearer(token string) Header { return Header{"Authorization", "Bearer " + token} }

// FormType is the media type of a form.
const FormType = "application/x-www-form-urlencoded"

// Form is names and values in turn, as often as they stand there. Changed alters one.
type Form []string

// Changed is f with another value for each name in changes; names and values in turn.
func (f Form) Changed(changes ...string) Form {
	for i := 0; i < len(changes); i += 2 {
		f = append(f.Without(changes[i]), changes[i], changes[i+1])
	}
	return f
}

// Without is f without the names.
func (f Form) Without(names ...string) Form {
	var kept Form
	for i := 0; i < len(f); i += 2 {
		drop := false
		for _, name := range names {
			drop = drop || f[i] == name
		}
		if !drop {
			kept = append(kept, f[i], f[i+1])
		}
	}
	return kept
}

// Encode is f as a body.
func (f Form) Encode() string {
	var pairs []string
	for i := 0; i < len(f); i += 2 {
		pairs = append(pairs, url.QueryEscape(f[i])+"="+url.QueryEscape(f[i+1]))
	}
	return strings.Join(pairs, "&")
}

// Answer is an answer that was read to its end.
type Answer struct {
	Status  int
	Header  http.Header
	Body    string
	Members map[string]any // of a JSON object; numbers are json.Number
}

// Post sends a form to an endpoint and looks at what holds for every answer of one.
func (s *Server[F]) Post(t *testing.T, path string, f Form, headers ...Header) *Answer {
	t.Helper()
	return s.Send(t, http.MethodPost, path, f.Encode(), append([]Header{{"Content-Type", FormType}}, headers...)...)
}

// Send sends a request to an endpoint and looks at what holds for every answer of one.
func (s *Server[F]) Send(t *testing.T, method, path, body string, headers ...Header) *Answer {
	t.Helper()
	a := s.do(t, method, path, body, headers)
	s.remember(body, headers)
	s.Secret(a.Member("access_token"), a.Member("refresh_token"))
	if a.Status == http.StatusMethodNotAllowed {
		return a
	}
	if a.Header.Get("Cache-Control") != "no-store" || a.Header.Values("Set-Cookie") != nil {
		t.Errorf("no-store, or a cookie: %s", a)
	}
	if mediaType, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";"); a.Body != "" && mediaType != "application/json" {
		t.Errorf("no JSON: %s", a)
	}
	for _, secret := range s.secrets {
		if a.Status != http.StatusOK && strings.Contains(a.Body, secret) {
			t.Errorf("%q came back: %s", secret, a)
		}
		if strings.Contains(s.Log.String(), secret) {
			t.Errorf("the log has %q in it:\n%s", secret, s.Log)
		}
	}
	return a
}

// Get asks another route.
func (s *Server[F]) Get(t *testing.T, path string, headers ...Header) *Answer {
	t.Helper()
	return s.do(t, http.MethodGet, path, "", headers)
}

func (s *Server[F]) do(t *testing.T, method, path, body string, headers []Header) *Answer {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, s.base+path, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		r.Header.Add(h.Name, h.Value)
	}
	res, err := s.client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &Answer{Status: res.StatusCode, Header: res.Header, Body: string(b)}
	d := json.NewDecoder(strings.NewReader(a.Body))
	d.UseNumber()
	d.Decode(&a.Members)
	return a
}

// remember keeps the secrets of a request.
func (s *Server[F]) remember(body string, headers []Header) {
	values, _ := url.ParseQuery(body)
	for _, name := range []string{"client_secret", "code", "refresh_token", "code_verifier", "token"} {
		s.Secret(values[name]...)
	}
	for _, h := range headers {
		if _, credentials, _ := strings.Cut(h.Value, " "); h.Name == "Authorization" {
			s.Secret(credentials)
		}
	}
}

// Secret says what must stand neither in the log nor in an answer other than 200. What requests carry in
// a form or in Authorization, and the tokens of answers, are kept without it.
func (s *Server[F]) Secret(values ...string) {
	for _, v := range values {
		if len(v) >= 6 { // shorter ones stand in words
			s.secrets = append(s.secrets, v)
		}
	}
}

// Client talks to the server, for a case that needs other people's code to.
func (s *Server[F]) Client() *http.Client { return s.client }

// URL is the address of a path.
func (s *Server[F]) URL(path string) string { return s.base + path }

// Unchanged fails if do leaves the store other than it was.
func (s *Server[F]) Unchanged(t *testing.T, do func()) {
	t.Helper()
	before := testbed.Dump(t, s.Store.Store)
	do()
	if after := testbed.Dump(t, s.Store.Store); after != before {
		t.Errorf("the store has changed:\nbefore\n%s\nafter\n%s", before, after)
	}
}

// Whoami asks GET /api/whoami and fails unless it says who this is.
func (s *Server[F]) Whoami(t *testing.T, access, sub, client string) {
	t.Helper()
	a := s.Get(t, "/api/whoami", Bearer(access))
	if a.Status != http.StatusOK || a.Member("sub") != sub || a.Member("client_id") != client {
		t.Fatalf("want sub %q of client %q, got %s", sub, client, a)
	}
}

// Dead fails if GET /api/whoami does not turn the token away.
func (s *Server[F]) Dead(t *testing.T, access string) {
	t.Helper()
	a := s.Get(t, "/api/whoami", Bearer(access))
	if challenge := a.Header.Get("WWW-Authenticate"); a.Status != http.StatusUnauthorized ||
		!strings.HasPrefix(challenge, "Bearer ") || !strings.Contains(challenge, `error="invalid_token"`) {
		t.Fatalf("want 401 invalid_token, got %s", a)
	}
}

// String shows an answer.
func (a *Answer) String() string {
	var b strings.Builder
	b.WriteString(http.StatusText(a.Status) + "\n")
	a.Header.Write(&b)
	return b.String() + "\n" + a.Body
}

// Member is a string member, "" if it is not there.
func (a *Answer) Member(name string) string {
	v, _ := a.Members[name].(string)
	return v
}

// Number is an integer member written in plain digits.
func (a *Answer) Number(t *testing.T, name string) int64 {
	t.Helper()
	n, _ := a.Members[name].(json.Number)
	i, err := n.Int64()
	if err != nil || strings.Trim(n.String(), "0123456789") != "" {
		t.Fatalf("%s is no integer: %s", name, a)
	}
	return i
}

// Only fails unless a is 200 and has exactly these members.
func (a *Answer) Only(t *testing.T, members ...string) *Answer {
	t.Helper()
	if a.Status != http.StatusOK || len(a.Members) != len(members) {
		t.Fatalf("want 200 with %v, got %s", members, a)
	}
	for _, name := range members {
		if _, ok := a.Members[name]; !ok {
			t.Fatalf("want 200 with %v, got %s", members, a)
		}
	}
	return a
}

// Error is E(status code): that error, perhaps with a description, and nothing more.
func (a *Answer) Error(t *testing.T, status int, code string) *Answer {
	t.Helper()
	_, described := a.Members["error_description"]
	if a.Status != status || a.Member("error") != code || len(a.Members) != 1 && (len(a.Members) != 2 || !described) {
		t.Fatalf("want %d %s, got %s", status, code, a)
	}
	return a
}

// Exactly is X(status JSON): that and nothing more.
func (a *Answer) Exactly(t *testing.T, status int, object string) *Answer {
	t.Helper()
	var want map[string]any
	if err := json.Unmarshal([]byte(object), &want); err != nil {
		t.Fatal(err)
	}
	if a.Status != status || !reflect.DeepEqual(a.Members, want) {
		t.Fatalf("want %d %s, got %s", status, object, a)
	}
	return a
}

// Empty fails unless a is 200 without a body.
func (a *Answer) Empty(t *testing.T) {
	t.Helper()
	if a.Status != http.StatusOK || a.Body != "" {
		t.Fatalf("want 200 and no body, got %s", a)
	}
}

// Pass moves the clock.
func Pass(seconds int64) { time.Sleep(time.Duration(seconds) * time.Second) }
