package conformance

import (
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/internal/testbed"
)

// form encodes names and values, in order and as often as they stand there.
func form(namesAndValues ...string) string {
	var pairs []string
	for i := 0; i+1 < len(namesAndValues); i += 2 {
		pairs = append(pairs, url.QueryEscape(namesAndValues[i])+"="+url.QueryEscape(namesAndValues[i+1]))
	}
	return strings.Join(pairs, "&")
}

// basic is the Authorization header of a client whose credentials need no form-encoding.
func basic(id, secret string) [2]string {
	return [2]string{"Authorization", "Basic " + base64.StdEncoding.EncodeToString([]byte(id+":"+secret))}
}

// as is basic of a fixture.
func as(id string) [2]string { return basic(id, id+"-secret") }

func bearer(token string) [2]string { return [2]string{"Authorization", "Bearer " + token} }

const formType = "application/x-www-form-urlencoded"

// answer is an answer that was read to its end and found to keep the rows G.
type answer struct {
	status  int
	header  http.Header
	closes  bool // the connection
	body    string
	members map[string]any // of a JSON object
}

// post sends a form; headers come on top.
func (s *server) post(t *testing.T, path, form string, headers ...[2]string) *answer {
	t.Helper()
	return s.send(t, http.MethodPost, path, strings.NewReader(form), append([][2]string{{"Content-Type", formType}}, headers...)...)
}

// token posts to the token endpoint.
func (s *server) token(t *testing.T, form string, headers ...[2]string) *answer {
	t.Helper()
	return s.post(t, "/token", form, headers...)
}

// revoke posts to the revocation endpoint.
func (s *server) revoke(t *testing.T, form string, headers ...[2]string) *answer {
	t.Helper()
	return s.post(t, "/revoke", form, headers...)
}

// get asks a protected route.
func (s *server) get(t *testing.T, path string, headers ...[2]string) *answer {
	t.Helper()
	return s.send(t, http.MethodGet, path, nil, headers...)
}

func (s *server) send(t *testing.T, method, path string, body io.Reader, headers ...[2]string) *answer {
	t.Helper()
	sent := ""
	if r, ok := body.(*strings.Reader); ok {
		b, _ := io.ReadAll(r)
		r.Seek(0, io.SeekStart)
		sent = string(b)
	}
	req, err := http.NewRequestWithContext(context.Background(), method, s.base+path, body)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range headers {
		if h[0] == "Host" {
			req.Host = h[1]
			continue
		}
		req.Header.Add(h[0], h[1])
	}
	res, err := s.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{status: res.StatusCode, header: res.Header, closes: res.Close, body: string(b)}
	if res.Header.Get("Content-Type") == "application/json" {
		json.Unmarshal(b, &a.members)
	}
	s.note(sent, headers)
	endpoint, query, _ := strings.Cut(path, "?")
	if endpoint == "/authorize" {
		s.noteAuthorization(query)
	}
	s.general(t, method, endpoint, a)
	return a
}

// note keeps what in a request must never come back.
func (s *server) note(body string, headers [][2]string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	keep := func(v string) {
		if len(v) >= 6 && !slices.Contains(s.sent, v) {
			s.sent = append(s.sent, v)
		}
	}
	values, _ := url.ParseQuery(body)
	for _, name := range []string{"client_secret", "code", "refresh_token", "code_verifier", "token", "client_assertion"} {
		for _, v := range values[name] {
			keep(v)
		}
	}
	for _, h := range headers {
		if h[0] != "Authorization" {
			continue
		}
		_, credentials, _ := strings.Cut(h[1], " ")
		keep(strings.TrimSpace(credentials))
		if decoded, err := base64.StdEncoding.DecodeString(credentials); err == nil {
			if _, secret, ok := strings.Cut(string(decoded), ":"); ok {
				keep(secret)
			}
		}
	}
}

