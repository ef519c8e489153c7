package storage

import "testing"

func TestFilter(t *testing.T) {
	g := &Grant{ID: ID{5}, User: "alice", Client: "app"}
	for _, c := range []struct {
		name           string
		f              Filter
		matches, empty bool
	}{
		{"nothing named", Filter{}, true, true},
		{"this grant", Filter{Grant: ID{5}}, true, false},
		{"another grant", Filter{Grant: ID{5, 1}}, false, false},
		{"this user", Filter{User: "alice"}, true, false},
		{"another user", Filter{User: "Alice"}, false, false},
		{"this client", Filter{Client: "app"}, true, false},
		{"another client", Filter{Client: "ap"}, false, false},
		{"all of it", Filter{Grant: ID{5}, User: "alice", Client: "app", After: ID{4}}, true, false},
		{"this user, another client", Filter{User: "alice", Client: "web"}, false, false},
		{"another user, this client", Filter{User: "bob", Client: "app"}, false, false},
		{"another grant of this user", Filter{Grant: ID{6}, User: "alice"}, false, false},
		{"after a smaller ID", Filter{After: ID{4, 255}}, true, true},
		{"after this ID", Filter{After: ID{5}}, false, true},
		{"after a greater ID", Filter{After: ID{15: 1, 0: 5}}, false, true},
		{"this user, after this ID", Filter{User: "alice", After: ID{5}}, false, false},
	} {
		if got := c.f.Matches(g); got != c.matches {
			t.Errorf("%s: Matches is %t", c.name, got)
		}
		if got := c.f.Empty(); got != c.empty {
			t.Errorf("%s: Empty is %t", c.name, got)
		}
	}
	own := &Grant{ID: ID{5}, Client: "app"} // a client's own grant belongs to no user
	if (Filter{User: "alice"}).Matches(own) || !(Filter{Client: "app"}).Matches(own) {
		t.Error("a grant without a user is one of alice's, or none of its client's")
	}
}
