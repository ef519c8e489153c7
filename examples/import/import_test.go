package main

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

var quiet = grants.Logger(slog.New(slog.DiscardHandler))

// pairLine is a line with an access and a refresh token.
func pairLine(n int) string {
	return fmt.Sprintf(`{"client":"app","user":"user %d","scope":"read","access":[{"token":"access-%d","expires":%q}],"refresh":{"token":"refresh-%d","expires":%q}}`, n, n, soon(), n, soon())
}

func pairLines(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(pairLine(i) + "\n")
	}
	return b.String()
}

// accessLines are lines with an access token each, which is one write.
func accessLines(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, `{"client":"app","user":"user %d","scope":"read","access":[{"token":"access-%d","expires":%q}]}`+"\n", i, i, soon())
	}
	return b.String()
}

func TestLines(t *testing.T) {
	h := newHouse(t)
	hashed := sha256.Sum256([]byte("hashed"))
	text := strings.Join([]string{
		pairLine(0),
		"",
		`{"client":"app","access":[{"token":"own","expires":"never"}]}` + "\r",
		" \t\r",
		`{"client":"app","user":"bob","scope":"write","audience":["https://api.example"],"access":[{"sha256":"` + hex.EncodeToString(hashed[:]) + `","expires":"` + soon() + `"},{"token":"second","expires":"` + soon() + `"}]}`,
		`{"client":"app","user":"alice","access":[{"token":"gone","expires":"2001-01-01T00:00:00Z"}]}`,
		pairLine(0),
		`{"client":"spa","user":"eve","scope":"read","refresh":{"token":"last","expires":"` + soon() + `"}}`, // no line end
	}, "\n")
	h.runFile(t, h.file(t, "tokens", text)).want(t, statusDone, counts{Imported: 4, There: 1, Expired: 1, Lines: 8})
	if exists(h.state()) || exists(h.rejects()) {
		t.Error("a state file or an empty reject file is left")
	}
	h.open(t, func(_ *bolt.Store, m *grants.Manager) {
		for token, want := range map[string]string{"access-0": "app user 0 read", "own": "app  ", "hashed": "app bob write", "second": "app bob write"} {
			info, err := m.LoadAccessToken(t.Context(), token)
			if err != nil {
				t.Errorf("%s: %v", token, err)
			} else if got := fmt.Sprintf("%s %s %s", info.GetClientID(), info.GetUserID(), info.GetScope()); got != want {
				t.Errorf("%s is %q, want %q", token, got, want)
			}
		}
		if info, err := m.LoadAccessToken(t.Context(), "own"); err != nil || info.GetAccessExpiresIn() != 0 {
			t.Errorf("it does not live for ever: %v", err)
		}
		if _, err := m.LoadAccessToken(t.Context(), "gone"); err == nil {
			t.Error("an expired token is in")
		}
		if info, err := m.LoadRefreshToken(t.Context(), "last"); err != nil || info.GetUserID() != "eve" {
			t.Errorf("the last line: %v", err)
		}
	})
}

// Refresh tokens end when the server's manager would have them end.
func TestRefreshLifetime(t *testing.T) {
	const day = 24 * time.Hour
	for _, c := range []struct {
		flags []string
		want  [2]time.Duration // of a token of 1000 days, and one without end
	}{
		{nil, [2]time.Duration{365 * day, 365 * day}},
		{[]string{"-refresh-lifetime", "240h"}, [2]time.Duration{10 * day, 10 * day}},
		{[]string{"-refresh-lifetime", "17520h"}, [2]time.Duration{730 * day, 730 * day}},
		{[]string{"-refresh-lifetime", "unlimited"}, [2]time.Duration{1000 * day, 0}},
	} {
		t.Run(strings.Join(c.flags, " "), func(t *testing.T) {
			h := newHouse(t)
			text := `{"client":"app","user":"u","refresh":{"token":"0","expires":"` + time.Now().Add(1000*day).Format(time.RFC3339) + `"}}` + "\n" +
				`{"client":"app","user":"u","refresh":{"token":"1","expires":"never"}}` + "\n"
			h.run(t, strings.NewReader(text), c.flags...).want(t, statusDone, counts{Imported: 2, Lines: 2})
			h.open(t, func(_ *bolt.Store, m *grants.Manager) {
				for n, want := range c.want {
					info, err := m.LoadRefreshToken(t.Context(), fmt.Sprint(n))
					if err != nil {
						t.Fatal(err)
					}
					if got := info.GetRefreshExpiresIn(); got > want || got < want-time.Minute {
						t.Errorf("token %d lives %v, want %v", n, got, want)
					}
				}
			})
		})
	}
}

