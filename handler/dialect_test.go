package handler_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// An older system calls the grant type by another name, has no token_type, says when a token expires
// instead of how long it lives, and answers errors in words of its own.
func ExampleDialect() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.Dialect{
		Params: []string{"flow"},
		Request: func(r *grants.Request) error {
			if r.Params.Get("flow") == "machine" {
				r.GrantType = "client_credentials"
			}
			return nil
		},
		Success: func(members map[string]any, info oauth2.TokenInfo) {
			delete(members, "access_token") // which differs each time
			delete(members, "token_type")
			members["lives"] = info.GetAccessExpiresIn().String()
		},
		Errors: map[string]handler.Answer{
			"invalid_request": {Status: http.StatusUnprocessableEntity, Members: map[string]any{"message": "no such flow"}},
		},
	})

	for _, form := range []url.Values{{"flow": {"machine"}}, {"flow": {"human"}}, {"grant_type": {"password"}}} {
		answer := post(token, form)
		fmt.Println(answer.Code, answer.Body)
	}
	// Output:
	// 200 {"expires_in":900,"lives":"15m0s","scope":"read write"}
	// 422 {"message":"no such flow"}
	// 400 {"error":"unsupported_grant_type","error_description":"this grant type is not served here"}
}

// place is a manager with the client app of post, and what is behind it.
type place struct {
	*grants.Manager
	store *testbed.Faulty
	log   *testbed.Log
}

func newPlace(t *testing.T, options ...grants.Option) *place {
	t.Helper()
	store, err := bolt.Open(filepath.Join(t.TempDir(), "auth.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	err = store.PutClient(t.Context(), &storage.Client{
		ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read", GrantTypes: []string{"client_credentials", "refresh_token"},
	})
	if err != nil {
		t.Fatal(err)
	}
	p := &place{store: &testbed.Faulty{Store: store}, log: new(testbed.Log)}
	p.Manager = grants.New(p.store, append(options, grants.Logger(p.log.Logger()))...)
	return p
}

// form is names and values in turn.
func form(namesAndValues ...string) url.Values {
	values := make(url.Values)
	for i := 0; i < len(namesAndValues); i += 2 {
		values.Add(namesAndValues[i], namesAndValues[i+1])
	}
	return values
}

var own = form("grant_type", "client_credentials")

// is fails unless an answer is this and was not to be kept.
func is(t *testing.T, answer *httptest.ResponseRecorder, status int, body string) {
	t.Helper()
	if answer.Code != status || answer.Body.String() != body || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("want %d %s, got %d %v\n%s", status, body, answer.Code, answer.Header(), answer.Body)
	}
}

// says fails unless an answer is this error of the RFCs'.
func says(t *testing.T, answer *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	if !strings.HasPrefix(answer.Body.String(), `{"error":"`+code+`"`) {
		t.Errorf("want %s, got %s", code, answer.Body)
	}
	is(t, answer, status, answer.Body.String())
}

// A slip of the application's shows when the endpoint is made.
func TestDialectThatMakesNoSensePanics(t *testing.T) {
	m := newPlace(t)
	for name, c := range map[string]struct {
		dialect handler.Dialect
		says    string
	}{
		"200":      {handler.Dialect{Errors: map[string]handler.Answer{"invalid_grant": {Status: 200}}}, "invalid_grant is no error"},
		"399":      {handler.Dialect{Errors: map[string]handler.Answer{"invalid_grant": {Status: 399}}}, "invalid_grant is no error"},
		"600":      {handler.Dialect{Errors: map[string]handler.Answer{"invalid_grant": {Status: 600}}}, "invalid_grant is no error"},
		"negative": {handler.Dialect{Errors: map[string]handler.Answer{"invalid_grant": {Status: -1}}}, "invalid_grant is no error"},
		"no JSON":  {handler.Dialect{Errors: map[string]handler.Answer{"x": {Members: map[string]any{"f": func() {}}}}}, "the members for x"},
		"unknown grant type": {handler.Dialect{GrantTypes: []string{"refresh_token", "refresh-token"}},
			"does not know the grant type refresh-token"},
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.HasPrefix(p, "handler: Dialect: ") || !strings.Contains(p, c.says) {
					t.Errorf("panicked with %q, want %q", p, c.says)
				}
			}()
			handler.Token(m, c.dialect)
		})
	}
	handler.Token(m, handler.Dialect{Errors: map[string]handler.Answer{"a": {Status: 400}, "b": {Status: 599}, "c": {}}})
}

