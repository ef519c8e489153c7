package grants

import (
	"fmt"
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

// The README's table of defaults is that of the constants.
func TestREADMEDefaults(t *testing.T) {
	told := readme.Defaults(t)
	for option, value := range map[string]any{
		"AccessLifetime": defaultAccessLifetime, "ClientAccessLifetime": defaultClientAccessLifetime,
		"RefreshIdle": defaultRefreshIdle, "RefreshLifetime": defaultRefreshLifetime, "CodeLifetime": defaultCodeLifetime,
		"CodeTries": defaultCodeTries, "RetryWindow": defaultRetryWindow, "LiveAccessTokens": defaultLiveAccessTokens,
		"StoreTimeout": defaultStoreTimeout,
	} {
		if got := told["grants."+option]; got != fmt.Sprint(value) {
			t.Errorf("%s: the README says %q, the code %v", option, got, value)
		}
	}
}
