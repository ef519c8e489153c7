package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/storage"
)

// metadata is a client as RFC 7591 2 describes it, and what that has no word for.
type metadata struct {
	ID           string    `json:"client_id"`
	Secret       string    `json:"client_secret"`
	Name         string    `json:"client_name"`
	RedirectURIs []string  `json:"redirect_uris"`
	GrantTypes   *[]string `json:"grant_types"` // absent: authorization_code
	Scope        string    `json:"scope"`
	AuthMethod   string    `json:"token_endpoint_auth_method"` // absent: client_secret_basic

	// See storage.Client.
	Resources      []string `json:"resources"`  // that it may ask for tokens for
	Introspect     bool     `json:"introspect"` // about any token, as resource servers do
	Audience       []string `json:"audience"`   // what it is called, as a resource server
	InsecureNoPKCE bool     `json:"insecure_no_pkce"`
}

// openClients registers the clients of the file or, without one, the client demo, whose secret it
// returns: a new one at each start, which nobody but this process ever knows.
func openClients(ctx context.Context, store storage.Clients, file, url string) (demoSecret string, err error) {
	if file == "" {
		plain, secret := storage.NewSecret()
		return plain, store.PutClient(ctx, &storage.Client{
			ID: demoClient, Name: "Demo", Secret: secret, GrantTypes: []string{"authorization_code", "refresh_token"},
			Scope: "orders:read profile:email", RedirectURIs: []string{url + demoCallback}, Resources: []string{url + "/api"},
		})
	}
	var list []metadata
	if err := serve.ReadJSON(file, &list); err != nil {
		return "", err
	}
	clients, err := registrations(list)
	if err != nil {
		return "", fmt.Errorf("%s: %w", file, err)
	}
	for _, c := range clients {
		if err := store.PutClient(ctx, c); err != nil {
			return "", err
		}
	}
	return "", nil
}

// registrations makes clients of metadata. The error lists all that is wrong with any of them.
func registrations(list []metadata) ([]*storage.Client, error) {
	byID := make(map[string]metadata)
	var wrong []error
	for n, of := range list {
		_, twice := byID[of.ID]
		switch {
		case of.ID == "":
			wrong = append(wrong, fmt.Errorf("client %d: client_id is missing", n+1))
		case twice:
			wrong = append(wrong, fmt.Errorf("client %q: stands there twice", of.ID))
		default:
			byID[of.ID] = of
		}
	}
	var mu sync.Mutex
	var clients []*storage.Client
	serve.Each(byID, func(_ string, of metadata) {
		c, err := of.client()
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			wrong = append(wrong, err)
		}
		clients = append(clients, c)
	})
	return clients, errors.Join(wrong...)
}

var authMethods = []string{"", "none", "client_secret_basic", "client_secret_post"}

func (of metadata) client() (*storage.Client, error) {
	c := &storage.Client{
		ID: of.ID, Name: of.Name, Public: of.AuthMethod == "none",
		RedirectURIs: of.RedirectURIs, GrantTypes: []string{"authorization_code"}, Scope: of.Scope,
		Resources: of.Resources, Introspect: of.Introspect, Audience: of.Audience, InsecureNoPKCE: of.InsecureNoPKCE,
	}
	if of.GrantTypes != nil {
		c.GrantTypes = *of.GrantTypes
	}
	var wrong []error
	switch {
	case !slices.Contains(authMethods, of.AuthMethod):
		wrong = append(wrong, fmt.Errorf("client %q: token_endpoint_auth_method %q is not served: one of none, client_secret_basic, client_secret_post", of.ID, of.AuthMethod))
	case c.Public && of.Secret != "":
		wrong = append(wrong, fmt.Errorf("client %q: has a client_secret, and token_endpoint_auth_method none", of.ID))
	case !c.Public && of.Secret == "":
		wrong = append(wrong, fmt.Errorf("client %q: has no client_secret; for a public client, token_endpoint_auth_method is none", of.ID))
	}
	c.Secret = storage.Hash(of.Secret)
	return c, errors.Join(append(wrong, c.Validate())...)
}
