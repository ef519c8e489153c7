package bolt_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// slowWriter takes a little at a time, as a client behind a bad line does.
type slowWriter struct {
	w     io.Writer
	pause time.Duration
}

func (s slowWriter) Write(p []byte) (int, error) {
	time.Sleep(s.pause)
	return s.w.Write(p)
}

// load inserts grants from several goroutines until stopped, and returns how long each insert took.
func load(t *testing.T, store *bolt.Store, acknowledged func(storage.ID)) (stop func() []time.Duration) {
	ctx, cancel := context.WithCancel(t.Context())
	var wg sync.WaitGroup
	var mu sync.Mutex
	var took []time.Duration
	for range 8 {
		wg.Go(func() {
			for ctx.Err() == nil {
				now := time.Now()
				g := &storage.Grant{ID: storage.NewID(), Client: "app", User: "ann", Created: now, Expires: now.Add(time.Hour)}
				err := store.Insert(t.Context(), g)
				if err == nil {
					err = store.Update(t.Context(), g.ID, func(g *storage.Grant) error { g.Scope = "changed"; return nil })
				}
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(now))
				mu.Unlock()
				acknowledged(g.ID)
			}
		})
	}
	return func() []time.Duration { cancel(); wg.Wait(); return took }
}

func percentile(d []time.Duration, p int) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[len(d)*p/100]
}

