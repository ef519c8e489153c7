package grants

import (
	"slices"

	"github.com/ostiary-go/ostiary/storage"
)

// audience is what a client gets that asks for tokens for these resources (RFC 8707 2): each once, in an
// order that does not depend on how they were asked for; nil, any, if it asks for none.
func (c *client) audience(resources []string) ([]string, *Error) {
	var audience []string
	for _, r := range resources {
		if !storage.ValidResource(r) || !slices.Contains(c.Resources, r) {
			return nil, refusal(badResource)
		}
		audience = append(audience, r)
	}
	slices.Sort(audience)
	return slices.Compact(audience), nil
}

// audienceOf is that of an access token, where its grant says audience.
func (m *Manager) audienceOf(audience []string) []string {
	if len(audience) == 0 {
		return slices.Clone(m.audience)
	}
	return audience
}

// within tells whether a grant for an audience covers another one. nil is any.
func within(audience, granted []string) bool {
	if len(granted) == 0 {
		return true
	}
	return len(audience) > 0 && !slices.ContainsFunc(audience, func(r string) bool { return !slices.Contains(granted, r) })
}

// forGrant is the audience of an access token of a grant: what was asked for, nil for the grant's. ok is
// false where it goes beyond that.
func forGrant(g *storage.Grant, asked []string) (audience []string, ok bool) {
	if len(asked) == 0 || slices.Equal(asked, g.Audience) {
		return nil, true
	}
	return slices.Clone(asked), within(asked, g.Audience)
}
