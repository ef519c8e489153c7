package middleware_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/ostiary-go/ostiary/middleware"
)

// cors is the least that a page at https://app.example needs; use a real one.
func cors(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Access-Control-Allow-Origin", "https://app.example")
		if r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "" {
			w.Header().Set("Access-Control-Allow-Headers", "Authorization")
			w.WriteHeader(http.StatusNoContent)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// It is tempting to let nobody past the guard, not even to CORS. But before a page may send a token
// its browser asks for leave, with an OPTIONS request that has no token: the answer is 401, and the
// real request is never sent.
func ExampleBearer_wrong() {
	protect := middleware.Bearer(manager)
	wrong := protect(cors(hello))
	right := cors(protect(hello))

	preflight := httptest.NewRequest("OPTIONS", "/", nil)
	preflight.Header.Set("Origin", "https://app.example")
	preflight.Header.Set("Access-Control-Request-Method", "GET")
	preflight.Header.Set("Access-Control-Request-Headers", "authorization")
	fmt.Println("wrong:", do(wrong, preflight))
	fmt.Println("right:", do(right, preflight))
	fmt.Println("right:", get(right, "anns-token"))
	// Output:
	// wrong: 401 Bearer realm="api"
	// right: 204
	// right: 200 hello ann of web
}
