package interop_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestKill kills a process that issues, redeems, rotates, revokes, ends and changes a secret of its own, with
// SIGKILL, and looks at what it leaves. OSTIARY_LONG=1 does it a thousand times.
func TestKill(t *testing.T) {
	if path := os.Getenv("OSTIARY_KILL_ME"); path != "" {
		workUntilKilled(path)
	}
	kills := 10
	if os.Getenv("OSTIARY_LONG") != "" {
		kills = 1000
	}
	path := filepath.Join(t.TempDir(), "auth.db")
	total := new(journal)
	for kill := 1; kill <= kills && !t.Failed(); kill++ {
		j := killed(t, path)
		j.verify(t, path)
		total.acknowledged += j.acknowledged
		total.pending += j.pending
		total.took += j.took
		if kill%50 == 0 || kill == kills {
			t.Logf("%d kills, %d operations acknowledged, %d cut short, of which %d had been done", kill, total.acknowledged, total.pending, total.took)
		}
		if kill%20 == 0 { // pruning is not what this is about
			os.Remove(path)
		}
	}
}

// step is an operation of a worker's: a line when it begins, and one when it was acknowledged.
type step struct {
	Worker  int
	Grant   int // of the worker's
	Do      string
	Done    bool
	Token   string `json:",omitempty"` // that it was done with
	Access  string `json:",omitempty"` // that it brought
	Refresh string `json:",omitempty"`
	ID      string `json:",omitempty"`
}

const killWorkers = 8

func workUntilKilled(path string) {
	store, err := bolt.Open(path, bolt.PruneEvery(50*time.Millisecond))
	fatal(err)
	m := grantsOn(store)
	ctx := context.Background()
	out := os.NewFile(3, "steps")
	var mu sync.Mutex
	tell := func(s step) {
		line, err := json.Marshal(s)
		fatal(err)
		mu.Lock()
		defer mu.Unlock()
		_, err = out.Write(append(line, '\n'))
		fatal(err)
	}
	var all sync.WaitGroup
	for w := range killWorkers {
		id := killClient(w)
		c := &storage.Client{ID: id, Public: true, Scope: "read", GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{callback(id)}}
		fatal(store.PutClient(ctx, c))
		all.Go(func() {
			for n := 0; ; n++ {
				worker{m, w, n, tell}.work(ctx)
			}
		})
	}
	all.Go(func() {
		n := 0
		_, err := store.Secret(ctx, killSecret, func(old []byte) ([]byte, error) { n, _ = strconv.Atoi(string(old)); return old, nil })
		fatal(err)
		for {
			n++
			next := strconv.Itoa(n)
			tell(step{Do: "secret", Token: next})
			_, err := store.Secret(ctx, killSecret, func([]byte) ([]byte, error) { return []byte(next), nil })
			fatal(err)
			tell(step{Do: "secret", Done: true})
		}
	})
	all.Wait()
}

const killSecret = "number" // each value is the number after the one before it

func killClient(w int) string { return fmt.Sprintf("c%d", w) }

func fatal(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(3)
	}
}

// worker takes one grant through its life.
type worker struct {
	m    *grants.Manager
	w, n int
	tell func(step)
}

func (w worker) do(s step, do func() (oauth2.TokenInfo, error)) step {
	s.Worker, s.Grant = w.w, w.n
	w.tell(s)
	info, err := do()
	fatal(err)
	if info != nil {
		id, _ := grants.GrantID(info)
		s.Access, s.Refresh, s.ID = info.GetAccess(), info.GetRefresh(), id.String()
		if info.GetCode() != "" {
			s.Token = info.GetCode()
		}
	}
	s.Done = true
	w.tell(s)
	return s
}

