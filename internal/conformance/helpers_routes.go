package conformance

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
)

// shop is a client that can ask for the scope that GET /orders needs, and for some that look like it.
func shop() *storage.Client {
	return &storage.Client{
		ID: "shop", Secret: storage.HashGenerated("shop-secret"), GrantTypes: []string{"authorization_code", "refresh_token"},
		Scope: "orders:read orders:write orders orders:read2 Orders:Read", RedirectURIs: []string{"https://shop.example/cb"},
	}
}

// goodAt returns a route and what alice has signed in for that opens it: GET /orders, or GET /any over a
// foreign manager, none of whose clients has the scope.
func (s *server) goodAt(t *testing.T) (path string, pair *answer) {
	t.Helper()
	if s.store == nil {
		return "/any", s.pair(t, "web")
	}
	s.putClient(t, shop())
	return "/orders", s.signIn(t, shop(), "orders:read")
}

// signIn gets an access and a refresh token of alice's for a confidential client and that scope.
func (s *server) signIn(t *testing.T, c *storage.Client, scope string) *answer {
	t.Helper()
	uri := c.RedirectURIs[0]
	return s.token(t, form("grant_type", "authorization_code", "code", s.code(t, c.ID, uri, scope, challenge),
		"code_verifier", verifier, "redirect_uri", uri), as(c.ID)).ok(t)
}

// guard mounts one more protected route: open is what is needed beside a token, nil for nothing.
func (s *server) guard(pattern string, need func(http.Handler) http.Handler, options ...middleware.Option) {
	var route http.Handler = http.HandlerFunc(whoami)
	if need != nil {
		route = need(route)
	}
	s.mux.Handle(pattern, middleware.Bearer(s.manager, append([]middleware.Option{middleware.Realm("api")}, options...)...)(route))
}

// turnedAway asks a protected route by GET and HEAD, and fails unless both are refused alike. It returns
// the attributes of the challenge.
func (s *server) turnedAway(t *testing.T, path string, status int, code string, headers ...[2]string) map[string]string {
	t.Helper()
	a, head := s.get(t, path, headers...), s.send(t, "HEAD", path, nil, headers...)
	alike(t, a, head)
	return a.bearerError(t, status, code)
}

func alike(t *testing.T, a, head *answer) {
	t.Helper()
	for _, name := range []string{"Date", "Content-Length"} {
		a.header.Del(name)
		head.header.Del(name)
	}
	if head.status != a.status || head.body != "" || !reflect.DeepEqual(head.header, a.header) {
		t.Errorf("GET is answered %s\nHEAD %s", a, head)
	}
}

var (
	attribute  = regexp.MustCompile(`^([a-z_]+)="((?:[ !#-\[\]-~]|\\[ -~])*)"(?:, |$)`)
	quotedPair = regexp.MustCompile(`\\(.)`)
)

// bearerError fails unless a is an answer of a protected route as RFC 6750 3 wants it: one challenge,
// each attribute once, a body that says the same; "" for the bare one. It returns the attributes.
func (a *answer) bearerError(t *testing.T, status int, code string) map[string]string {
	t.Helper()
	challenges := a.header.Values("WWW-Authenticate")
	if a.status != status || len(challenges) != 1 || !reflect.DeepEqual(a.header.Values("Cache-Control"), []string{"no-store"}) {
		t.Fatalf("want %d with one challenge and no-store, got %s", status, a)
	}
	attributes := make(map[string]string)
	rest, ok := strings.CutPrefix(challenges[0], "Bearer ")
	for ok && rest != "" {
		m := attribute.FindStringSubmatch(rest)
		if m == nil {
			break
		}
		if _, twice := attributes[m[1]]; twice {
			break
		}
		attributes[m[1]], rest = quotedPair.ReplaceAllString(m[2], "$1"), rest[len(m[0]):]
	}
	if !ok || rest != "" || attributes["realm"] == "" {
		t.Fatalf("the challenge can not be read: %s", a)
	}
	description, described := attributes["error_description"]
	switch {
	case code == "":
		if strings.Contains(challenges[0], "error") || a.body != "" {
			t.Fatalf("want no error and no body, got %s", a)
		}
	case attributes["error"] != code || a.member("error") != code || a.header.Get("Content-Type") != "application/json",
		described && a.member("error_description") != description, !sendable.MatchString(description):
		t.Fatalf("want %s in header and body, got %s", code, a)
	}
	return attributes
}

// rawHTTP sends a request that Go's client would not send as it is. lines are its header.
func (s *server) rawHTTP(t *testing.T, method, path string, lines ...string) *answer {
	t.Helper()
	base, err := url.Parse(s.base)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := s.client.Transport.(*http.Transport).DialContext(context.Background(), "tcp", base.Host)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, method+" "+path+" HTTP/1.1\r\nHost: "+base.Host+"\r\n"+strings.Join(lines, "\r\n")+"\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		t.Fatal(err)
	}
	a := &answer{status: res.StatusCode, header: res.Header, closes: res.Close, body: string(body)}
	json.Unmarshal(body, &a.members)
	var headers [][2]string
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		headers = append(headers, [2]string{name, value})
	}
	s.note("", headers)
	s.general(t, method, path, a)
	return a
}

// grantIn is the ID of the grant that everybody can read in a token.
func grantIn(token string) (id storage.ID) {
	forged(token, token[3], func(octets []byte) { copy(id[:], octets) })
	return id
}
