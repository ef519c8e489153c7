package storagetest

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// dawn is far in the future, so that a store which prunes by itself never takes what a promise is
// about to prune.
var dawn = time.Date(2200, 1, 2, 3, 4, 5, 678e6, time.UTC)

// plainGrant is a grant of few fields.
func plainGrant(user, client string) *storage.Grant {
	return &storage.Grant{ID: storage.NewID(), User: user, Client: client, Scope: "read", Created: dawn}
}

// plainGrants are n of them, with IDs that leave room for others in between; see idAt.
func plainGrants(n int, user, client string) []*storage.Grant {
	grants := make([]*storage.Grant, n)
	for i := range grants {
		grants[i] = plainGrant(user, client)
		grants[i].ID = idAt(i, 0)
	}
	return grants
}

// idAt is the ID of the place'th grant of plainGrants, or one less than half-way to the next.
func idAt(place, offset int) storage.ID {
	var id storage.ID
	binary.BigEndian.PutUint64(id[:], uint64(1000+place))
	binary.BigEndian.PutUint64(id[8:], uint64(int64(1<<32)+int64(offset)))
	return id
}

// fullGrant is a grant without a zero field. Grants of different seeds differ in all of them.
func fullGrant(seed int) *storage.Grant {
	text := func(what string) string { return fmt.Sprintf("%s %d é\x00/\"\\", what, seed) }
	digest := func(what string) storage.Digest { return sha256.Sum256([]byte(text(what))) }
	at := func(ms int) time.Time { return dawn.Add(time.Duration(1000*seed+ms) * time.Millisecond) }
	return &storage.Grant{
		ID:             storage.NewID(),
		Client:         text("client"),
		User:           text("user"),
		Generation:     1<<63 + uint64(seed),
		Scope:          text("scope"),
		Audience:       []string{text("audience"), "", text("another")},
		Created:        at(1),
		Expires:        at(2),
		Ended:          at(3),
		AccessLifetime: time.Duration(seed+1) * time.Millisecond,
		Code: &storage.Code{
			Digest:          digest("code"),
			Expires:         at(4),
			RedirectURI:     text("uri"),
			RedirectURISent: true,
			Challenge:       text("challenge"),
			Tries:           seed + 3,
			Redeemed:        at(5),
		},
		Refresh: &storage.Refresh{
			Family:      digest("family"),
			Current:     digest("current"),
			Created:     at(6),
			Expires:     at(7),
			Limit:       at(8),
			Previous:    digest("previous"),
			Rotated:     at(9),
			Salt:        []byte(text("salt")),
			Fingerprint: digest("fingerprint"),
			RetryUntil:  at(10),
			Ancestor:    digest("ancestor"),
		},
		Access: []storage.Access{
			{Digest: digest("access"), Scope: text("narrow"), Audience: []string{text("api")}, Created: at(11), Expires: at(12)},
			{Digest: digest("second"), Scope: text("narrower"), Audience: []string{"", text("api")}, Created: at(13), Expires: at(14)},
		},
		See: storage.NewID(),
	}
}

// spoil alters all of g that could be shared with another grant, and more.
func spoil(g *storage.Grant) {
	g.User, g.Client, g.Scope, g.Expires = "spoiled", "spoiled", "spoiled", dawn
	for i := range g.Audience {
		g.Audience[i] = "spoiled"
	}
	if g.Code != nil {
		*g.Code = storage.Code{Challenge: "spoiled"}
	}
	if g.Refresh != nil {
		clear(g.Refresh.Salt)
		*g.Refresh = storage.Refresh{Salt: g.Refresh.Salt}
	}
	for i := range g.Access {
		for j := range g.Access[i].Audience {
			g.Access[i].Audience[j] = "spoiled"
		}
		g.Access[i].Scope = "spoiled"
	}
}

func setScope(scope string) func(*storage.Grant) error {
	return func(g *storage.Grant) error {
		g.Scope = scope
		return nil
	}
}

// fullSecret has every octet, and is another one for each seed.
func fullSecret(seed int) []byte {
	value := []byte(fmt.Sprintf("secret %d ", seed))
	for b := range 256 {
		value = append(value, byte(b))
	}
	return value
}

// setSecret is a change that leaves a copy of value, whatever was there.
func setSecret(value []byte) func([]byte) ([]byte, error) {
	return func([]byte) ([]byte, error) { return slices.Clone(value), nil }
}

// unchanged is a change that leaves what is there.
func unchanged(old []byte) ([]byte, error) { return old, nil }

// plainClient is a client with few fields.
func plainClient(id string) *storage.Client {
	return &storage.Client{ID: id, Public: true}
}

// fullClient is a confidential client with every field that may stand beside a secret.
func fullClient(id string, seed int) *storage.Client {
	text := func(what string) string { return fmt.Sprintf("%s%d", what, seed) }
	return &storage.Client{
		ID:                       id,
		Name:                     text("Bücher \"&\" <Mehr> \x00"),
		Secret:                   storage.HashGenerated(text("secret")),
		OldSecret:                storage.HashGenerated(text("old secret")),
		Resources:                []string{"https://api.example/" + text("")},
		Audience:                 []string{"https://rs.example/" + text("")},
		RedirectURIs:             []string{"https://web.example/cb/" + text(""), "com.example.app:/cb"},
		GrantTypes:               []string{"authorization_code", "refresh_token", "urn:example:" + text("grant")},
		Scope:                    text("read") + " write",
		AccessLifetime:           time.Hour + time.Duration(seed),
		RefreshIdle:              2*time.Hour + time.Duration(seed),
		RefreshLifetime:          storage.Unlimited,
		Introspect:               true,
		InsecureNoPKCE:           true,
		InsecureNoRedirectURI:    true,
		InsecureNoRotation:       true,
		InsecurePublicNoRotation: true,
		Metadata:                 map[string]string{"": "empty", text("key\x00"): "é", "logo": ""},
	}
}

// spoilClient alters all of c that could be shared with another client, and more.
func spoilClient(c *storage.Client) {
	c.Name, c.Scope, c.Secret, c.Generation = "spoiled", "spoiled", "", 1
	clear(c.Resources)
	clear(c.Audience)
	for i := range c.RedirectURIs {
		c.RedirectURIs[i] = "spoiled:/"
	}
	for i := range c.GrantTypes {
		c.GrantTypes[i] = "spoiled"
	}
	for k := range c.Metadata {
		c.Metadata[k] = "spoiled"
	}
}