// The zero Dialect is none.
func TestDialectZero(t *testing.T) {
	m := newPlace(t)
	for _, body := range []url.Values{own, form("grant_type", "password"), form("grant_type", "refresh_token"), form("a", "1", "a", "2")} {
		with, without := post(handler.Token(m, handler.Dialect{}), body), post(handler.Token(m), body)
		if with.Code != without.Code || with.Code != 200 && with.Body.String() != without.Body.String() || !slices.Equal(names(with), names(without)) {
			t.Errorf("%v: with %d %s, without %d %s", body, with.Code, with.Body, without.Code, without.Body)
		}
	}
}

// names are the members of an answer.
func names(answer *httptest.ResponseRecorder) []string {
	var members map[string]any
	json.Unmarshal(answer.Body.Bytes(), &members)
	return slices.Sorted(maps.Keys(members))
}

// The names that a dialect adds are, at its endpoints alone, refused twice and in the URL.
func TestDialectParams(t *testing.T) {
	m := newPlace(t)
	d := handler.Dialect{Params: []string{"userId"}}
	twice := []url.Values{
		{"grant_type": own["grant_type"], "userId": {"a", "a"}}, {"grant_type": own["grant_type"], "userId": {"a", "b"}}, {"grant_type": own["grant_type"], "userId": {"a", ""}},
	}
	for _, body := range twice {
		says(t, post(handler.Token(m, d), body), 400, "invalid_request")
		says(t, post(handler.Revoke(m, d), body), 400, "invalid_request")
		if answer := post(handler.Token(m), body); answer.Code != 200 {
			t.Errorf("without a dialect: %d %s", answer.Code, answer.Body)
		}
	}
	if answer := post(handler.Token(m, d), form("grant_type", "client_credentials", "userId", "a")); answer.Code != 200 {
		t.Errorf("once: %d %s", answer.Code, answer.Body)
	}
	says(t, post(inURL(handler.Token(m, d), "userId=a"), own), 400, "invalid_request")
	says(t, post(inURL(handler.Revoke(m, d), "userId="), form("token", "x")), 400, "invalid_request")
	for _, h := range []http.Handler{inURL(handler.Token(m), "userId=a"), inURL(handler.Token(m, d), "userid=a")} {
		if answer := post(h, own); answer.Code != 200 {
			t.Errorf("a name that means nothing, in the URL: %d %s", answer.Code, answer.Body)
		}
	}
}

// inURL puts a query under each request.
func inURL(h http.Handler, query string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.URL.RawQuery = query
		h.ServeHTTP(w, r)
	})
}

