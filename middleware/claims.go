package middleware

import "context"

// Claims returns what else is said of the token that Bearer let through, as a map of the caller's own: the
// claims of a JWT, the members of an answer to introspection, or what grants.Claims adds where the Manager
// validates. Members of the application's own stand under the same names in all of them; numbers are
// json.Number. It is nil where there are none, and without a token.
func Claims(ctx context.Context) map[string]any {
	if token := Token(ctx); token != nil {
		if t, ok := ability[interface{ Claims() map[string]any }](token); ok {
			return t.Claims()
		}
	}
	return nil
}
