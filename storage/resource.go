package storage

import (
	"net/url"
	"strings"
)

// ValidResource tells whether s can name a resource server: an absolute URI without a fragment (RFC 8707
// 2).
func ValidResource(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && (u.Host != "" || u.Opaque != "" || u.Path != "") &&
		len(s) <= longestURI && visible(s) && !strings.ContainsAny(s, " \"<>\\^`{|}#")
}
