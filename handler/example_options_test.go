package handler_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/handler"
)

func ExampleRealm() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.Realm("Example API"))

	r := httptest.NewRequest("POST", "/", strings.NewReader("grant_type=client_credentials"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("app", "guess")
	w := httptest.NewRecorder()
	token.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Header().Get("WWW-Authenticate"))
	// Output: 401 Basic realm="Example API"
}

func ExampleBodyLimit() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.BodyLimit(1024))

	answer := post(token, url.Values{"grant_type": {strings.Repeat("x", 2000)}})
	fmt.Println(answer.Code, answer.Body)
	// Output: 413 {"error":"invalid_request","error_description":"the body is too large"}
}

func ExampleParameterLimit() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.ParameterLimit(2))

	answer := post(token, url.Values{"grant_type": {"client_credentials"}, "a": {"1"}, "b": {"2"}})
	fmt.Println(answer.Code, answer.Body)
	// Output: 400 {"error":"invalid_request","error_description":"there are too many parameters"}
}

func ExampleCredentialsLimit() {
	manager, done := exampleManager()
	defer done()
	token := handler.Token(manager, handler.CredentialsLimit(8)) // "app:app-secret" takes 20

	answer := post(token, url.Values{"grant_type": {"client_credentials"}})
	fmt.Println(answer.Code)
	// Output: 401
}

// theirs stands for an oauth2.Manager of the application's own: it knows one client and issues
// tokens, and its token store has a word of its own for a token that is not there.
type theirs struct{ oauth2.Manager }

var errNoRow = errors.New("sql: no rows in result set")

func (theirs) GetClient(context.Context, string) (oauth2.ClientInfo, error) {
	return &models.Client{ID: "app", Secret: "app-secret"}, nil
}

func (theirs) GenerateAccessToken(_ context.Context, _ oauth2.GrantType, r *oauth2.TokenGenerateRequest) (oauth2.TokenInfo, error) {
	return &models.Token{ClientID: r.ClientID, Scope: r.Scope, Access: "opaque"}, nil
}

func (theirs) LoadAccessToken(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoRow
}

func (theirs) LoadRefreshToken(context.Context, string) (oauth2.TokenInfo, error) {
	return nil, errNoRow
}

func ExampleForeignScope() {
	token := handler.Token(theirs{}, handler.ForeignScope("read"))

	for _, scope := range []string{"read", "admin"} {
		fmt.Println(post(token, url.Values{"grant_type": {"client_credentials"}, "scope": {scope}}).Code)
	}
	// Output:
	// 200
	// 400
}

func ExampleNotFound() {
	revoke := handler.Revoke(theirs{}, handler.NotFound(func(err error) bool { return errors.Is(err, errNoRow) }))

	answer := post(revoke, url.Values{"token": {"unknown"}})
	fmt.Println(answer.Code == http.StatusOK) // without NotFound: 503
	// Output: true
}
