// Package conformance is what every endpoint must answer, row by row, as a suite that runs over real
// HTTP on any store, and on any other oauth2.Manager as far as that can do the thing at all.
//
// A row is a subtest named by its ID, a case of a row a subtest below it. They run beside each other, since
// most of their time they wait for the disk. Every answer is looked at for what is true of all (rows G); the
// rows say the rest.
package conformance

import (
	"slices"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// row is one row of the table.
type row struct {
	id    string
	cases []testCase
}

// testCase is a row, or one of the things that a row lists. Each runs on a server with fresh fixtures.
type testCase struct {
	name    string          // "": the row itself
	moves   bool            // it moves time: it runs in a synctest bubble, over net.Pipe
	foreign bool            // it holds over go-oauth2's own manager too
	options []grants.Option // of the manager
	jwt     bool            // access tokens are JWTs
	opaque  bool            // it holds for opaque access tokens alone
	run     func(t *testing.T, s *server)
}

var sections = slices.Concat([][]row{
	authorizeRows, consentRows, authorizeAttackRows, metadataRows, generalRows, tokenRows, clientRows, clientCredentialsRows, bearerAnswerRows, dialectRows,
	jwtRows,
}, bothKinds)

// bothKinds are sections that are run for opaque access tokens and for JWTs.
var bothKinds = withJWTs(codeRows, refreshRows, revocationRows, introspectionRows, resourceRows, bearerRows, attackRows)

func withJWTs(sections ...[]row) (all [][]row) {
	for _, section := range sections {
		all = append(all, section)
		var signed []row
		for _, r := range section {
			s := row{id: r.id}
			for _, c := range r.cases {
				if c.opaque || c.jwt {
					continue
				}
				c.name, c.jwt, c.foreign = strings.TrimSuffix("jwt/"+c.name, "/"), true, false
				s.cases = append(s.cases, c)
			}
			signed = append(signed, s)
		}
		all = append(all, signed)
	}
	return all
}

// Run runs all rows on a store that open makes anew for each.
func Run(t *testing.T, open func(t *testing.T) testbed.Store) {
	run(t, func(c testCase) bool { return true }, func(t *testing.T, c testCase) *server { return newServer(t, open(t), c) })
}

// RunForeign runs the rows that can hold over a manager that is not ours, which newManager makes for
// the clients of the fixtures.
func RunForeign(t *testing.T, newManager func(t *testing.T, clients []*storage.Client) oauth2.Manager) {
	run(t, func(c testCase) bool { return c.foreign }, func(t *testing.T, _ testCase) *server {
		return newForeignServer(t, newManager(t, fixtures()))
	})
}

func run(t *testing.T, wanted func(testCase) bool, serve func(*testing.T, testCase) *server) {
	for _, section := range sections {
		for _, r := range section {
			cases := r.cases[:0:0]
			for _, c := range r.cases {
				if wanted(c) {
					cases = append(cases, c)
				}
			}
			if len(cases) == 0 {
				continue
			}
			t.Run(r.id, func(t *testing.T) {
				t.Parallel()
				for _, c := range cases {
					runCase(t, c, serve)
				}
			})
		}
	}
}

func runCase(t *testing.T, c testCase, serve func(*testing.T, testCase) *server) {
	body := func(t *testing.T) {
		s := serve(t, c)
		s.listen(t, c.moves)
		c.run(t, s)
	}
	if c.moves {
		inner := body
		body = func(t *testing.T) { synctest.Test(t, inner) }
	}
	if c.name == "" {
		body(t)
		return
	}
	t.Run(c.name, func(t *testing.T) {
		t.Parallel()
		body(t)
	})
}

// one makes a row that has a single case.
func one(id string, c testCase) row { return row{id, []testCase{c}} }

// each makes the cases of a list of requests that are all answered alike.
func each[T any](c testCase, list map[string]T, run func(t *testing.T, s *server, v T)) []testCase {
	var cases []testCase
	for name, v := range list {
		one := c
		one.name = name
		one.run = func(t *testing.T, s *server) { run(t, s, v) }
		cases = append(cases, one)
	}
	return cases
}
