package conformance

import (
	"context"
	"encoding/json"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
)

const (
	wellKnown         = "/.well-known/oauth-authorization-server"
	wellKnownResource = "/.well-known/oauth-protected-resource"
)

// allPaths is everything that a server of the suite has mounted.
var allPaths = handler.Paths{Authorize: "/authorize", Token: "/token", Revoke: "/revoke", Introspect: "/introspect", JWKS: "/.well-known/jwks.json"}

// theAPI is the resource server that the guarded routes belong to.
var theAPI = middleware.Resource{Resource: "https://api.example/v1", AuthorizationServers: []string{issuer}, Scopes: []string{"read", "write"}}

// document fails unless the answer is a document that everybody may read, and returns its members.
func (a *answer) document(t *testing.T) map[string]any {
	t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.header.Get("Cache-Control"), "max-age=") || a.header.Get("ETag") == "" || a.header.Get("X-Content-Type-Options") != "nosniff" || a.members == nil {
		t.Fatalf("want a document, got %s", a)
	}
	for name, value := range a.members {
		if list, ok := value.([]any); ok && len(list) == 0 || value == "" || value == nil {
			t.Errorf("%s is empty: %s", name, a)
		}
	}
	return a.members
}

// told is the metadata of a server under an issuer, which a handler at another path serves just so.
func told(t *testing.T, s *server, issuer string, paths handler.Paths) map[string]any {
	t.Helper()
	w := httptest.NewRecorder()
	handler.Metadata(grants.New(s.store, grants.Issuer(issuer)), paths).ServeHTTP(w, httptest.NewRequest("GET", wellKnown, nil))
	var members map[string]any
	if err := json.Unmarshal(w.Body.Bytes(), &members); err != nil {
		t.Fatal(err)
	}
	return members
}

func words(words ...string) []any {
	var list []any
	for _, w := range words {
		list = append(list, w)
	}
	return list
}

var bothMethods = words("client_secret_basic", "client_secret_post")

// fullMetadata is what a server with everything tells.
var fullMetadata = map[string]any{
	"issuer": issuer, "authorization_endpoint": issuer + "/authorize", "token_endpoint": issuer + "/token",
	"revocation_endpoint": issuer + "/revoke", "introspection_endpoint": issuer + "/introspect",
	"response_types_supported": words("code"), "response_modes_supported": words("query"), "code_challenge_methods_supported": words("S256"),
	"grant_types_supported":                          words("authorization_code", "refresh_token", "client_credentials"),
	"token_endpoint_auth_methods_supported":          append(bothMethods[:2:2], "none"),
	"revocation_endpoint_auth_methods_supported":     append(bothMethods[:2:2], "none"),
	"introspection_endpoint_auth_methods_supported":  bothMethods,
	"authorization_response_iss_parameter_supported": true,
}

func isJSON(t *testing.T, got, want map[string]any) {
	t.Helper()
	if g, w := encodedJSON(got), encodedJSON(want); g != w {
		t.Errorf("got  %s\nwant %s", g, w)
	}
}

func encodedJSON(v any) string {
	b, err := json.Marshal(v)
	if err != nil {
		panic(err)
	}
	return string(b)
}

