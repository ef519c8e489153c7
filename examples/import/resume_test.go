package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// Killed at random points and run again until it is done: nothing is lost and nothing is there twice.
func TestKilled(t *testing.T) {
	const n, everyBad = 10_000, 97
	h := newHouse(t)
	var b strings.Builder
	var bad []reject
	for i := range n {
		switch {
		case i%everyBad == 0:
			bad = append(bad, reject{Line: int64(i) + 1, Reason: "unknown client"})
			fmt.Fprintf(&b, `{"client":"nobody","access":[{"token":"access-%d","expires":%q}]}`+"\n", i, soon())
		case i%2 == 0:
			b.WriteString(pairLine(i) + "\n")
		default:
			fmt.Fprintf(&b, `{"client":"app","scope":"read","access":[{"token":"access-%d","expires":%q}]}`+"\n", i, soon())
		}
	}
	path := h.file(t, "tokens", b.String())

	var o outcome
	killed, resumed := 0, 0
	for life := 0; ; life++ {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		go func() {
			defer cancel()
			if life%4 != 0 { // get somewhere first
				h.stateChanges(ctx)
			}
			pause(ctx, rand.N(600*time.Millisecond))
		}()
		o = h.runFor(t, ctx, file)
		cancel()
		file.Close()
		if strings.Contains(o.err, "going on after line") {
			resumed++
		}
		if o.status != -1 {
			break
		}
		killed++
	}
	t.Logf("killed %d times, of which it went on %d times", killed, resumed)
	if killed < 3 || resumed < 3 {
		t.Errorf("it was killed %d times and went on %d times, which proves little", killed, resumed)
	}
	if o.status != statusRejected {
		t.Fatalf("status %d\n%s", o.status, o.err)
	}
	if c := o.counts(t); c.Imported+c.There != n-int64(len(bad)) || c.Rejected != int64(len(bad)) || c.Lines != n || c.Expired+c.Skipped != 0 {
		t.Errorf("counted %+v", c)
	}
	if got := h.rejected(t); !slices.Equal(got, bad) {
		t.Errorf("rejected are %d lines, want %d", len(got), len(bad))
	}
	if exists(h.state()) {
		t.Error("the state file is left")
	}
	h.open(t, func(store *bolt.Store, m *grants.Manager) { holds(t, store, m, n, everyBad) })
}

// stateChanges returns when the state file is another than it was.
func (h house) stateChanges(ctx context.Context) {
	before, _ := os.ReadFile(h.state())
	for ctx.Err() == nil {
		if now, _ := os.ReadFile(h.state()); string(now) != string(before) {
			return
		}
		pause(ctx, time.Millisecond)
	}
}

// pause waits for a time, in which another process runs, or until ctx ends.
func pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-ctx.Done():
	}
}

// holds fails unless the store has the grants of [TestKilled], each once, and each token finds its own.
func holds(t *testing.T, store *bolt.Store, m *grants.Manager, n, everyBad int) {
	t.Helper()
	names := map[storage.ID]bool{} // of grants
	aliases := 0
	for _, g := range records(t, store) {
		if g.See.IsZero() {
			names[g.ID] = true
		} else {
			aliases++
		}
	}
	seen := map[storage.ID]bool{}
	pairs := 0
	for i := range n {
		info, err := m.LoadAccessToken(t.Context(), fmt.Sprintf("access-%d", i))
		if i%everyBad == 0 {
			if err == nil {
				t.Errorf("the access token of line %d is in", i+1)
			}
			continue
		}
		if err != nil {
			t.Errorf("the access token of line %d: %v", i+1, err)
			continue
		}
		id, _ := grants.GrantID(info)
		if seen[id] || !names[id] {
			t.Errorf("line %d: the grant is another line's, or none", i+1)
		}
		seen[id] = true
		if i%2 == 0 {
			pairs++
			info, err := m.LoadRefreshToken(t.Context(), fmt.Sprintf("refresh-%d", i))
			if err != nil {
				t.Errorf("the refresh token of line %d: %v", i+1, err)
			} else if other, _ := grants.GrantID(info); other != id {
				t.Errorf("line %d: access and refresh token are of two grants", i+1)
			}
		}
	}
	if len(names) != len(seen) || aliases != pairs {
		t.Errorf("there are %d grants and %d aliases, want %d and %d", len(names), aliases, len(seen), pairs)
	}
}

