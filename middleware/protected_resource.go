package middleware

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/internal/document"
	"github.com/ostiary-go/ostiary/internal/scope"
)

// Resource describes a resource server (RFC 9728 2).
type Resource struct {
	Resource             string   // its identifier: an https URL, or http on the loopback interface
	AuthorizationServers []string // issuers whose tokens it takes; nil: not told
	Scopes               []string // to ask for; nil: not told
}

// ProtectedResource serves the metadata of a resource server (RFC 9728), by which a client that was
// refused finds out where to get a token. [ResourceMetadata] has the challenges of [Bearer] lead here:
//
//	api := middleware.Resource{Resource: "https://api.example", AuthorizationServers: []string{"https://auth.example"}}
//	mux.Handle("/.well-known/oauth-protected-resource", middleware.ProtectedResource(api))
//	protect := middleware.Bearer(manager, middleware.ResourceMetadata(api.MetadataURL()))
//
// For a resource with a path, as https://api.example/v1, that path without a final slash follows the
// well-known one (3.1): mount it at /.well-known/oauth-protected-resource/v1. Nothing of a request has
// any effect on what is told. It may be read from any origin, and kept for an hour.
//
// ProtectedResource panics for an identifier, an issuer or a scope that can not be one.
func ProtectedResource(r Resource) http.Handler {
	r.check()
	for _, issuer := range r.AuthorizationServers {
		if _, ok := identifier(issuer); !ok || strings.Contains(issuer, "?") {
			panic(fmt.Sprintf("middleware: ProtectedResource: issuer %q: want an https URL without query and fragment", issuer))
		}
	}
	for _, word := range r.Scopes {
		if !scope.ValidWord(word) {
			panic(fmt.Sprintf("middleware: ProtectedResource: %q is no scope (RFC 6749 3.3)", word))
		}
	}
	return document.New(map[string]any{
		"resource":                 r.Resource,
		"authorization_servers":    r.AuthorizationServers,
		"scopes_supported":         r.Scopes,
		"bearer_methods_supported": []string{"header"},
	})
}

// MetadataURL is where clients look for the metadata of r (RFC 9728 3.1). It panics for an identifier
// that can not be one.
func (r Resource) MetadataURL() string {
	u := r.check()
	at := u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + strings.TrimSuffix(u.EscapedPath(), "/")
	if _, query, ok := strings.Cut(r.Resource, "?"); ok {
		at += "?" + query
	}
	return at
}

// check panics unless r has an identifier (RFC 9728 1.2).
func (r Resource) check() *url.URL {
	u, ok := identifier(r.Resource)
	if !ok {
		panic(fmt.Sprintf("middleware: Resource %q: want an https URL without fragment", r.Resource))
	}
	return u
}

// identifier reads what can name a resource server or, without a query, an issuer.
func identifier(s string) (u *url.URL, ok bool) {
	u, err := url.Parse(s)
	return u, err == nil && u.Hostname() != "" && u.User == nil && printable(s) && !strings.ContainsAny(s, `#"\ `) &&
		(u.Scheme == "https" || u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()))
}