// README.md tells of each flag, and shows commands whose exit status is the import's: that of go run is
// 1 whatever the program's is.
func TestReadmeCommands(t *testing.T) {
	data, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	o := newHouse(t).run(t, strings.NewReader(""), "-h")
	flags := regexp.MustCompile(`(?m)^  (-[a-z-]+)(?: |$)`).FindAllStringSubmatch(o.err, -1)
	if len(flags) < 6 {
		t.Fatalf("the flags are %q", flags)
	}
	for _, f := range flags {
		if !strings.Contains(text, "\n| `"+f[1]+"` |") {
			t.Errorf("%s is not there", f[1])
		}
	}
	if n := strings.Count(text, "go run ./examples/import"); n != 1 {
		t.Errorf("go run is there %d times, want it for a first try alone", n)
	}
	if !strings.Contains(text, "\ngo build -o import ./examples/import\n") || strings.Count(text, "./import -") < 5 {
		t.Error("it does not build and run the program")
	}
}

// What README.md shows of the line format is of it.
func TestReadme(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	_, block, ok := strings.Cut(string(text), "```json\n")
	line, _, end := strings.Cut(block, "\n```")
	i, _, reason := parseLine([]byte(line))
	if !ok || !end || reason != "" || len(i.Access) != 1 || i.Refresh.SHA256.IsZero() {
		t.Errorf("%q is %+v, %s", line, i, reason)
	}
}

