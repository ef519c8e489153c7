package handler_test

import (
	"context"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/handler"
)

// endpoints are the token and the revocation endpoint over a foreign manager.
func endpoints(m oauth2.Manager) map[string]http.Handler {
	return map[string]http.Handler{"Token": handler.Token(m), "Revoke": handler.Revoke(m)}
}

var refreshOrRevoke = url.Values{"grant_type": {"refresh_token"}, "refresh_token": {"x"}, "token": {"x"}}

// deaf is a manager of the application's that never finds a client.
type deaf struct{ theirs }

func (deaf) GetClient(ctx context.Context, _ string) (oauth2.ClientInfo, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

// A client table that hangs is an outage, never a client that is unknown.
func TestForeignClientsHang(t *testing.T) {
	for name, h := range endpoints(deaf{}) {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				answer := post(h, refreshOrRevoke)
				if waited := time.Since(began); answer.Code != http.StatusServiceUnavailable || waited != 5*time.Second {
					t.Errorf("answered %d %s after %v", answer.Code, answer.Body, waited)
				}
			})
		})
	}
}

// empty is a manager of the application's that says of no token that it is unknown by saying nothing.
type empty struct{ theirs }

func (empty) LoadAccessToken(context.Context, string) (oauth2.TokenInfo, error)  { return nil, nil }
func (empty) LoadRefreshToken(context.Context, string) (oauth2.TokenInfo, error) { return nil, nil }

func TestForeignLoadsNothing(t *testing.T) {
	for name, h := range endpoints(empty{}) {
		want := map[string]int{"Token": http.StatusBadRequest, "Revoke": http.StatusOK}[name]
		if answer := post(h, refreshOrRevoke); answer.Code != want {
			t.Errorf("%s: answered %d %s", name, answer.Code, answer.Body)
		}
	}
}
