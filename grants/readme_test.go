package grants

import (
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

func TestREADMEDefaults(t *testing.T) {
	readme.CheckDefaults(t, "grants", map[string]any{
		"AccessLifetime": defaultAccessLifetime, "ClientAccessLifetime": defaultClientAccessLifetime,
		"RefreshIdle": defaultRefreshIdle, "RefreshLifetime": defaultRefreshLifetime, "CodeLifetime": defaultCodeLifetime,
		"CodeTries": defaultCodeTries, "RetryWindow": defaultRetryWindow, "LiveAccessTokens": defaultLiveAccessTokens,
		"RotateEvery": defaultRotateEvery, "KeepRetired": defaultKeepRetired,
		"StoreTimeout": defaultStoreTimeout, "CacheSize": int64(defaultCacheSize),
	})
}
