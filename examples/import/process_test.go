package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// The tests run the program as a process of its own: this binary, told to be it.
const beTheProgram = "OSTIARY_TEST_IMPORT"

// tellTheHeap makes the program say, once everything is in, how large its heap has been at most.
const tellTheHeap = "OSTIARY_TEST_HEAP"

func TestMain(m *testing.M) {
	if os.Getenv(beTheProgram) != "" {
		main()
		if os.Getenv(tellTheHeap) != "" {
			var m runtime.MemStats
			runtime.ReadMemStats(&m)
			fmt.Fprintln(os.Stderr, "heap", m.HeapSys)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// house is a folder with a database in it, and the clients registered.
type house struct{ dir, db string }

func newHouse(t testing.TB) house {
	t.Helper()
	dir := t.TempDir()
	h := house{dir: dir, db: filepath.Join(dir, "auth.db")}
	h.open(t, func(store *bolt.Store, _ *grants.Manager) {
		for _, c := range []*storage.Client{
			{ID: "app", Secret: storage.HashGenerated("app-secret"), Scope: "read write", GrantTypes: []string{"refresh_token", "client_credentials"}},
			{ID: "spa", Public: true, Scope: "read", GrantTypes: []string{"authorization_code", "refresh_token"}, RedirectURIs: []string{"https://spa.example/cb"}},
		} {
			if err := store.PutClient(t.Context(), c); err != nil {
				t.Fatal(err)
			}
		}
	})
	return h
}

// open looks into the database as the server does that takes over.
func (h house) open(t testing.TB, look func(*bolt.Store, *grants.Manager)) {
	t.Helper()
	store, err := bolt.Open(h.db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	look(store, grants.New(store, grants.ImportedTokens(), quiet))
}

// file writes a file in the house.
func (h house) file(t testing.TB, name, text string) string {
	t.Helper()
	path := filepath.Join(h.dir, name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// outcome is what came of running the program.
type outcome struct {
	status   int
	out, err string
}

// command is the program on the database of the house. Later flags win.
func (h house) command(ctx context.Context, flags ...string) *exec.Cmd {
	c := exec.CommandContext(ctx, os.Args[0], append([]string{"-db", h.db, "-rejects", h.rejects()}, flags...)...)
	c.Env = append(os.Environ(), beTheProgram+"=1")
	return c
}

func (h house) rejects() string { return filepath.Join(h.dir, "rejects.jsonl") }
func (h house) state() string   { return h.db + ".import" }

// run runs the program on what stdin has; a *os.File is its standard input itself.
func (h house) run(t testing.TB, stdin io.Reader, flags ...string) outcome {
	t.Helper()
	return h.runFor(t, t.Context(), stdin, flags...)
}

// runFor kills the program when ctx ends.
func (h house) runFor(t testing.TB, ctx context.Context, stdin io.Reader, flags ...string) outcome {
	t.Helper()
	c := h.command(ctx, flags...)
	var out, err bytes.Buffer
	c.Stdin, c.Stdout, c.Stderr = stdin, &out, &err
	if err := c.Run(); err != nil && c.ProcessState == nil {
		t.Fatal(err)
	}
	return outcome{c.ProcessState.ExitCode(), out.String(), err.String()}
}

// runFile runs the program on a file.
func (h house) runFile(t testing.TB, path string, flags ...string) outcome {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	return h.run(t, file, flags...)
}

// rejected reads the reject file.
func (h house) rejected(t testing.TB) (rejects []reject) {
	t.Helper()
	data, err := os.ReadFile(h.rejects())
	if os.IsNotExist(err) {
		return nil
	} else if err != nil {
		t.Fatal(err)
	}
	for text := range strings.Lines(string(data)) {
		var r reject
		if reason := decodeStrictly([]byte(text), &r); reason != "" {
			t.Fatalf("%s in the reject file: %q", reason, text)
		}
		rejects = append(rejects, r)
	}
	return rejects
}

// counts reads the summary.
func (o outcome) counts(t testing.TB) (c counts) {
	t.Helper()
	for text := range strings.Lines(o.out) {
		at := strings.LastIndexByte(strings.TrimRight(text, "\n"), ' ')
		of := map[string]*int64{
			"imported": &c.Imported, "already there": &c.There, "expired": &c.Expired,
			"skipped": &c.Skipped, "rejected": &c.Rejected, "lines": &c.Lines,
		}[strings.TrimSpace(text[:max(at, 0)])]
		if of == nil || json.Unmarshal([]byte(text[at+1:]), of) != nil {
			t.Fatalf("the summary has %q", text)
		}
	}
	return c
}

// want fails unless the program ended with that status and summary.
func (o outcome) want(t testing.TB, status int, c counts) {
	t.Helper()
	if o.status != status {
		t.Fatalf("status %d, want %d\n%s%s", o.status, status, o.out, o.err)
	}
	if got := o.counts(t); got != c {
		t.Errorf("got %+v, want %+v", got, c)
	}
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// soon is an hour from now as the line format has it.
func soon() string { return time.Now().Add(time.Hour).UTC().Format(time.RFC3339) }
