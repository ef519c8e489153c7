package introspect_test

import (
	"bufio"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/middleware/introspect"
)

// RFC 7662 2.1, RFC 6749 2.3.1: what the endpoint gets, and nothing else that could tell on us.
func TestRequest(t *testing.T) {
	w := newWorld(t, false, says(about("")), nil)
	w.get(t, "/orders", good)
	r := w.requests[0]
	want := http.Header{
		"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte(clientID+":"+url.QueryEscape(secret)))},
		"Content-Type":  {"application/x-www-form-urlencoded"}, "Accept": {"application/json"}, "Accept-Encoding": {"identity"},
		"Content-Length": {"59"}, "User-Agent": {"Go-http-client/1.1"},
	}
	if fmt.Sprint(r.Header) != fmt.Sprint(want) {
		t.Errorf("got  %v\nwant %v", r.Header, want)
	}
}

// A query of the endpoint's own stays, and the token doesn't get into it.
func TestEndpointWithQuery(t *testing.T) {
	var uri string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		uri = r.RequestURI
		says(about(""))(w, r)
	}))
	defer server.Close()
	v := introspect.New(server.URL+"/introspect?tenant=a", clientID, secret)
	if _, err := v.LoadAccessToken(t.Context(), good); err != nil || uri != "/introspect?tenant=a" {
		t.Errorf("asked %s: %v", uri, err)
	}
}

// Connections are used again, after errors too, and what is kept open is asked again where the endpoint has
// closed it meanwhile.
func TestConnections(t *testing.T) {
	var opened atomic.Int32
	answers := []http.HandlerFunc{
		says(about("")), says(`{"active":false}`), says("no JSON"),
		func(w http.ResponseWriter, r *http.Request) { http.Error(w, strings.Repeat("x", 1<<19), 500) },
		func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
		},
	}
	asked := 0
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[asked%len(answers)](w, r)
		asked++
	}))
	server.Config.ConnState = func(_ net.Conn, s http.ConnState) {
		if s == http.StateNew {
			opened.Add(1)
		}
	}
	server.Start()
	defer server.Close()
	v := introspect.New(server.URL, clientID, secret)
	for i := range 3 * len(answers) {
		v.LoadAccessToken(t.Context(), fmt.Sprint("token", i))
	}
	if asked != 3*len(answers) || opened.Load() != 1 {
		t.Errorf("%d requests on %d connections", asked, opened.Load())
	}

	// This one hangs up on the second request of each connection, without an answer.
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				r, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				io.Copy(io.Discard, r.Body)
				text := about("")
				fmt.Fprintf(conn, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s", len(text), text)
				http.ReadRequest(reader)
			}()
		}
	}()
	v = introspect.New("http://"+l.Addr().String(), clientID, secret)
	for i := range 4 {
		if _, err := v.LoadAccessToken(t.Context(), fmt.Sprint("token", i)); err != nil {
			t.Error(err)
		}
	}
}

// Of the application's client no cookies, and no redirects either.
func TestHTTPClientIsBridled(t *testing.T) {
	var cookies, elsewhere int
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/" {
			elsewhere++
		}
		cookies += len(r.Cookies())
		http.SetCookie(w, &http.Cookie{Name: "a", Value: "b"})
		http.Redirect(w, r, "/elsewhere", http.StatusTemporaryRedirect)
	}))
	defer server.Close()
	jar, err := cookiejar.New(nil)
	if err != nil {
		t.Fatal(err)
	}
	followed := false
	client := &http.Client{Jar: jar, CheckRedirect: func(*http.Request, []*http.Request) error { followed = true; return nil }}
	v := introspect.New(server.URL, clientID, secret, introspect.HTTPClient(client))
	for range 2 {
		if _, err := v.LoadAccessToken(t.Context(), good); err == nil || err.Error() != "introspect: the endpoint answered 307" {
			t.Errorf("got %v", err)
		}
	}
	if cookies+elsewhere != 0 || followed || client.Transport != nil {
		t.Errorf("%d cookies, %d requests elsewhere; asked whether to follow: %t", cookies, elsewhere, followed)
	}
}

// What fails is told, without what was sent, and without what came back, which may be the same.
func TestErrors(t *testing.T) {
	closed := httptest.NewServer(nil)
	closed.Close()
	tls := httptest.NewUnstartedServer(says(about("")))
	tls.Config.ErrorLog = log.New(io.Discard, "", 0)
	tls.StartTLS()
	defer tls.Close()
	plain := httptest.NewServer(says(about("")))
	defer plain.Close()
	echo := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.ParseForm()
		raw(func(token string) string { return "HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n" })(w, r)
	}))
	defer echo.Close()
	for name, tt := range map[string]struct{ endpoint, want string }{
		"refused":   {closed.URL, "introspect: asking failed: dial tcp " + closed.Listener.Addr().String() + ": connect: connection refused"},
		"untrusted": {tls.URL, "introspect: asking failed: tls: failed to verify certificate: x509: certificate signed by unknown authority"},
		"not_TLS":   {strings.Replace(plain.URL, "http:", "https:", 1), "introspect: asking failed: http: server gave HTTP response to HTTPS client"},
		"echo":      {echo.URL, "introspect: asking failed: textproto.ProtocolError"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := introspect.New(tt.endpoint, clientID, secret).LoadAccessToken(t.Context(), good)
			if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got  %v\nwant %s", err, tt.want)
			}
		})
	}
}