// A backup that is taken under load by a slow reader has every write that was answered before it began,
// opens, and passes Check; commits go on meanwhile.
func TestBackupUnderLoad(t *testing.T) {
	dir := t.TempDir()
	store, err := bolt.Open(filepath.Join(dir, "auth.db"), bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	fill(t, store, 1000)
	var mu sync.Mutex
	var known []storage.ID
	note := func(id storage.ID) { mu.Lock(); known = append(known, id); mu.Unlock() }

	stop := load(t, store, note)
	time.Sleep(700 * time.Millisecond)
	alone := stop()

	stop = load(t, store, note)
	time.Sleep(50 * time.Millisecond)
	mu.Lock()
	before := slices.Clone(known)
	mu.Unlock()
	copied := filepath.Join(dir, "copy.db")
	f, err := os.OpenFile(copied, os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	var last, total int64
	began := time.Now()
	err = store.Backup(t.Context(), slowWriter{f, 25 * time.Millisecond}, func(written, all int64) {
		if written < last || written > all || total != 0 && all != total {
			t.Errorf("progress: %d of %d after %d of %d", written, all, last, total)
		}
		last, total = written, all
	})
	took := time.Since(began)
	beside := stop()
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Close(); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(copied)
	if err != nil {
		t.Fatal(err)
	}
	if last != total || info.Size() != total {
		t.Errorf("%d of %d bytes, the file has %d", last, total, info.Size())
	}
	if len(beside) < 8 || len(alone) < 8 {
		t.Fatalf("%d writes were answered while the backup ran, %d before", len(beside), len(alone))
	}
	longest := slices.Max(beside)
	t.Logf("backup of %d bytes in %v; p99 of an insert and an update: %v beside it, %v without, a ratio of %.1f; longest %v, %v; %d and %d of them",
		total, took, percentile(beside, 99), percentile(alone, 99), float64(percentile(beside, 99))/float64(max(1, percentile(alone, 99))),
		longest, slices.Max(alone), len(beside), len(alone))
	if longest > took/2 && took > time.Second {
		t.Errorf("a write waited for %v, of %v that the backup took", longest, took)
	}

	if err := bolt.Check(copied); err != nil {
		t.Fatal(err)
	}
	restored := open(t, copied)
	for _, id := range before {
		if g, err := restored.Grant(t.Context(), id); err != nil || g.Scope != "changed" {
			t.Errorf("grant %s, which was stored before the backup began: %v, %v", id, g, err)
		}
	}
	if len(before) == 0 {
		t.Error("nothing was stored before the backup")
	}
	n := 0
	for _, err := range restored.Grants(t.Context(), storage.Filter{User: "ann"}) {
		if n++; err != nil {
			t.Fatal(err)
		}
	}
	if n < len(before) {
		t.Errorf("%d grants, want %d", n, len(before))
	}
	fill(t, restored, 10) // it is a store like any other
}

// faulty takes so many bytes, and then does what it does.
type faulty struct {
	room int
	then func(p []byte) (int, error)
}

func (f *faulty) Write(p []byte) (int, error) {
	if f.room -= len(p); f.room >= 0 {
		return len(p), nil
	}
	return f.then(p)
}

func TestBackupFails(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "auth.db"))
	fill(t, store, 500)
	broken := errors.New("broken")
	for _, room := range []int{0, 4096, 8192, 50000} {
		if err := store.Backup(t.Context(), &faulty{room, func(p []byte) (int, error) { return 0, broken }}, nil); !errors.Is(err, broken) {
			t.Errorf("a writer that fails after %d bytes: %v", room, err)
		}
		if err := store.Backup(t.Context(), &faulty{room, func(p []byte) (int, error) { return len(p) / 2, nil }}, nil); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("a writer that takes less after %d bytes: %v", room, err)
		}
		once := false
		if err := store.Backup(t.Context(), &faulty{room, func(p []byte) (int, error) {
			if once {
				return len(p), nil
			}
			once = true
			return len(p) - 1, nil
		}}, nil); !errors.Is(err, io.ErrShortWrite) {
			t.Errorf("a writer that once takes less after %d bytes: %v", room, err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if err := store.Backup(ctx, &faulty{room, func(p []byte) (int, error) { cancel(); return len(p), nil }}, nil); !errors.Is(err, context.Canceled) {
			t.Errorf("a context that ends after %d bytes: %v", room, err)
		}
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if err := store.Backup(ended, panics{}, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	store.Close()
	if err := store.Backup(t.Context(), panics{}, nil); err != storage.ErrClosed {
		t.Errorf("after Close: %v", err)
	}
}

type panics struct{}

func (panics) Write([]byte) (int, error) { panic("nothing is to be written") }

// A backup that was begun is finished before Close is, and one whose writer panics holds nothing up.
func TestBackupAndClose(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "auth.db"))
	fill(t, store, 100)
	func() {
		defer func() {
			if p := recover(); fmt.Sprint(p) != "nothing is to be written" {
				t.Errorf("recovered %v", p)
			}
		}()
		store.Backup(t.Context(), panics{}, nil)
	}()
	closed := make(chan error, 1)
	var begin sync.Once
	var out bytes.Buffer
	if err := store.Backup(t.Context(), &out, func(written, total int64) {
		begin.Do(func() { go func() { closed <- store.Close() }() })
	}); err != nil {
		t.Error(err)
	}
	select {
	case err := <-closed:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(20 * time.Second):
		t.Error("Close is stuck")
	}
}

func TestBackupHandler(t *testing.T) {
	dir := t.TempDir()
	store := open(t, filepath.Join(dir, `my "auth".db`))
	fill(t, store, 300)
	server := httptest.NewServer(store.BackupHandler())
	defer server.Close()
	ask := func(method string) *http.Response {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, server.URL, nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := http.DefaultClient.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { answer.Body.Close() })
		return answer
	}
	for _, method := range []string{"GET", "HEAD", "GET"} {
		answer := ask(method)
		body, err := io.ReadAll(answer.Body)
		if err != nil || answer.StatusCode != http.StatusOK {
			t.Fatal(method, answer.Status, err)
		}
		for name, want := range map[string]string{
			"Content-Type":        "application/octet-stream",
			"Cache-Control":       "no-store",
			"Content-Disposition": `^attachment; filename="my__auth_-\d{8}T\d{6}Z\.db"$`,
		} {
			if got := answer.Header.Get(name); got != want && !regexp.MustCompile(want).MatchString(got) {
				t.Errorf("%s: %s: %s", method, name, got)
			}
		}
		if answer.ContentLength < 10000 {
			t.Errorf("%s: Content-Length %d", method, answer.ContentLength)
		}
		if method == "HEAD" {
			continue
		}
		path := filepath.Join(dir, "copy.db")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := bolt.Check(path); err != nil || int64(len(body)) != answer.ContentLength {
			t.Errorf("%d of %d bytes, %v", len(body), answer.ContentLength, err)
		}
	}
	if answer := ask("POST"); answer.StatusCode != http.StatusMethodNotAllowed || answer.Header.Get("Allow") != "GET, HEAD" {
		t.Errorf("POST: %s, Allow %q", answer.Status, answer.Header.Get("Allow"))
	}
	store.Close()
	if answer := ask("GET"); answer.StatusCode != http.StatusServiceUnavailable || answer.Header.Get("Content-Disposition") != "" {
		t.Errorf("after Close: %s, %v", answer.Status, answer.Header)
	}
}

// cutShort ends the request's context after a part of the answer.
type cutShort struct {
	http.ResponseWriter
	room   int
	cancel func()
}

func (c *cutShort) Write(p []byte) (int, error) {
	if c.room -= len(p); c.room < 0 {
		c.cancel()
	}
	return c.ResponseWriter.Write(p)
}

func (c *cutShort) Unwrap() http.ResponseWriter { return c.ResponseWriter }

// A client sees that what it got is no copy, whatever the size.
func TestBackupHandlerCutsShort(t *testing.T) {
	store := open(t, filepath.Join(t.TempDir(), "auth.db"))
	fill(t, store, 300)
	for _, room := range []int{0, 100, 30000} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			ctx, cancel := context.WithCancel(r.Context())
			defer cancel()
			store.BackupHandler().ServeHTTP(&cutShort{w, room, cancel}, r.WithContext(ctx))
		}))
		answer, err := http.Get(server.URL)
		if err == nil {
			_, err = io.ReadAll(answer.Body)
			answer.Body.Close()
		}
		if err == nil {
			t.Errorf("cut after %d bytes, and the client sees nothing", room)
		}
		server.Close()
	}
}
