package conformance

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
)

// without, as the value of a change, leaves the parameter out.
const without = "\x00without"

// changed is a request some of whose parameters are replaced, added or left out.
func changed(request []string, changes ...string) []string {
	for i := 0; i+1 < len(changes); i += 2 {
		var kept []string
		for j := 0; j+1 < len(request); j += 2 {
			if request[j] != changes[i] {
				kept = append(kept, request[j], request[j+1])
			}
		}
		if changes[i+1] != without {
			kept = append(kept, changes[i], changes[i+1])
		}
		request = kept
	}
	return request
}

// redemption is the good request of section AC for a code of a client's.
func redemption(client, code string, changes ...string) []string {
	return changed([]string{
		"grant_type", "authorization_code", "code", code, "code_verifier", verifier, "redirect_uri", fixture(client).RedirectURIs[0],
	}, changes...)
}

// redeem posts a redemption as the client.
func (s *server) redeem(t *testing.T, client, code string, changes ...string) *answer {
	t.Helper()
	return s.asClient(t, "/token", client, redemption(client, code, changes...)...)
}

// refreshment is the good request of section RT.
func refreshment(refresh string, changes ...string) []string {
	return changed([]string{"grant_type", "refresh_token", "refresh_token", refresh}, changes...)
}

// refreshAs posts a refreshment as the client.
func (s *server) refreshAs(t *testing.T, client, refresh string, changes ...string) *answer {
	t.Helper()
	return s.asClient(t, "/token", client, refreshment(refresh, changes...)...)
}

// newCode gets the code that the good request of section AC redeems.
func (s *server) newCode(t *testing.T, client string) string {
	t.Helper()
	c := fixture(client)
	return s.code(t, client, c.RedirectURIs[0], c.Scope, challenge)
}

// pair gets an access and a refresh token of alice's for all that the client may have.
func (s *server) pair(t *testing.T, client string) *answer {
	t.Helper()
	return s.redeem(t, client, s.newCode(t, client)).ok(t)
}

// lives fails unless both tokens work. The refresh token is spent by it.
func (s *server) lives(t *testing.T, client string, pair *answer) {
	t.Helper()
	s.works(t, pair.access())
	s.refreshes(t, client, pair.refresh())
}

// reaches fails unless the access token works, and a guarded handler sees that in it.
func (s *server) reaches(t *testing.T, access, want string) {
	t.Helper()
	if saw := s.works(t, access); !strings.Contains(saw, want) {
		t.Errorf("the route saw %q, want %q in it", saw, want)
	}
}

// ended fails unless nothing of a grant is alive: all that was issued, oldest first. The newest refresh
// token is tried first, since an old one would end the grant.
func (s *server) ended(t *testing.T, client string, issued ...*answer) {
	t.Helper()
	for _, a := range issued {
		s.dead(t, a.access())
	}
	for _, a := range slices.Backward(issued) {
		s.tryRefresh(t, client, a.refresh()).e400(t, "invalid_grant")
	}
}

// revoked fails unless that token of the pair, and what falls with it, is dead and the rest alive.
func (s *server) revoked(t *testing.T, client, kind string, pair *answer) {
	t.Helper()
	if kind == "refresh_token" {
		s.ended(t, client, pair)
		return
	}
	s.dead(t, pair.access())
	s.refreshes(t, client, pair.refresh())
}

// tokenKinds are the kinds of tokens, under the names that an answer and token_type_hint have for them.
var tokenKinds = []string{"access_token", "refresh_token"}

// invalid is e400 of invalid_request.
func invalid(a *answer, t *testing.T) *answer { t.Helper(); return a.e400(t, "invalid_request") }

// filters are the ways to end a grant of alice's at web from outside.
var filters = map[string]storage.Filter{
	"by user": {User: "alice"}, "by client": {Client: "web"}, "by both": {User: "alice", Client: "web"},
}

// end ends what the filter chooses, of which something has to be alive.
func (s *server) end(t *testing.T, f storage.Filter) {
	t.Helper()
	if n, err := s.ours.End(t.Context(), f); err != nil || n == 0 {
		t.Fatalf("End(%+v) = %d, %v", f, n, err)
	}
}

// breaks are the ways in which the grants of a store fail.
var breaks = map[string]func(*testbed.Faulty){
	"all":    func(f *testbed.Faulty) { f.Break(testbed.Fail, nil, nil) },
	"writes": func(f *testbed.Faulty) { f.Break(nil, testbed.Fail, nil) },
}

