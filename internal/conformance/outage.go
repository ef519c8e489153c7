package conformance

import (
	"context"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// repeatable is a good request to be sent until it is served.
type repeatable struct {
	send    func(t *testing.T) *answer
	good    func(t *testing.T, a *answer)
	secrets []string // in it
	reads   bool     // it writes nothing
}

// repeatables are all endpoints that ask the store, and all they do.
var repeatables = map[string]func(t *testing.T, s *server) repeatable{
	"client_credentials": func(t *testing.T, s *server) repeatable {
		return s.issuing(goodToken, "svc")
	},
	"authorization_code": func(t *testing.T, s *server) repeatable {
		code := s.newCode(t, "web")
		return s.issuing(form(redemption("web", code)...), "web", code, verifier)
	},
	"refresh_token": func(t *testing.T, s *server) repeatable {
		r0 := s.issue(t, "web", "alice", "read").GetRefresh()
		return s.issuing(form(refreshment(r0)...), "web", r0)
	},
	"revoke access token": func(t *testing.T, s *server) repeatable {
		pair := s.pair(t, "web")
		return s.revoking(pair.access(), func(t *testing.T) {
			s.revoked(t, "web", "access_token", pair)
		})
	},
	"revoke refresh token": func(t *testing.T, s *server) repeatable {
		pair := s.pair(t, "web")
		return s.revoking(pair.refresh(), func(t *testing.T) {
			s.revoked(t, "web", "refresh_token", pair)
		})
	},
	"introspect access token":  func(t *testing.T, s *server) repeatable { return s.introspecting(t, "access_token") },
	"introspect refresh token": func(t *testing.T, s *server) repeatable { return s.introspecting(t, "refresh_token") },
	"bearer": func(t *testing.T, s *server) repeatable {
		access := s.issue(t, "web", "alice", "read").GetAccess()
		return repeatable{
			send: func(t *testing.T) *answer { return s.get(t, "/any", bearer(access)) },
			good: func(t *testing.T, a *answer) {
				if a.status != http.StatusOK {
					t.Fatalf("got %s", a)
				}
			},
			secrets: []string{access},
			reads:   true,
		}
	},
}

func (s *server) issuing(body, client string, secrets ...string) repeatable {
	return repeatable{
		send:    func(t *testing.T) *answer { return s.token(t, body, as(client)) },
		good:    func(t *testing.T, a *answer) { s.works(t, a.ok(t).access()) },
		secrets: append(secrets, client+"-secret"),
	}
}

func (s *server) revoking(token string, dead func(t *testing.T)) repeatable {
	return repeatable{
		send:    func(t *testing.T) *answer { return s.revoke(t, form("token", token), as("web")) },
		good:    func(t *testing.T, a *answer) { a.done(t); dead(t) },
		secrets: []string{token, "web-secret"},
	}
}

func (s *server) introspecting(t *testing.T, kind string) repeatable {
	token := s.pair(t, "web").member(kind)
	return repeatable{
		send:    func(t *testing.T) *answer { return s.introspect(t, "web", token) },
		good:    func(t *testing.T, a *answer) { a.active(t) },
		secrets: []string{token, "web-secret"},
		reads:   true,
	}
}

// changing are those that change a grant.
func changing() map[string]func(t *testing.T, s *server) repeatable {
	list := maps.Clone(repeatables)
	for _, name := range []string{"bearer", "client_credentials", "introspect access token", "introspect refresh token"} {
		delete(list, name)
	}
	return list
}

// renamed puts a word behind the names of cases.
func renamed(word string, cases []testCase) []testCase {
	for i := range cases {
		cases[i].name += " " + word
	}
	return cases
}

// storePart has a part of a store fail; nil heals it.
type storePart = func(f *testbed.Faulty, fault testbed.Fault)

// readParts are those without which nothing can be read.
var (
	readParts = map[string]storePart{
		"grants":  func(f *testbed.Faulty, fault testbed.Fault) { f.Break(fault, nil, nil) },
		"clients": func(f *testbed.Faulty, fault testbed.Fault) { f.Break(nil, nil, fault) },
	}
	storeParts = map[string]storePart{
		"grants": readParts["grants"], "clients": readParts["clients"],
		"writes": func(f *testbed.Faulty, fault testbed.Fault) { f.Break(nil, fault, nil) },
	}
)

func (r repeatable) parts() map[string]storePart {
	if r.reads {
		return readParts
	}
	return storeParts
}

// outage has each part of the store out of order in turn, and back again.
func (s *server) outage(t *testing.T, start func(*testing.T, *server) repeatable, fault testbed.Fault) {
	t.Helper()
	for name := range storeParts {
		r := start(t, s)
		set := r.parts()[name]
		if set == nil {
			continue
		}
		set(s.store, fault)
		s.unchanged(t, func() {
			for range 2 {
				began := time.Now()
				r.send(t).e503(t)
				if waited := time.Since(began); waited > storeTimeout {
					t.Errorf("%s: answered after %v", name, waited)
				}
			}
		})
		set(s.store, nil)
		r.good(t, r.send(t))
	}
}

// broken fails unless the answer is E500, logged without what was panicked with.
func (s *server) broken(t *testing.T, send func(t *testing.T) *answer) {
	t.Helper()
	logged := strings.Count(s.log.String(), "level=ERROR")
	a := send(t).is(t, http.StatusInternalServerError, "server_error")
	s.lacks(t, a, "a secret place", "svc-secret")
	if strings.Count(s.log.String(), "level=ERROR") != logged+1 {
		t.Errorf("want one error in the log:\n%s", s.log)
	}
}

// midway is a store whose updates panic when half of the work is done.
type midway struct{ testbed.Store }

func (m midway) Update(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
	return m.Store.Update(ctx, id, func(g *storage.Grant) error {
		if err := change(g); err != nil {
			return err
		}
		panic("a secret place")
	})
}

// impossible is a manager that does what none must.
type impossible struct {
	*grants.Manager
	token func(*grants.Request) (oauth2.TokenInfo, error)
}

func (i impossible) Token(_ context.Context, r *grants.Request) (oauth2.TokenInfo, error) {
	return i.token(r)
}

type emptyInfo struct{ oauth2.TokenInfo }
