package conformance

import (
	"encoding/json"
	"maps"
	"net/http"
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
var allPaths = handler.Paths{Authorize: "/authorize", Token: "/token", Revoke: "/revoke", Introspect: "/introspect"}

// theAPI is the resource server that the guarded routes belong to.
var theAPI = middleware.Resource{Resource: "https://api.example/v1", AuthorizationServers: []string{issuer}, Scopes: []string{"read", "write"}}

// document fails unless the answer is a document that everybody may read, and returns its members.
func (a *answer) document(t *testing.T) map[string]any {
	t.Helper()
	if a.status != 200 || a.header.Get("Content-Type") != "application/json" || a.header.Get("Access-Control-Allow-Origin") != "*" ||
		!strings.Contains(a.header.Get("Cache-Control"), "max-age=") || a.header.Get("ETag") == "" || a.members == nil {
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
		{name: "issuer with path", run: func(t *testing.T, s *server) {
			for _, name := range []string{"https://auth.example/t1", "https://auth.example/t1/"} {
				m := grants.New(s.store, grants.Issuer(name))
				s.mux.Handle(wellKnown+strings.TrimPrefix(name, "https://auth.example"), handler.Metadata(m, handler.Paths{Token: "/t1/token"}))
				members := s.get(t, wellKnown+strings.TrimPrefix(name, "https://auth.example")).document(t)
				if members["issuer"] != name || members["token_endpoint"] != "https://auth.example/t1/token" {
					t.Errorf("got %v", members)
				}
			}
		}},
		{name: "HEAD", run: func(t *testing.T, s *server) {
			get, head := s.get(t, wellKnown), s.send(t, "HEAD", wellKnown, nil)
			if head.status != 200 || head.body != "" || head.header.Get("Content-Length") != get.header.Get("Content-Length") {
				t.Errorf("got %s", head)
			}
		}},
		{name: "not modified", run: func(t *testing.T, s *server) {
			tag := s.get(t, wellKnown).header.Get("ETag")
			if a := s.get(t, wellKnown, [2]string{"If-None-Match", tag}); a.status != 304 || a.body != "" {
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
	one("MD-02", testCase{run: func(t *testing.T, s *server) { isJSON(t, s.get(t, wellKnown).document(t), fullMetadata) }}),
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
		{name: "nothing", run: func(t *testing.T, s *server) {
			isJSON(t, told(t, s, issuer, handler.Paths{}), map[string]any{"issuer": issuer, "grant_types_supported": []any{}})
		}},
		{name: "elsewhere", run: func(t *testing.T, s *server) {
			got := told(t, s, issuer, handler.Paths{Token: "https://tokens.example/x", Introspect: "http://127.0.0.1:5/x"})
			if got["token_endpoint"] != "https://tokens.example/x" || got["introspection_endpoint"] != "http://127.0.0.1:5/x" {
				t.Errorf("got %v", got)
			}
		}},
		{name: "no path", run: func(t *testing.T, s *server) {
			for _, path := range []string{"token", "//evil.example/token", "http://evil.example/token", "/token?x=1", "/token#x", "ftp://x.example/", "https:///x", "https://u:p@x.example/"} {
				func() {
					defer func() {
						if recover() == nil {
							t.Errorf("takes %s", path)
						}
					}()
					handler.Metadata(s.ours, handler.Paths{Token: path})
				}()
			}
		}},
	}},
	{"MD-04", each(testCase{}, map[string][2]string{
		"Host": {"Host", "evil.example"}, "X-Forwarded-Host": {"X-Forwarded-Host", "evil.example"}, "X-Forwarded-Proto": {"X-Forwarded-Proto", "http"}, "Forwarded": {"Forwarded", "host=evil.example"},
	}, func(t *testing.T, s *server, header [2]string) {
		// The Host of a request is no header to Go's client.
		ask := func(path string) map[string]any {
			r := httptest.NewRequest("GET", path, nil)
			r.Header.Set(header[0], header[1])
			if header[0] == "Host" {
				r.Host = header[1]
			}
			w := httptest.NewRecorder()
			s.mux.ServeHTTP(w, r)
			var members map[string]any
			json.Unmarshal(w.Body.Bytes(), &members)
			return members
		}
		isJSON(t, ask(wellKnown), fullMetadata)
		if got := ask(wellKnownResource + "/v1"); got["resource"] != theAPI.Resource {
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
			s.mux.Handle("GET /v1/things", middleware.Bearer(s.ours, middleware.Realm("api"), middleware.ResourceMetadata(theAPI.MetadataURL()))(http.HandlerFunc(whoami)))
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
				"https://api.example/v1?t=1": "https://api.example" + wellKnownResource + "/v1?t=1",
			} {
				if got := (middleware.Resource{Resource: resource}).MetadataURL(); got != want {
					t.Errorf("%s: got %s, want %s", resource, got, want)
				}
			}
			for _, bad := range []string{"", "api", "/api", "http://api.example", "https://api.example#x", "https://api.example/#", "https://u:p@api.example", "https:///x"} {
				for _, r := range []middleware.Resource{{Resource: bad}, {Resource: "https://api.example", AuthorizationServers: []string{bad}}} {
					func() {
						defer func() {
							if recover() == nil {
								t.Errorf("takes %+v", r)
							}
						}()
						middleware.ProtectedResource(r)
					}()
				}
			}
		}},
	}},
	{"T-21", append(each(testCase{}, same("/cors/token", "/cors/revoke"), func(t *testing.T, s *server, path string) {
		body, client := goodToken, as("svc")
		if path == "/cors/revoke" {
			body = "token=x"
		}
		asking := [][2]string{{"Access-Control-Request-Method", "POST"}, {"Access-Control-Request-Headers", "authorization"}}
		a := s.send(t, "OPTIONS", path, nil, append(asking, [2]string{"Origin", "https://spa.example"})...)
		h := a.header
		if a.status != 204 || h.Get("Access-Control-Allow-Origin") != "https://spa.example" || h.Get("Access-Control-Allow-Methods") != "POST" ||
			!strings.Contains(h.Get("Access-Control-Allow-Headers"), "Authorization") || !slices.Contains(h.Values("Vary"), "Origin") || h.Get("Access-Control-Allow-Credentials") != "" {
			t.Errorf("got %s", a)
		}
		for _, headers := range [][][2]string{{client}, {basic("svc", "wrong-secret")}} {
			a = s.post(t, path, body, append(headers, [2]string{"Origin", "https://spa.example"})...)
			if a.header.Get("Access-Control-Allow-Origin") != "https://spa.example" || !slices.Contains(a.header.Values("Vary"), "Origin") {
				t.Errorf("got %s", a)
			}
		}
		for _, origin := range []string{"https://evil.example", "null", "https://spa.example.evil.example", "http://spa.example", "https://spa.example:443"} {
			a := s.send(t, "OPTIONS", path, nil, append(asking, [2]string{"Origin", origin})...)
			if a.status != 405 || !slices.Contains(a.header.Values("Vary"), "Origin") {
				t.Errorf("%s: got %s", origin, a)
			}
			a.noCORS(t)
			if a = s.post(t, path, body, client, [2]string{"Origin", origin}); a.status != 200 {
				t.Errorf("%s: got %s", origin, a)
			}
			a.noCORS(t)
		}
	}), testCase{name: "origins", run: func(t *testing.T, s *server) {
		for _, bad := range []string{"*", "null", "", "spa.example", "https://spa.example/", "https://*.example", "http://spa.example", "https://SPA.example", "https://a.example,https://b.example"} {
			func() {
				defer func() {
					if recover() == nil {
						t.Errorf("takes %q", bad)
					}
				}()
				handler.AllowOrigins(bad)
			}()
		}
		handler.AllowOrigins("https://spa.example:8443", "http://localhost:3000")
	}}, testCase{name: "not at authorize", run: func(t *testing.T, s *server) {
		w := httptest.NewRecorder()
		r := httptest.NewRequest("GET", "/authorize", nil)
		r.Header.Set("Origin", "https://spa.example")
		handler.Authorize(s.ours, s.who, handler.AllowOrigins("https://spa.example")).ServeHTTP(w, r)
		for name := range w.Header() {
			if strings.HasPrefix(name, "Access-Control-") {
				t.Errorf("has %s", name)
			}
		}
	}})},
}

func (a *answer) noCORS(t *testing.T) {
	t.Helper()
	for name := range a.header {
		if strings.HasPrefix(name, "Access-Control-") {
			t.Errorf("has %s: %s", name, a)
		}
	}
}