// s256 is the challenge of a verifier.
func s256(verifier string) string {
	sum := sha256.Sum256([]byte(verifier))
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// ours tells whether a token has the default shape of grants.Manager.
func ours(token string) bool { return strings.HasPrefix(token, "ost") && token[4] == '_' }

// forged is a token of ours with another kind, and with other octets (ID of the grant 16, secret 32)
// than it has, under a checksum that is right again.
func forged(token string, kind byte, alter func(octets []byte)) string {
	if strings.Count(token, ".") == 2 {
		return forgedJWT(token, kind, alter)
	}
	octets, err := base64.RawURLEncoding.DecodeString(token[5:])
	if err != nil || shaped(token[3], octets[:48]) != token {
		panic("the shape of tokens has changed; forge them alike")
	}
	alter(octets[:48])
	return shaped(kind, octets[:48])
}

func shaped(kind byte, octets []byte) string {
	prefix := "ost" + string(kind) + "_"
	sum := crc32.ChecksumIEEE(append([]byte(prefix), octets...))
	return prefix + base64.RawURLEncoding.EncodeToString(binary.BigEndian.AppendUint32(slices.Clone(octets), sum))
}

// guesses are tokens under the grant of a token, with other secrets: all of it, or either half, is random.
func guesses(token string) (all []string) {
	for i := range 10 {
		from, to := 16+16*(i%3%2), 48-16*(i%3/2)
		all = append(all, forged(token, token[3], func(octets []byte) { rand.Read(octets[from:to]) }))
	}
	return all
}

// posingAs is a token handed in as one of another kind: as it is and, if it is ours, relabelled.
func posingAs(kind byte, token string) []string {
	if !ours(token) {
		return []string{token}
	}
	return []string{token, forged(token, kind, func([]byte) {})}
}

// damages are ways to make of a token something that never was one.
var damages = map[string]func(token string) []string{
	"unknown": func(token string) []string {
		if !ours(token) {
			return []string{rand.Text()}
		}
		return []string{forged(token, token[3], func(octets []byte) { rand.Read(octets) })}
	},
	"garbage": func(string) []string {
		return []string{"x", " ", "no-such-thing", "osta_", "ostr_" + strings.Repeat("A", 70), "ostc_" + strings.Repeat("_", 70), strings.Repeat("x", 10<<10)}
	},
	"one character changed": func(token string) (all []string) {
		const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
		for i := range token {
			next := alphabet[(strings.IndexByte(alphabet, token[i])+1)%len(alphabet)]
			all = append(all, token[:i]+string(next)+token[i+1:])
		}
		for _, kind := range "arc" {
			if other := token[:3] + string(kind) + token[4:]; other != token {
				all = append(all, other)
			}
		}
		return all
	},
	"cut": func(token string) []string {
		return []string{token[:len(token)-1], token[1:], token[:len(token)/2], token[:5]}
	},
	"longer": func(token string) []string {
		return []string{token + "A", token + "=", token + " ", " " + token, token + token}
	},
	"case folded": func(token string) (all []string) {
		for _, folded := range []string{strings.ToLower(token), strings.ToUpper(token)} {
			if folded != token {
				all = append(all, folded)
			}
		}
		return all
	},
}

// malformedScopes are values of scope that break its syntax.
var malformedScopes = map[string]string{
	"double space": "read  write", "leading space": " read", "trailing space": "read ", "tab": "read\twrite",
	"quote": `read"`, "backslash": `read\`, "not ASCII": "readé", "not UTF-8": "read\xff",
}

// words fails unless the answer's scope is those words, each once, in any order.
func (a *answer) words(t *testing.T, want ...string) {
	t.Helper()
	if got := strings.Split(a.scope(), " "); !slices.Equal(slices.Sorted(slices.Values(got)), want) {
		t.Errorf("want scope %q, got %s", want, a)
	}
}

// atOnce makes n requests at the same time.
func atOnce(t *testing.T, n int, request func(i int) *answer) []*answer {
	t.Helper()
	answers, start := make([]*answer, n), make(chan struct{})
	var all sync.WaitGroup
	for i := range n {
		all.Go(func() {
			<-start
			answers[i] = request(i)
		})
	}
	close(start)
	all.Wait()
	if t.Failed() {
		t.FailNow()
	}
	return answers
}

// onlyWinner returns the one answer that is OK; all others are invalid_grant.
func onlyWinner(t *testing.T, answers []*answer) *answer {
	t.Helper()
	var winner *answer
	for _, a := range answers {
		switch {
		case a.status != 200:
			a.e400(t, "invalid_grant")
		case winner != nil:
			t.Fatalf("two winners: %s\n%s", winner, a)
		default:
			winner = a.ok(t)
		}
	}
	if winner == nil {
		t.Fatal("no winner")
	}
	return winner
}

// clientTable is a client store of an application's.
type clientTable func(id string) (oauth2.ClientInfo, error)

func (find clientTable) GetByID(_ context.Context, id string) (oauth2.ClientInfo, error) {
	return find(id)
}

// ofTable is a case over such a store: its clients have no generation, which would tell them apart.
var ofTable = testCase{options: []grants.Option{grants.Clients(clientTable(registered))}}

// useTable puts a client store of an application's in place of the fixtures.
func (s *server) useTable(find clientTable) {
	if s.ours != nil {
		s.restart(grants.Clients(find))
		return
	}
	s.manager = tabled{s.manager, find}
	s.mount()
}

// tabled is a foreign manager with another client store.
type tabled struct {
	oauth2.Manager
	find clientTable
}

func (m tabled) GetClient(ctx context.Context, id string) (oauth2.ClientInfo, error) {
	return m.find.GetByID(ctx, id)
}
