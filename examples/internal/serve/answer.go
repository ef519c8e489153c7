package serve

import (
	"encoding/json"
	"net/http"

	"github.com/ostiary-go/ostiary/middleware"
)

// JSON answers with an object.
func JSON(w http.ResponseWriter, status int, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(members)
}

// Whoami is a route of an API that a token opens: it says what the token stands for. sub is "" for a
// client's own.
func Whoami(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	JSON(w, http.StatusOK, map[string]any{"sub": token.GetUserID(), "client_id": token.GetClientID(), "scope": token.GetScope()})
}
