package conformance

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/grants"
)

const goodToken = "grant_type=client_credentials&scope=read"

// T. Token endpoint, whatever the grant.
var tokenRows = []row{
	one("T-01", testCase{foreign: true, run: func(t *testing.T, s *server) {
		a := s.token(t, goodToken, as("svc")).ok(t)
		if a.scope() != "read" || a.header.Get("Content-Type") != "application/json" {
			t.Errorf("got %s", a)
		}
		if strings.Trim(a.access(), "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~+/") != "" {
			t.Errorf("%q can't be used in a header as it is", a.access())
		}
		s.works(t, a.access())
		if s.ours != nil && a.members["expires_in"] != float64(900) {
			t.Errorf("expires_in is %v, and the token lives for 900 s", a.members["expires_in"])
		}
	}}),
	{"T-02", each(testCase{foreign: true}, same("GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS"), func(t *testing.T, s *server, method string) {
		s.unchanged(t, func() {
			a := s.send(t, method, "/token", strings.NewReader(goodToken), [2]string{"Content-Type", formType}, as("svc"))
			if a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != "POST" {
				t.Errorf("got %s", a)
			}
			if method == "HEAD" {
				if a.body != "" {
					t.Errorf("got a body: %s", a)
				}
				return
			}
			a.is(t, 405, "invalid_request")
		})
	})},
	{"T-03", each(testCase{foreign: true}, map[string]struct {
		types []string
		body  string
	}{
		"absent":    {nil, goodToken},
		"json":      {[]string{"application/json"}, `{"grant_type":"client_credentials","scope":"read"}`},
		"multipart": {[]string{"multipart/form-data; boundary=x"}, "--x\r\nContent-Disposition: form-data; name=\"grant_type\"\r\n\r\nclient_credentials\r\n--x--\r\n"},
		"plain":     {[]string{"text/plain"}, goodToken},
		"two":       {[]string{formType, formType}, goodToken},
	}, func(t *testing.T, s *server, c struct {
		types []string
		body  string
	}) {
		headers := [][2]string{as("svc")}
		for _, v := range c.types {
			headers = append(headers, [2]string{"Content-Type", v})
		}
		s.unchanged(t, func() {
			s.send(t, "POST", "/token", strings.NewReader(c.body), headers...).e400(t, "invalid_request")
		})
	})},
	{"T-04", each(testCase{foreign: true}, map[string]string{
		"case and quotes": `Application/X-WWW-Form-URLEncoded; Charset="UTF-8"`,
		"latin1":          "application/x-www-form-urlencoded; charset=ISO-8859-1",
	}, func(t *testing.T, s *server, contentType string) {
		s.send(t, "POST", "/token", strings.NewReader(goodToken), [2]string{"Content-Type", contentType}, as("svc")).ok(t)
	})},
	{"T-05", each(testCase{foreign: true}, map[string]string{
		"empty body":      "",
		"absent":          "scope=read",
		"empty":           "grant_type=&scope=read",
		"no equals sign":  "grant_type&scope=read",
		"other case":      "Grant_Type=client_credentials&scope=read",
		"byte order mark": "\ufeff" + goodToken,
	}, refusedBody("invalid_request"))},
	{"T-06", each(testCase{foreign: true}, same("password", "implicit", "Client_Credentials", "urn:ietf:params:oauth:grant-type:token-exchange", "x"),
		func(t *testing.T, s *server, grantType string) {
			s.unchanged(t, func() {
				s.token(t, form("grant_type", grantType, "username", "alice", "password", "alices-password"), as("svc")).e400(t, "unsupported_grant_type")
				s.token(t, form("grant_type", grantType), basic("svc", "wrong-secret")).e400(t, "unsupported_grant_type")
			})
		})},
	{"T-07", append(each(testCase{foreign: true}, map[string]string{
		"grant_type":      goodToken + "&grant_type=client_credentials",
		"other value":     goodToken + "&grant_type=refresh_token",
		"scope":           goodToken + "&scope=read",
		"scope empty":     "grant_type=client_credentials&scope=&scope=read",
		"client_id":       goodToken + "&client_id=svc&client_id=svc",
		"client_id other": goodToken + "&client_id=svc&client_id=web",
		"code":            goodToken + "&code=a&code=a",
		"refresh_token":   goodToken + "&refresh_token=a&refresh_token=b",
		"redirect_uri":    goodToken + "&redirect_uri=a&redirect_uri=a",
		"code_verifier":   goodToken + "&code_verifier=&code_verifier=",
		"assertion":       goodToken + "&client_assertion=&client_assertion=",
		"state":           goodToken + "&state=1&state=2",
	}, refusedBody("invalid_request")),
		append(renamed("unproven", each(testCase{foreign: true}, same(parameters...), func(t *testing.T, s *server, name string) {
			a := s.token(t, "grant_type=client_credentials&"+form(name, "x", name, "x"))
			if name == "resource" { // the only one that may
				a.e401(t)
				return
			}
			a.e400(t, "invalid_request")
		})), testCase{name: "of an extension", options: []grants.Option{oddExtension}, run: func(t *testing.T, s *server) {
			s.unchanged(t, func() { s.token(t, goodToken+"&code_of_error=a&code_of_error=a", as("svc")).e400(t, "invalid_request") })
		}}, testCase{name: "client_secret", foreign: true, run: func(t *testing.T, s *server) {
			s.unchanged(t, func() {
				s.token(t, goodToken+"&client_id=svc&client_secret=svc-secret&client_secret=svc-secret").e400(t, "invalid_request")
			})
		}},
			testCase{name: "resource may repeat", foreign: true, run: func(t *testing.T, s *server) {
				s.token(t, goodToken+"&resource=https://a.example/api&resource=https://b.example/api", as("svc")).ok(t)
			}})...),
	},
	{"T-08", each(testCase{foreign: true}, map[string]string{
		"once": "&foo=1", "twice": "&foo=1&foo=2", "empty": "&foo=", "long": "&foo=" + strings.Repeat("x", 1024),
		"octets": "&foo=%ff%00",
	}, acceptedBody)},
	{"T-09", append(each(testCase{foreign: true}, map[string]string{
		"redirect_uri": "&redirect_uri=", "client_id": "&client_id=", "client_secret": "&client_secret=",
	}, acceptedBody),
		testCase{name: "scope", foreign: true, run: func(t *testing.T, s *server) {
			if a := s.token(t, "grant_type=client_credentials&scope=", as("svc")).ok(t); a.scope() != "read jobs" {
				t.Errorf("got %s", a)
			}
		}},
		testCase{name: "secret of a public client", run: func(t *testing.T, s *server) {
			pair := s.issue(t, "spa", "alice", "read")
			s.token(t, form("grant_type", "refresh_token", "refresh_token", pair.GetRefresh(), "client_id", "spa", "client_secret", "")).ok(t)
		}}),
	},
	{"T-10", append(
		each(testCase{foreign: true}, same("client_id=svc", "client_secret=svc-secret", "client_secret=", "grant_type=client_credentials", "grant_type=", "scope=read", "scope", "tenant=7&scope=read", "sc%6fpe=read"), inURL),
		append(each(testCase{foreign: true}, same(parameters...), func(t *testing.T, s *server, name string) { inURL(t, s, name+"=x") }),
			testCase{name: "of an extension", options: []grants.Option{oddExtension}, run: func(t *testing.T, s *server) { inURL(t, s, "code_of_error=x") }})...,
	)},
	one("T-11", testCase{foreign: true, run: func(t *testing.T, s *server) {
		s.post(t, "/token?tenant=7", goodToken, as("svc")).ok(t)
	}}),
	{"T-12", each(testCase{foreign: true}, map[string]func(string) io.Reader{
		"content length": func(body string) io.Reader { return strings.NewReader(body) },
		"chunked":        func(body string) io.Reader { return io.MultiReader(strings.NewReader(body)) },
	}, func(t *testing.T, s *server, reader func(string) io.Reader) {
		body := goodToken + "&foo="
		most := body + strings.Repeat("x", 64<<10-len(body))
		s.send(t, "POST", "/token", reader(most), [2]string{"Content-Type", formType}, as("svc")).ok(t)
		tooLarge := func() {
			a := s.send(t, "POST", "/token", reader(most+"x"), [2]string{"Content-Type", formType}, as("svc")).is(t, 413, "invalid_request")
			if !a.closes {
				t.Errorf("the connection stays open: %s", a)
			}
		}
		s.unchanged(t, tooLarge)
		endpoints := s.mux
		s.mux = http.NewServeMux()
		s.mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { // a middleware that wraps the writer
			endpoints.ServeHTTP(struct{ http.ResponseWriter }{w}, r)
		})
		s.unchanged(t, tooLarge)
	})},
	one("T-13", testCase{foreign: true, run: func(t *testing.T, s *server) {
		body := goodToken
		for i := range 62 {
			body += "&p" + strconv.Itoa(i) + "=1"
		}
		s.token(t, body, as("svc")).ok(t)
		s.unchanged(t, func() { s.token(t, body+"&q=1", as("svc")).e400(t, "invalid_request") })
	}}),
	{"T-14", each(testCase{foreign: true}, map[string]string{
		"zz": goodToken + "&a=%zz", "percent": goodToken + "&a=%", "half": goodToken + "&a=%4", "name": goodToken + "&%zz=a",
		"semicolon": "grant_type=client_credentials;scope=read", "semicolon later": goodToken + "&a=1;b=2",
	}, refusedBody("invalid_request"))},
	{"T-15", each(testCase{foreign: true}, product(
		[]string{"grant_type", "client_id", "client_secret", "code", "refresh_token", "code_verifier", "redirect_uri"},
		[]string{"%ff", "%00", "%01", "%0a", "%7f", "%c3%a9"},
	), func(t *testing.T, s *server, c [2]string) {
		s.unchanged(t, func() {
			if c[0] == "grant_type" {
				s.token(t, "grant_type=client_credentials"+c[1], as("svc")).e400(t, "invalid_request")
				return
			}
			s.token(t, goodToken+"&"+c[0]+"=svc"+c[1]).e400(t, "invalid_request")
			s.token(t, goodToken+"&"+c[0]+"=svc"+c[1], as("svc")).e400(t, "invalid_request")
		})
	})},
	{"T-16", each(testCase{foreign: true}, map[string][2]string{
		"bearer":  {"Authorization", "Bearer x"},
		"digest":  {"Authorization", `Digest username="svc"`},
		"unknown": {"Authorization", "Foo"},
		"accept":  {"Accept", "text/html"},
	}, func(t *testing.T, s *server, header [2]string) {
		s.token(t, goodToken+"&client_id=svc&client_secret=svc-secret", header).ok(t)
	})},
	{"T-17", []testCase{
		{name: "never was", foreign: true, run: func(t *testing.T, s *server) {
			s.unchanged(t, func() {
				s.token(t, goodToken, as("web")).e400(t, "unauthorized_client")
				s.token(t, "grant_type=refresh_token&refresh_token=x", as("svc")).e400(t, "unauthorized_client")
				s.token(t, "grant_type=authorization_code&code=x", as("svc")).e400(t, "unauthorized_client")
			})
		}},
		{name: "no longer", run: func(t *testing.T, s *server) {
			pair := s.issue(t, "web", "alice", "read")
			c := fixture("web")
			c.GrantTypes = []string{"authorization_code"}
			s.putClient(t, c)
			s.unchanged(t, func() { s.tryRefresh(t, "web", pair.GetRefresh()).e400(t, "unauthorized_client") })
			s.putClient(t, fixture("web"))
			s.refreshes(t, "web", pair.GetRefresh())
		}},
		{name: "code", run: func(t *testing.T, s *server) {
			code := s.code(t, "web", "https://web.example/cb", "read", challenge)
			request := form("grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", "https://web.example/cb")
			c := fixture("web")
			c.GrantTypes = []string{"refresh_token"}
			s.putClient(t, c)
			s.unchanged(t, func() { s.token(t, request, as("web")).e400(t, "unauthorized_client") })
			s.putClient(t, fixture("web"))
			s.token(t, request, as("web")).ok(t)
		}},
	}},
	{"T-18", []testCase{{name: "opaque", moves: true, run: func(t *testing.T, s *server) { // time stands still in the bubble
		a, b := s.token(t, goodToken, as("svc")).ok(t), s.token(t, goodToken, as("svc")).ok(t)
		if a.access() == b.access() {
			t.Error("one and the same token")
		}
		s.works(t, a.access())
		s.works(t, b.access())
	}}}},
	one("T-20", testCase{foreign: true, run: func(t *testing.T, s *server) {
		a := s.token(t, "grant_type=client_credentials", as("bare")).ok(t)
		if _, there := a.members["scope"]; there {
			t.Errorf("got %s", a)
		}
	}}),
}