// begun is a house in which an import of the lines was interrupted after the first batch.
func begun(t *testing.T, text string) house {
	t.Helper()
	h := newHouse(t)
	c := h.command(t.Context())
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	stdin.Write([]byte(text))
	for tick := time.Tick(5 * time.Millisecond); !exists(h.state()); {
		<-tick
	}
	c.Process.Kill()
	c.Wait()
	return h
}

// someLines are a batch and a half, of which the second line and the last but one are bad.
func someLines() string {
	lines := strings.SplitAfter(accessLines(batchRecords*3/2), "\n")
	lines[1], lines[len(lines)-3] = "bad\n", "bad\n"
	return strings.Join(lines, "")
}

func TestState(t *testing.T) {
	const n = batchRecords * 3 / 2
	text := someLines()
	fresh := counts{Imported: n/3 - 1, There: batchRecords - 1, Rejected: 2, Lines: n} // it began at the beginning
	gone := counts{Imported: n - 2, Rejected: 2, Lines: n}                             // it went on
	for _, c := range []struct {
		name   string
		change func(t *testing.T, h house)
		text   string
		pipe   bool
		flags  []string
		status int
		counts counts
		says   string
	}{
		{"the same input", nil, text, false, nil, statusRejected, gone, "going on after line 256"},
		{"the same input in a pipe", nil, text, true, nil, statusRejected, gone, "going on after line 256"},
		{"the rejects grew before the process died", func(t *testing.T, h house) {
			file, err := os.OpenFile(h.rejects(), os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				t.Fatal(err)
			}
			fmt.Fprint(file, `{"line":383,"reason":"not JSON, from byte 1 on"}`+"\n"+`{"line":384,"reason":"not JS`)
			file.Close()
		}, text, false, nil, statusRejected, gone, "going on after line 256"},
		{"the rejects are gone", func(t *testing.T, h house) { os.Remove(h.rejects()) }, text, false, nil, statusRejected, gone, "going on after line 256"},
		{"another first line", nil, strings.Replace(text, "user 0", "user_0", 1), false, nil, statusRejected, counts{There: batchRecords - 2, Imported: n/3 - 1, Rejected: 3, Lines: n}, "another one; starting from the beginning"},
		{"a shorter input", nil, accessLines(3), false, nil, statusDone, counts{Imported: 1, There: 2, Lines: 3}, "another one; starting from the beginning"},
		{"an empty input", nil, "", false, nil, statusDone, counts{}, "another one; starting from the beginning"},
		{"a longer first line", nil, " " + text, false, nil, statusRejected, fresh, "another one; starting from the beginning"},
		{"another input in a pipe", nil, " " + text, true, nil, statusStopped, counts{}, "can not be read twice"},
		{"another format", nil, `{"ClientID":"app","Access":"a"}`, false, []string{"-format", "go-oauth2"}, statusDone, counts{Imported: 1, Lines: 1}, "another format; starting from the beginning"},
		{"another format in a pipe", nil, `{"ClientID":"app","Access":"a"}`, true, []string{"-format", "go-oauth2"}, statusDone, counts{Imported: 1, Lines: 1}, "another format; starting from the beginning"},
		{"a damaged state file", func(t *testing.T, h house) { h.file(t, "auth.db.import", `{"format":"li`) }, text, true, nil, statusRejected, fresh, "damaged; starting from the beginning"},
		{"an empty state file", func(t *testing.T, h house) { h.file(t, "auth.db.import", "") }, text, false, nil, statusRejected, fresh, "damaged; starting from the beginning"},
		{"half a new state file", func(t *testing.T, h house) { h.file(t, "auth.db.import.new", `{"format":"li`) }, text, false, nil, statusRejected, gone, "going on after line 256"},
		{"another database", func(t *testing.T, h house) {
			if err := os.Rename(newHouse(t).db, h.db); err != nil {
				t.Fatal(err)
			}
		}, text, true, nil, statusRejected, gone, "not in the database; starting from the beginning"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := begun(t, text)
			if c.change != nil {
				c.change(t, h)
			}
			var o outcome
			if c.pipe {
				o = h.run(t, strings.NewReader(c.text), c.flags...)
			} else {
				o = h.runFile(t, h.file(t, "tokens", c.text), c.flags...)
			}
			o.want(t, c.status, c.counts)
			if !strings.Contains(o.err, c.says) {
				t.Errorf("it does not say %q:\n%s", c.says, o.err)
			}
			if exists(h.state()) || exists(h.state()+".new") {
				t.Error("a state file is left")
			}
			for _, r := range h.rejected(t) {
				if r.Line != 1 && r.Line != 2 && r.Line != n-1 {
					t.Errorf("rejected %+v", r)
				}
			}
			want := int(c.counts.Rejected)
			if c.name == "the rejects are gone" || c.status == statusStopped {
				want = 1 // of the other part of the input
			}
			if got := len(h.rejected(t)); got != want {
				t.Errorf("%d lines in the reject file, want %d", got, want)
			}
		})
	}
}

