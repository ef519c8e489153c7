package jwt_test

import (
	"compress/gzip"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/jwt"
)

// foreignMetadata is MD-09: what is not used, at first need and later.
func foreignMetadata(t *testing.T) {
	tell := func(changes ...change) func(*issuer) { return func(i *issuer) { i.tell(changes...) } }
	answer := func(path string, h http.HandlerFunc) func(*issuer) {
		return func(i *issuer) {
			i.behave(func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == path {
					h(w, r)
					return
				}
				i.answer(w, r)
			})
		}
	}
	const metadata = "/.well-known/oauth-authorization-server"
	long := func(path string) func(*issuer) { // what it should say, and then more
		return func(i *issuer) {
			answer(path, func(w http.ResponseWriter, r *http.Request) {
				i.answer(w, r)
				io.WriteString(w, strings.Repeat(" ", 1<<20))
			})(i)
		}
	}
	bomb := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		zip := gzip.NewWriter(w)
		for range 64 { // MiB
			if _, err := io.WriteString(zip, strings.Repeat(" ", 1<<20)); err != nil {
				return
			}
		}
		zip.Close()
	}
	redirect := func(code int, to string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, to, code) }
	}
	elsewhere := newIssuer(t, ed25519Key) // says what it should, at the wrong place
	for name, spoil := range map[string]func(*issuer){
		"issuer other":              tell(set("issuer", "https://evil.example")),
		"issuer with a slash":       func(i *issuer) { i.tell(set("issuer", i.address+"/")) },
		"issuer in an array":        func(i *issuer) { i.tell(set("issuer", []string{i.address})) },
		"issuer absent":             tell(without("issuer")),
		"issuer null":               tell(set("issuer", raw("null"))),
		"issuer twice":              func(i *issuer) { text := `{"issuer":"x",` + (*i.metadata.Load())[1:]; i.metadata.Store(&text) },
		"jwks_uri http":             tell(set("jwks_uri", "http://evil.example/keys")),
		"jwks_uri http lookalike":   tell(set("jwks_uri", "http://127.0.0.1.evil.example/keys")),
		"jwks_uri http userinfo":    tell(set("jwks_uri", "http://127.0.0.1@evil.example/keys")),
		"jwks_uri with userinfo":    func(i *issuer) { i.tell(set("jwks_uri", strings.Replace(i.address, "://", "://u:p@", 1)+"/keys")) },
		"jwks_uri with a fragment":  func(i *issuer) { i.tell(set("jwks_uri", i.address+"/keys#x")) },
		"jwks_uri relative":         tell(set("jwks_uri", "/keys")),
		"jwks_uri without a scheme": tell(set("jwks_uri", "//127.0.0.1/keys")),
		"jwks_uri file":             tell(set("jwks_uri", "file:///etc/passwd")),
		"jwks_uri data":             tell(set("jwks_uri", "data:application/json,{}")),
		"jwks_uri a number":         tell(set("jwks_uri", 1)),
		"jwks_uri empty":            tell(set("jwks_uri", "")),
		"jwks_uri absent":           tell(without("jwks_uri")),
		"jwks_uri with a line feed": func(i *issuer) { i.tell(set("jwks_uri", i.address+"/keys\n")) },
		"metadata redirected":       func(i *issuer) { answer(metadata, redirect(302, elsewhere.address+metadata))(i) },
		"metadata to plain http":    answer(metadata, redirect(301, "http://evil.example/")),
		"keys redirected":           func(i *issuer) { answer("/keys", redirect(307, i.address+"/others"))(i) },
		"keys to another issuer's":  answer("/keys", redirect(308, elsewhere.address+"/keys")),
		"keys to plain http":        answer("/keys", redirect(303, "http://evil.example/")),
		"metadata over 1 MiB":       long(metadata),
		"keys over 1 MiB":           long("/keys"),
		"metadata a gzip bomb":      answer(metadata, bomb),
		"keys a gzip bomb":          answer("/keys", bomb),
		"metadata an array":         answer(metadata, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "[]") }),
		"metadata deep":             answer(metadata, func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, nested(`{"x":`, "}", 100_000)) }),
		"keys deep":                 answer("/keys", func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, nested("[", "]", 100_000)) }),
	} {
		t.Run("MD-09/"+name, func(t *testing.T) {
			i := newIssuer(t, ed25519Key)
			spoil(i)
			s := i.resource(t)
			s.fails(t, i.sign(ed25519Key))
			if elsewhere.metadataAsked.Load()+elsewhere.keysAsked.Load() != 0 {
				t.Error("another was asked")
			}
			if n := i.metadataAsked.Load() + i.keysAsked.Load() + i.otherAsked.Load(); n > 2 {
				t.Errorf("%d requests", n)
			}
		})
		inBubble(t, "MD-09/later, "+name, func(t *testing.T) {
			i := newIssuerOver(t, true, ed25519Key)
			s := i.resourceOver(t, true)
			s.works(t, i.sign(ed25519Key))
			i.publish(jwks(p256Key))
			spoil(i)
			settle(11 * time.Second)
			s.fails(t, i.sign(p256Key))
			s.works(t, i.sign(ed25519Key))
			settle(time.Second)
		})
	}
	t.Run("MD-09/exactly 1 MiB", func(t *testing.T) {
		i := newIssuer(t, ed25519Key)
		text := *i.keySet.Load()
		i.publish(text + strings.Repeat(" ", 1<<20-len(text)))
		i.resource(t).works(t, i.sign(ed25519Key))
	})
	t.Run("MD-09/gzip", func(t *testing.T) {
		i := newIssuer(t, ed25519Key)
		i.behave(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Encoding", "gzip")
			zip := gzip.NewWriter(w)
			rec := httptest.NewRecorder()
			i.answer(rec, r)
			zip.Write(rec.Body.Bytes())
			zip.Close()
		})
		i.resource(t).works(t, i.sign(ed25519Key))
	})
}