// A line is rejected with its number and a reason in which nothing of it shows, and the rest goes on.
func TestRejects(t *testing.T) {
	const secret = "s3cr3t-t0k3n"
	token := fmt.Sprintf(`{"token":"%s","expires":"%s"}`, secret, soon())
	access := `"access":[` + token + `]`
	for _, c := range []struct{ name, format, line, reason string }{
		{"no JSON", "lines", secret, "not JSON, from byte 1 on"},
		{"half a line", "lines", `{"client":"app",` + access, "not JSON: it ends too early"},
		{"UTF-8", "lines", `{"client":"app","user":"` + "\xff" + `",` + access + `}`, "not UTF-8"},
		{"a NUL", "lines", "\x00", "not JSON, from byte 1 on"},
		{"no Unicode", "lines", `{"client":"app","user":"\ud800",` + access + `}`, "user is not Unicode"},
		{"a string", "lines", `"` + secret + `"`, "not a JSON object"},
		{"an array", "lines", `[` + token + `]`, "not a JSON object"},
		{"null", "lines", `null`, "not a JSON object"},
		{"two objects", "lines", `{"client":"app",` + access + `}{}`, "more than one JSON value"},
		{"something after it", "lines", `{"client":"app",` + access + `} ` + secret, "more than one JSON value"},
		{"unknown member", "lines", `{"client":"app",` + access + `,"` + secret + `":1}`, "a member that the format does not have, or a value that it does not take"},
		{"unknown member of a token", "lines", `{"client":"app","access":[{"value":"` + secret + `"}]}`, "a member that the format does not have, or a value that it does not take"},
		{"another case", "lines", `{"Client":"app",` + access + `}`, "a member that the format does not have"},
		{"another letter", "lines", `{"client":"app","uſer":"x",` + access + `}`, "a member that the format does not have"},
		{"a member twice", "lines", `{"client":"spa","client":"app",` + access + `}`, "a member stands there twice"},
		{"a member of a token twice", "lines", `{"client":"app","access":[{"token":"x","token":"` + secret + `","expires":"never"}]}`, "a member stands there twice"},
		{"a number for a name", "lines", `{"client":1,` + access + `}`, "client is of the wrong type"},
		{"one access token for a list", "lines", `{"client":"app","access":` + token + `}`, "access is of the wrong type"},
		{"a list of refresh tokens", "lines", `{"client":"app","user":"u","refresh":[` + token + `]}`, "refresh is of the wrong type"},
		{"a Unix time", "lines", `{"client":"app","access":[{"token":"` + secret + `","expires":1893456000}]}`, "access.expires is of the wrong type"},
		{"no RFC 3339", "lines", `{"client":"app","access":[{"token":"x","expires":"` + secret + `"}]}`, "access: expires is no time of RFC 3339"},
		{"no expiry", "lines", `{"client":"app","access":[{"token":"` + secret + `"}]}`, `access: expires is missing; "never" is a token without end`},
		{"no expiry of a refresh token", "lines", `{"client":"app","user":"u","refresh":{"token":"` + secret + `"}}`, `refresh: expires is missing; "never" is a token without end`},
		{"no token in a token", "lines", `{"client":"app","access":[{"expires":"never"}]}`, "access: either token or sha256 is needed"},
		{"null for a token", "lines", `{"client":"app","access":[null]}`, "access: either token or sha256 is needed"},
		{"both", "lines", `{"client":"app","access":[{"token":"` + secret + `","sha256":"00","expires":"never"}]}`, "access: either token or sha256 is needed"},
		{"a short digest", "lines", `{"client":"app","access":[{"sha256":"` + secret + `","expires":"never"}]}`, "access: sha256 is not a digest of 64 hexadecimal digits"},
		{"a digest of nothing", "lines", `{"client":"app","access":[{"sha256":"` + strings.Repeat("0", 64) + `","expires":"never"}]}`, "access: sha256 is not a digest of 64 hexadecimal digits"},
		{"no token", "lines", `{"client":"app"}`, "there is no token"},
		{"an empty object", "lines", `{}`, "unknown client"},
		{"unknown client", "lines", `{"client":"nobody",` + access + `}`, "unknown client"},
		{"scope beyond the client's", "lines", `{"client":"app","scope":"admin",` + access + `}`, "scope beyond the client's"},
		{"malformed scope", "lines", `{"client":"app","scope":"read  write",` + access + `}`, "malformed scope"},
		{"public client without user", "lines", `{"client":"spa",` + access + `}`, "client is public"},
		{"refresh token without user", "lines", `{"client":"app","refresh":` + token + `}`, "a client's own grant has no refresh token"},
		{"a token twice", "lines", `{"client":"app","access":[` + token + `,` + token + `]}`, "a token stands there twice"},
		{"an umlaut in a token", "lines", `{"client":"app","access":[{"token":"s3cr3t-ö","expires":"never"}]}`, "a token has a character outside of %x20-7E, and could never be sent"},
		{"a line end in a token", "lines", `{"client":"app","access":[{"token":"s3cr3t\n","expires":"never"}]}`, "a token has a character outside of %x20-7E, and could never be sent"},
		{"too long", "lines", `{"client":"app",` + access + `,"user":"` + strings.Repeat("x", maxLine) + `"}`, "longer than 1048576 bytes"},
		{"garbage without end", "lines", strings.Repeat(secret, 3*maxLine/len(secret)), "longer than 1048576 bytes"},

		{"go-oauth2: our own format", "go-oauth2", `{"client":"app",` + access + `}`, "Access is of the wrong type"},
		{"go-oauth2: an index entry", "go-oauth2", `8d777f38-5d3d-4fec-815d-20f7496026dc`, "not JSON, from byte 2 on"},
		{"go-oauth2: nothing", "go-oauth2", `{}`, "no token of go-oauth2's: it has no ClientID"},
		{"go-oauth2: null", "go-oauth2", `null`, "no token of go-oauth2's: it has no ClientID"},
		{"go-oauth2: a time", "go-oauth2", `{"ClientID":"app","Access":"` + secret + `","AccessCreateAt":"` + secret + `"}`, "a member that the format does not have, or a value that it does not take"},
		{"go-oauth2: a refresh token of a client's own", "go-oauth2", `{"ClientID":"app","Access":"a","Refresh":"` + secret + `"}`, "a client's own grant has no refresh token"},
		{"go-oauth2: unknown client", "go-oauth2", `{"ClientID":"nobody","Access":"` + secret + `"}`, "unknown client"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			good := [2]string{pairLine(1), pairLine(2)}
			if c.format != "lines" {
				good = [2]string{`{"ClientID":"app","Access":"access-1"}`, `{"ClientID":"app","UserID":"u","Refresh":"refresh-2"}`}
			}
			o := h.run(t, strings.NewReader("\n"+good[0]+"\n"+c.line+"\n"+good[1]+"\n"), "-format", c.format)
			o.want(t, statusRejected, counts{Imported: 2, Rejected: 1, Lines: 4})
			if got, want := h.rejected(t), []reject{{Line: 3, Reason: c.reason}}; !slices.Equal(got, want) {
				t.Errorf("rejected %+v, want %+v", got, want)
			}
			file, err := os.ReadFile(h.rejects())
			if err != nil {
				t.Fatal(err)
			}
			if shown := string(file) + o.out + o.err; strings.Contains(shown, "s3cr3t") {
				t.Errorf("the token shows:\n%s", shown)
			}
			if !strings.Contains(o.err, h.rejects()) {
				t.Errorf("it does not say where the rejects are:\n%s", o.err)
			}
			if info, err := os.Stat(h.rejects()); err != nil || info.Mode().Perm() != 0o600 {
				t.Errorf("the reject file is %v, %v", info.Mode(), err)
			}
		})
	}
}