// A state file of one's own choice, and one import after the other.
func TestStateFlag(t *testing.T) {
	h := newHouse(t)
	state := h.db + ".elsewhere"
	if err := os.WriteFile(h.state(), []byte("not mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.runFile(t, h.file(t, "tokens", pairLines(2)), "-state", state).want(t, statusDone, counts{Imported: 2, Lines: 2})
	if left, err := os.ReadFile(h.state()); err != nil || string(left) != "not mine" || exists(state) {
		t.Errorf("the wrong state file was used: %q, %v", left, err)
	}
}

// The input may begin in the middle of a file, and the beginning is there.
func TestBeginsInTheMiddle(t *testing.T) {
	const header = "a header that something before has read\n"
	text := someLines()
	h := begun(t, text)
	file, err := os.Open(h.file(t, "tokens", header+" "+text))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if _, err := file.Seek(int64(len(header)), 0); err != nil {
		t.Fatal(err)
	}
	h.run(t, file).want(t, statusRejected, counts{Imported: batchRecords/2 - 1, There: batchRecords - 1, Rejected: 2, Lines: batchRecords * 3 / 2})
}

// However long the input is, the heap is bounded: here it stays well below the input.
func TestHeapIsBounded(t *testing.T) {
	const n, padding, bound = 10_000, 8 << 10, 48 << 20
	h := newHouse(t)
	c := h.command(t.Context())
	c.Env = append(c.Env, tellTheHeap+"=1", "GOGC=100", "GOMEMLIMIT=off")
	stdin, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	var out, log strings.Builder
	c.Stdout, c.Stderr = &out, &log
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	for i, spaces := 0, strings.Repeat(" ", padding)+"\n"; i < n; i++ {
		if _, err := io.WriteString(stdin, pairLine(i)+spaces); err != nil {
			t.Error(err)
			break
		}
	}
	stdin.Close()
	c.Wait()
	o := outcome{c.ProcessState.ExitCode(), out.String(), log.String()}
	o.want(t, statusDone, counts{Imported: n, Lines: n})
	var heap int64
	_, told, _ := strings.Cut(o.err, "heap ")
	if _, err := fmt.Sscan(told, &heap); err != nil {
		t.Fatalf("%v in\n%s", err, o.err)
	}
	t.Logf("the heap had %d MiB at most, for %d MiB of input", heap>>20, n*padding>>20)
	if heap > bound {
		t.Errorf("that is more than %d MiB", bound>>20)
	}
}

// However long the input is, what is held of it is bounded: two batches, and no line beyond maxLine.
func TestBatchesAreBounded(t *testing.T) {
	h := newHouse(t)
	long := strings.Repeat("x", maxLine-1) + "\n"
	file, err := os.Open(h.file(t, "long", strings.Repeat(long, 11)+strings.Repeat("short\n", 2*batchRecords+1)))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	in, err := openLines(file, 0)
	if err != nil {
		t.Fatal(err)
	}
	var sizes []int
	for b := range batches(t.Context(), in) {
		sizes = append(sizes, len(b.records))
	}
	if want := []int{4, 4, 256, 256, 4}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v, want %v", sizes, want)
	}
}