func (w worker) work(ctx context.Context) {
	id := killClient(w.w)
	user := fmt.Sprintf("u%d.%d", w.w, w.n)
	none := func(err error) (oauth2.TokenInfo, error) { return nil, err }
	var last step
	if w.n%2 == 0 {
		last = w.do(step{Do: "issue"}, func() (oauth2.TokenInfo, error) {
			return w.m.Issue(ctx, grants.Issue{Client: id, User: user})
		})
	} else {
		code := w.do(step{Do: "authorize"}, func() (oauth2.TokenInfo, error) {
			tgr := authorization(id)
			tgr.UserID, tgr.Scope = user, "read"
			return w.m.GenerateAuthToken(ctx, oauth2.Code, tgr)
		})
		last = w.do(step{Do: "redeem", Token: code.Token}, func() (oauth2.TokenInfo, error) {
			return w.m.Token(ctx, &grants.Request{GrantType: "authorization_code", ClientID: id, Code: code.Token, RedirectURI: callback(id), CodeVerifier: verifier})
		})
	}
	for range rand.N(6) {
		if rand.N(3) == 0 {
			token := last.Access
			w.do(step{Do: "revoke", Token: token}, func() (oauth2.TokenInfo, error) {
				return none(w.m.Revoke(ctx, &grants.Request{ClientID: id, Token: token}))
			})
		}
		token := last.Refresh
		last = w.do(step{Do: "refresh", Token: token}, func() (oauth2.TokenInfo, error) {
			return w.m.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: id, RefreshToken: token})
		})
	}
	switch rand.N(12) {
	case 0, 1:
		w.do(step{Do: "end"}, func() (oauth2.TokenInfo, error) {
			_, err := w.m.End(ctx, storage.Filter{User: user})
			return none(err)
		})
	case 2, 3:
		w.do(step{Do: "revoke grant"}, func() (oauth2.TokenInfo, error) {
			return none(w.m.Revoke(ctx, &grants.Request{ClientID: id, Token: last.Refresh}))
		})
	case 4:
		w.do(step{Do: "end client"}, func() (oauth2.TokenInfo, error) {
			_, err := w.m.End(ctx, storage.Filter{Client: id})
			return none(err)
		})
	}
}

// journal is what a process told before it was killed.
type journal struct {
	grants                      map[[2]int]*life // by worker and number
	acknowledged, pending, took int

	secret, next string // acknowledged, and begun
}

// life is a grant as it has to be: once the operation that was cut short is told whether it was done.
type life struct {
	worker  int
	id      string
	code    string // not redeemed
	access  map[string]bool
	order   []string
	refresh string
	ended   bool
	cut     *step
}

// killed starts the process and kills it at some moment.
func killed(t *testing.T, path string) *journal {
	t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKill$")
	cmd.Env = append(os.Environ(), "OSTIARY_KILL_ME="+path)
	cmd.ExtraFiles = []*os.File{w}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	w.Close()
	j := &journal{grants: make(map[[2]int]*life)}
	lines := bufio.NewReader(r)
	for {
		line, err := lines.ReadBytes('\n')
		if err == io.EOF {
			break // what is left has no end of line
		} else if err != nil {
			t.Fatal(err)
		}
		if len(j.grants) == 0 {
			time.AfterFunc(time.Duration(50+rand.N(250))*time.Millisecond, func() { cmd.Process.Kill() })
		}
		var s step
		if err := json.Unmarshal(line, &s); err != nil {
			t.Fatal(err)
		}
		j.take(s)
	}
	if err := cmd.Wait(); cmd.ProcessState.Exited() {
		t.Fatalf("the process was not killed: %v\n%s", err, stderr.String())
	}
	return j
}

func (j *journal) take(s step) {
	if s.Do == "secret" {
		if s.Done {
			j.secret = j.next
		} else {
			j.next = s.Token
		}
		return
	}
	key := [2]int{s.Worker, s.Grant}
	g := j.grants[key]
	if g == nil {
		g = &life{worker: s.Worker, access: make(map[string]bool)}
		j.grants[key] = g
	}
	if !s.Done {
		g.cut = &s
		j.pending++
		return
	}
	g.cut = nil
	j.pending--
	j.acknowledged++
	if s.ID != "" {
		g.id = s.ID
	}
	switch s.Do {
	case "authorize":
		g.code = s.Token
	case "issue", "redeem", "refresh":
		g.code, g.refresh = "", s.Refresh
		g.access[s.Access] = true
		g.order = append(g.order, s.Access)
		if alive := slices.DeleteFunc(slices.Clone(g.order), func(a string) bool { return !g.access[a] }); len(alive) > 4 {
			g.access[alive[0]] = false
		}
	case "revoke":
		g.access[s.Token] = false
	case "end", "revoke grant":
		g.ended = true
	case "end client":
		j.endClient(s.Worker, s.Grant)
	}
}

func (j *journal) endClient(worker, until int) {
	for key, g := range j.grants {
		if key[0] == worker && key[1] <= until {
			g.ended = true
		}
	}
}

