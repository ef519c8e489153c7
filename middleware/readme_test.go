package middleware

import (
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

func TestREADMEDefaults(t *testing.T) {
	readme.CheckDefaults(t, "middleware", map[string]any{
		"TokenLimit": defaultTokenLimit,
	})
}
