// Package clientsecret proves clients of any origin by their secret.
package clientsecret

import (
	"context"
	"crypto/subtle"

	"github.com/go-oauth2/oauth2/v4"
)

// Verify tells whether secret proves the client (RFC 6749 2.3.1). A public client is proven by sending
// none, any other never: an empty secret matches nothing, whatever the client's own code says. An error
// means that it could not be told before ctx ended.
func Verify(ctx context.Context, client oauth2.ClientInfo, secret string) (bool, error) {
	if client.IsPublic() || secret == "" {
		return client.IsPublic() && secret == "", nil
	}
	switch c := client.(type) {
	case interface {
		VerifySecret(ctx context.Context, secret string) (bool, error)
	}:
		return c.VerifySecret(ctx, secret)
	case oauth2.ClientPasswordVerifier:
		return c.VerifyPassword(secret), nil
	}
	return subtle.ConstantTimeCompare([]byte(client.GetSecret()), []byte(secret)) == 1, nil
}
