package introspect_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
)

const alices = "client=web user=alice scope=orders:read"

// TestConformance runs the rows of validators that ask an endpoint: middleware.Bearer in front, and HTTP on
// both sides.
func TestConformance(t *testing.T) {
	options := func(o ...introspect.Option) []introspect.Option { return o }
	status := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.WriteHeader(status)
			io.WriteString(w, body)
		}
	}
	typed := func(kinds ...string) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			w.Header()["Content-Type"] = kinds
			io.WriteString(w, about(""))
		}
	}
	long := func(size int) string { // an answer of so many bytes
		text := about(`"x":""`)
		return strings.Replace(text, `"x":"`, `"x":"`+strings.Repeat("x", size-len(text)), 1)
	}
	nested := func(n int) string {
		return about(`"x":` + strings.Repeat("[", n) + strings.Repeat("]", n))
	}

	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		options []introspect.Option
		status  int
		says    string // the error, or the body of a 200
	}{
		{"JW-19/good", says(about("")), nil, 200, alices},
		{"JW-19/good_our_audience", says(about(`"aud":["https://a.example","https://orders.example"]`)), nil, 200, alices},
		{"JW-19/good_one_audience", says(about(`"aud":"https://orders.example"`)), nil, 200, alices},
		{"JW-19/good_charset", typed("Application/JSON; charset=UTF-8"), nil, 200, alices},
		{"JW-19/good_1_MiB", says(long(1 << 20)), nil, 200, alices},
		{"JW-19/good_nbf_within_leeway", says(about(`"nbf":` + in(20*time.Second))), nil, 200, alices},
		{"JW-19/good_bearer", says(about(`"token_type":"bEARER"`)), nil, 200, alices},
		{"JW-19/good_issuer", says(about(`"iss":"https://auth.example"`)), options(introspect.Issuer("https://auth.example")), 200, alices},
		{"JW-19/good_no_issuer", says(about("")), options(introspect.Issuer("https://auth.example")), 200, alices},
		{"JW-19/good_client's_own", says(about(`"sub":"web"`)), nil, 200, "client=web user= scope=orders:read"},
		{"JW-19/good_untyped", says(strings.Replace(about(""), `"token_type"`, `"x"`, 1)), options(introspect.InsecureUntyped()), 200, alices},

		{"JW-19/inactive", says(`{"active":false}`), nil, 401, "invalid_token"},
		{"JW-19/inactive_whatever_else", says(`{"active":false,"exp":"soon","scope":1}`), nil, 401, "invalid_token"},
		{"JW-19/exp_past", says(about(`"exp":` + in(-time.Second))), nil, 401, "invalid_token"},
		{"JW-19/exp_zero", says(about(`"exp":0`)), nil, 401, "invalid_token"},
		{"JW-19/nbf_ahead", says(about(`"nbf":` + in(time.Minute))), nil, 401, "invalid_token"},
		{"JW-19/other_aud", says(about(`"aud":"https://a.example"`)), nil, 401, "invalid_token"},
		{"JW-19/other_auds", says(about(`"aud":["https://a.example","https://orders.example/"]`)), nil, 401, "invalid_token"},
		{"JW-19/aud_of_nobody", says(about(`"aud":[]`)), nil, 401, "invalid_token"},
		{"JW-19/aud_empty", says(about(`"aud":""`)), nil, 401, "invalid_token"},
		{"JW-19/other_iss", says(about(`"iss":"https://auth.example/"`)), options(introspect.Issuer("https://auth.example")), 401, "invalid_token"},
		{"JW-19/empty_iss", says(about(`"iss":""`)), options(introspect.Issuer("https://auth.example")), 401, "invalid_token"},
		{"JW-19/bound_to_a_key", says(about(`"cnf":{"jkt":"thumbprint"}`)), nil, 401, "invalid_token"},
		{"JW-19/type_DPoP", says(about(`"token_type":"DPoP"`)), nil, 401, "invalid_token"},
		{"JW-19/type_refresh_token", says(about(`"token_type":"refresh_token"`)), nil, 401, "invalid_token"},
		{"JW-19/type_N_A", says(about(`"token_type":"N_A"`)), nil, 401, "invalid_token"},
		{"JW-19/type_number", says(about(`"token_type":1`)), nil, 401, "invalid_token"},
		{"JW-19/type_DPoP_where_none_is_needed", says(about(`"token_type":"DPoP"`)), options(introspect.InsecureUntyped()), 401, "invalid_token"},
		{"JW-19/type_none", says(strings.Replace(about(""), `"token_type"`, `"x"`, 1)), nil, 401, "invalid_token"},

		{"JW-19/500", status(500, about("")), nil, 503, "temporarily_unavailable"},
		{"JW-19/502", status(502, "<html>"), nil, 503, "temporarily_unavailable"},
		{"JW-19/503", status(503, `{"active":false}`), nil, 503, "temporarily_unavailable"},
		{"JW-19/401", status(401, `{"error":"invalid_client"}`), nil, 503, "temporarily_unavailable"},
		{"JW-19/403", status(403, `{"active":false}`), nil, 503, "temporarily_unavailable"},
		{"JW-19/404", status(404, "{}"), nil, 503, "temporarily_unavailable"},
		{"JW-19/429", status(429, "{}"), nil, 503, "temporarily_unavailable"},
		{"JW-19/201", status(201, about("")), nil, 503, "temporarily_unavailable"},
		{"JW-19/204", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(204) }, nil, 503, "temporarily_unavailable"},
		{"JW-19/300_without_address", status(300, about("")), nil, 503, "temporarily_unavailable"},

		{"JW-19/not_JSON", says("active"), nil, 503, "temporarily_unavailable"},
		{"JW-19/not_an_object", says("[" + about("") + "]"), nil, 503, "temporarily_unavailable"},
		{"JW-19/not_UTF-8", says(about("\"x\":\"\xff\"")), nil, 503, "temporarily_unavailable"},
		{"JW-19/empty", says(""), nil, 503, "temporarily_unavailable"},
		{"JW-19/null", says("null"), nil, 503, "temporarily_unavailable"},
		{"JW-19/cut", says(about("")[:40]), nil, 503, "temporarily_unavailable"},
		{"JW-19/more_after_it", says(about("") + "x"), nil, 503, "temporarily_unavailable"},
		{"JW-19/two_objects", says(`{"active":false}` + about("")), nil, 503, "temporarily_unavailable"},
		{"JW-19/byte_order_mark", says("\ufeff" + about("")), nil, 503, "temporarily_unavailable"},
		{"JW-19/over_1_MiB", says(long(1<<20 + 1)), nil, 503, "temporarily_unavailable"},
		{"JW-19/white_space_over_1_MiB", says(about("") + strings.Repeat(" ", 1<<20)), nil, 503, "temporarily_unavailable"},
		{"JW-19/nested_17_deep", says(nested(16)), nil, 503, "temporarily_unavailable"},
		{"JW-19/nested_10000_deep", says(nested(10_000)), nil, 503, "temporarily_unavailable"},
		{"JW-19/nested_500000_deep", says(nested(500_000)), nil, 503, "temporarily_unavailable"},

		{"JW-19/active_text", says(strings.Replace(about(""), `true`, `"true"`, 1)), nil, 503, "temporarily_unavailable"},
		{"JW-19/active_number", says(strings.Replace(about(""), `true`, `1`, 1)), nil, 503, "temporarily_unavailable"},
		{"JW-19/active_null", says(strings.Replace(about(""), `true`, `null`, 1)), nil, 503, "temporarily_unavailable"},
		{"JW-19/active_missing", says(strings.Replace(about(""), `"active"`, `"Active"`, 1)), nil, 503, "temporarily_unavailable"},
		{"JW-19/active_twice", says(`{"active":false,"active":true,"token_type":"Bearer"}`), nil, 503, "temporarily_unavailable"},
		{"JW-19/active_twice_escaped", says(`{"active":false,"\u0061ctive":true,"token_type":"Bearer"}`), nil, 503, "temporarily_unavailable"},
		{"JW-19/member_twice", says(about(`"scope":"orders:read","scope":"orders:write"`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/exp_text", says(about(`"exp":"` + in(time.Hour) + `"`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/exp_1e400", says(about(`"exp":1e400`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/exp_negative", says(about(`"exp":-1`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/exp_null", says(about(`"exp":null`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/scope_array", says(about(`"scope":["orders:read"]`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/aud_number", says(about(`"aud":1`)), nil, 503, "temporarily_unavailable"},
		{"JW-19/cnf_empty", says(about(`"cnf":{}`)), nil, 503, "temporarily_unavailable"},

		{"JW-19/text/html", typed("text/html"), nil, 503, "temporarily_unavailable"},
		{"JW-19/introspection+jwt", typed("application/token-introspection+jwt"), nil, 503, "temporarily_unavailable"},
		{"JW-19/no_type", typed(), nil, 503, "temporarily_unavailable"},
		{"JW-19/two_types", typed("application/json", "application/json"), nil, 503, "temporarily_unavailable"},
		{"JW-19/malformed_type", typed("application/json; charset"), nil, 503, "temporarily_unavailable"},
		{"JW-19/longer_type", typed("application/jsonp"), nil, 503, "temporarily_unavailable"},

		{"JW-19/gzip_bomb", func(w http.ResponseWriter, r *http.Request) {
			var b bytes.Buffer
			z := gzip.NewWriter(&b)
			io.WriteString(z, strings.TrimSuffix(about(""), "}"))
			for range 64 {
				z.Write(bytes.Repeat([]byte(" "), 1<<20))
			}
			io.WriteString(z, "}")
			z.Close()
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(b.Bytes())
		}, nil, 503, "temporarily_unavailable"},
		{"JW-19/endless", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			for {
				if _, err := w.Write(bytes.Repeat([]byte(" "), 1<<16)); err != nil {
					return
				}
			}
		}, nil, 503, "temporarily_unavailable"},
		{"JW-19/long_header", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("X", strings.Repeat("x", 1<<20))
			says(about(""))(w, r)
		}, nil, 503, "temporarily_unavailable"},
		{"JW-19/broken_off", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "4096")
			io.WriteString(w, about(""))
			panic(http.ErrAbortHandler)
		}, nil, 503, "temporarily_unavailable"},
		{"JW-19/hung_up", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, nil, 503, "temporarily_unavailable"},
		{"JW-19/not_HTTP", raw(func(token string) string { return token + "\r\n\r\n" }), nil, 503, "temporarily_unavailable"},
		{"JW-19/malformed_header", raw(func(token string) string { return "HTTP/1.1 200 OK\r\n" + token + "\r\n\r\n" }), nil, 503, "temporarily_unavailable"},
		{"JW-19/malformed_length", raw(func(token string) string { return "HTTP/1.1 200 OK\r\nContent-Length: " + token + "\r\n\r\n" }), nil, 503, "temporarily_unavailable"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t, false, tt.answer, nil, tt.options...)
			status, says := w.get(t, "/orders", good)
			if status != tt.status || says != tt.says {
				t.Errorf("got %d %s, want %d %s; log: %s", status, says, tt.status, tt.says, w.log.String())
			}
			if failed := strings.Contains(w.log.String(), "level=ERROR"); failed != (tt.status == 503) {
				t.Errorf("log: %s", w.log.String())
			}
			if w.count() != 1 {
				t.Fatalf("the endpoint was asked %d times", w.count())
			}
			for _, r := range w.requests {
				if r.Method != "POST" || r.RequestURI != "/introspect" {
					t.Errorf("asked by %s %s", r.Method, r.RequestURI)
				}
			}
			if form := fmt.Sprint(w.forms[0]); form != "map[token:["+good+"] token_type_hint:[access_token]]" {
				t.Errorf("asked %s", form)
			}
			again, _ := w.get(t, "/orders", good)
			kept := tt.status != 503 && tt.name != "JW-19/good_1_MiB" // which is too long for that
			if asked := w.count(); again != status || (asked == 1) != kept {
				t.Errorf("then %d, after %d requests to the endpoint", again, asked)
			}
		})
	}

	// Where a redirect leads to, nobody is asked.
	for _, code := range []int{301, 302, 303, 307, 308} {
		for name, location := range map[string]func(string, string) string{
			"itself":      func(base, _ string) string { return "/introspect" },
			"elsewhere":   func(base, _ string) string { return base },
			"with_token":  func(base, token string) string { return base + "?token=" + token },
			"unreadable":  func(_, token string) string { return "http://[" + token },
			"other_kinds": func(_, token string) string { return "mailto:" + token },
		} {
			t.Run(fmt.Sprintf("MD-09/introspection_%d_%s", code, name), func(t *testing.T) {
				var asked atomic.Int32
				elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					asked.Add(1)
					says(about(""))(w, r)
				}))
				defer elsewhere.Close()
				w := newWorld(t, false, func(w http.ResponseWriter, r *http.Request) {
					w.Header().Set("Location", location(elsewhere.URL, r.Form.Get("token")))
					w.WriteHeader(code)
				}, nil)
				if status, says := w.get(t, "/orders", good); status != 503 || says != "temporarily_unavailable" {
					t.Errorf("got %d %s", status, says)
				}
				if asked.Load() != 0 || w.count() != 1 {
					t.Errorf("asked %d times elsewhere, %d times here", asked.Load(), w.count())
				}
			})
		}
	}
	for name, address := range map[string]string{
		"http": "http://auth.example/introspect", "http_like_loopback": "http://127.0.0.1.example/", "http_private": "http://10.0.0.1/", "no_scheme": "auth.example/introspect",
		"no_host": "https:///introspect", "opaque": "https:auth.example", "other_scheme": "ftp://auth.example", "userinfo": "https://a:b@auth.example/", "fragment": "https://auth.example/#a",
		"empty_fragment": "https://auth.example/#", "unreadable": "https://auth.example:x/", "empty": "",
	} {
		t.Run("MD-09/introspection_endpoint_"+name, func(t *testing.T) {
			if says := panics(func() { introspect.New(address, clientID, secret) }); !strings.HasPrefix(says, "introspect: New: the endpoint ") {
				t.Errorf("panic %q", says)
			}
		})
	}

	t.Run("JW-19/away_and_back", func(t *testing.T) {
		var down atomic.Bool
		w := newWorld(t, false, func(w http.ResponseWriter, r *http.Request) {
			if down.Load() {
				panic(http.ErrAbortHandler)
			}
			says(about(""))(w, r)
		}, nil)
		down.Store(true)
		if status, _ := w.get(t, "/orders", good); status != 503 {
			t.Errorf("away: %d", status)
		}
		down.Store(false)
		if status, _ := w.get(t, "/orders", good); status != 200 {
			t.Errorf("back: %d", status)
		}
		down.Store(true)
		if status, _ := w.get(t, "/orders", good); status != 200 {
			t.Errorf("away again, and known: %d", status)
		}
	})

	// Time that goes on while the endpoint doesn't.
	drip := func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		for i := range about("") {
			io.WriteString(w, about("")[i:i+1])
			http.NewResponseController(w).Flush()
			select {
			case <-time.After(time.Second):
			case <-r.Context().Done():
				return
			}
		}
	}
	hang := func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }
	for _, tt := range []struct {
		name    string
		answer  http.HandlerFunc
		options []introspect.Option
		after   time.Duration
	}{
		{"JW-19/timeout", hang, nil, 5 * time.Second},
		{"JW-19/timeout_of_ours", hang, options(introspect.Timeout(time.Second)), time.Second},
		{"JW-19/timeout_of_Bearer", hang, options(introspect.Timeout(time.Minute)), 5 * time.Second},
		{"JW-19/timeout_in_body", drip, options(introspect.Timeout(3 * time.Second)), 3 * time.Second},
	} {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, true, tt.answer, nil, tt.options...)
				start := time.Now()
				if status, says := w.get(t, "/orders", good); status != 503 || says != "temporarily_unavailable" || time.Since(start) != tt.after {
					t.Errorf("got %d %s after %v", status, says, time.Since(start))
				}
			})
		})
	}

	// RFC 7662 4: an answer is believed for a time, and never beyond exp.
	for _, tt := range []struct {
		name    string
		exp     string
		options []introspect.Option
		is      map[time.Duration]int // what the answer is after a time, where the endpoint says inactive from 1 ms on
	}{
		{"JW-19/cache", "", nil, map[time.Duration]int{5 * time.Second: 200, 9999 * time.Millisecond: 200, 10 * time.Second: 401}},
		{"JW-19/cache_without_exp", `"x":1,"exp":`, nil, map[time.Duration]int{9999 * time.Millisecond: 200, 10 * time.Second: 401}},
		{"JW-19/cache_until_exp", "3s", nil, map[time.Duration]int{2 * time.Second: 200, 2999 * time.Millisecond: 200, 3 * time.Second: 401}},
		{"JW-19/cache_longer", "", options(introspect.Cache(time.Minute)), map[time.Duration]int{59 * time.Second: 200, time.Minute: 401}},
		{"JW-19/cache_off", "", options(introspect.Cache(0)), map[time.Duration]int{time.Millisecond: 401}},
		{"JW-19/cache_of_nothing", "", options(introspect.CacheSize(0)), map[time.Duration]int{time.Millisecond: 401}},
	} {
		for after, want := range tt.is {
			t.Run(fmt.Sprint(tt.name, "/", after), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					start := time.Now()
					text := about("")
					if d, err := time.ParseDuration(tt.exp); err == nil {
						text = about(`"exp":` + in(d))
					} else if tt.exp != "" {
						text = strings.Replace(about(""), `"exp"`, `"x"`, 1)
					}
					w := newWorld(t, true, func(w http.ResponseWriter, r *http.Request) {
						if time.Since(start) > 0 {
							text = `{"active":false}`
						}
						says(text)(w, r)
					}, nil, tt.options...)
					if status, _ := w.get(t, "/orders", good); status != 200 {
						t.Fatalf("got %d at first", status)
					}
					time.Sleep(after)
					if status, _ := w.get(t, "/orders", good); status != want {
						t.Errorf("got %d, want %d", status, want)
					}
				})
			})
		}
	}
	t.Run("JW-19/cache_of_refusals", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, true, says(`{"active":false}`), nil)
			for range 100 {
				if status, _ := w.get(t, "/orders", good); status != 401 {
					t.Errorf("got %d", status)
				}
				time.Sleep(99 * time.Millisecond)
			}
			if w.count() != 1 {
				t.Errorf("asked %d times", w.count())
			}
			time.Sleep(100 * time.Millisecond)
			w.get(t, "/orders", good)
			if w.count() != 2 {
				t.Errorf("asked %d times", w.count())
			}
		})
	})

	t.Run("ATK-22/introspected", func(t *testing.T) {
		w := newWorld(t, false, says(about(`"aud":"https://a.example"`)), func(v *introspect.Validator) http.Handler {
			mux := http.NewServeMux()
			mux.Handle("/a", middleware.Bearer(v, middleware.Audience("https://a.example"))(orders))
			mux.Handle("/b", middleware.Bearer(v, middleware.Audience("https://b.example"))(orders))
			mux.Handle("/none", middleware.Bearer(v)(orders))
			return mux
		})
		for path, want := range map[string]int{"/a": 200, "/b": 401, "/none": 401} {
			if status, says := w.get(t, path, good); status != want || want == 401 && says != "invalid_token" {
				t.Errorf("%s: got %d %s", path, status, says)
			}
		}
	})
	t.Run("ATK-22/introspected_route_with_more_scope", func(t *testing.T) {
		w := newWorld(t, false, says(about("")), func(v *introspect.Validator) http.Handler {
			protect := middleware.Bearer(v)
			mux := http.NewServeMux()
			mux.Handle("/orders", protect(middleware.Scope("orders:read")(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				token := middleware.Token(r.Context())
				token.SetScope("orders:read admin") // by a careless handler
				token.SetUserID("bob")
				fmt.Fprint(w, token.GetScope())
			}))))
			mux.Handle("/me", protect(orders))
			mux.Handle("/admin", protect(middleware.Scope("admin")(orders)))
			return mux
		})
		for range 2 {
			if status, says := w.get(t, "/orders", good); status != 200 || says != "orders:read admin" {
				t.Errorf("got %d %s", status, says)
			}
			if status, says := w.get(t, "/admin", good); status != 403 || says != "insufficient_scope" {
				t.Errorf("got %d %s", status, says)
			}
			if status, says := w.get(t, "/me", good); status != 200 || says != alices {
				t.Errorf("got %d %s", status, says)
			}
		}
		if w.count() != 1 {
			t.Errorf("asked %d times", w.count())
		}
	})

	overOurServer(t)
}

// raw answers with what is no proper HTTP.
func raw(text func(token string) string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			panic(err)
		}
		defer conn.Close()
		io.WriteString(conn, text(r.Form.Get("token")))
	}
}

// panics runs f and returns what it panics with, "" if it doesn't.
func panics(f func()) (says string) {
	defer func() {
		if p := recover(); p != nil {
			says = fmt.Sprint(p)
		}
	}()
	f()
	return ""
}
