package handler

import (
	"fmt"
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

// The README's table of defaults is that of the constants.
func TestREADMEDefaults(t *testing.T) {
	told := readme.Defaults(t)
	for option, value := range map[string]any{
		"BodyLimit": defaultBodyLimit, "ParameterLimit": defaultParameterLimit, "CredentialsLimit": defaultCredentialsLimit,
	} {
		if got := told["handler."+option]; got != fmt.Sprint(value) {
			t.Errorf("%s: the README says %q, the code %v", option, got, value)
		}
	}
}
