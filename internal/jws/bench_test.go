package jws

import "testing"

func BenchmarkObject(b *testing.B) {
	claims := []byte(`{"aud":"https://orders.example","client_id":"web","exp":1767229200,"iat":1767225600,"iss":"https://auth.example","jti":"Aae5Xk2sTt6yUu8hZz0qQw","scope":"orders:read orders:write","sub":"alice"}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Object(claims); err != nil {
			b.Fatal(err)
		}
	}
}
