package grants

import (
	"hash/maphash"
	"strconv"
	"testing"

	"github.com/ostiary-go/ostiary/storage"
)

// An unknown client is tried against a decoy whose secrets are of the kinds that a registered one has, always
// the same one, and every kind has its share of them: told by shape, not by time.
func TestDecoys(t *testing.T) {
	fast, slow := storage.HashGenerated("fast"), storage.Secret("pbkdf2:1:AAAAAAAAAAAAAAAAAAAAAA:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA")
	type shape struct{ slow, rotating, slowBefore bool }
	shapeOf := func(c *storage.Client) shape { return shape{c.Secret.Slow(), c.OldSecret != "", c.OldSecret.Slow()} }

	d := decoys{seed: maphash.MakeSeed()}
	d.met(&storage.Client{ID: "spa", Public: true})
	if c := d.pick("nobody"); c == nil || c.Secret != "" {
		t.Errorf("a decoy of nothing: %v", c)
	}
	met := map[shape]bool{}
	for _, c := range []*storage.Client{
		{ID: "fast", Secret: fast}, {ID: "slow", Secret: slow}, {ID: "rotating", Secret: fast, OldSecret: slow},
		{ID: "rotating back", Secret: slow, OldSecret: fast}, {ID: "both fast", Secret: fast, OldSecret: fast}, {ID: "both slow", Secret: slow, OldSecret: slow},
	} {
		d.met(c)
		met[shapeOf(c)] = true
		picked := map[shape]int{}
		for i := range 1000 {
			id := strconv.Itoa(i)
			decoy := d.pick(id)
			picked[shapeOf(decoy)]++
			if d.pick(id) != decoy {
				t.Fatalf("another decoy for %s", id)
			}
			for _, secret := range []string{"fast", "x", string(fast)} {
				if ok, err := decoy.VerifySecret(t.Context(), secret); ok || err != nil {
					t.Fatalf("%q proves a client that is not there: %v", secret, err)
				}
			}
		}
		for s := range met {
			if picked[s] < 1000/len(met)/4 {
				t.Errorf("after %s: %d of 1000 IDs are tried as %v, one of %d", c.ID, picked[s], s, len(met))
			}
			delete(picked, s)
		}
		if len(picked) > 0 {
			t.Errorf("after %s: nobody has secrets like %v", c.ID, picked)
		}
	}
}
