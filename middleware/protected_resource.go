package middleware

import (
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/internal/document"
)

// Resource describes a resource server (RFC 9728 2).
type Resource struct {
	Resource             string   // its identifier: an https URL, http on the loopback interface
	AuthorizationServers []string // issuers whose tokens it takes
	Scopes               []string // that it knows; nil: not told
	Name                 string   // for people; "": not told
	Documentation        string   // URL for developers; "": not told
}

// ProtectedResource serves the metadata of a resource server (RFC 9728), by which a client that was
// refused finds out where to get a token. [ResourceMetadata] has the challenges of [Bearer] lead here:
//
//	api := middleware.Resource{Resource: "https://api.example", AuthorizationServers: []string{"https://auth.example"}}
//	mux.Handle("/.well-known/oauth-protected-resource", middleware.ProtectedResource(api))
//	protect := middleware.Bearer(manager, middleware.ResourceMetadata(api.MetadataURL()))
//
// For a resource with a path, as https://api.example/v1, that path follows the well-known one (3.1):
// /.well-known/oauth-protected-resource/v1. It may be read from any origin, and kept for an hour.
//
// ProtectedResource panics for an identifier or issuer that can not be one.
func ProtectedResource(r Resource) http.Handler {
	for _, s := range slices.Concat([]string{r.Resource}, r.AuthorizationServers) {
		if !identifies(s) {
			panic("middleware: ProtectedResource: " + s + " is no https URL without a fragment")
		}
	}
	members := map[string]any{
		"resource":                 r.Resource,
		"authorization_servers":    orNil(r.AuthorizationServers),
		"scopes_supported":         orNil(r.Scopes),
		"bearer_methods_supported": []string{"header"},
		"resource_name":            r.Name,
		"resource_documentation":   r.Documentation,
	}
	return document.New(members)
}

// MetadataURL is where the metadata of r has to be (RFC 9728 3.1).
func (r Resource) MetadataURL() string {
	u, err := url.Parse(r.Resource)
	if err != nil || !identifies(r.Resource) {
		panic("middleware: Resource: " + r.Resource + " is no https URL without a fragment")
	}
	at := u.Scheme + "://" + u.Host + "/.well-known/oauth-protected-resource" + strings.TrimSuffix(u.EscapedPath(), "/")
	if u.RawQuery != "" {
		at += "?" + u.RawQuery
	}
	return at
}

// identifies tells whether s can name a resource server or an issuer.
func identifies(s string) bool {
	u, err := url.Parse(s)
	if err != nil || u.Hostname() == "" || u.User != nil || strings.Contains(s, "#") {
		return false
	}
	ip := net.ParseIP(u.Hostname())
	return u.Scheme == "https" || u.Scheme == "http" && (u.Hostname() == "localhost" || ip != nil && ip.IsLoopback())
}

// orNil makes nil of an empty list.
func orNil(list []string) []string {
	if len(list) == 0 {
		return nil
	}
	return slices.Clone(list)
}