// verify opens the file that is left and holds every grant against it.
func (j *journal) verify(t *testing.T, path string) {
	t.Helper()
	if err := bolt.Check(path); err != nil {
		t.Error(err)
	}
	store, err := bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	secret, err := store.Secret(t.Context(), killSecret, func(old []byte) ([]byte, error) { return old, nil })
	if got := string(secret); err != nil || j.secret != "" && got != j.secret && got != j.next {
		t.Errorf("the secret is %q, %v, want %q or %q", got, err, j.secret, j.next)
	}
	m := grantsOn(store)
	for g, err := range store.Grants(t.Context(), storage.Filter{}) {
		switch {
		case err != nil:
			t.Fatal(err)
		case g.Code != nil && (g.Code.Redeemed.IsZero() != (g.Refresh == nil)), g.Code == nil && g.Refresh == nil:
			t.Errorf("half a grant: %+v", g)
		}
	}
	for _, key := range slices.SortedFunc(maps.Keys(j.grants), func(a, b [2]int) int { return slices.Compare(a[:], b[:]) }) {
		g := j.grants[key]
		if cut := g.cut; cut != nil && cut.Do == "end client" { // all or none of what the worker had
			if !j.accepts(t, m, g) {
				j.took++
				j.endClient(key[0], key[1])
			}
			g.cut = nil
		}
	}
	for key, g := range j.grants {
		j.verifyGrant(t, m, store, g)
		if t.Failed() {
			t.Logf("worker %d, grant %d: %+v, cut short: %+v", key[0], key[1], *g, g.cut)
			return
		}
	}
}

// accepts tells whether the grant's refresh token is accepted.
func (j *journal) accepts(t *testing.T, m *grants.Manager, g *life) bool {
	_, err := m.LoadRefreshToken(t.Context(), g.refresh)
	return err == nil
}

func (j *journal) verifyGrant(t *testing.T, m *grants.Manager, store *bolt.Store, g *life) {
	t.Helper()
	ctx, client := t.Context(), killClient(g.worker)
	if g.id == "" {
		return // its first operation was cut short: nobody has been told of it
	}
	id, err := storage.ParseID(g.id)
	if err != nil {
		t.Fatal(err)
	}
	stored, err := store.Grant(ctx, id)
	if err != nil {
		t.Errorf("a grant that was acknowledged: %v", err)
		return
	}
	did := func(done bool) bool {
		if done {
			j.took++
		}
		return done
	}
	if cut := g.cut; cut != nil {
		switch cut.Do {
		case "revoke":
			_, err := m.LoadAccessToken(ctx, cut.Token)
			g.access[cut.Token] = g.access[cut.Token] && !did(err != nil)
		case "end", "revoke grant":
			g.ended = did(!stored.Ended.IsZero())
		case "redeem":
			if did(!stored.Code.Redeemed.IsZero()) {
				g.code = "" // and who has no answer has to start anew
			}
		case "refresh":
			// Spent or not, the token brings a pair.
			found := stored.Refresh.Current
			again, err := m.Token(ctx, &grants.Request{GrantType: "refresh_token", ClientID: client, RefreshToken: cut.Token})
			if err != nil {
				t.Errorf("a refresh that was cut short: %v", err)
				return
			}
			stored, err = store.Grant(ctx, id)
			if err != nil {
				t.Error(err)
				return
			}
			did(stored.Refresh.Current == found)
			g.refresh = again.GetRefresh()
			if alive := slices.DeleteFunc(slices.Clone(g.order), func(a string) bool { return !g.access[a] }); len(alive) == 4 {
				g.access[alive[0]] = false
			}
			g.access[again.GetAccess()] = true
		}
	}
	alive := 0
	for token, want := range g.access {
		_, err := m.LoadAccessToken(ctx, token)
		if (err == nil) != (want && !g.ended) {
			t.Errorf("an access token: %v, want it to be alive: %t, its grant ended: %t", err, want, g.ended)
		}
		if want {
			alive++
		}
	}
	if g.refresh != "" {
		if _, err := m.LoadRefreshToken(ctx, g.refresh); (err == nil) == g.ended {
			t.Errorf("the refresh token: %v, its grant ended: %t", err, g.ended)
		}
		if len(stored.Access) != alive {
			t.Errorf("%d access tokens are stored, want %d", len(stored.Access), alive)
		}
	}
	if g.code != "" {
		_, err := m.Token(ctx, &grants.Request{GrantType: "authorization_code", ClientID: client, Code: g.code, RedirectURI: callback(client), CodeVerifier: verifier})
		if (err == nil) == g.ended {
			t.Errorf("a code that was not redeemed: %v, its grant ended: %t", err, g.ended)
		}
	}
}
