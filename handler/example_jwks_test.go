package handler_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func ExampleJWKS() {
	dir, err := os.MkdirTemp("", "ostiary")
	if err != nil {
		panic(err)
	}
	defer os.RemoveAll(dir)
	store, err := bolt.Open(filepath.Join(dir, "auth.db"))
	if err != nil {
		panic(err)
	}
	defer store.Close()
	keys, err := grants.OpenKeys(context.Background(), store)
	if err != nil {
		panic(err)
	}
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys))
	mux := http.NewServeMux()
	mux.Handle("/oauth/keys", handler.JWKS(manager))
	mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(manager, handler.Paths{Token: "/oauth/token", JWKS: "/oauth/keys"}))

	var metadata struct {
		JWKS string `json:"jwks_uri"`
	}
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/.well-known/oauth-authorization-server", nil))
	json.Unmarshal(w.Body.Bytes(), &metadata)
	var set struct{ Keys []map[string]string }
	w = httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", metadata.JWKS, nil))
	json.Unmarshal(w.Body.Bytes(), &set)
	for _, key := range set.Keys {
		fmt.Println(key["kty"], key["crv"], key["alg"], key["use"])
	}
	fmt.Println(w.Header().Get("Cache-Control"))
	// Output:
	// EC P-256 ES256 sig
	// EC P-256 ES256 sig
	// public, max-age=300
}
