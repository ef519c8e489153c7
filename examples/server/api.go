package main

import (
	"encoding/json"
	"net/http"

	"github.com/ostiary-go/ostiary/middleware"
)

// whoami says what the token stands for. sub is "" for a client's own token.
func whoami(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	answer(w, map[string]any{"sub": token.GetUserID(), "client_id": token.GetClientID(), "scope": token.GetScope()})
}

// orders are those of whoever the token stands for.
func orders(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	answer(w, map[string]any{"sub": token.GetUserID(), "orders": []string{"3 lanterns", "1 key ring"}})
}

func answer(w http.ResponseWriter, members map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	json.NewEncoder(w).Encode(members)
}
