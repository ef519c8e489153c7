package interop_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	oerr "github.com/go-oauth2/oauth2/v4/errors"
	"github.com/go-oauth2/oauth2/v4/server"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// byBasicOrForm lets confidential clients come by Basic and public ones by form.
func byBasicOrForm(s *server.Server) {
	s.ClientInfoHandler = func(r *http.Request) (id, secret string, err error) {
		if _, _, ok := r.BasicAuth(); ok {
			return server.ClientBasicHandler(r)
		}
		return server.ClientFormHandler(r)
	}
}

// noOpenRedirector is what an application has to set, since go-oauth2's server redirects to whatever
// address it was given.
func noOpenRedirector(s *server.Server) {
	s.PreRedirectErrorHandler = func(w http.ResponseWriter, req *server.AuthorizeRequest, err error) error {
		data, status, _ := s.GetErrorData(err)
		if req == nil || err == oerr.ErrInvalidRedirectURI || err == oerr.ErrInvalidClient {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return nil
		}
		to, err := s.GetRedirectURI(req, data)
		if err != nil || status == http.StatusInternalServerError {
			return err
		}
		http.Redirect(w, req.Request, to, http.StatusFound)
		return nil
	}
}

// everyRefresh lets every refresh token pass that the manager loads.
func everyRefresh(s *server.Server) {
	s.RefreshingValidationHandler = func(info oauth2.TokenInfo) (bool, error) { return info.GetClientID() != "", nil }
}

// signedIn gets a code of alice's by go-oauth2's authorization endpoint.
func signedIn(t *testing.T, s *site, client string) string {
	t.Helper()
	to := s.authorize(t, signIn(client)).location(t)
	code := to.Query().Get("code")
	if code == "" || to.Query().Get("state") != "xyz" || to.Scheme+"://"+to.Host+to.Path != callback(client) {
		t.Fatalf("redirected to %s", to)
	}
	return code
}

// several is an error that can't be compared.
type several []string

func (s several) Error() string { return strings.Join(s, ", ") }

// lives tells whether a token lives so many seconds: where it ends with a second, as a JWT does, the server
// rounds down what is left.
func lives(a *answer, seconds float64) bool {
	got, _ := a.members["expires_in"].(float64)
	return got == seconds || strings.Contains(a.access(), ".") && got == seconds-1
}

// TestServerOverGrants drives go-oauth2's server with our manager behind it. Its statuses are its own.
func TestServerOverGrants(t *testing.T) { serverOverGrants(t) }

// TestServerOverJWTs is the same where access tokens are JWTs.
func TestServerOverJWTs(t *testing.T) { serverOverGrants(t, signing(t)...) }

