package conformance

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/storage"
)

// BR. Bearer middleware: where the token stands, and which is good.
var bearerRows = []row{
	one("BR-01", testCase{foreign: true, run: func(t *testing.T, s *server) {
		s.turnedAway(t, "/orders", 401, "")
	}}),
	{"BR-02", each(testCase{foreign: true}, map[string]string{
		"good": "Bearer ", "lower case": "bearer ", "upper case": "BEARER ", "mixed case": "bEaReR ", "two spaces": "Bearer  ",
	}, func(t *testing.T, s *server, scheme string) {
		path, pair := s.goodAt(t)
		a := s.get(t, path, [2]string{"Authorization", scheme + pair.access()})
		s.sees(t, a, pair)
		alike(t, &answer{status: a.status, header: a.header}, s.send(t, "HEAD", path, nil, [2]string{"Authorization", scheme + pair.access()}))
	})},
	{"BR-03", each(testCase{foreign: true}, same("Basic d2ViOndlYi1zZWNyZXQ=", "Basic %s", "Token x", "Token %s", "x", "%s", `Digest username="web"`, "Digest %s", "Bearers %s", ""),
		func(t *testing.T, s *server, authorization string) {
			path, pair := s.goodAt(t)
			s.turnedAway(t, path, 401, "", [2]string{"Authorization", strings.Replace(authorization, "%s", pair.access(), 1)})
		})},
	{"BR-04", each(testCase{foreign: true}, map[string]string{
		"alone": "Bearer", "spaces": "Bearer   ", "tab": "Bearer\t%s", "space and tab": "Bearer \t%s",
	}, func(t *testing.T, s *server, authorization string) {
		path, pair := s.goodAt(t)
		line := "Authorization: " + strings.Replace(authorization, "%s", pair.access(), 1)
		a, head := s.rawHTTP(t, "GET", path, line), s.rawHTTP(t, "HEAD", path, line)
		alike(t, a, head)
		a.bearerError(t, 401, "invalid_token")
	})},
	{"BR-05", each(testCase{foreign: true}, map[string]func(token string) string{
		"space": func(token string) string { return token[:9] + " " + token[9:] },
		"comma": func(token string) string { return token[:9] + "," + token[9:] },
		"quote": func(token string) string { return `"` + token + `"` },
		"percent": func(token string) string {
			return strings.Replace(token, token[9:10], fmt.Sprintf("%%%X", token[9]), 1)
		},
		"equals":    func(token string) string { return token[:9] + "=" + token[9:] },
		"non-ASCII": func(token string) string { return token + "\u00e9" },
		"8 KiB":     func(string) string { return strings.Repeat("a", 8<<10+1) },
	}, func(t *testing.T, s *server, spoil func(token string) string) {
		path, pair := s.goodAt(t)
		asked := &counting{Manager: s.manager}
		s.mux.Handle("GET /counted"+path, middleware.Bearer(asked, middleware.Realm("api"))(http.HandlerFunc(whoami)))
		s.turnedAway(t, "/counted"+path, 401, "invalid_token", bearer(spoil(pair.access())))
		if asked.Load() != 0 {
			t.Error("the manager was asked about it")
		}
		s.turnedAway(t, "/counted"+path, 401, "invalid_token", bearer(strings.Repeat("a", 8<<10)))
		if asked.Load() != 2 {
			t.Error("the manager was not asked about the longest token")
		}
		s.sees(t, s.get(t, "/counted"+path, bearer(pair.access())), pair)
	})},
	{"BR-06", slices.Concat(each(testCase{foreign: true}, damages, func(t *testing.T, s *server, damage func(string) []string) {
		path, pair := s.goodAt(t)
		for _, token := range damage(pair.access()) {
			if strings.TrimSpace(token) == pair.access() {
				continue // the same, as a header has it
			}
			s.turnedAway(t, path, 401, "invalid_token", bearer(token))
		}
		s.sees(t, s.get(t, path, bearer(pair.access())), pair)
	}), []testCase{
		{name: "revoked", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.works(t, pair.access())
			s.revokes(t, "web", "token", pair.access()).done(t)
			s.turnedAway(t, "/any", 401, "invalid_token", bearer(pair.access()))
		}},
		{name: "expired", moves: true, run: func(t *testing.T, s *server) {
			path, pair := s.goodAt(t)
			time.Sleep(time.Hour - time.Millisecond)
			s.sees(t, s.get(t, path, bearer(pair.access())), pair)
			time.Sleep(time.Millisecond)
			s.turnedAway(t, path, 401, "invalid_token", bearer(pair.access()))
		}},
	}, each(testCase{}, map[string]func(t *testing.T, s *server){
		"ended by user":   func(t *testing.T, s *server) { s.end(t, storage.Filter{User: "alice"}) },
		"ended by client": func(t *testing.T, s *server) { s.end(t, storage.Filter{Client: "shop"}) },
		"ended by both":   func(t *testing.T, s *server) { s.end(t, storage.Filter{Client: "shop", User: "alice"}) },
		"client deleted":  func(t *testing.T, s *server) { s.deleteClient(t, "shop") },
		"client deleted and put again": func(t *testing.T, s *server) {
			s.deleteClient(t, "shop")
			s.putClient(t, shop())
		},
	}, func(t *testing.T, s *server, end func(t *testing.T, s *server)) {
		path, pair := s.goodAt(t)
		s.sees(t, s.get(t, path, bearer(pair.access())), pair)
		end(t, s)
		s.turnedAway(t, path, 401, "invalid_token", bearer(pair.access()))
	}))},
	{"BR-07", []testCase{
		{name: "refresh token", foreign: true, run: func(t *testing.T, s *server) {
			pair := s.pair(t, "web")
			s.posing(t, pair.refresh())
			s.lives(t, "web", pair)
		}},
		{name: "code", foreign: true, run: func(t *testing.T, s *server) {
			code := s.newCode(t, "web")
			s.posing(t, code)
			s.lives(t, "web", s.redeem(t, "web", code).ok(t))
		}},
	}},
	{"BR-08", each(testCase{foreign: true}, map[string][2]string{
		"equal": {"Bearer %s", "Bearer %s"}, "other token": {"Bearer %s", "Bearer x"}, "other first": {"Bearer x", "Bearer %s"},
		"Basic": {"Bearer %s", "Basic eA=="}, "Basic first": {"Basic eA==", "Bearer %s"},
	}, func(t *testing.T, s *server, values [2]string) {
		path, pair := s.goodAt(t)
		var headers [][2]string
		for _, v := range values {
			headers = append(headers, [2]string{"Authorization", strings.Replace(v, "%s", pair.access(), 1)})
		}
		s.turnedAway(t, path, 400, "invalid_request", headers...)
	})},
	{"BR-09", each(testCase{foreign: true}, same("access_token=%s", "access_token=x", "access_token=", "access_token", "a=1&access%%5Ftoken=%s"), func(t *testing.T, s *server, query string) {
		path, pair := s.goodAt(t)
		query = strings.NewReplacer("%s", pair.access(), "%%", "%").Replace(query)
		s.turnedAway(t, path+"?"+query, 400, "invalid_request", bearer(pair.access()))
		s.sees(t, s.get(t, path+"?token=x&code=x", bearer(pair.access())), pair)
	})},
	one("BR-10", testCase{foreign: true, run: func(t *testing.T, s *server) {
		path, pair := s.goodAt(t)
		s.note("token="+pair.access(), nil)
		s.turnedAway(t, path+"?access_token="+pair.access(), 401, "")
		s.turnedAway(t, path+"?access_token=x", 401, "")
	}}),
	{"BR-11", each(testCase{foreign: true}, map[string]struct {
		query  string
		status int
		code   string
	}{
		"good":            {"access_token=%s", 200, ""},
		"empty":           {"access_token=", 401, ""},
		"twice":           {"access_token=%s&access_token=%s", 400, "invalid_request"},
		"twice, one good": {"access_token=&access_token=%s", 400, "invalid_request"},
	}, func(t *testing.T, s *server, c struct {
		query  string
		status int
		code   string
	}) {
		_, pair := s.goodAt(t)
		s.note("token="+pair.access(), nil)
		s.guard("GET /query", nil, middleware.InsecureQuery())
		path := "/query?" + strings.ReplaceAll(c.query, "%s", pair.access())
		if c.status != http.StatusOK {
			s.turnedAway(t, path, c.status, c.code)
			return
		}
		a := s.get(t, path)
		s.sees(t, a, pair)
		if a.header.Get("Cache-Control") != "private" {
			t.Errorf("shared caches may keep %s", a)
		}
	})},
	{"BR-12", each(testCase{foreign: true}, map[string]bool{"alone": false, "header too": true}, func(t *testing.T, s *server, inHeader bool) {
		_, pair := s.goodAt(t)
		left := make(chan string, 1)
		guarded := middleware.Bearer(s.manager, middleware.Realm("api"))(http.HandlerFunc(whoami))
		s.mux.HandleFunc("POST /body", func(w http.ResponseWriter, r *http.Request) {
			guarded.ServeHTTP(w, r)
			body, _ := io.ReadAll(r.Body)
			left <- string(body)
		})
		body := form("a", "b", "access_token", pair.access())
		if inHeader {
			s.sees(t, s.post(t, "/body", body, bearer(pair.access())), pair)
		} else {
			s.post(t, "/body", body).bearerError(t, 401, "")
		}
		if got := <-left; got != body {
			t.Errorf("of the body %q the handler gets %q", body, got)
		}
	})},
	{"BR-13", each(testCase{foreign: true}, map[string]struct {
		method, contentType, body string
		inHeader                  bool
		status                    int
		code                      string
	}{
		"POST":       {"POST", formType, "a=b&access_token=%s", false, 200, ""},
		"GET":        {"GET", formType, "access_token=%s", false, 401, ""},
		"multipart":  {"POST", "multipart/form-data; boundary=x", "--x\r\nContent-Disposition: form-data; name=\"access_token\"\r\n\r\n%s\r\n--x--\r\n", false, 401, ""},
		"non-ASCII":  {"POST", formType, "access_token=%s&a=\u00e9", false, 400, "invalid_request"},
		"header too": {"POST", formType, "access_token=%s", true, 400, "invalid_request"},
		"twice":      {"POST", formType, "access_token=%s&access_token=%s", false, 400, "invalid_request"},
	}, func(t *testing.T, s *server, c struct {
		method, contentType, body string
		inHeader                  bool
		status                    int
		code                      string
	}) {
		_, pair := s.goodAt(t)
		s.note("token="+pair.access(), nil)
		s.guard("/form", reading, middleware.InsecureForm())
		body := strings.ReplaceAll(c.body, "%s", pair.access())
		headers := [][2]string{{"Content-Type", c.contentType}}
		if c.inHeader {
			headers = append(headers, bearer(pair.access()))
		}
		a := s.send(t, c.method, "/form", strings.NewReader(body), headers...)
		if c.status != http.StatusOK {
			a.bearerError(t, c.status, c.code)
			return
		}
		s.sees(t, a, pair)
		if !strings.HasSuffix(a.body, "\n"+body) {
			t.Errorf("of the body %q the handler gets %s", body, a)
		}
	})},
}

