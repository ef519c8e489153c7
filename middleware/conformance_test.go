package middleware_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ostiary-go/ostiary/middleware"
)

// orders is the guarded handler: it tells what it sees.
var orders = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	if token := middleware.Token(r.Context()); token != nil {
		fmt.Fprintf(w, "client=%s user=%s scope=%s expires=%v body=%s", token.GetClientID(),
			token.GetUserID(), token.GetScope(), token.GetAccessExpiresIn(), body)
		return
	}
	fmt.Fprintf(w, "anonymous body=%s", body)
})

const (
	seen      = "client=web user=alice scope=orders:read expires=1h0m0s body="
	form      = "\nContent-Type: application/x-www-form-urlencoded"
	multipart = "\nContent-Type: multipart/form-data; boundary=x"
	metadata  = "https://api.example/.well-known/oauth-protected-resource"
)

func post(header, body string) string { return "POST /orders" + header + "\n\n" + body }

func open(next http.Handler) http.Handler { return next }

// TestConformance runs the rows of the bearer middleware, and of attacks on it, over TCP. Each refused
// GET is also tried as HEAD.
func TestConformance(t *testing.T) {
	options := func(o ...middleware.Option) []middleware.Option { return o }
	any2 := middleware.AnyScope("orders:read", "orders:write")
	all2 := middleware.Scope("orders:read", "orders:write")
	needs := map[string]string{"scope": "orders:read"}
	bearer := func(token string) string { return "GET /orders\nAuthorization: Bearer " + token }
	const auth = "GET /orders\nAuthorization: "

	type attributes = map[string]string
	for _, tt := range []struct {
		name    string
		request string
		options []middleware.Option
		route   func(http.Handler) http.Handler // nil: Scope("orders:read")
		status  int
		says    string     // the body, if status is 200; else the error
		also    attributes // of the challenge
		asked   bool       // the Validator, though it is neither 200 nor a status that only it can cause
	}{
		{name: "BR-01", request: "GET /orders", status: 401},
		{name: "BR-01/post", request: "POST /orders", status: 401},
		{name: "BR-01/empty_header", request: auth, status: 401},

		{name: "BR-02", request: bearer(good), status: 200, says: seen},
		{name: "BR-02/bearer", request: auth + "bearer " + good, status: 200, says: seen},
		{name: "BR-02/BEARER", request: auth + "BEARER " + good, status: 200, says: seen},
		{name: "BR-02/bEaReR", request: auth + "bEaReR " + good, status: 200, says: seen},
		{name: "BR-02/two_spaces", request: auth + "Bearer  " + good, status: 200, says: seen},
		{name: "BR-02/post", request: post("\nAuthorization: Bearer "+good, "x=1"), status: 200, says: seen + "x=1"},

		{name: "BR-03/Basic", request: auth + "Basic d2ViOndlYi1zZWNyZXQ=", status: 401},
		{name: "BR-03/Token", request: auth + "Token x", status: 401},
		{name: "BR-03/no_scheme", request: auth + "x", status: 401},
		{name: "BR-03/Digest", request: auth + `Digest username="alice", uri="/orders"`, status: 401},
		{name: "BR-03/longer_name", request: auth + "Bearers " + good, status: 401},
		{name: "BR-03/colon", request: auth + "Bearer: " + good, status: 401},

		{name: "BR-04/alone", request: auth + "Bearer", status: 401, says: "invalid_token"},
		{name: "BR-04/spaces", request: auth + "Bearer   ", status: 401, says: "invalid_token"},
		{name: "BR-04/tab", request: auth + "Bearer\t" + good, status: 401, says: "invalid_token"},
		{name: "BR-04/space_and_tab", request: auth + "Bearer \t" + good, status: 401, says: "invalid_token"},

		{name: "BR-05/inner_space", request: bearer(good + " " + good), status: 401, says: "invalid_token"},
		{name: "BR-05/comma", request: bearer(good + "," + good), status: 401, says: "invalid_token"},
		{name: "BR-05/quote", request: bearer(`"` + good + `"`), status: 401, says: "invalid_token"},
		{name: "BR-05/percent", request: bearer("good%2D5d0c8f1e7a23"), status: 401, says: "invalid_token"},
		{name: "BR-05/inner_equals", request: bearer("good=5d0c8f1e7a23"), status: 401, says: "invalid_token"},
		{name: "BR-05/only_equals", request: bearer("=="), status: 401, says: "invalid_token"},
		{name: "BR-05/non_ascii", request: bearer("good-5d0c8f1e7a2\xc3\xa9"), status: 401, says: "invalid_token"},
		{name: "BR-05/too_long", request: bearer(strings.Repeat("a", 8<<10+1)), status: 401, says: "invalid_token"},
		{name: "BR-05/limit", request: bearer(good), options: options(middleware.TokenLimit(len(good) - 1)),
			status: 401, says: "invalid_token"},

		{name: "BR-06/unknown", request: bearer("nonsense-5d0c8f1e7a23"), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/longest", request: bearer(strings.Repeat("a", 8<<10)), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/padded", request: bearer(good + "=="), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/changed", request: bearer("good-5d0c8f1e7a24"), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/changed_case", request: bearer("GOOD-5D0C8F1E7A23"), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/expired", request: bearer(expired), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/expired_pair", request: bearer(pair), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/nil_nil", request: bearer(nobody), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/nil_pointer", request: bearer(nilToken), status: 401, says: "invalid_token", asked: true},
		{name: "BR-06/named_by_NotFound", request: bearer(foreign), status: 401, says: "invalid_token",
			options: options(middleware.NotFound(func(err error) bool { return errors.Is(err, errNoRows) })), asked: true},

		{name: "BR-07/refresh_token", request: bearer("refresh-5d0c8f1e7a23"), status: 401, says: "invalid_token", asked: true},
		{name: "BR-07/code", request: bearer("code-5d0c8f1e7a23"), status: 401, says: "invalid_token", asked: true},

		{name: "BR-08/equal", request: bearer(good) + "\nAuthorization: Bearer " + good, status: 400, says: "invalid_request"},
		{name: "BR-08/different", request: bearer(good) + "\nAuthorization: Bearer " + writer, status: 400, says: "invalid_request"},
		{name: "BR-08/Basic_first", request: auth + "Basic eA==\nAuthorization: Bearer " + good, status: 400, says: "invalid_request"},
		{name: "BR-08/Basic_twice", request: auth + "Basic eA==\nAuthorization: Basic eA==", status: 400, says: "invalid_request"},
		{name: "BR-08/one_empty", request: auth + "\nAuthorization: Bearer " + good, status: 400, says: "invalid_request"},

		{name: "BR-09", request: "GET /orders?access_token=" + good + "\nAuthorization: Bearer " + good,
			status: 400, says: "invalid_request"},
		{name: "BR-09/empty", request: "GET /orders?access_token=\nAuthorization: Bearer " + good,
			status: 400, says: "invalid_request"},
		{name: "BR-09/escaped_name", request: "GET /orders?a=b&access%5Ftoken=" + good + "\nAuthorization: Bearer " + good,
			status: 400, says: "invalid_request"},
		{name: "BR-09/switched_on", request: "GET /orders?access_token=" + good + "\nAuthorization: Bearer " + good,
			options: options(middleware.InsecureQuery()), status: 400, says: "invalid_request"},
		{name: "BR-09/empty_header", request: "GET /orders?access_token=" + good + "\nAuthorization: Bearer",
			status: 400, says: "invalid_request"},
		{name: "BR-09/other_parameters", request: "GET /orders?token=x&my_access_token=y&access_token2=z\nAuthorization: Bearer " + good,
			status: 200, says: seen},

		{name: "BR-10", request: "GET /orders?access_token=" + good, status: 401},
		{name: "BR-10/twice", request: "GET /orders?access_token=" + good + "&access_token=" + good, status: 401},
		{name: "BR-10/beside_Basic", request: "GET /orders?access_token=" + good + "\nAuthorization: Basic eA==", status: 401},

		{name: "BR-11/good", request: "GET /orders?a=b&access_token=" + good, options: options(middleware.InsecureQuery()),
			status: 200, says: seen},
		{name: "BR-11/empty", request: "GET /orders?access_token=", options: options(middleware.InsecureQuery()), status: 401},
		{name: "BR-11/bare_name", request: "GET /orders?access_token", options: options(middleware.InsecureQuery()), status: 401},
		{name: "BR-11/twice", request: "GET /orders?access_token=" + good + "&access_token=" + good,
			options: options(middleware.InsecureQuery()), status: 400, says: "invalid_request"},
		{name: "BR-11/twice_empty", request: "GET /orders?access_token=&access_token=" + good,
			options: options(middleware.InsecureQuery()), status: 400, says: "invalid_request"},
		{name: "BR-11/malformed", request: "GET /orders?access_token=" + good + "%zz",
			options: options(middleware.InsecureQuery()), status: 401, says: "invalid_token"},
		{name: "BR-11/unknown", request: "GET /orders?access_token=nonsense-5d0c8f1e7a23",
			options: options(middleware.InsecureQuery()), status: 401, says: "invalid_token", asked: true},

		{name: "BR-12/alone", request: post(form, "access_token="+good), status: 401},
		{name: "BR-12/anonymous", request: post(form, "access_token="+good), options: options(middleware.Optional()),
			route: open, status: 200, says: "anonymous body=access_token=" + good},
		{name: "BR-12/good_header", request: post(form+"\nAuthorization: Bearer "+good, "access_token="+writer),
			status: 200, says: seen + "access_token=" + writer},

		{name: "BR-13/POST", request: post(form, "a=b&access_token="+good), options: options(middleware.InsecureForm()),
			status: 200, says: seen + "a=b&access_token=" + good},
		{name: "BR-13/PUT", request: "PUT /orders" + form + "\n\naccess_token=" + good, options: options(middleware.InsecureForm()),
			status: 200, says: seen + "access_token=" + good},
		{name: "BR-13/PATCH", request: "PATCH /orders" + form + "\n\naccess_token=" + good, options: options(middleware.InsecureForm()),
			status: 200, says: seen + "access_token=" + good},
		{name: "BR-13/charset", request: post(form+"; charset=UTF-8", "access_token="+good), options: options(middleware.InsecureForm()),
			status: 200, says: seen + "access_token=" + good},
		{name: "BR-13/GET_with_body", request: "GET /orders" + form + "\n\naccess_token=" + good,
			options: options(middleware.InsecureForm()), status: 401},
		{name: "BR-13/multipart", request: post(multipart, "--x\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n"+good+"\r\n--x--\r\n"),
			options: options(middleware.InsecureForm()), status: 401},
		{name: "BR-13/non_ascii", request: post(form, "access_token="+good+"&name=\xc3\xa9"),
			options: options(middleware.InsecureForm()), status: 400, says: "invalid_request"},
		{name: "BR-13/header_too", request: post(form+"\nAuthorization: Bearer "+good, "access_token="+good),
			options: options(middleware.InsecureForm()), status: 400, says: "invalid_request"},
		{name: "BR-13/query_too", request: "POST /orders?access_token=" + good + form + "\n\naccess_token=" + good,
			options: options(middleware.InsecureForm()), status: 400, says: "invalid_request"},
		{name: "BR-13/twice", request: post(form, "access_token="+good+"&access_token="+good),
			options: options(middleware.InsecureForm()), status: 400, says: "invalid_request"},
		{name: "BR-13/empty", request: post(form, "access_token="), options: options(middleware.InsecureForm()), status: 401},
		{name: "BR-13/header_alone", request: post(form+"\nAuthorization: Bearer "+good, "name=\xc3\xa9"),
			options: options(middleware.InsecureForm()), status: 200, says: seen + "name=\xc3\xa9"},
		{name: "BR-13/anonymous", request: post(form, "a=b"), options: options(middleware.InsecureForm(), middleware.Optional()),
			route: open, status: 200, says: "anonymous body=a=b"},
		{name: "BR-13/largest", request: post(form, "access_token="+good+"&a="+strings.Repeat("b", 64<<10-33)),
			options: options(middleware.InsecureForm()), status: 200, says: seen + "access_token=" + good + "&a=" + strings.Repeat("b", 64<<10-33)},
		{name: "BR-13/too_large", request: post(form, "access_token="+good+"&a="+strings.Repeat("b", 64<<10-32)),
			options: options(middleware.InsecureForm()), status: 413, says: "invalid_request"},
		{name: "BR-13/bad_chunks", request: "POST /orders" + form + "\nTransfer-Encoding: chunked\n\nzz\r\n",
			options: options(middleware.InsecureForm()), status: 400, says: "invalid_request"},

		{name: "BR-14/without", request: bearer(readOnly), status: 403, says: "insufficient_scope", also: needs},
		{name: "BR-14/orders", request: bearer(good), route: middleware.Scope("orders"),
			status: 403, says: "insufficient_scope", also: attributes{"scope": "orders"}},
		{name: "BR-14/orders:read2", request: bearer(good), route: middleware.Scope("orders:read2"),
			status: 403, says: "insufficient_scope", also: attributes{"scope": "orders:read2"}},
		{name: "BR-14/Orders:Read", request: bearer(good), route: middleware.Scope("Orders:Read"),
			status: 403, says: "insufficient_scope", also: attributes{"scope": "Orders:Read"}},

		{name: "BR-15/all_of_two", request: bearer(good), route: all2,
			status: 403, says: "insufficient_scope", also: attributes{"scope": "orders:read orders:write"}},
		{name: "BR-15/all_of_two_has_both", request: bearer(writer), route: all2,
			status: 200, says: strings.Replace(seen, "orders:read", "orders:read orders:write", 1)},
		{name: "BR-15/any_of_two", request: bearer(good), route: any2, status: 200, says: seen},
		{name: "BR-15/any_of_two_has_none", request: bearer(readOnly), route: any2,
			status: 403, says: "insufficient_scope", also: attributes{"scope": "orders:read orders:write"}},

		{name: "BR-16/realm", request: "GET /orders", options: options(middleware.Realm(`a "b\" \ c`)),
			status: 401, also: attributes{"realm": `a "b\" \ c`}},
		{name: "BR-16/scope", request: bearer(good), route: middleware.Scope("it's", "(all)", "a;b", "it's"),
			options: options(middleware.Realm(`"`)), status: 403, says: "insufficient_scope",
			also: attributes{"realm": `"`, "scope": "it's (all) a;b"}},

		{name: "BR-18/panic", request: bearer(panicking), status: 500, says: "server_error"},
		{name: "BR-18/fails", request: bearer(failing), status: 503, says: "temporarily_unavailable"},
		{name: "BR-18/unnamed_error", request: bearer(foreign), status: 503, says: "temporarily_unavailable"},

		{name: "BR-19/none", request: "GET /orders", options: options(middleware.Optional()),
			route: open, status: 200, says: "anonymous body="},
		{name: "BR-19/Basic", request: auth + "Basic eA==", options: options(middleware.Optional()),
			route: open, status: 200, says: "anonymous body="},
		{name: "BR-19/good", request: bearer(good), options: options(middleware.Optional()),
			route: open, status: 200, says: seen},
		{name: "BR-19/bad", request: bearer("nonsense-5d0c8f1e7a23"), options: options(middleware.Optional()),
			route: open, status: 401, says: "invalid_token", asked: true},
		{name: "BR-19/malformed", request: auth + "Bearer", options: options(middleware.Optional()),
			route: open, status: 401, says: "invalid_token"},
		{name: "BR-19/two_headers", request: bearer(good) + "\nAuthorization: Bearer " + good, options: options(middleware.Optional()),
			route: open, status: 400, says: "invalid_request"},
		{name: "BR-19/store_fails", request: bearer(failing), options: options(middleware.Optional()),
			route: open, status: 503, says: "temporarily_unavailable"},
		{name: "BR-19/none_at_Scope", request: "GET /orders", options: options(middleware.Optional()),
			status: 401, also: needs},
		{name: "BR-19/none_at_AnyScope", request: "GET /orders", options: options(middleware.Optional()),
			route: any2, status: 401, also: attributes{"scope": "orders:read orders:write"}},
		{name: "BR-19/none_at_User", request: "GET /orders", options: options(middleware.Optional()),
			route: middleware.User, status: 401},

		{name: "BR-20/none", request: "GET /orders", options: options(middleware.ResourceMetadata(metadata)),
			status: 401, also: attributes{"resource_metadata": metadata}},
		{name: "BR-20/bad", request: bearer(expired), options: options(middleware.ResourceMetadata(metadata)),
			status: 401, says: "invalid_token", also: attributes{"resource_metadata": metadata}, asked: true},
		{name: "BR-20/scope", request: bearer(readOnly), options: options(middleware.ResourceMetadata(metadata)),
			status: 403, says: "insufficient_scope", also: attributes{"resource_metadata": metadata, "scope": "orders:read"}},
		{name: "BR-20/none_at_Scope", request: "GET /orders", options: options(middleware.ResourceMetadata(metadata), middleware.Optional()),
			status: 401, also: attributes{"resource_metadata": metadata, "scope": "orders:read"}},

		{name: "ATK-22/no_audience_named", request: bearer(forA), status: 401, says: "invalid_token", asked: true},
		{name: "ATK-22/other_audience", request: bearer(forA), options: options(middleware.Audience("https://b.example")),
			status: 401, says: "invalid_token", asked: true},
		{name: "ATK-22/longer_name", request: bearer(forA), options: options(middleware.Audience("https://a.example/")),
			status: 401, says: "invalid_token", asked: true},
		{name: "ATK-22/wrapped", request: bearer(wrapped), status: 401, says: "invalid_token", asked: true},
		{name: "ATK-22/right_audience", request: bearer(forA), options: options(middleware.Audience("https://b.example"), middleware.Audience("https://a.example")),
			status: 200, says: seen},
		{name: "ATK-22/right_audience_wrapped", request: bearer(wrapped), options: options(middleware.Audience("https://a.example")),
			status: 200, says: seen},
		{name: "ATK-22/token_without_audience", request: bearer(good), options: options(middleware.Audience("https://a.example")),
			status: 200, says: seen},
		{name: "ATK-22/bound_to_a_key", request: bearer(bound), status: 401, says: "invalid_token", asked: true},

		{name: "ATK-24/client_called_alice", request: bearer(own), route: middleware.User, status: 403, says: "insufficient_scope"},
		{name: "ATK-24/user", request: bearer(good), route: middleware.User, status: 200, says: seen},

		{name: "ATK-27/Basic", request: auth + "Basic " + good, status: 401},
		{name: "ATK-27/Token", request: auth + "Token " + good, status: 401},
		{name: "ATK-27/JWT", request: auth + "JWT " + good, status: 401},
		{name: "ATK-27/no_scheme", request: auth + good, status: 401},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.route == nil {
				tt.route = middleware.Scope("orders:read")
			}
			requests := []string{tt.request}
			if get, ok := strings.CutPrefix(tt.request, "GET "); ok && tt.status != 200 {
				requests = append(requests, "HEAD "+get)
			}
			for _, request := range requests {
				v := &validator{}
				ran := false
				guarded := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					ran = true
					orders(w, r)
				})
				got := send(t, listen(t, middleware.Bearer(v, tt.options...)(tt.route(guarded))), request)
				if tt.status == 200 {
					if got.status != 200 || got.body != tt.says {
						t.Errorf("%.300s\nis answered %d %.300s\nwant 200 %.300s", request, got.status, got.body, tt.says)
					}
				} else {
					checkRefusal(t, got, request, tt.status, tt.says, tt.also)
					if ran {
						t.Error("the handler ran")
					}
				}
				if leak := leaked(v.logged(), request); leak != "" {
					t.Errorf("the log has %q of the request: %s", leak, v.logged())
				}
				if lines := strings.Count(v.logged(), "\n"); lines != max(0, min(1, tt.status-499)) {
					t.Errorf("%d lines in the log: %s", lines, v.logged())
				}
				asked := tt.asked || tt.status == 403 || tt.status >= 500 ||
					tt.status == 200 && !strings.HasPrefix(tt.says, "anonymous")
				if n := v.asked.Load(); n > 1 || n == 1 != asked {
					t.Errorf("the Validator was asked %d times", n)
				}
			}
		})
	}

	for _, realm := range []string{"a\r\nSet-Cookie: a=b", "\n", "a\x00", "\x7f", "a\tb", "Büro", ""} {
		t.Run(fmt.Sprintf("BR-16/realm_%q", realm), func(t *testing.T) {
			if says := panics(func() { middleware.Realm(realm) }); !strings.HasPrefix(says, "middleware: Realm(") {
				t.Errorf("panic %q, want one that names Realm", says)
			}
		})
	}

	t.Run("BR-11/private", func(t *testing.T) {
		h := middleware.Bearer(&validator{}, middleware.InsecureQuery())(orders)
		outer := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "no-store")
			h.ServeHTTP(w, r)
		})
		for _, tt := range []struct {
			h             http.Handler
			request, want string
		}{
			{h, "GET /orders?access_token=" + good, "private"},
			{h, "GET /orders\nAuthorization: Bearer " + good, ""},
			{outer, "GET /orders?access_token=" + good, "no-store"}, // is stricter
		} {
			got := send(t, listen(t, tt.h), tt.request)
			if got.status != 200 || got.header.Get("Cache-Control") != tt.want {
				t.Errorf("%s: %d with Cache-Control %q, want %q", tt.request, got.status, got.header.Get("Cache-Control"), tt.want)
			}
		}
	})

	t.Run("BR-17/other_headers_stay", func(t *testing.T) {
		h := middleware.Bearer(&validator{})(orders)
		got := send(t, listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("WWW-Authenticate", `Basic realm="other"`)
			w.Header().Set("Cache-Control", "public")
			w.Header().Set("Strict-Transport-Security", "max-age=1")
			h.ServeHTTP(w, r)
		})), "GET /orders")
		checkRefusal(t, got, "GET /orders", 401, "", nil)
		if got.header.Get("Strict-Transport-Security") != "max-age=1" {
			t.Error("a header of an outer middleware is gone")
		}
	})

	t.Run("BR-17/own_headers", func(t *testing.T) { // what another middleware does to an answer stays there
		h := middleware.Bearer(&validator{})(orders)
		conn := listen(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			h.ServeHTTP(w, r)
			for _, values := range w.Header() {
				values[0] = "scribbled"
			}
		}))
		send(t, conn, "GET /orders")
		checkRefusal(t, send(t, listen(t, h), "GET /orders"), "GET /orders", 401, "", nil)
	})

	t.Run("BR-18/back", func(t *testing.T) {
		v := &validator{}
		v.down.Store(true)
		conn := listen(t, middleware.Bearer(v)(orders))
		const request = "GET /orders\nAuthorization: Bearer " + good
		checkRefusal(t, send(t, conn, request), request, 503, "temporarily_unavailable", nil)
		v.down.Store(false)
		if got := send(t, conn, request); got.body != seen {
			t.Errorf("once the store is back: %d %s", got.status, got.body)
		}
	})

	for name, tt := range map[string]struct {
		options []middleware.Option
		after   time.Duration
	}{
		"BR-18/times_out":           {nil, 5 * time.Second},
		"BR-18/times_out_by_option": {options(middleware.Timeout(time.Minute)), time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				v := &validator{}
				start := time.Now()
				const request = "GET /orders\nAuthorization: Bearer " + hanging
				got := send(t, pipe(t, middleware.Bearer(v, tt.options...)(orders)), request)
				checkRefusal(t, got, request, 503, "temporarily_unavailable", nil)
				if d := time.Since(start); d != tt.after {
					t.Errorf("answered after %v, want %v", d, tt.after)
				}
				if strings.Count(v.logged(), "\n") != 1 || !strings.Contains(v.logged(), context.DeadlineExceeded.Error()) {
					t.Errorf("log: %s", v.logged())
				}
			})
		})
	}

	t.Run("ATK-22/route_with_more_scope", func(t *testing.T) {
		protect := middleware.Bearer(&validator{})
		mux := http.NewServeMux()
		mux.Handle("GET /orders", protect(middleware.Scope("orders:read")(orders)))
		mux.Handle("GET /admin", protect(middleware.Scope("admin")(orders)))
		conn := listen(t, mux)
		if got := send(t, conn, "GET /orders\nAuthorization: Bearer "+good); got.status != 200 {
			t.Fatal(got)
		}
		const request = "GET /admin\nAuthorization: Bearer " + good
		checkRefusal(t, send(t, conn, request), request, 403, "insufficient_scope", map[string]string{"scope": "admin"})
	})

	t.Run("ATK-24/no_user", func(t *testing.T) {
		got := send(t, listen(t, middleware.Bearer(&validator{})(orders)), "GET /orders\nAuthorization: Bearer "+own)
		if want := "client=alice user= scope=orders:read expires=1h0m0s body="; got.body != want {
			t.Errorf("handler sees %q, want %q", got.body, want)
		}
	})
}

// pipe serves h over net.Pipe, which doesn't hold up the clock of a synctest bubble.
func pipe(t *testing.T, h http.Handler) net.Conn {
	client, server := net.Pipe()
	l := &oneConn{conn: server, done: make(chan struct{})}
	s := &http.Server{Handler: h}
	go s.Serve(l)
	t.Cleanup(func() { client.Close(); s.Close() })
	return client
}

type oneConn struct {
	conn net.Conn
	done chan struct{}
}

func (l *oneConn) Accept() (net.Conn, error) {
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.done
	return nil, net.ErrClosed
}
func (l *oneConn) Close() error   { close(l.done); return nil }
func (l *oneConn) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

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
