package handler

import (
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

func TestREADMEDefaults(t *testing.T) {
	readme.CheckDefaults(t, "handler", map[string]any{
		"BodyLimit": defaultBodyLimit, "ParameterLimit": defaultParameterLimit, "CredentialsLimit": defaultCredentialsLimit, "QueryLimit": defaultQueryLimit,
	})
}