// Request sees what is well-formed and nothing else, before anything else is looked at.
func TestDialectRequest(t *testing.T) {
	m := newPlace(t)
	var seen []*grants.Request
	var refuse error
	h := handler.Token(m, handler.BodyLimit(1000), handler.Dialect{Params: []string{"userId"}, Request: func(r *grants.Request) error {
		seen = append(seen, r)
		return refuse
	}})
	revoke := handler.Revoke(m, handler.Dialect{Request: func(r *grants.Request) error {
		r.Token = r.Params.Get("ticket")
		return nil
	}})

	for _, body := range []url.Values{{"scope": {"", ""}}, {"client_id": {"\x01"}}, {"x": {strings.Repeat("x", 1000)}}} {
		if answer := post(h, body); answer.Code < 400 {
			t.Errorf("%d %s", answer.Code, answer.Body)
		}
	}
	post(inURL(h, "code=x"), own)
	if seen != nil {
		t.Errorf("was called for a form that is not well-formed: %d times", len(seen))
	}

	refuse = &grants.Error{Code: "invalid_scope", Description: "no"}
	const no = `{"error":"invalid_scope","error_description":"no"}`
	is(t, post(h, url.Values{"userId": {"u"}, "other": {"1", "2"}, "scope": {"read"}}), 400, no) // without grant_type
	r := seen[0]
	if r.Scope != "read" || r.ClientID != "app" || r.ClientSecret != "app-secret" || len(r.Params) != 2 || r.Params.Get("userId") != "u" || !slices.Equal(r.Params["other"], []string{"1", "2"}) {
		t.Errorf("saw scope %q, client %q, %v", r.Scope, r.ClientID, r.Params)
	}
	is(t, post(h, form("grant_type", "password")), 400, no)

	refuse = &grants.Error{Code: "teapot"} // of the application's own
	is(t, post(h, own), 400, `{"error":"teapot"}`)
	refuse = errors.New("wants app-secret-of-a-form") // no refusal but a failure
	says(t, post(h, form("grant_type", "client_credentials", "password", "app-secret-of-a-form")), 500, "server_error")
	if log := m.log.String(); !strings.Contains(log, "oauth: failure") || strings.Contains(log, "app-secret-of-a-form") {
		t.Errorf("the log has\n%s", log)
	}

	// What it writes is what is asked for.
	pair, err := m.Issue(t.Context(), grants.Issue{Client: "app"})
	if err != nil {
		t.Fatal(err)
	}
	is(t, post(revoke, form("ticket", pair.GetAccess())), 200, "")
	if _, err := m.LoadAccessToken(t.Context(), pair.GetAccess()); err == nil {
		t.Error("the ticket was not revoked")
	}
}

// Only Request sets the user; the application says yes, no, or that it doesn't know.
func TestDialectUser(t *testing.T) {
	user := handler.Dialect{Params: []string{"userId"}, Request: func(r *grants.Request) error {
		r.User = r.Params.Get("userId")
		return nil
	}}
	m := newPlace(t, grants.OnBehalf(func(_ context.Context, client, user string) (bool, error) {
		if user == "unlucky" {
			return false, errors.New("no users for app today")
		}
		return client == "app" && user == "alice", nil
	}))
	ask := func(m oauth2.Manager, user string, d ...handler.Option) *httptest.ResponseRecorder {
		return post(handler.Token(m, d...), form("grant_type", "client_credentials", "userId", user))
	}
	for _, c := range []struct {
		answer *httptest.ResponseRecorder
		user   string
	}{{ask(m, "alice", user), "alice"}, {ask(m, "", user), ""}, {ask(m, "alice"), ""}} {
		var pair struct {
			Access  string `json:"access_token"`
			Refresh string `json:"refresh_token"`
		}
		json.Unmarshal(c.answer.Body.Bytes(), &pair)
		info, err := m.LoadAccessToken(t.Context(), pair.Access)
		if err != nil || info.GetUserID() != c.user || (pair.Refresh != "") != (c.user != "") {
			t.Errorf("for %q: %v, %d %s", c.user, err, c.answer.Code, c.answer.Body)
		}
	}
	says(t, ask(m, "bob", user), 400, "invalid_grant")
	says(t, ask(m, "unlucky", user), 503, "temporarily_unavailable")
	if !strings.Contains(m.log.String(), "no users for app today") {
		t.Errorf("the failure is not in the log:\n%s", m.log)
	}

	says(t, ask(newPlace(t), "alice", user), 400, "unauthorized_client") // off by default
	issued := 0
	counting := counted{theirs{}, &issued}
	says(t, ask(counting, "alice", user), 400, "unauthorized_client") // a manager that could only ignore it
	if issued != 0 {
		t.Error("it was asked all the same")
	}
	if answer := ask(counting, "", user); answer.Code != 200 || issued != 1 {
		t.Errorf("for itself: %d %s", answer.Code, answer.Body)
	}
}

// counted counts what a foreign manager issues.
type counted struct {
	theirs
	issued *int
}

func (c counted) GenerateAccessToken(ctx context.Context, gt oauth2.GrantType, r *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	*c.issued++
	return c.theirs.GenerateAccessToken(ctx, gt, r)
}

