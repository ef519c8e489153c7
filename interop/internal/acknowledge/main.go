// Command acknowledge issues ten tokens over HTTP, each on a store that is to keep it, and notes on
// standard error when it was answered:
//
//	acknowledge ours FILE
//	acknowledge upstream FILE
//
// The test that builds it has the stores note there when they sync, which shows what came first.
package main

import (
	"context"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"

	"github.com/go-oauth2/oauth2/v4/manage"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/go-oauth2/oauth2/v4/server"
	"github.com/go-oauth2/oauth2/v4/store"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

func main() {
	serve := map[string]func(file string) (http.Handler, error){"ours": ours, "upstream": upstream}[os.Args[1]]
	h, err := serve(os.Args[2])
	if err != nil {
		log.Fatal(err)
	}
	s := httptest.NewServer(h)
	println("ready")
	for range 10 {
		res, err := http.PostForm(s.URL, url.Values{
			"grant_type": {"client_credentials"}, "client_id": {"svc"}, "client_secret": {"svc-secret"},
		})
		if err != nil {
			log.Fatal(err)
		}
		if res.Body.Close(); res.StatusCode != http.StatusOK {
			log.Fatal(res.Status)
		}
		println("answer")
	}
}

func ours(file string) (http.Handler, error) {
	store, err := bolt.Open(file)
	if err != nil {
		return nil, err
	}
	err = store.PutClient(context.Background(), &storage.Client{
		ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"},
	})
	return handler.Token(grants.New(store)), err
}

func upstream(file string) (http.Handler, error) {
	tokens, err := store.NewFileTokenStore(file)
	if err != nil {
		return nil, err
	}
	clients := store.NewClientStore()
	clients.Set("svc", &models.Client{ID: "svc", Secret: "svc-secret"})
	m := manage.NewDefaultManager()
	m.MapTokenStorage(tokens)
	m.MapClientStorage(clients)
	s := server.NewDefaultServer(m)
	s.ClientInfoHandler = server.ClientFormHandler
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.HandleTokenRequest(w, r) }), nil
}