// noteAuthorization keeps what no page about an error says again.
func (s *server) noteAuthorization(query string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	values, _ := url.ParseQuery(query)
	for _, name := range []string{"client_id", "redirect_uri", "state", "code_challenge", "pending"} {
		for _, v := range values[name] {
			if len(v) >= 6 && !slices.Contains(s.sent, v) && !slices.Contains([]string{"native", "unknown"}, v) {
				s.sent = append(s.sent, v)
			}
		}
	}
}

// The characters of error and error_description (RFC 6749 A.7, A.8).
var sendable = regexp.MustCompile(`^[\x20-\x21\x23-\x5B\x5D-\x7E]*$`)

// general is what must hold for every answer: rows G-01 to G-04 and G-07.
func (s *server) general(t *testing.T, method, path string, a *answer) {
	t.Helper()
	fail := func(row, format string, args ...any) {
		t.Helper()
		t.Errorf(row+": "+format+"\n%s", append(args, a)...)
	}
	endpoint, cors := strings.CutPrefix(path, "/cors")
	server := endpoint == "/token" || endpoint == "/revoke" || endpoint == "/introspect"
	if server {
		if a.status >= 400 && method != http.MethodHead {
			code, ok := a.members["error"].(string)
			if a.header.Get("Content-Type") != "application/json" || !ok || code == "" {
				fail("G-01", "an error is a JSON object with a string error")
			}
			for name, v := range a.members {
				text, ok := v.(string)
				if !ok || !slices.Contains([]string{"error", "error_description", "error_uri"}, name) || !sendable.MatchString(text) {
					fail("G-01", "member %s of an error", name)
				}
			}
			for _, inside := range []string{"goroutine", ".go:", "runtime", "*grants", testbed.ErrBroken.Error(), "secret place"} {
				if strings.Contains(a.body, inside) {
					fail("G-01", "shows the inside: %s", inside)
				}
			}
		}
		if a.header.Get("Cache-Control") != "no-store" || a.header.Get("Pragma") != "no-cache" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.header.Values("Set-Cookie") != nil {
			fail("G-02", "Cache-Control, Pragma, nosniff or a cookie")
		}
	}
	if a.status >= 400 {
		s.mu.Lock()
		for _, secret := range s.sent {
			if strings.Contains(a.body, secret) || strings.Contains(fmt.Sprint(a.header), secret) {
				fail("G-03", "something that was sent came back")
			}
		}
		s.mu.Unlock()
	}
	switch a.status {
	case http.StatusUnauthorized:
		if len(a.header.Values("WWW-Authenticate")) != 1 {
			fail("G-04", "401 without WWW-Authenticate")
		}
	case http.StatusMethodNotAllowed:
		if a.header.Get("Allow") == "" {
			fail("G-04", "405 without Allow")
		}
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if !regexp.MustCompile(`^[1-9][0-9]*$`).MatchString(a.header.Get("Retry-After")) {
			fail("G-04", "no Retry-After in seconds")
		}
	}
	for name, values := range a.header {
		public := strings.HasPrefix(path, "/.well-known/") && name == "Access-Control-Allow-Origin" && slices.Equal(values, []string{"*"}) // MD-06
		if strings.HasPrefix(name, "Access-Control-") && !public && (!cors || endpoint == "/introspect" || endpoint == "/authorize") {
			fail("G-07", "CORS is off, yet %s", name)
		}
	}
	s.silentLog(t)
}

// silentLog fails if the log has anything in it that was sent and is secret.
func (s *server) silentLog(t *testing.T) {
	t.Helper()
	log := s.log.String()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, secret := range s.sent {
		if strings.Contains(log, secret) {
			t.Errorf("G-03: the log has %q in it:\n%s", secret, log)
		}
	}
}

func (a *answer) String() string { return fmt.Sprintf("%d %v\n%s", a.status, a.header, a.body) }

// member returns a string member, "" if it is not there.
func (a *answer) member(name string) string {
	v, _ := a.members[name].(string)
	return v
}

