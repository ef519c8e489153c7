package storage

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// redirectURIMistake says what is wrong with a redirect URI (RFC 6749 3.1.2, RFC 8252 7), or "".
//
// https goes to any host, http to the loopback interface alone, and a private-use scheme has a dot,
// since it is a domain name in reverse: that shuts out javascript:, data:, file: and their like.
func redirectURIMistake(uri string) string {
	switch {
	case len(uri) > longestURI:
		return "is longer than " + strconv.Itoa(longestURI) + " bytes"
	case !visible(uri) || strings.ContainsAny(uri, " \"<>\\^`{|}"):
		return "has a character that does not belong into a URI (RFC 3986 2)"
	case strings.Contains(uri, "#"):
		return "has a fragment (RFC 6749 3.1.2)"
	}
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return "is no URI"
	case !u.IsAbs():
		return "is not absolute (RFC 6749 3.1.2)"
	case u.User != nil || strings.Contains(u.Host, "@"):
		return "has user information"
	case u.Scheme == "https":
		return hostMistake(u)
	case u.Scheme == "http":
		if !Loopback(u.Hostname()) {
			return "http is for the loopback interface alone: 127.0.0.1, [::1] or localhost (RFC 8252 7.3)"
		}
		return hostMistake(u)
	case !strings.Contains(u.Scheme, "."):
		return "scheme " + u.Scheme + " is refused: https, http on loopback, or a private-use scheme with a dot such as com.example.app (RFC 8252 7.1)"
	case u.Opaque == "" && u.Host == "" && u.Path == "":
		return "has nothing behind its scheme"
	case u.Opaque != "":
		return "has no path; write it as " + u.Scheme + ":/" + u.Opaque
	}
	return ""
}

// Loopback tells whether host, without port and brackets, is one of the three names of the loopback
// interface for which RFC 8252 7.3 lets a redirect URI have any port.
func Loopback(host string) bool {
	return host == "127.0.0.1" || host == "::1" || host == "localhost"
}

func hostMistake(u *url.URL) string {
	host := u.Hostname()
	if u.Opaque != "" || host == "" {
		return "has no host"
	}
	if u.Host[0] == '[' {
		if a, err := netip.ParseAddr(host); err != nil || !a.Is6() || a.Zone() != "" {
			return "has no valid IPv6 address as host"
		}
	} else {
		for label := range strings.SplitSeq(strings.TrimSuffix(host, "."), ".") {
			if label == "" || strings.ContainsFunc(label, notInLabel) {
				return "has a host with other labels than letters, digits and hyphens; a wildcard is no host"
			}
		}
	}
	if _, port, ok := strings.Cut(strings.TrimPrefix(u.Host, "["+host+"]"), ":"); ok {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return "has no valid port"
		}
	}
	return ""
}

// absoluteURI tells whether s can name an extension grant type (RFC 6749 4.5).
func absoluteURI(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.IsAbs() && u.Scheme != "" && len(s) > len(u.Scheme)+1 && visible(s) && !strings.Contains(s, " ")
}

// notInLabel tells whether r can't stand in a label of a host name (RFC 1123 2.1).
func notInLabel(r rune) bool {
	return !('a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || r == '-')
}