// go-oauth2 says when a token began and how long it lives.
func TestGoOAuth2(t *testing.T) {
	h := newHouse(t)
	created := time.Now().Add(-time.Minute).Format(time.RFC3339Nano)
	record := func(rest string) string { return `{"ClientID":"app","Scope":"read",` + rest + `}` + "\n" }
	text := record(`"UserID":"alice","Access":"a1","AccessCreateAt":"`+created+`","AccessExpiresIn":3600000000000,"Refresh":"r1","RefreshCreateAt":"`+created+`","RefreshExpiresIn":7200000000000`) +
		record(`"Access":"a2","AccessCreateAt":"`+created+`","AccessExpiresIn":0,"Extension":{"x":["y"]},"Unheard":"of"`) +
		record(`"UserID":"alice","Access":"a3","AccessCreateAt":"`+created+`","AccessExpiresIn":7200000000000,"Refresh":"r3","RefreshCreateAt":"`+created+`","RefreshExpiresIn":3600000000000`) +
		record(`"UserID":"alice","Access":"a4","AccessCreateAt":"`+created+`","AccessExpiresIn":1000000000,"Refresh":"r4","RefreshCreateAt":"`+created+`","RefreshExpiresIn":0`) +
		record(`"UserID":"alice","Access":"a5","AccessCreateAt":"`+created+`","AccessExpiresIn":1000000000`) +
		record(`"UserID":"alice","Access":"a6","AccessCreateAt":"0001-01-01T00:00:00Z","AccessExpiresIn":3600000000000`) +
		record(`"UserID":"alice","Access":"","Refresh":"r7","RefreshCreateAt":"`+created+`","RefreshExpiresIn":3600000000000`) +
		record(`"UserID":"alice","Code":"c8","CodeCreateAt":"`+created+`","CodeExpiresIn":600000000000,"Access":"","Refresh":""`) +
		record(`"UserID":"alice","Access":"a9","AccessCreateAt":"`+created+`","AccessExpiresIn":3600000000000,"Refresh":"r4","RefreshCreateAt":"`+created+`","RefreshExpiresIn":0`)
	// One after the other: of two lines with one refresh token, the second is new for its access token alone.
	h.run(t, strings.NewReader(text), "-format", "go-oauth2", "-workers", "1").want(t, statusDone, counts{Imported: 6, Expired: 2, Skipped: 1, Lines: 9})
	h.open(t, func(_ *bolt.Store, m *grants.Manager) {
		for token, life := range map[string]time.Duration{"a1": 59 * time.Minute, "a2": 0, "a3": 59 * time.Minute, "a9": 59 * time.Minute} {
			info, err := m.LoadAccessToken(t.Context(), token)
			if err != nil {
				t.Errorf("%s: %v", token, err)
			} else if got := info.GetAccessExpiresIn(); got > life || got < life-5*time.Second {
				t.Errorf("%s lives %v, want %v", token, got, life)
			}
		}
		for token, life := range map[string]time.Duration{"r1": 119 * time.Minute, "r3": 59 * time.Minute, "r4": 365 * 24 * time.Hour, "r7": 59 * time.Minute} {
			info, err := m.LoadRefreshToken(t.Context(), token)
			if err != nil {
				t.Errorf("%s: %v", token, err)
			} else if got := info.GetRefreshExpiresIn(); got > life || got < life-5*time.Second {
				t.Errorf("%s lives %v, want %v", token, got, life)
			}
		}
		for _, token := range []string{"a4", "a5", "a6", "c8", ""} {
			if _, err := m.LoadAccessToken(t.Context(), token); err == nil {
				t.Errorf("%q is in", token)
			}
		}
	})
}