// What prints a Validator or a token prints no secret.
func TestNothingIsPrinted(t *testing.T) {
	w := newWorld(t, false, says(about(`"tenant":["a"]`)), nil)
	v := w.validator
	info, err := v.LoadAccessToken(t.Context(), good)
	if err != nil {
		t.Fatal(err)
	}
	j, _ := json.Marshal(map[string]any{"v": v, "token": info})
	text := fmt.Sprintf("%v %+v %#v %s %v %+v %#v %s", v, v, v, v, info, info, info, j)
	w.log.Logger().Info("x", "v", v, "token", info)
	w.noLeak(t, text, good)
	if info.GetAccess() != good {
		t.Errorf("GetAccess is %q", info.GetAccess())
	}
}

// What is returned is the caller's own.
func TestTokenIsTheCallers(t *testing.T) {
	w := newWorld(t, false, says(about(`"aud":["https://a.example"],"cnf":{"jkt":"x"},"tenant":{"a":["b"]},"iss":"https://auth.example","jti":"1","username":"ann"`)), nil)
	type able interface {
		Audience() []string
		Confirmation() map[string]string
		Claims() map[string]any
	}
	for range 2 {
		info, err := w.validator.LoadAccessToken(t.Context(), good)
		if err != nil {
			t.Fatal(err)
		}
		token := info.(able)
		if token.Audience()[0] != "https://a.example" || token.Confirmation()["jkt"] != "x" || fmt.Sprint(token.Claims()["tenant"]) != "map[a:[b]]" ||
			token.Claims()["username"] != "ann" || info.GetScope() != "orders:read" || info.GetClientID() != "web" || info.GetUserID() != "alice" ||
			info.GetAccessExpiresIn().Hours() != 1 {
			t.Errorf("got %v %v %v %v", info, token.Audience(), token.Confirmation(), token.Claims())
		}
		token.Audience()[0] = "https://b.example"
		token.Confirmation()["jkt"] = "y"
		token.Claims()["tenant"].(map[string]any)["a"].([]any)[0] = "c"
		info.SetScope("admin")
		info.SetClientID("other")
	}
	if w.count() != 1 {
		t.Errorf("asked %d times", w.count())
	}
	if _, err := w.validator.LoadAccessToken(t.Context(), ""); err != oerr.ErrInvalidAccessToken || w.count() != 1 {
		t.Errorf("no token: %v", err)
	}
}

func TestOptionsRefuseNonsense(t *testing.T) {
	for name, f := range map[string]func(){
		"introspect: Issuer: ":                 func() { introspect.Issuer("") },
		"introspect: Cache(-1s): ":             func() { introspect.Cache(-1e9) },
		"introspect: CacheSize(-1): ":          func() { introspect.CacheSize(-1) },
		"introspect: Timeout(0s): ":            func() { introspect.Timeout(0) },
		"introspect: InFlight(0): ":            func() { introspect.InFlight(0) },
		"introspect: HTTPClient: ":             func() { introspect.HTTPClient(nil) },
		"introspect: Logger: ":                 func() { introspect.Logger(nil) },
		"introspect: New: the client's ID or ": func() { introspect.New("https://auth.example", "", secret) },
		"introspect: New: the client's ID ":    func() { introspect.New("https://auth.example", clientID, "") },
	} {
		if says := panics(f); !strings.HasPrefix(says, name) {
			t.Errorf("panic %q, want %q", says, name)
		}
	}
	for _, endpoint := range []string{"https://auth.example/introspect", "http://127.0.0.1:8080/", "http://[::1]/", "http://localhost", "https://auth.example?tenant=a"} {
		introspect.New(endpoint, clientID, secret)
	}
}

// The log is told once that an endpoint names no token_type.
func TestUntypedIsTold(t *testing.T) {
	w := newWorld(t, false, says(strings.Replace(about(""), `"token_type"`, `"x"`, 1)), nil)
	for i := range 3 {
		w.get(t, "/orders", fmt.Sprint("token", i))
	}
	if n := strings.Count(w.log.String(), "InsecureUntyped"); n != 1 || strings.Count(w.log.String(), "\n") != 1 {
		t.Errorf("told %d times: %s", n, w.log.String())
	}
}