func serverOverGrants(t *testing.T, options ...grants.Option) {
	fresh := func(t *testing.T, set ...func(*server.Server)) *site {
		return theirs(t, newGrants(t, options...), append(set, byBasicOrForm, noOpenRedirector)...)
	}

	t.Run("authorization_code", func(t *testing.T) {
		s := fresh(t)
		code := signedIn(t, s, "a")
		pair := s.redeem(t, "a", code).ok(t)
		if got := pair.members; got["token_type"] != "Bearer" || !lives(pair, 3600) || got["scope"] != "read write" || pair.refresh() == "" {
			t.Errorf("got %s", pair)
		}
		if got, want := s.me(t, pair.access()).body, "client=a user=alice scope=read write"; got != want {
			t.Errorf("the token stands for %q, want %q", got, want)
		}

		s.redeem(t, "a", code).is(t, 401, "invalid_grant")
		s.dead(t, pair.access())
		s.refresh(t, as("a"), pair.refresh()).is(t, 401, "invalid_grant")
	})

	t.Run("authorization_code/no_redirect_uri", func(t *testing.T) {
		s := fresh(t)
		query := signIn("a")
		query.Del("redirect_uri")
		to := s.authorize(t, query).location(t)
		if to.Scheme+"://"+to.Host+to.Path != callback("a") {
			t.Errorf("redirected to %s", to)
		}
		s.redeem(t, "a", to.Query().Get("code")).ok(t)
	})

	t.Run("authorization_code/AccessTokenExpHandler", func(t *testing.T) {
		for asked, want := range map[time.Duration]float64{10 * time.Minute: 600, 10 * time.Hour: 3600} {
			s := fresh(t, func(s *server.Server) {
				s.AccessTokenExpHandler = func(http.ResponseWriter, *http.Request) (time.Duration, error) { return asked, nil }
			})
			pair := s.redeem(t, "a", signedIn(t, s, "a")).ok(t)
			for range 2 {
				if !lives(pair, want) {
					t.Errorf("asked for %v: got %s, want %v s", asked, pair, want)
				}
				pair = s.refresh(t, as("a"), pair.refresh()).ok(t)
			}
		}
	})

	t.Run("public_client", func(t *testing.T) {
		s := fresh(t)
		code := signedIn(t, s, "app")
		pair := s.token(t, inBody, append(redemption("app", code), "client_id", "app")...).ok(t)
		s.works(t, s.refresh(t, inBody, pair.refresh(), "client_id", "app").ok(t).access())
	})

	t.Run("client_credentials", func(t *testing.T) {
		s := fresh(t)
		a := s.token(t, as("svc"), "grant_type", "client_credentials", "scope", "jobs").ok(t)
		if got, want := s.me(t, a.access()).body, "client=svc user= scope=jobs"; got != want || a.refresh() != "" || !lives(a, 900) {
			t.Errorf("the token stands for %q, want %q: %s", got, want, a)
		}
	})

	t.Run("refresh_token", func(t *testing.T) {
		s := fresh(t)
		first := s.redeem(t, "a", signedIn(t, s, "a")).ok(t)
		second := s.refresh(t, as("a"), first.refresh(), "scope", "read").ok(t)
		if second.member("scope") != "read" || second.refresh() == first.refresh() || second.access() == first.access() {
			t.Errorf("got %s", second)
		}
		if again := s.refresh(t, as("a"), first.refresh(), "scope", "read").ok(t); again.refresh() != second.refresh() || again.access() != second.access() {
			t.Errorf("a lost answer was repeated as %s, want %s", again, second)
		}
		third := s.refresh(t, as("a"), second.refresh()).ok(t)
		if third.member("scope") != "read write" {
			t.Errorf("got %s", third)
		}
		s.refresh(t, as("a"), first.refresh()).is(t, 401, "invalid_grant")
		s.dead(t, third.access())
		s.refresh(t, as("a"), third.refresh()).is(t, 401, "invalid_grant")
	})

	// The server asks for the refresh token's data first, and stops there if there are none: a spent
	// one is refused, and its grant lives on.
	t.Run("RefreshingValidationHandler", func(t *testing.T) {
		s := fresh(t, everyRefresh)
		first := s.redeem(t, "a", signedIn(t, s, "a")).ok(t)
		second := s.refresh(t, as("a"), first.refresh()).ok(t)
		if again := s.refresh(t, as("a"), first.refresh()).ok(t); again.refresh() != second.refresh() {
			t.Errorf("a lost answer was repeated as %s, want %s", again, second)
		}
		third := s.refresh(t, as("a"), second.refresh()).ok(t)
		s.refresh(t, as("a"), first.refresh()).is(t, 401, "invalid_grant")
		s.works(t, third.access())
		s.refresh(t, as("a"), third.refresh()).ok(t)
	})

	t.Run("refused", func(t *testing.T) {
		s := fresh(t, func(s *server.Server) {
			s.PasswordAuthorizationHandler = func(context.Context, string, string, string) (string, error) { return "alice", nil }
		})
		redeeming := func(set ...string) []string {
			return merge(redemption("a", signedIn(t, s, "a")), set...)
		}
		refreshing := func(set ...string) []string {
			return merge([]string{"grant_type", "refresh_token", "refresh_token", s.pair(t, "a").refresh()}, set...)
		}
		own := []string{"grant_type", "client_credentials"}
		for _, c := range []struct {
			name string
			who  auth
			form []string
			want
		}{
			{"wrong_secret", basic("svc", "wrong"), own, want{401, "invalid_client"}},
			{"wrong_secret/code", basic("a", "wrong"), redeeming(), want{401, "invalid_client"}},
			{"wrong_secret/refresh", basic("a", "wrong"), refreshing(), want{401, "invalid_client"}},
			{"empty_secret", basic("svc", ""), own, want{401, "invalid_client"}},
			{"no_secret", inBody, merge(own, "client_id", "svc"), want{401, "invalid_client"}},
			{"secret_of_public_client", basic("app", "any"), refreshing(), want{401, "invalid_client"}},
			{"unknown_client", as("nobody"), own, want{401, "invalid_client"}},
			{"unknown_client/code", as("nobody"), redeeming(), want{401, "invalid_client"}},
			{"unknown_client/refresh", as("nobody"), refreshing(), want{401, "invalid_client"}},
			{"no_client", inBody, own, want{401, "invalid_client"}},
			{"not_registered_for_grant_type", as("a"), own, want{401, "unauthorized_client"}},
			{"client_credentials_of_public_client", inBody, merge(own, "client_id", "app"), want{401, "unauthorized_client"}},
			{"password", as("a"), []string{"grant_type", "password", "username", "alice", "password", "x"}, want{401, "unsupported_grant_type"}},
			{"extension", as("a"), []string{"grant_type", "urn:x"}, want{401, "unsupported_grant_type"}},

			{"scope_beyond_client", as("svc"), merge(own, "scope", "read admin"), want{400, "invalid_scope"}},
			{"malformed_scope", as("svc"), merge(own, "scope", `"`), want{400, "invalid_scope"}},

			{"unknown_code", as("a"), redeeming("code", "nonsense"), want{401, "invalid_grant"}},
			{"token_as_code", as("a"), redeeming("code", s.pair(t, "a").access()), want{401, "invalid_grant"}},
			{"code_of_another_client", as("b"), redeeming(), want{401, "invalid_grant"}},
			{"wrong_verifier", as("a"), redeeming("code_verifier", otherVerifier), want{401, "invalid_grant"}},
			{"malformed_verifier", as("a"), redeeming("code_verifier", "short"), want{401, "invalid_grant"}},
			{"no_verifier", as("a"), redeeming("code_verifier", ""), want{401, "invalid_grant"}},
			{"unknown_redirect_uri", as("a"), redeeming("redirect_uri", "https://evil.test/cb"), want{401, "invalid_grant"}},
			{"no_redirect_uri", as("a"), redeeming("redirect_uri", ""), want{400, "invalid_request"}}, // the server's own

			{"unknown_refresh_token", as("a"), refreshing("refresh_token", "nonsense"), want{401, "invalid_grant"}},
			{"access_token_as_refresh_token", as("a"), refreshing("refresh_token", s.pair(t, "a").access()), want{401, "invalid_grant"}},
			{"refresh_token_of_another_client", as("b"), refreshing(), want{401, "invalid_grant"}},
			{"scope_beyond_grant", as("a"), refreshing("scope", "read admin"), want{400, "invalid_scope"}},
			{"malformed_scope/refresh", as("a"), refreshing("scope", `"`), want{400, "invalid_scope"}},
		} {
			t.Run(c.name, func(t *testing.T) { c.want.of(t, s.token(t, c.who, c.form...)) })
		}
	})

	t.Run("not_authorized", func(t *testing.T) {
		s := fresh(t)
		anonymous := fresh(t, func(s *server.Server) {
			s.UserAuthorizationHandler = func(http.ResponseWriter, *http.Request) (string, error) { return "", oerr.ErrAccessDenied }
		})
		for _, c := range []struct {
			name string
			site *site
			set  []string
			want string // the error at the redirect URI; "" if that isn't proven
		}{
			{"unknown_redirect_uri", s, []string{"redirect_uri", "https://evil.test/cb"}, ""},
			{"other_clients_redirect_uri", s, []string{"redirect_uri", callback("b")}, ""},
			{"unknown_client", s, []string{"client_id", "nobody"}, ""},
			{"client_without_redirect_uri", s, []string{"client_id", "svc"}, ""},
			{"no_client", s, []string{"client_id", ""}, ""},
			{"implicit", s, []string{"response_type", "token"}, "unsupported_response_type"},
			{"no_challenge", s, []string{"code_challenge", "", "code_challenge_method", ""}, "invalid_request"},
			{"plain", s, []string{"code_challenge_method", "plain"}, "invalid_request"},
			{"no_method", s, []string{"code_challenge_method", ""}, "invalid_request"},
			{"malformed_challenge", s, []string{"code_challenge", challenge[1:] + "="}, "invalid_request"},
			{"scope_beyond_client", s, []string{"scope", "admin"}, "invalid_scope"},
			{"access_denied", anonymous, nil, "access_denied"},
		} {
			t.Run(c.name, func(t *testing.T) {
				query := signIn("a")
				for i := 0; i < len(c.set); i += 2 {
					query.Set(c.set[i], c.set[i+1])
				}
				a := c.site.authorize(t, query)
				if c.want == "" {
					if a.status != 400 || a.header.Get("Location") != "" {
						t.Errorf("want an error page, got %s", a)
					}
					return
				}
				to := a.location(t)
				params := to.Query()
				if to.Fragment != "" {
					params, _ = url.ParseQuery(to.Fragment)
				}
				if to.Host != "a.example" || params.Get("error") != c.want || params.Get("state") != "xyz" || params.Has("code") {
					t.Errorf("redirected to %s, want %s", to, c.want)
				}
			})
		}
	})

	// Some drivers return errors that can't be compared, by which the server looks for its own.
	t.Run("uncomparable_error", func(t *testing.T) {
		store, _ := openStore(t)
		faulty := &testbed.Faulty{Store: store}
		s := theirs(t, grantsOn(faulty, options...), byBasicOrForm, noOpenRedirector)
		code, pair := signedIn(t, s, "a"), s.pair(t, "a")
		fail := func(context.Context) error { return several{"disk full", "fan off"} }
		for _, part := range []func(){func() { faulty.Break(fail, nil, nil) }, func() { faulty.Break(nil, nil, fail) }} {
			part()
			for _, a := range []*answer{
				s.redeem(t, "a", code), s.refresh(t, as("a"), pair.refresh()), s.token(t, as("svc"), "grant_type", "client_credentials"),
			} {
				if a.status != http.StatusInternalServerError {
					t.Errorf("got %s", a)
				}
			}
			if a := s.authorize(t, signIn("a")); a.header.Get("Location") != "" {
				t.Errorf("got %s", a)
			}
			s.dead(t, pair.access()) // which is what it makes of any error
			faulty.Break(nil, nil, nil)
		}
		s.redeem(t, "a", code).ok(t)
	})

	// A failure of the store isn't disguised as a refusal: InternalErrorHandler sees it as it is.
	t.Run("store_closed", func(t *testing.T) {
		store, _ := openStore(t)
		s := theirs(t, grantsOn(store, options...), func(s *server.Server) {
			s.InternalErrorHandler = func(err error) *oerr.Response {
				if !errors.Is(err, storage.ErrClosed) {
					t.Errorf("the server got %v", err)
				}
				return oerr.NewResponse(oerr.ErrTemporarilyUnavailable, http.StatusServiceUnavailable)
			}
		})
		code, pair := signedIn(t, s, "a"), s.pair(t, "a")
		store.Close()
		s.redeem(t, "a", code).is(t, 503, "temporarily_unavailable")
		s.refresh(t, as("a"), pair.refresh()).is(t, 503, "temporarily_unavailable")
		s.token(t, as("svc"), "grant_type", "client_credentials").is(t, 503, "temporarily_unavailable")
	})
}