func TestUsage(t *testing.T) {
	h := newHouse(t)
	missing := filepath.Join(h.dir, "missing.db")
	for _, c := range []struct {
		name  string
		flags []string
		says  string
	}{
		{"unknown flag", []string{"-what"}, "-what"},
		{"unknown format", []string{"-format", "csv"}, `no format "csv"`},
		{"no workers", []string{"-workers", "0"}, "-workers"},
		{"no number", []string{"-workers", "many"}, "-workers"},
		{"negative size", []string{"-size", "-1"}, "-size"},
		{"a file as argument", []string{"tokens.jsonl"}, "standard input"},
		{"no database", []string{"-db", missing}, "clients have to be registered"},
		{"rejects into the database", []string{"-rejects", h.db}, "same file"},
		{"state into the database", []string{"-state", h.db}, "same file"},
		{"rejects into the state", []string{"-state", "x", "-rejects", "./x"}, "same file"},
		{"refresh lifetime", []string{"-refresh-lifetime", "0s"}, "too short"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := h.run(t, strings.NewReader(pairLines(1)), c.flags...)
			if o.status != statusUsage || o.out != "" || !strings.Contains(o.err, c.says) || !strings.Contains(o.err, "-rejects") {
				t.Errorf("status %d\n%s%s", o.status, o.out, o.err)
			}
		})
	}
	if exists(missing) {
		t.Error("it made a database")
	}
	h.open(t, func(store *bolt.Store, _ *grants.Manager) {
		if n := len(records(t, store)); n != 0 {
			t.Errorf("%d records are in", n)
		}
	})
}

// records are all that is in the store.
func records(t testing.TB, store storage.Store) (all []*storage.Grant) {
	t.Helper()
	for g, err := range store.Grants(context.Background(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, g)
	}
	return all
}

// What cannot go on says so with status 1, and how to go on.
func TestStopsEarly(t *testing.T) {
	for _, c := range []struct {
		name, says string
		run        func(t *testing.T, h house) outcome
	}{
		{"the server runs", "held by another process", func(t *testing.T, h house) (o outcome) {
			h.open(t, func(*bolt.Store, *grants.Manager) { o = h.run(t, strings.NewReader(pairLines(1))) })
			return o
		}},
		{"no folder for the state", "no such file", func(t *testing.T, h house) outcome {
			return h.run(t, strings.NewReader(accessLines(batchRecords)), "-state", filepath.Join(h.dir, "missing", "state"))
		}},
		{"no folder for the rejects", "no such file", func(t *testing.T, h house) outcome {
			return h.run(t, strings.NewReader(pairLines(1)), "-rejects", filepath.Join(h.dir, "missing", "rejects"))
		}},
		{"an input that can't be read", "is a directory", func(t *testing.T, h house) outcome {
			return h.runFile(t, h.dir)
		}},
		{"no file of buntdb's", "no file of buntdb's", func(t *testing.T, h house) outcome {
			return h.run(t, strings.NewReader(pairLines(1)), "-format", "buntdb")
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			h := newHouse(t)
			o := c.run(t, h)
			if o.status != statusStopped || o.out != "" || !strings.Contains(o.err, c.says) || !strings.Contains(o.err, "run the same command again") {
				t.Errorf("status %d\n%s%s", o.status, o.out, o.err)
			}
		})
	}
}

