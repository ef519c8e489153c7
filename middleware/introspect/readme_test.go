package introspect

import (
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

func TestREADMEDefaults(t *testing.T) {
	readme.CheckDefaults(t, "introspect", map[string]any{
		"Cache": defaultCache, "CacheSize": int64(defaultCacheSize), "Timeout": defaultTimeout, "InFlight": defaultInFlight,
	})
}
