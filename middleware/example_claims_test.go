package middleware_test

import (
	"fmt"
	"net/http"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"

	"github.com/ostiary-go/ostiary/middleware"
)

// tenanted is a token as validators return it that know more of it.
type tenanted struct{ oauth2.TokenInfo }

func (tenanted) Claims() map[string]any { return map[string]any{"tenant": "acme"} }

func ExampleClaims() {
	validator := tokens{"anns-token": tenanted{&models.Token{ClientID: "web", UserID: "ann"}}}
	orders := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, middleware.Claims(r.Context())["tenant"])
	})
	fmt.Print(get(middleware.Bearer(validator)(orders), "anns-token"))
	// Output: 200 acme
}