// RFC 8414 3.1, OpenID Connect Discovery 4: where the metadata is.
func TestMetadataAddress(t *testing.T) {
	for name, c := range map[string]struct {
		issuer string // after the host
		served string // the one path that has the metadata
		option string // of Metadata, after the host
		asked  []string
		works  bool
	}{
		"root":               {"", "/.well-known/oauth-authorization-server", "", []string{"/.well-known/oauth-authorization-server", "/keys"}, true},
		"slash":              {"/", "/.well-known/oauth-authorization-server", "", []string{"/.well-known/oauth-authorization-server", "/keys"}, true},
		"path":               {"/t1", "/.well-known/oauth-authorization-server/t1", "", []string{"/.well-known/oauth-authorization-server/t1", "/keys"}, true},
		"path and slash":     {"/t1/", "/.well-known/oauth-authorization-server/t1", "", []string{"/.well-known/oauth-authorization-server/t1", "/keys"}, true},
		"openid":             {"", "/.well-known/openid-configuration", "", []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration", "/keys"}, true},
		"openid, path":       {"/t1", "/t1/.well-known/openid-configuration", "", []string{"/.well-known/oauth-authorization-server/t1", "/t1/.well-known/openid-configuration", "/keys"}, true},
		"neither":            {"", "/x", "", []string{"/.well-known/oauth-authorization-server", "/.well-known/openid-configuration"}, false},
		"option":             {"", "/x?y=z", "/x?y=z", []string{"/x?y=z", "/keys"}, true},
		"option, not there":  {"", "/.well-known/oauth-authorization-server", "/x", []string{"/x"}, false},
		"option, is tenants": {"/t1", "/x", "/x", []string{"/x", "/keys"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			i := newIssuer(t, ed25519Key)
			var asked []string
			i.behave(func(w http.ResponseWriter, r *http.Request) {
				asked = append(asked, r.URL.RequestURI())
				switch r.URL.RequestURI() {
				case c.served:
					io.WriteString(w, *i.metadata.Load())
				case "/keys":
					i.answer(w, r)
				default:
					http.NotFound(w, r)
				}
			})
			host := i.address
			i.address += c.issuer
			i.tell(set("jwks_uri", host+"/keys"))
			var options []jwt.Option
			if c.option != "" {
				options = append(options, jwt.Metadata(host+c.option))
			}
			s := i.resource(t, options...)
			if c.works {
				s.works(t, i.sign(ed25519Key))
			} else {
				s.fails(t, i.sign(ed25519Key))
			}
			if got, want := strings.Join(asked, " "), strings.Join(c.asked, " "); got != want {
				t.Errorf("asked %s, want %s", got, want)
			}
		})
	}
	t.Run("another answer than 404", func(t *testing.T) { // is not a reason to look elsewhere
		i := newIssuer(t, ed25519Key)
		i.behave(status(403))
		i.resource(t).fails(t, i.sign(ed25519Key))
		if i.otherAsked.Load() != 0 {
			t.Error("looked elsewhere")
		}
	})
}

// The client that is there without an option goes by the same rules, and leaves nothing behind.
func TestOwnClient(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	before := runtime.NumGoroutine()
	for range 20 {
		v := jwt.New(i.address, api, jwt.Logger(slog.New(slog.DiscardHandler)))
		if _, err := v.LoadAccessToken(t.Context(), i.sign(ed25519Key)); err != nil {
			t.Fatal(err)
		}
	}
	var after int
	for range 200 { // connections take a moment to close
		if after = runtime.NumGoroutine(); after <= before+2 {
			break
		}
		runtime.Gosched()
		net.DefaultResolver.LookupHost(t.Context(), "localhost")
	}
	if after > before+10 {
		t.Errorf("%d goroutines more", after-before)
	}
	i.behave(func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, i.address+"/others", http.StatusFound)
	})
	if _, err := jwt.New(i.address, api).LoadAccessToken(t.Context(), i.sign(ed25519Key)); err == nil || !strings.Contains(err.Error(), "302") {
		t.Errorf("got %v", err)
	}
	i.behave(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Long", strings.Repeat("x", 1<<20))
		i.answer(w, r)
	})
	if _, err := jwt.New(i.address, api).LoadAccessToken(t.Context(), i.sign(ed25519Key)); err == nil {
		t.Error("a header of 1 MiB was read")
	}
}

