package conformance

import (
	"slices"
	"strings"
	"testing"
)

// contest is a good request, and the mistakes that can be made in it in the order in which they are
// answered. Those of one level are answered in any order.
type contest struct {
	path     string
	good     attempt
	mistakes []mistake
}

type attempt struct {
	method, contentType, query string
	client, secret             string
	values                     [][2]string // as they stand in the body
	headers                    [][2]string
}

type mistake struct {
	level  int
	name   string
	status int
	code   string
	make   func(*attempt)
}

// wrong sends the good request with these mistakes in it. The first is made last, so that no other
// undoes it.
func (s *server) wrong(t *testing.T, c contest, mistakes ...mistake) *answer {
	t.Helper()
	a := c.good
	a.values = slices.Clone(a.values)
	for _, m := range slices.Backward(mistakes) {
		m.make(&a)
	}
	var pairs []string
	for _, v := range a.values {
		pairs = append(pairs, v[0]+"="+v[1])
	}
	headers := append([][2]string{{"Content-Type", a.contentType}, basic(a.client, a.secret)}, a.headers...)
	return s.send(t, a.method, c.path+a.query, strings.NewReader(strings.Join(pairs, "&")), headers...)
}

func (a *attempt) set(name, value string) { a.drop(name); a.add(name, value) }
func (a *attempt) add(name, value string) { a.values = append(a.values, [2]string{name, value}) }
func (a *attempt) drop(name string) {
	a.values = slices.DeleteFunc(a.values, func(v [2]string) bool { return v[0] == name })
}

func (a *attempt) by(client string) { a.client, a.secret = client, client+"-secret" }

// inAll are the mistakes that can be made in every request.
var inAll = []mistake{
	{1, "method", 405, "invalid_request", func(a *attempt) { a.method = "PUT" }},
	{2, "content type", 400, "invalid_request", func(a *attempt) { a.contentType = "text/plain" }},
	{3, "size", 413, "invalid_request", func(a *attempt) { a.add("pad", strings.Repeat("x", 64<<10)) }},
	{4, "encoding", 400, "invalid_request", func(a *attempt) { a.add("a", "%zz") }},
	{4, "octets", 400, "invalid_request", func(a *attempt) { a.set("redirect_uri", "%00") }},
	{4, "repeated parameter", 400, "invalid_request", func(a *attempt) { a.add("state", "1"); a.add("state", "2") }},
	{5, "query", 400, "invalid_request", func(a *attempt) { a.query = "?scope=read" }},
	{8, "two client authentications", 400, "invalid_request", func(a *attempt) { a.set("client_secret", "x") }},
	{8, "two Authorization headers", 400, "invalid_request", func(a *attempt) { a.headers = [][2]string{bearer("x")} }},
	{10, "client authentication", 401, "invalid_client", func(a *attempt) { a.secret = "wrong-secret" }},
}

// ofToken are those of the token endpoint.
var ofToken = []mistake{
	{6, "grant_type absent", 400, "invalid_request", func(a *attempt) { a.drop("grant_type") }},
	{7, "grant_type unsupported", 400, "unsupported_grant_type", func(a *attempt) { a.set("grant_type", "x") }},
}

// ofScope are those of the grant types that take a scope. Its octets are no matter of encoding.
var ofScope = []mistake{
	{13, "scope syntax", 400, "invalid_scope", func(a *attempt) { a.set("scope", "read++read") }},
	{13, "scope octets", 400, "invalid_scope", func(a *attempt) { a.set("scope", "%ff") }},
	{15, "scope", 400, "invalid_scope", func(a *attempt) { a.set("scope", "read+admin") }},
}

func newContest(path, client, body string, more ...[]mistake) contest {
	c := contest{path: path, good: attempt{method: "POST", contentType: formType}}
	c.good.by(client)
	for pair := range strings.SplitSeq(body, "&") {
		name, value, _ := strings.Cut(pair, "=")
		c.good.add(name, value)
	}
	c.mistakes = slices.Concat(append(more, inAll)...)
	slices.SortStableFunc(c.mistakes, func(a, b mistake) int { return a.level - b.level })
	return c
}

// ownPrecedence is that of endpoints that are there over a manager of ours alone.
var ownPrecedence = map[string]func(t *testing.T, s *server) contest{
	"introspect": func(t *testing.T, s *server) contest {
		return newContest("/introspect", "web", form("token", s.pair(t, "web").access()), []mistake{
			{12, "token absent", 400, "invalid_request", func(a *attempt) { a.drop("token") }},
		})
	},
}

var precedence = map[string]func(t *testing.T, s *server) contest{
	"client_credentials": func(t *testing.T, s *server) contest {
		return newContest("/token", "svc", goodToken, ofToken, ofScope, []mistake{
			{11, "client may not", 400, "unauthorized_client", func(a *attempt) { a.by("web") }},
		})
	},
	"authorization_code": func(t *testing.T, s *server) contest {
		code, other := s.newCode(t, "web"), s.newCode(t, "two")
		return newContest("/token", "web", form(redemption("web", code)...), ofToken, []mistake{
			{11, "client may not", 400, "unauthorized_client", func(a *attempt) { a.by("svc") }},
			{12, "code absent", 400, "invalid_request", func(a *attempt) { a.drop("code") }},
			{14, "code", 400, "invalid_grant", func(a *attempt) { a.set("code", other) }},
		})
	},
	"refresh_token": func(t *testing.T, s *server) contest {
		pair, other := s.pair(t, "web"), s.pair(t, "two")
		return newContest("/token", "web", form(refreshment(pair.refresh())...), ofToken, ofScope, []mistake{
			{11, "client may not", 400, "unauthorized_client", func(a *attempt) { a.by("svc") }},
			{12, "refresh_token absent", 400, "invalid_request", func(a *attempt) { a.drop("refresh_token") }},
			{14, "token", 400, "invalid_grant", func(a *attempt) { a.set("refresh_token", other.refresh()) }},
		})
	},
	"revoke": func(t *testing.T, s *server) contest {
		pair, other := s.pair(t, "web"), s.pair(t, "two")
		return newContest("/revoke", "web", form("token", pair.access()), []mistake{
			{12, "token absent", 400, "invalid_request", func(a *attempt) { a.drop("token") }},
			{14, "token", 400, "unauthorized_client", func(a *attempt) { a.set("token", other.access()) }},
		})
	},
}