func TestDialectSuccess(t *testing.T) {
	m := newPlace(t)
	var info oauth2.TokenInfo
	h := handler.Token(m, handler.Dialect{Success: func(members map[string]any, i oauth2.TokenInfo) {
		if members["access_token"] != i.GetAccess() || members["expires_in"] != int64(900) {
			t.Errorf("was given %v", members)
		}
		info = i
		clear(members)
		members["created_at"] = i.GetAccessCreateAt().Unix()
	}})
	answer := post(h, own)
	is(t, answer, 200, fmt.Sprintf(`{"created_at":%d}`, info.GetAccessCreateAt().Unix()))
	if answer.Header().Get("Content-Type") != "application/json" || info.GetClientID() != "app" {
		t.Errorf("%v, a token of %q", answer.Header(), info.GetClientID())
	}
	says(t, post(h, form("grant_type", "password")), 400, "unsupported_grant_type") // and nothing else is altered
	empty := handler.Token(m, handler.Dialect{Success: func(members map[string]any, _ oauth2.TokenInfo) { clear(members) }})
	is(t, post(empty, own), 200, "{}")
	is(t, post(handler.Revoke(m, handler.Dialect{Success: func(map[string]any, oauth2.TokenInfo) { t.Error("called") }}), form("token", "x")), 200, "")
}

// What the application's functions do wrong is a server_error, and the log does not quote what they
// were at.
func TestDialectThatFails(t *testing.T) {
	const secret = "a-secret-of-the-form"
	body := form("grant_type", "client_credentials", "password", secret)
	for name, d := range map[string]handler.Dialect{
		"Request panics":      {Request: func(r *grants.Request) error { panic("wrong: " + r.Params.Get("password")) }},
		"Success panics":      {Success: func(_ map[string]any, i oauth2.TokenInfo) { panic("wrong: " + i.GetAccess() + secret) }},
		"a function":          {Success: func(m map[string]any, _ oauth2.TokenInfo) { m["hook"] = func() {} }},
		"no number":           {Success: func(m map[string]any, i oauth2.TokenInfo) { m["n"] = json.Number(i.GetAccess()) }},
		"an error with words": {Success: func(m map[string]any, i oauth2.TokenInfo) { m["e"] = wordy(i.GetAccess()) }},
	} {
		t.Run(name, func(t *testing.T) {
			m := newPlace(t)
			says(t, post(handler.Token(m, d), body), 500, "server_error")
			log := m.log.String()
			if strings.Count(log, "level=ERROR") != 1 {
				t.Errorf("logged is\n%s", log)
			}
			for _, leak := range []string{secret, "osta_", "app-secret", "wrong: "} {
				if strings.Contains(log, leak) {
					t.Errorf("the log has %q:\n%s", leak, log)
				}
			}
			d.Errors = map[string]handler.Answer{"server_error": {Status: 502, Members: map[string]any{"oops": true}}}
			is(t, post(handler.Token(m, d), body), 502, `{"oops":true}`)
		})
	}

	m := newPlace(t)
	defer func() {
		if recover() != http.ErrAbortHandler {
			t.Error("http.ErrAbortHandler is not passed on")
		}
	}()
	post(handler.Token(m, handler.Dialect{Request: func(*grants.Request) error { panic(http.ErrAbortHandler) }}), own)
}

type wordy string

func (w wordy) MarshalJSON() ([]byte, error) { return nil, errors.New(string(w)) }

