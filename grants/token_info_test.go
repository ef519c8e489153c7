package grants

import (
	"slices"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// expires_in never says more than a token's life, also where the clock was set back before a lost answer is
// repeated.
func TestClockSetBack(t *testing.T) {
	m := &Manager{encoding: opaque{}}
	made := time.UnixMilli(1_800_000_000_000)
	i := &issued{accessCreated: made, accessExpires: made.Add(time.Hour)}
	for since, want := range map[time.Duration]time.Duration{0: time.Hour, time.Minute: 59 * time.Minute, -time.Minute: time.Hour, -24 * time.Hour: time.Hour} {
		if got := m.info(i, made.Add(since)).GetAccessExpiresIn(); got != want {
			t.Errorf("%v later: %v, want %v", since, got, want)
		}
	}
}

// What a step hands out shares nothing with the grant, which others may read.
func TestIssuedIsACopy(t *testing.T) {
	for name, a := range map[string]storage.Access{"the grant's audience": {}, "its own": {Audience: []string{"https://api.example"}}} {
		g := &storage.Grant{Audience: []string{"https://api.example"}, Access: []storage.Access{a}}
		before := g.Clone()
		i := hand(g, &g.Access[0], [32]byte{})
		if !slices.Equal(i.audience, g.Audience) {
			t.Errorf("%s: %q", name, i.audience)
		}
		i.audience[0] = "https://evil.example"
		if !slices.Equal(g.Audience, before.Audience) || !slices.Equal(g.Access[0].Audience, before.Access[0].Audience) {
			t.Errorf("%s was altered", name)
		}
	}
}