// parameters are those of OAuth. Any of them is refused twice, even where it means nothing, and in the URL.
var parameters = []string{
	"grant_type", "client_id", "client_secret", "client_assertion", "client_assertion_type",
	"code", "code_verifier", "redirect_uri", "refresh_token", "scope", "resource",
	"token", "token_type_hint", "access_token",
	"response_type", "response_mode", "state", "code_challenge", "code_challenge_method",
	"request", "request_uri", "prompt", "max_age",
}

// inURL is a case in which a parameter stands in the URL.
func inURL(t *testing.T, s *server, query string) {
	s.unchanged(t, func() {
		s.post(t, "/token?"+query, goodToken, as("svc")).e400(t, "invalid_request")
		s.post(t, "/token?"+query, goodToken).e400(t, "invalid_request")
		s.post(t, "/token?"+query, "", as("svc")).e400(t, "invalid_request")
		s.post(t, "/token?"+query+"&grant_type=client_credentials", "scope=read", as("svc")).e400(t, "invalid_request")
	})
}

// same makes a list whose names are its values.
func same(values ...string) map[string]string {
	list := make(map[string]string)
	for _, v := range values {
		list[v] = v
	}
	return list
}

// product makes a list of all pairs.
func product(a, b []string) map[string][2]string {
	list := make(map[string][2]string)
	for _, x := range a {
		for _, y := range b {
			list[x+" "+y] = [2]string{x, y}
		}
	}
	return list
}

// refusedBody posts a body as svc that is refused with 400.
func refusedBody(code string) func(t *testing.T, s *server, body string) {
	return func(t *testing.T, s *server, body string) {
		s.unchanged(t, func() { s.token(t, body, as("svc")).e400(t, code) })
	}
}

// acceptedBody posts the good request with more behind it.
func acceptedBody(t *testing.T, s *server, more string) {
	s.token(t, goodToken+more, as("svc")).ok(t)
}
