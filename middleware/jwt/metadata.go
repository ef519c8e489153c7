package jwt

import (
	"errors"
	"net/url"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/internal/jws"
)

// wellKnown is where the metadata of an issuer is looked for: where RFC 8414 3.1 has it, or else OpenID Connect
// Discovery 4.
func wellKnown(issuer string) []string {
	u, err := url.Parse(issuer)
	if err != nil {
		panic(err) // it was looked at
	}
	path := strings.TrimSuffix(u.EscapedPath(), "/")
	host := u.Scheme + "://" + u.Host
	return []string{host + "/.well-known/oauth-authorization-server" + path, host + path + "/.well-known/openid-configuration"}
}

// readMetadata returns the address of the keys (RFC 8414 2, 3.3).
func readMetadata(text []byte, issuer string) (jwksURI string, err error) {
	members, err := jws.Object(text)
	if err != nil {
		return "", err
	}
	if members["issuer"] != issuer {
		return "", errors.New("it is of another issuer")
	}
	if jwksURI, _ = members["jwks_uri"].(string); !isAddress(jwksURI) {
		return "", errors.New("its jwks_uri is no https URL")
	}
	return jwksURI, nil
}

func isIssuer(s string) bool { return isAddress(s) && !strings.Contains(s, "?") }

// isAddress tells whether what is at s comes from whom it names: s is an https URL, or an http one on the
// loopback interface.
func isAddress(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] > '~' {
			return false
		}
	}
	u, err := url.Parse(s)
	return err == nil && u.Hostname() != "" && u.User == nil && !strings.ContainsAny(s, `#"\`) &&
		(u.Scheme == "https" || u.Scheme == "http" && slices.Contains([]string{"127.0.0.1", "::1", "localhost"}, u.Hostname()))
}