func (a *answer) access() string  { return a.member("access_token") }
func (a *answer) refresh() string { return a.member("refresh_token") }
func (a *answer) scope() string   { return a.member("scope") }

// ok fails unless a is the token answer of row T-01.
func (a *answer) ok(t *testing.T) *answer {
	t.Helper()
	expires, isNumber := a.members["expires_in"].(float64)
	if a.status != http.StatusOK || a.access() == "" || a.member("token_type") != "Bearer" || !isNumber || expires < 1 || expires != float64(int64(expires)) {
		t.Fatalf("want a token answer, got %s", a)
	}
	return a
}

// is fails unless a is an error of that status and code.
func (a *answer) is(t *testing.T, status int, code string) *answer {
	t.Helper()
	if a.status != status || a.member("error") != code {
		t.Fatalf("want %d %s, got %s", status, code, a)
	}
	return a
}

// e400 is E400 of that code.
func (a *answer) e400(t *testing.T, code string) *answer { t.Helper(); return a.is(t, 400, code) }

// e401 is E401: invalid_client with a Basic challenge.
func (a *answer) e401(t *testing.T) *answer {
	t.Helper()
	a.is(t, 401, "invalid_client")
	if !strings.HasPrefix(a.header.Get("WWW-Authenticate"), `Basic realm="`) {
		t.Fatalf("want a Basic challenge, got %s", a)
	}
	return a
}

// e503 is E503: temporarily_unavailable.
func (a *answer) e503(t *testing.T) *answer {
	t.Helper()
	return a.is(t, 503, "temporarily_unavailable")
}

// done fails unless a is the empty 200 of a revocation.
func (a *answer) done(t *testing.T) *answer {
	t.Helper()
	if a.status != http.StatusOK || a.body != "" {
		t.Fatalf("want an empty 200, got %s", a)
	}
	return a
}

// refused is an answer of a protected route: status, Bearer challenge with that error, body with the
// same; an empty code means that no credentials were sent: no error anywhere.
func (a *answer) refused(t *testing.T, status int, code string) *answer {
	t.Helper()
	challenge := a.header.Get("WWW-Authenticate")
	bad := a.status != status || !strings.HasPrefix(challenge, `Bearer realm="api"`) || a.header.Get("Cache-Control") != "no-store"
	if code == "" {
		bad = bad || strings.Contains(challenge, "error") || a.body != ""
	} else {
		bad = bad || !strings.Contains(challenge, `error="`+code+`"`) || a.member("error") != code
	}
	if bad {
		t.Fatalf("want %d Bearer %s, got %s", status, code, a)
	}
	return a
}

// works fails unless the access token is accepted by a protected route. It returns what that saw.
func (s *server) works(t *testing.T, access string) string {
	t.Helper()
	a := s.get(t, "/any", bearer(access))
	if a.status != http.StatusOK {
		t.Fatalf("want the access token to work, got %s", a)
	}
	return a.body
}

// dead fails if the access token is accepted by a protected route.
func (s *server) dead(t *testing.T, access string) {
	t.Helper()
	s.get(t, "/any", bearer(access)).refused(t, 401, "invalid_token")
}

// refreshes refreshes for a fixture client and fails unless that works.
func (s *server) refreshes(t *testing.T, client, refresh string) *answer {
	t.Helper()
	return s.tryRefresh(t, client, refresh).ok(t)
}

// tryRefresh refreshes for a fixture client, by Basic or, for a public one, by client_id.
func (s *server) tryRefresh(t *testing.T, client, refresh string) *answer {
	t.Helper()
	return s.asClient(t, "/token", client, "grant_type", "refresh_token", "refresh_token", refresh)
}

// asClient posts a form as a fixture client, by Basic or, for a public one, by client_id.
func (s *server) asClient(t *testing.T, path, client string, namesAndValues ...string) *answer {
	t.Helper()
	if fixture(client).Public {
		return s.post(t, path, form(append(namesAndValues, "client_id", client)...))
	}
	return s.post(t, path, form(namesAndValues...), as(client))
}