// A client of the application's follows no redirect either, and is not altered.
func TestHTTPClientStays(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	client := &http.Client{}
	i.behave(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/keys" {
			http.Redirect(w, r, "/others", http.StatusFound)
			return
		}
		i.answer(w, r)
	})
	if _, err := i.validator(jwt.HTTPClient(client)).LoadAccessToken(t.Context(), i.sign(ed25519Key)); err == nil || i.otherAsked.Load() != 0 {
		t.Errorf("a redirect was followed: %v", err)
	}
	if client.CheckRedirect != nil || client.Transport != nil {
		t.Errorf("got %+v", client)
	}
}

// exhaustion is ATK-26: memory stays flat.
func exhaustion(t *testing.T) {
	i := newIssuer(t, ed25519Key)
	s := i.resource(t)
	s.works(t, i.sign(ed25519Key))
	attack := map[string]string{
		"header of 1 MiB": strings.Repeat("x", 1<<20+8<<10), "only dots": strings.Repeat(".", 1<<20+8<<10), "8,192 dots": strings.Repeat(".", 8192),
		"header of objects": ed25519Key.join(ed25519Key.header(set("x", raw("["+strings.Repeat("{},", 1900)+"1]"))), "{}"),
		"header of arrays":  ed25519Key.join(ed25519Key.header(set("x", raw("["+strings.Repeat("[],", 1900)+"1]"))), "{}"),
		"header deep":       ed25519Key.join(ed25519Key.header(set("x", raw(nested("[", "]", 2900)))), "{}"),
	}
	for name, access := range attack {
		t.Run("ATK-26/"+name, func(t *testing.T) {
			if len(access) >= 1<<20 { // net/http's own limit
				server := httptest.NewServer(middleware.Bearer(i.validator())(http.HandlerFunc(whoami)))
				defer server.Close()
				if got := (&resource{base: server.URL, client: server.Client()}).get(t, access); got.status != http.StatusRequestHeaderFieldsTooLarge {
					t.Errorf("got %d", got.status)
				}
			}
			for _, limit := range []int{8 << 10, 4 << 20} { // that of Bearer, and ours
				server := httptest.NewUnstartedServer(middleware.Bearer(i.validator(), middleware.Realm("api"), middleware.TokenLimit(limit))(http.HandlerFunc(whoami)))
				server.Config.MaxHeaderBytes = 2 << 20
				server.Start()
				defer server.Close()
				s := &resource{base: server.URL, client: server.Client()}
				s.refuses(t, access)
				before := heap()
				for range 20 {
					s.refuses(t, access)
				}
				if more := heap() - before; more > 2<<20 {
					t.Errorf("%d bytes more are in use", more)
				}
			}
			v := i.validator()
			v.LoadAccessToken(t.Context(), i.sign(ed25519Key))
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			before := m.TotalAlloc
			for range 100 {
				v.LoadAccessToken(t.Context(), access)
			}
			runtime.ReadMemStats(&m)
			if n := (m.TotalAlloc - before) / 100; n > 256<<10 {
				t.Errorf("each takes %d bytes for a while", n)
			}
		})
	}
	t.Run("ATK-26/many valid tokens", func(t *testing.T) { // what is remembered is bounded
		const limit = 1 << 20
		v := i.validator(jwt.CacheSize(limit))
		before := heap()
		for n := range 4000 {
			big := strings.Repeat("x", n%2000)
			if _, err := v.LoadAccessToken(t.Context(), i.sign(ed25519Key, set("big", big), set("list", raw("["+strings.Repeat(`{"a":[]},`, n%50)+"[]]")), set("n", n))); err != nil {
				t.Fatal(err)
			}
		}
		if more := heap() - before; more > limit*5/4 {
			t.Errorf("%d bytes more are in use", more)
		}
		runtime.KeepAlive(v)
	})
	s.works(t, i.sign(ed25519Key))
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