// sees fails unless the handler has run and seen what this pair stands for: client, alice, scope, expiry.
func (s *server) sees(t *testing.T, a, pair *answer) {
	t.Helper()
	client := "web"
	if strings.HasPrefix(pair.scope(), "orders:") {
		client = "shop"
	}
	want := fmt.Sprintf("client=%s user=alice scope=%s expires=", client, pair.scope())
	line, _, _ := strings.Cut(a.body, "\n")
	text, ok := strings.CutPrefix(line, want)
	expires, err := strconv.ParseInt(text, 10, 64)
	issued, _ := http.ParseTime(pair.header.Get("Date"))
	life, _ := pair.members["expires_in"].(float64)
	if off := issued.Unix() + int64(life) - expires; a.status != http.StatusOK || !ok || err != nil || off < -1 || off > 1 {
		t.Fatalf("want %s%v, got %s", want, issued.Unix()+int64(life), a)
	}
}

// posing fails unless what is no access token is turned away, also under the name of one.
func (s *server) posing(t *testing.T, other string) {
	t.Helper()
	s.unchanged(t, func() {
		for _, posing := range posingAs('a', other) {
			s.turnedAway(t, "/any", 401, "invalid_token", bearer(posing))
		}
	})
}

func (s *server) deleteClient(t *testing.T, id string) {
	t.Helper()
	if err := s.store.DeleteClient(t.Context(), id); err != nil {
		t.Fatal(err)
	}
}

// counting counts what its manager is asked.
type counting struct {
	oauth2.Manager
	atomic.Int32
}

func (c *counting) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	c.Add(1)
	return c.Manager.LoadAccessToken(ctx, access)
}

func (c *counting) Unwrap() oauth2.Manager { return c.Manager }

// reading shows the body that the handler gets behind what that answers.
func reading(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(w, r)
		fmt.Fprintln(w)
		io.Copy(w, r.Body)
	})
}
