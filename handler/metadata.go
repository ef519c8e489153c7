package handler

import (
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/document"
	"github.com/ostiary-go/ostiary/internal/scope"
	"github.com/ostiary-go/ostiary/storage"
)

// Paths are where an application has mounted the endpoints. One that begins with a slash is on the
// issuer's scheme and host; any other is a URL of its own. What is left empty is not told. Token is
// required (RFC 8414 2).
type Paths struct {
	Authorize, Token, Revoke, Introspect string

	JWKS string // not told where access tokens are opaque

	Scopes []string // that clients may know of, for scopes_supported
}

// Metadata serves the authorization server's metadata (RFC 8414), by which clients find everything else:
//
//	mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(manager, handler.Paths{
//		Authorize: "/oauth/authorize", Token: "/oauth/token",
//	}))
//
// For an issuer with a path, as https://auth.example/t1, that path without a final slash follows the
// well-known one (3.1): mount it at /.well-known/oauth-authorization-server/t1. Nothing of a request has
// any effect on what is told. It may be read from any origin, and kept for an hour.
//
// The grant types told are those of the manager, authorization_code only beside Authorize; what a
// [Dialect] adds or leaves out is not seen here.
//
// Metadata panics if the manager has no [grants.Issuer], without Token, and for a path or scope that can
// not be one.
func Metadata(m *grants.Manager, paths Paths) http.Handler {
	switch {
	case m == nil || m.Issuer() == "":
		panic("handler: Metadata: the manager was made without grants.Issuer")
	case paths.Token == "":
		panic("handler: Metadata: Paths without Token")
	}
	for _, word := range paths.Scopes {
		if !scope.ValidWord(word) {
			panic("handler: Metadata: " + word + " is no scope (RFC 6749 3.3)")
		}
	}
	at := func(path string) string { return absolute(m.Issuer(), path) }
	members := map[string]any{
		"issuer":                                        m.Issuer(),
		"authorization_endpoint":                        at(paths.Authorize),
		"token_endpoint":                                at(paths.Token),
		"revocation_endpoint":                           at(paths.Revoke),
		"introspection_endpoint":                        at(paths.Introspect),
		"jwks_uri":                                      jwksURI(m, at(paths.JWKS)),
		"grant_types_supported":                         grantTypesOf(m, paths),
		"scopes_supported":                              paths.Scopes,
		"token_endpoint_auth_methods_supported":         authMethods(paths.Token, "none"),
		"revocation_endpoint_auth_methods_supported":    authMethods(paths.Revoke, "none"),
		"introspection_endpoint_auth_methods_supported": authMethods(paths.Introspect),
	}
	if paths.Authorize != "" {
		members["response_types_supported"] = []string{"code"}
		members["response_modes_supported"] = []string{"query"}
		members["code_challenge_methods_supported"] = []string{"S256"}
		members["authorization_response_iss_parameter_supported"] = true // RFC 9207 3
	}
	return document.New(members)
}

// grantTypesOf are those that a client can use here.
func grantTypesOf(m *grants.Manager, paths Paths) []string {
	return slices.DeleteFunc(m.GrantTypes(), func(name string) bool { return name == "authorization_code" && paths.Authorize == "" })
}

func jwksURI(m *grants.Manager, at string) string {
	if !m.Signs() {
		return ""
	}
	return at
}

func authMethods(path string, more ...string) []string {
	if path == "" {
		return nil
	}
	return append([]string{"client_secret_basic", "client_secret_post"}, more...)
}

func absolute(issuer, path string) string {
	if path == "" {
		return ""
	}
	u, err := url.Parse(path)
	switch {
	case err != nil || u.User != nil || !visible(path) || strings.ContainsAny(path, `?#"\ `):
		panic("handler: Metadata: " + path + " is no path of an endpoint")
	case strings.HasPrefix(path, "/") && !strings.HasPrefix(path, "//"):
		base, _ := url.Parse(issuer)
		return base.Scheme + "://" + base.Host + path
	case u.Scheme == "https" && u.Hostname() != "", u.Scheme == "http" && storage.Loopback(u.Hostname()):
		return path
	}
	panic("handler: Metadata: " + path + " is neither a path nor an https URL")
}
