package storage

import "bytes"

// Filter chooses grants. Fields that are set narrow each other; the zero Filter chooses all.
type Filter struct {
	Grant  ID     // this grant alone
	User   string // grants of this user
	Client string // grants of this client
	After  ID     // only grants whose ID is greater: where to go on after an interrupted listing
}

// Empty tells whether f names no grant, user or client. After alone names nothing.
func (f Filter) Empty() bool { return f.Grant.IsZero() && f.User == "" && f.Client == "" }

// Matches tells whether f chooses g.
func (f Filter) Matches(g *Grant) bool {
	return (f.Grant.IsZero() || f.Grant == g.ID) &&
		(f.User == "" || f.User == g.User) &&
		(f.Client == "" || f.Client == g.Client) &&
		bytes.Compare(g.ID[:], f.After[:]) > 0
}
