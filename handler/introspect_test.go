package handler_test

import (
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
)

func TestIntrospectWithoutIssuer(t *testing.T) {
	m := newManager(t)
	pair, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	answer := post(handler.Introspect(m), url.Values{"token": {pair.GetAccess()}})
	members := make(map[string]any)
	if err := json.Unmarshal(answer.Body.Bytes(), &members); err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Sorted(maps.Keys(members)), "active client_id exp iat scope sub token_type"; strings.Join(got, " ") != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// The options of another endpoint may be handed over as they are: a dialect and origins have no effect here.
func TestIntrospectOptions(t *testing.T) {
	m := newManager(t)
	pair, err := m.Issue(t.Context(), grants.Issue{Client: "app", User: "alice", Scope: "read"})
	if err != nil {
		t.Fatal(err)
	}
	options := []handler.Option{
		handler.AllowOrigins("https://spa.example"),
		handler.Dialect{
			Request: func(*grants.Request) error { return &grants.Error{Code: "x"} },
			Success: func(members map[string]any, _ oauth2.TokenInfo) { clear(members) },
			Errors:  map[string]handler.Answer{"invalid_request": {Status: 418}},
			Params:  []string{"x"},
		},
		handler.Realm("api"),
	}
	h := handler.Introspect(m, options[:2]...)
	send := func(form url.Values) *httptest.ResponseRecorder {
		r := httptest.NewRequest("POST", "/", strings.NewReader(form.Encode()))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Origin", "https://spa.example")
		r.SetBasicAuth("app", "app-secret")
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		return w
	}
	answer := send(url.Values{"token": {pair.GetAccess()}, "x": {"1", "2"}})
	if answer.Code != http.StatusOK || !strings.HasPrefix(answer.Body.String(), `{"active":true,`) || answer.Header()["Access-Control-Allow-Origin"] != nil {
		t.Errorf("got %d %v %s", answer.Code, answer.Header(), answer.Body)
	}
	if answer := send(nil); answer.Code != http.StatusBadRequest || !strings.HasPrefix(answer.Body.String(), `{"error":"invalid_request"`) {
		t.Errorf("got %d %s", answer.Code, answer.Body)
	}
	if _, other := options[2].(handler.Dialect); other {
		t.Error("the caller's options were written to")
	}
}

func TestIntrospectWithoutManagerPanics(t *testing.T) {
	defer func() {
		if recover() == nil {
			t.Error("a nil manager is taken")
		}
	}()
	handler.Introspect(nil)
}