func TestDialectErrors(t *testing.T) {
	m := newPlace(t)
	x := map[string]any{"x": 1}
	d := handler.Dialect{Errors: map[string]handler.Answer{
		"invalid_request":        {Members: x},
		"invalid_client":         {Status: 400, Members: x},
		"invalid_grant":          {Status: 401, Members: x},
		"unsupported_grant_type": {Status: 404},
	}}
	h := handler.Token(m, d, handler.BodyLimit(1000))

	// Status 0 keeps what the code has, with its headers.
	is(t, post(h, nil), 400, `{"x":1}`)
	is(t, post(h, form("x", strings.Repeat("x", 1000))), 413, `{"x":1}`)
	get := httptest.NewRecorder()
	h.ServeHTTP(get, httptest.NewRequest("GET", "/", nil))
	if is(t, get, 405, `{"x":1}`); get.Header().Get("Allow") != "POST" {
		t.Errorf("405 with %v", get.Header())
	}

	// A status of its own has the headers that belong to it, and no others.
	unknown := httptest.NewRequest("POST", "/", strings.NewReader("grant_type=client_credentials&client_id=nobody"))
	unknown.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	answer := httptest.NewRecorder()
	h.ServeHTTP(answer, unknown)
	if is(t, answer, 400, `{"x":1}`); answer.Header().Get("WWW-Authenticate") != "" {
		t.Errorf("400 with %v", answer.Header())
	}
	answer = post(h, form("grant_type", "refresh_token", "refresh_token", "x"))
	if is(t, answer, 401, `{"x":1}`); answer.Header().Get("WWW-Authenticate") != `Basic realm="oauth"` || answer.Header().Get("Content-Type") != "application/json" {
		t.Errorf("401 with %v", answer.Header())
	}
	answer = post(h, form("grant_type", "password"))
	if is(t, answer, 404, ""); answer.Header().Values("Content-Type") != nil {
		t.Errorf("nothing, as %v", answer.Header())
	}

	// A code that isn't there is answered as ever, and so is another endpoint.
	says(t, post(h, form("grant_type", "client_credentials", "scope", "admin")), 400, "invalid_scope")
	says(t, post(handler.Token(m), form("grant_type", "refresh_token", "refresh_token", "x")), 400, "invalid_grant")
	is(t, post(handler.Revoke(m, d), nil), 400, `{"x":1}`)
}

// A store that is away is in the log, whatever the clients are told.
func TestDialectLogsFailures(t *testing.T) {
	for _, status := range []int{400, 500, 503} {
		m := newPlace(t)
		pair, err := m.Issue(t.Context(), grants.Issue{Client: "app"})
		if err != nil {
			t.Fatal(err)
		}
		m.store.Break(testbed.Fail, nil, nil)
		d := handler.Dialect{Errors: map[string]handler.Answer{"temporarily_unavailable": {Status: status, Members: map[string]any{"x": 1}}}}
		for _, answer := range []*httptest.ResponseRecorder{post(handler.Token(m, d), own), post(handler.Revoke(m, d), form("token", pair.GetAccess()))} {
			is(t, answer, status, `{"x":1}`)
			if wait := answer.Header().Get("Retry-After"); (wait != "") != (status == 503) {
				t.Errorf("%d with Retry-After %q", status, wait)
			}
		}
		log := m.log.String()
		if strings.Count(log, "code=temporarily_unavailable") != 2 || strings.Count(log, testbed.ErrBroken.Error()) != 2 || strings.Contains(log, pair.GetAccess()) {
			t.Errorf("%d: logged is\n%s", status, log)
		}
	}
}

func TestDialectGrantTypes(t *testing.T) {
	m := newPlace(t)
	refused := func(h http.Handler, grantType string) {
		t.Helper()
		says(t, post(h, form("grant_type", grantType, "refresh_token", "x")), 400, "unsupported_grant_type")
	}
	refreshes := handler.Token(m, handler.Dialect{GrantTypes: []string{"refresh_token"}})
	refused(refreshes, "client_credentials")
	refused(refreshes, "authorization_code")
	says(t, post(refreshes, form("grant_type", "refresh_token", "refresh_token", "x")), 400, "invalid_grant") // served
	refused(handler.Token(m, handler.Dialect{GrantTypes: []string{}}), "refresh_token")
	if answer := post(handler.Token(m, handler.Dialect{GrantTypes: nil}), own); answer.Code != 200 {
		t.Errorf("nil: %d %s", answer.Code, answer.Body)
	}

	// Request may turn a word of theirs into a grant type that is served.
	renamed := handler.Token(m, handler.Dialect{GrantTypes: []string{"client_credentials"}, Request: func(r *grants.Request) error {
		r.GrantType = strings.ReplaceAll(r.GrantType, "machine", "client_credentials")
		return nil
	}})
	if answer := post(renamed, form("grant_type", "machine")); answer.Code != 200 {
		t.Errorf("renamed: %d %s", answer.Code, answer.Body)
	}
	refused(renamed, "refresh_token")
}