// A store that can't write stops the import, and once it can the same command goes on.
func TestDiskFull(t *testing.T) {
	if _, err := exec.LookPath("sh"); err != nil {
		t.Skip(err)
	}
	const n = 2 * batchRecords
	h := newHouse(t)
	path := h.file(t, "tokens", accessLines(n))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	c := h.command(t.Context())
	limited := exec.CommandContext(t.Context(), "sh", append([]string{"-c", `ulimit -f 500 && exec "$0" "$@"`}, c.Args...)...) // blocks of 512 or 1024 bytes
	limited.Env, limited.Stdin = c.Env, file
	out, _ := limited.CombinedOutput()
	if got := limited.ProcessState.ExitCode(); got != statusStopped || !strings.Contains(string(out), "the store failed") || !strings.Contains(string(out), "run the same command again") {
		t.Fatalf("status %d\n%s", got, out)
	}
	o := h.runFile(t, path)
	if c := o.counts(t); o.status != statusDone || c.Imported+c.There != n || c.Lines != n {
		t.Errorf("status %d\n%s%s", o.status, o.out, o.err)
	}
}

// A store that fails ends the batch, and no line of it counts.
func TestStoreFails(t *testing.T) {
	h := newHouse(t)
	h.open(t, func(store *bolt.Store, _ *grants.Manager) {
		faulty := &testbed.Faulty{Store: store}
		faulty.Break(nil, testbed.Fail, nil)
		p := startProgress(os.Stderr, 0, state{})
		defer p.stop()
		m := importer{manager: grants.New(faulty, grants.ImportedTokens(), quiet), parse: parseLine, workers: 4, progress: p}
		records := []record{{line: 1, text: []byte("x")}}
		for n := range 50 {
			records = append(records, record{line: int64(n) + 2, text: []byte(pairLine(n))})
		}
		c, rejects, err := m.run(records)
		if c != (counts{}) || rejects != nil || err == nil || !strings.Contains(err.Error(), "the store failed") || !strings.Contains(err.Error(), "line ") {
			t.Errorf("got %+v, %v, %v", c, rejects, err)
		}
		if n := strings.Count(err.Error(), "line "); n != 1 {
			t.Errorf("it tells of %d failures:\n%v", n, err)
		}
		if p.records > 20 {
			t.Errorf("%d lines were tried after the store had failed", p.records)
		}
		faulty.Break(nil, nil, nil)
		if c, rejects, err := m.run(records); err != nil || c.Imported != 50 || c.Rejected != 1 || len(rejects) != 1 {
			t.Errorf("got %+v, %v, %v", c, rejects, err)
		}
	})
}

// Ctrl-C and SIGTERM finish the batch, save, and end with status 1; the same command goes on.
func TestInterrupted(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			h := newHouse(t)
			const n = batchRecords + 100
			text := accessLines(n)
			c := h.command(t.Context())
			stdin, err := c.StdinPipe()
			if err != nil {
				t.Fatal(err)
			}
			var log strings.Builder
			c.Stderr = &log
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			if _, err := stdin.Write([]byte(text)); err != nil { // and no end
				t.Fatal(err)
			}
			for tick := time.Tick(5 * time.Millisecond); !exists(h.state()); {
				<-tick
			}
			c.Process.Signal(signal)
			c.Wait()
			if got := c.ProcessState.ExitCode(); got != statusStopped || !strings.Contains(log.String(), "run the same command again") {
				t.Fatalf("status %d\n%s", got, &log)
			}
			s, err := loadState(h.state())
			if err != nil || s.Lines != batchRecords || s.Counts.Imported != batchRecords || s.Grant.IsZero() {
				t.Errorf("saved is %+v, %v", s, err)
			}
			o := h.runFile(t, h.file(t, "tokens", text))
			o.want(t, statusDone, counts{Imported: n, Lines: n})
			if !strings.Contains(o.err, fmt.Sprintf("going on after line %d", batchRecords)) {
				t.Errorf("it says:\n%s", o.err)
			}
		})
	}
}

// What an earlier import has rejected is kept.
func TestRejectsAreMovedAside(t *testing.T) {
	h := newHouse(t)
	if err := os.WriteFile(h.rejects(), []byte("earlier\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	h.run(t, strings.NewReader(pairLines(1)))
	kept, err := filepath.Glob(h.rejects() + ".*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	if text, _ := os.ReadFile(kept[0]); string(text) != "earlier\n" {
		t.Errorf("%q is kept", text)
	}
}
