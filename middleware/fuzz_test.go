package middleware_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/ostiary-go/ostiary/middleware"
)

// FuzzBearer compares what becomes of any Authorization header with RFC 6750 2.1, written as regular
// expressions. All headers of a kind get the same bytes, so nothing of them can come back.
func FuzzBearer(f *testing.F) {
	for _, seed := range []string{
		"", " ", "Bearer", "bearer ", "Bearer  a", "Bearer\ta", "Bearer \ta", "Bearer a\t", "Bearer a ", "Bearer a b",
		"Bearer a,b", "Bearer a, Bearer b", "Bearer a=", "Bearer a=b", "Bearer =", "Bearer a==", `Bearer "a"`,
		"Bearer %61", "Bearer \x00", "Bearer a\x00", "Bearer a\r\nX: y", "Bearer é", "Bearer \xff", "Beareſ a", "BearerX a",
		"Bearer: a", "Bearer=a", "Bearer,a", "Basic YTpi", "Token a", "a", "BEARER -._~+/", "Bearer realm=\"api\"",
		"Bearer " + typical, "Bearer " + strings.Repeat(".", 8192), "Bearer " + strings.Repeat(".", 8193),
		"Bearer " + strings.Repeat("=", 9000), "Bearer" + strings.Repeat(" ", 9000) + "a",
	} {
		f.Add(seed)
	}
	isBearer := regexp.MustCompile(`^(?i:bearer)(?:[ \t]|$)`)
	wellFormed := regexp.MustCompile(`^(?i:bearer) +([A-Za-z0-9\-._~+/]+=*)$`)

	var asked string
	protect := middleware.Bearer(asking{&asked})
	serve := func(header string) string {
		asked = ""
		w := httptest.NewRecorder()
		protect(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprint(w, "let through") })).
			ServeHTTP(w, request(header))
		return fmt.Sprint(w.Code, w.Header(), w.Body)
	}
	none, malformed, through := serve(""), serve("Bearer"), serve("Bearer a")

	f.Fuzz(func(t *testing.T, header string) {
		got := serve(header)
		want, token := none, ""
		if isBearer.MatchString(header) {
			want = malformed
			if m := wellFormed.FindStringSubmatch(header); m != nil && len(m[1]) <= 8192 {
				want, token = through, m[1]
			}
		}
		if got != want || asked != token {
			t.Errorf("%q: asked for %q and answered\n%s\nwant %q and\n%s", header, asked, got, token, want)
		}
	})
}

// asking is a Validator that takes every token and tells which.
type asking struct{ token *string }

func (v asking) LoadAccessToken(_ context.Context, access string) (oauth2.TokenInfo, error) {
	*v.token = access
	return &models.Token{}, nil
}