// MD. Metadata.
var metadataRows = []row{
	{"MD-01", []testCase{
		{name: "GET", run: func(t *testing.T, s *server) {
			if got := s.get(t, wellKnown).document(t)["issuer"]; got != issuer {
				t.Errorf("issuer %v", got)
			}
		}},
		issuerWithPath("path", "https://auth.example/t1"),
		issuerWithPath("path and final slash", "https://auth.example/t1/"),
		{name: "HEAD", run: func(t *testing.T, s *server) {
			get, head := s.get(t, wellKnown), s.send(t, "HEAD", wellKnown, nil)
			get.header.Del("Date")
			head.header.Del("Date")
			if head.status != 200 || head.body != "" || !maps.EqualFunc(head.header, get.header, slices.Equal) {
				t.Errorf("got %s, by GET %s", head, get)
			}
		}},
		{name: "not modified", run: func(t *testing.T, s *server) {
			tag := s.get(t, wellKnown).header.Get("ETag")
			for _, sent := range []string{tag, "W/" + tag, `"x", ` + tag, "*"} { // RFC 9110 13.1.2
				if a := s.get(t, wellKnown, [2]string{"If-None-Match", sent}); a.status != 304 || a.body != "" || a.header.Get("ETag") != tag {
					t.Errorf("%s: got %s", sent, a)
				}
			}
			if a := s.get(t, wellKnown, [2]string{"If-None-Match", `"x"`}); a.status != 200 {
				t.Errorf("got %s", a)
			}
		}},
		{name: "POST", run: func(t *testing.T, s *server) {
			for _, path := range []string{wellKnown, wellKnownResource + "/v1"} {
				for _, method := range []string{"POST", "PUT", "OPTIONS"} {
					if a := s.send(t, method, path, nil); a.status != 405 || a.header.Get("Allow") != "GET, HEAD" {
						t.Errorf("%s %s: got %s", method, path, a)
					}
				}
			}
		}},
	}},
	{"MD-02", []testCase{
		{name: "all", run: func(t *testing.T, s *server) { isJSON(t, s.get(t, wellKnown).document(t), fullMetadata) }},
		{name: "scopes", run: func(t *testing.T, s *server) {
			want := maps.Clone(fullMetadata)
			want["scopes_supported"] = words("read", "write")
			paths := allPaths
			paths.Scopes = []string{"read", "write"}
			isJSON(t, told(t, s, issuer, paths), want)
		}},
		{name: "grant type of the application's own", options: []grants.Option{grants.Extend(ownGrant)}, run: func(t *testing.T, s *server) {
			want := maps.Clone(fullMetadata)
			want["grant_types_supported"] = append(slices.Clone(want["grant_types_supported"].([]any)), ownGrant.Name)
			isJSON(t, s.get(t, wellKnown).document(t), want)
		}},
	}},
	{"MD-03", []testCase{
		{name: "token and revoke", run: func(t *testing.T, s *server) {
			want := maps.Clone(fullMetadata)
			for name := range want {
				if strings.HasPrefix(name, "authorization_") || strings.HasPrefix(name, "introspection_") || strings.HasPrefix(name, "response_") || strings.HasPrefix(name, "code_") {
					delete(want, name)
				}
			}
			want["grant_types_supported"] = words("refresh_token", "client_credentials")
			isJSON(t, told(t, s, issuer, handler.Paths{Token: "/token", Revoke: "/revoke"}), want)
		}},
		{name: "token", run: func(t *testing.T, s *server) {
			isJSON(t, told(t, s, issuer, handler.Paths{Token: "/token", Scopes: []string{}}), map[string]any{
				"issuer": issuer, "token_endpoint": issuer + "/token", "grant_types_supported": words("refresh_token", "client_credentials"),
				"token_endpoint_auth_methods_supported": append(bothMethods[:2:2], "none"),
			})
		}},
		{name: "elsewhere", run: func(t *testing.T, s *server) {
			got := told(t, s, issuer, handler.Paths{Token: "https://tokens.example/x", Introspect: "http://127.0.0.1:5/x"})
			if got["token_endpoint"] != "https://tokens.example/x" || got["introspection_endpoint"] != "http://127.0.0.1:5/x" {
				t.Errorf("got %v", got)
			}
		}},
		{name: "refused", run: func(t *testing.T, s *server) {
			refuses := func(what string, m *grants.Manager, paths handler.Paths) {
				t.Helper()
				panics(t, what, func() { handler.Metadata(m, paths) })
			}
			for _, path := range []string{
				"token", "//evil.example/token", "http://evil.example/token", "http://localhost.evil.example/", "/token?x=1", "/token?", "/token#x", "/token#",
				"ftp://x.example/", "https:///x", "https://:443/x", "https:x", "https://u:p@x.example/", "/a b", "/a\r\nb", `/"`, `/\evil.example`, "/tökén", "/%zz",
			} {
				refuses(path, s.ours, handler.Paths{Token: path})
				refuses(path, s.ours, handler.Paths{Token: "/token", Authorize: path})
				refuses(path, s.ours, handler.Paths{Token: "/token", Revoke: path})
				refuses(path, s.ours, handler.Paths{Token: "/token", Introspect: path})
			}
			for _, scope := range []string{"", "read write", `"`, "é"} {
				refuses(scope, s.ours, handler.Paths{Token: "/token", Scopes: []string{"read", scope}})
			}
			refuses("no token endpoint", s.ours, handler.Paths{Authorize: "/authorize"})
			refuses("no issuer", grants.New(s.store), allPaths)
			refuses("no manager", nil, allPaths)
		}},
	}},
	{"MD-04", each(testCase{}, map[string][2]string{
		"Host": {"Host", "evil.example"}, "X-Forwarded-Host": {"X-Forwarded-Host", "evil.example"}, "X-Forwarded-Proto": {"X-Forwarded-Proto", "http"}, "Forwarded": {"Forwarded", "host=evil.example"},
	}, func(t *testing.T, s *server, header [2]string) {
		isJSON(t, s.get(t, wellKnown, header).document(t), fullMetadata)
		if got := s.get(t, wellKnownResource+"/v1", header).document(t); got["resource"] != theAPI.Resource {
			t.Errorf("got %v", got)
		}
		v := s.alice()
		v.get(t, "/authorize?"+query("scope", "admin"), header).returned(t, "invalid_scope", "xyz") // looks at iss
	})},
	{"MD-06", each(testCase{}, same(wellKnown, wellKnownResource+"/v1"), func(t *testing.T, s *server, path string) {
		for _, origin := range []string{"https://spa.example", "https://evil.example", "null", ""} {
			a := s.get(t, path, [2]string{"Origin", origin})
			a.document(t)
			if a.header.Get("Access-Control-Allow-Credentials") != "" {
				t.Errorf("got %s", a)
			}
		}
	})},
	{"MD-07", []testCase{
		{name: "with path", run: func(t *testing.T, s *server) {
			isJSON(t, s.get(t, wellKnownResource+"/v1").document(t), map[string]any{
				"resource": "https://api.example/v1", "authorization_servers": words(issuer), "scopes_supported": words("read", "write"), "bearer_methods_supported": words("header"),
			})
		}},
		{name: "without path", run: func(t *testing.T, s *server) {
			s.mux.Handle(wellKnownResource, middleware.ProtectedResource(middleware.Resource{Resource: "https://api.example", AuthorizationServers: []string{}, Scopes: []string{}}))
			isJSON(t, s.get(t, wellKnownResource).document(t), map[string]any{"resource": "https://api.example", "bearer_methods_supported": words("header")})
		}},
		{name: "where the challenge leads", run: func(t *testing.T, s *server) {
			s.guard("GET /v1/things", nil, middleware.ResourceMetadata(theAPI.MetadataURL()))
			challenge := s.get(t, "/v1/things").header.Get("WWW-Authenticate")
			_, url, _ := strings.Cut(challenge, `resource_metadata="https://api.example`)
			path, _, ok := strings.Cut(url, `"`)
			if !ok {
				t.Fatalf("challenge %s", challenge)
			}
			if got := s.get(t, path).document(t); got["resource"] != theAPI.Resource {
				t.Errorf("got %v", got)
			}
		}},
		{name: "addresses", run: func(t *testing.T, s *server) {
			for resource, want := range map[string]string{
				"https://api.example": "https://api.example" + wellKnownResource, "https://api.example/": "https://api.example" + wellKnownResource,
				"https://api.example:8443/v1/x": "https://api.example:8443" + wellKnownResource + "/v1/x", "http://127.0.0.1:8080/api": "http://127.0.0.1:8080" + wellKnownResource + "/api",
				"https://api.example/v1?t=1": "https://api.example" + wellKnownResource + "/v1?t=1", "https://api.example/?t=1": "https://api.example" + wellKnownResource + "?t=1",
				"https://api.example?t=1": "https://api.example" + wellKnownResource + "?t=1", "https://api.example/v1/": "https://api.example" + wellKnownResource + "/v1",
				"https://api.example/a%2Fb": "https://api.example" + wellKnownResource + "/a%2Fb", "http://[::1]:8080/": "http://[::1]:8080" + wellKnownResource,
			} {
				if got := (middleware.Resource{Resource: resource}).MetadataURL(); got != want {
					t.Errorf("%s: got %s, want %s", resource, got, want)
				}
			}
		}},
		{name: "refused", run: func(t *testing.T, s *server) {
			for _, bad := range []string{
				"", "api", "/api", "http://api.example", "http://localhost.evil.example", "https://api.example#x", "https://api.example/#", "https://u:p@api.example",
				"https:///x", "https://:443", "https:api.example", "ftp://api.example", "https://api.example/a b", `https://api.example/"`, "https://api.example/ü", "https://api.example/\n",
			} {
				panics(t, bad, func() { middleware.ProtectedResource(middleware.Resource{Resource: bad}) })
				panics(t, bad, func() { middleware.Resource{Resource: bad}.MetadataURL() })
				panics(t, "issuer "+bad, func() {
					middleware.ProtectedResource(middleware.Resource{Resource: "https://api.example", AuthorizationServers: []string{issuer, bad}})
				})
			}
			panics(t, "issuer with query", func() {
				middleware.ProtectedResource(middleware.Resource{Resource: "https://api.example", AuthorizationServers: []string{"https://auth.example?a=b"}})
			})
			for _, scope := range []string{"", "read write", `"`, "é"} {
				panics(t, "scope "+scope, func() {
					middleware.ProtectedResource(middleware.Resource{Resource: "https://api.example", Scopes: []string{"read", scope}})
				})
			}
		}},
	}},
	{"T-21", slices.Concat(each(testCase{foreign: true}, same("/cors/token", "/cors/revoke"), func(t *testing.T, s *server, path string) {
		body, client := goodToken, as("svc")
		if path == "/cors/revoke" {
			body = "token=x"
		}
		preflight := func(origins ...string) *answer {
			headers := [][2]string{{"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", "authorization"}}
			for _, origin := range origins {
				headers = append(headers, [2]string{"Origin", origin})
			}
			a := s.send(t, "OPTIONS", path, nil, headers...)
			if a.header.Get("Vary") != "Origin" {
				t.Errorf("%s: got %s", origins, a)
			}
			return a
		}
		cors := func(a *answer) map[string]string {
			said := make(map[string]string)
			for name, values := range a.header {
				if strings.HasPrefix(name, "Access-Control-") {
					said[name] = strings.Join(values, " and ")
				}
			}
			return said
		}
		a := preflight("https://spa.example")
		if want := map[string]string{
			"Access-Control-Allow-Origin": "https://spa.example", "Access-Control-Allow-Methods": "POST", "Access-Control-Allow-Headers": "Authorization, Content-Type", "Access-Control-Max-Age": "7200",
		}; a.status != 204 || a.body != "" || !maps.Equal(cors(a), want) {
			t.Errorf("got %s", a)
		}
		readable := map[string]string{"Access-Control-Allow-Origin": "https://spa.example", "Access-Control-Expose-Headers": "Retry-After, WWW-Authenticate"}
		for _, c := range []struct {
			headers [][2]string
			status  int
		}{{[][2]string{client}, 200}, {[][2]string{basic("svc", "wrong-secret")}, 401}} {
			a = s.post(t, path, body, append(c.headers, [2]string{"Origin", "https://spa.example"})...)
			if a.status != c.status || !maps.Equal(cors(a), readable) || a.header.Get("Vary") != "Origin" {
				t.Errorf("got %s", a)
			}
		}
		for _, method := range []string{"GET", "OPTIONS"} { // no preflight
			if a = s.send(t, method, path, nil, [2]string{"Origin", "https://spa.example"}); a.status != 405 || !maps.Equal(cors(a), readable) {
				t.Errorf("got %s", a)
			}
		}
		for _, origins := range [][]string{
			{"https://evil.example"}, {"null"}, {""}, {}, {"*"}, {"https://spa.example.evil.example"}, {"https://evilspa.example"}, {"http://spa.example"}, {"https://spa.example:443"},
			{"https://SPA.example"}, {"https://spa.example/"}, {"https://spa.example", "https://evil.example"}, {"https://spa.example, https://evil.example"},
		} {
			if a := preflight(origins...); a.status != 405 || len(cors(a)) > 0 {
				t.Errorf("%s: got %s", origins, a)
			}
			headers := [][2]string{client}
			for _, origin := range origins {
				headers = append(headers, [2]string{"Origin", origin})
			}
			if a = s.post(t, path, body, headers...); a.status != 200 || len(cors(a)) > 0 || a.header.Get("Vary") != "Origin" {
				t.Errorf("%s: got %s", origins, a)
			}
		}
	}), each(testCase{}, same("/cors/authorize", "/cors/introspect"), func(t *testing.T, s *server, path string) { // ignore it: row G-07
		for _, method := range []string{"OPTIONS", "GET", "POST"} {
			a := s.send(t, method, path, nil, [2]string{"Origin", "https://spa.example"}, [2]string{"Access-Control-Request-Method", "POST"})
			if method == "OPTIONS" && a.status != 405 {
				t.Errorf("got %s", a)
			}
		}
	}), []testCase{{name: "several options", run: func(t *testing.T, s *server) {
		s.mux.Handle("/several", handler.Token(s.ours, handler.AllowOrigins("https://a.example"), handler.AllowOrigins(), handler.AllowOrigins("https://b.example:8443", "http://localhost:3000", "http://[::1]:3000")))
		for _, origin := range []string{"https://a.example", "https://b.example:8443", "http://localhost:3000", "http://[::1]:3000"} {
			r := httptest.NewRequest("POST", "/several", nil)
			r.Header.Set("Origin", origin)
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			if got := w.Header().Get("Access-Control-Allow-Origin"); got != origin {
				t.Errorf("%s: got %q", origin, got)
			}
		}
	}}, {name: "refused", run: func(t *testing.T, s *server) {
		for _, bad := range []string{
			"*", "null", "", "spa.example", "//spa.example", "https://spa.example/", "https://spa.example/x", "https://spa.example?", "https://spa.example#", "https://*.example", "https://*",
			"http://spa.example", "http://localhost.evil.example", "HTTPS://spa.example", "https://SPA.example", "https://spä.example", "https://a.example,https://b.example", "https://a.example https://b.example",
			"https://spa.example:", "https://spa.example:443", "https://spa.example:0443", "http://localhost:80", "https://:443", "https://", "https://u@spa.example", "https://spa.example\n", "https://a:1:2", "file://", "ftp://spa.example",
		} {
			panics(t, bad, func() { handler.AllowOrigins("https://spa.example", bad) })
		}
	}}})},
}

// panics fails unless build does, which was given something that makes no sense.
func panics(t *testing.T, what string, build func()) {
	t.Helper()
	defer func() {
		t.Helper()
		if recover() == nil {
			t.Errorf("takes %q", what)
		}
	}()
	build()
}

// issuerWithPath is served under the well-known path that its own follows, without the final slash (RFC 8414 3.1).
func issuerWithPath(name, issuer string) testCase {
	return testCase{name: name, run: func(t *testing.T, s *server) {
		s.mux.Handle(wellKnown+"/t1", handler.Metadata(grants.New(s.store, grants.Issuer(issuer)), handler.Paths{Token: "/t1/token"}))
		members := s.get(t, wellKnown+"/t1").document(t)
		if members["issuer"] != issuer || members["token_endpoint"] != "https://auth.example/t1/token" {
			t.Errorf("got %v", members)
		}
	}}
}

// ownGrant is a grant type that an application has added.
var ownGrant = grants.Extension{Name: "urn:example:own", Grant: func(context.Context, *grants.Request) (grants.Issue, error) { return grants.Issue{}, nil }}
