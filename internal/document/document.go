// Package document serves what everybody may read: metadata and keys.
package document

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"time"
)

// New serves a JSON object of members, but for those that are empty strings or lists (RFC 8414 3.2, RFC
// 9728 3.2), which never change: GET and HEAD from any origin, to be kept for an hour.
func New(members map[string]any) http.Handler {
	told := make(map[string]any)
	for name, value := range members {
		switch value := value.(type) {
		case string:
			if value == "" {
				continue
			}
		case []string:
			if len(value) == 0 {
				continue
			}
		}
		told[name] = value
	}
	body, err := json.Marshal(told)
	if err != nil {
		panic(err) // strings, lists of strings and booleans
	}
	return Func(time.Hour, func(*http.Request) []byte { return body })
}

// Func serves the JSON that make makes, in the same way, to be kept for so long.
func Func(maxAge time.Duration, make func(r *http.Request) []byte) http.Handler {
	cacheControl := fmt.Sprintf("public, max-age=%d", maxAge/time.Second)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*") // public, and read by clients in browsers
		h.Set("X-Content-Type-Options", "nosniff")
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			h.Set("Allow", "GET, HEAD")
			w.WriteHeader(http.StatusMethodNotAllowed)
			return
		}
		body := make(r)
		sum := sha256.Sum256(body)
		h.Set("Cache-Control", cacheControl)
		h.Set("ETag", `"`+base64.RawURLEncoding.EncodeToString(sum[:12])+`"`)
		h.Set("Content-Type", "application/json")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body)) // compares tags as RFC 9110 13.1.2 says
	})
}
