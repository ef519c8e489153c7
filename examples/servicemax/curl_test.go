//go:build unix

package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// c3 is the curl line of ServiceMax' documentation as it is printed there.
const c3 = `curl https://mydomain.io/sec/auth/token -d "grant_type=refresh_token&client_id=57d22b28e0c5962541889195&refresh_token="`

// TestMain is the example itself where start asks for that: the real main, in a process of its own.
func TestMain(m *testing.M) {
	if os.Getenv("RUN_SERVICEMAX") != "" {
		main()
		return
	}
	if _, err := exec.LookPath("curl"); err != nil {
		fmt.Fprintln(os.Stderr, "these tests need curl:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// program is the example, running.
type program struct {
	*exec.Cmd
	refresh, whoami, revoke string // the lines that it printed
	base, token, access     string // what stands in them
	out                     *bufio.Reader
	log                     bytes.Buffer
}

func command(db, addr string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], "-addr", addr, "-db", db)
	cmd.Env = append(os.Environ(), "RUN_SERVICEMAX=1")
	return cmd
}

var printed = regexp.MustCompile(`^curl (http://127\.0\.0\.1:\d+)/sec/auth/token -d "grant_type=refresh_token&client_id=57d22b28e0c5962541889195&refresh_token=(ostr_[\w-]{70})"
curl http://127\.0\.0\.1:\d+/api/whoami -H "Authorization: Bearer (osta_[\w-]{70})"
curl http://127\.0\.0\.1:\d+/sec/auth/token/revoke -d "token=ostr_[\w-]{70}&client_id=57d22b28e0c5962541889195"
$`)

// start runs the example on a free port until it has printed its lines.
func start(t *testing.T, db string) *program {
	t.Helper()
	p := &program{Cmd: command(db, "127.0.0.1:0")}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.out, p.Stderr = bufio.NewReader(out), &p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	for _, line := range []*string{&p.refresh, &p.whoami, &p.revoke} {
		if *line, err = p.out.ReadString('\n'); err != nil {
			t.Fatalf("%v: %s", err, &p.log)
		}
	}
	found := printed.FindStringSubmatch(p.refresh + p.whoami + p.revoke)
	if found == nil {
		t.Fatalf("printed\n%s%s%s", p.refresh, p.whoami, p.revoke)
	}
	p.base, p.token, p.access = found[1], found[2], found[3]
	return p
}

// stop ends the example as Ctrl-C does: with status 0, and nothing but its lines printed.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.Process.Signal(os.Interrupt)
	if rest, _ := io.ReadAll(p.out); len(rest) > 0 {
		t.Errorf("also printed %q", rest)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, &p.log)
	}
}

// paste runs lines in a shell, as they are. What curl would not show or not do by itself is told to it
// by a file of settings.
func paste(t *testing.T, lines string) string {
	t.Helper()
	home := t.TempDir()
	settings := "silent\nshow-error\nmax-time = 20\nnoproxy = \"*\"\nwrite-out = \"\\nHTTP %{http_code}\\n\"\n"
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh")
	cmd.Env = append(os.Environ(), "HOME="+home, "CURL_HOME="+home)
	cmd.Stdin = strings.NewReader(lines)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return string(out)
}

var shownOKS = regexp.MustCompile(`^{"access_token":"([\w.~+/-]{43,}=*)","expires_in":86400,"token_type":"bearer"}\nHTTP 200\n$`)

func TestCurl(t *testing.T) {
	db := filepath.Join(t.TempDir(), "servicemax.db")
	p := start(t, db)
	at := func(token string) string { // C-3 for this server
		line := strings.Replace(c3, "https://mydomain.io", p.base, 1)
		return strings.TrimSuffix(line, `"`) + token + "\"\n"
	}
	whoami := func(access string) string {
		return paste(t, strings.Replace(p.whoami, p.access, access, 1))
	}
	const itIsW1 = "{\"client_id\":\"57d22b28e0c5962541889195\",\"sub\":\"w1\"}\n\nHTTP 200\n"

	if p.refresh != at(p.token) {
		t.Errorf("printed %q, the documentation has %q", p.refresh, c3)
	}
	if shown := paste(t, at("")); shown != `{"error":"invalid_request"}`+"\nHTTP 400\n" { // G-56
		t.Errorf("C-3 as printed: %s", shown)
	}
	shows := []string{p.token, p.access}
	for range 3 { // G-49
		for _, line := range []string{at(p.token), strings.Replace(at(p.token), "/sec/auth/token", "/auth/token", 1)} {
			found := shownOKS.FindStringSubmatch(paste(t, line))
			if found == nil {
				t.Fatalf("%s\n%s", line, paste(t, line))
			}
			shows = append(shows, found[1])
		}
	}
	for _, access := range shows[1:] {
		if shown := whoami(access); shown != itIsW1 {
			t.Errorf("whoami: %s", shown)
		}
	}
	if shown := paste(t, p.revoke); shown != "\nHTTP 200\n" {
		t.Errorf("revoke: %s", shown)
	}
	if shown := paste(t, at(p.token)); shown != `{"error":"invalid_token","error_description":"invalid token provided"}`+"\nHTTP 401\n" {
		t.Errorf("after revoke: %s", shown)
	}
	for _, access := range shows[1:] {
		if shown := whoami(access); !strings.HasSuffix(shown, "\nHTTP 401\n") {
			t.Errorf("whoami after revoke: %s", shown)
		}
	}
	p.stop(t)

	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range shows {
		if bytes.Contains(file, []byte(token)) || strings.Contains(p.log.String(), token) {
			t.Errorf("%s is in the file or the log", token)
		}
	}
}

// Each start prints a pair of its own; those of earlier starts live on. All lines can be pasted at once.
func TestLaterStarts(t *testing.T) {
	db := filepath.Join(t.TempDir(), "servicemax.db")
	first := start(t, db)
	first.stop(t)
	second := start(t, db)
	defer second.stop(t)
	if second.token == first.token {
		t.Error("the same pair")
	}
	for _, pair := range []*program{first, second} {
		lines := strings.ReplaceAll(pair.refresh+pair.whoami+pair.revoke, pair.base, second.base)
		if shown := paste(t, lines); strings.Count(shown, "HTTP 200") != 3 {
			t.Errorf("%s\n%s", lines, shown)
		}
		if shown := paste(t, lines); strings.Count(shown, "HTTP 401") != 2 { // nothing left to refresh or to show
			t.Errorf("again: %s", shown)
		}
	}
}

// What can't start says why on one line, ends with status 1 and leaves no file behind.
func TestCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	held, text, absent := filepath.Join(dir, "held.db"), filepath.Join(dir, "text.db"), filepath.Join(dir, "absent.db")
	p := start(t, held)
	defer p.stop(t)
	if err := os.WriteFile(text, []byte("recipes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct{ name, addr, db, says string }{
		{"port", taken.Addr().String(), absent, "address already in use (-addr "},
		{"file", "127.0.0.1:0", held, "held.db: is held by another process (-db "},
		{"text", "127.0.0.1:0", text, "text.db: is no bbolt file"},
	} {
		t.Run(try.name, func(t *testing.T) {
			var out, log bytes.Buffer
			cmd := command(try.db, try.addr)
			cmd.Stdout, cmd.Stderr = &out, &log
			exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
			if !ok || exit.ExitCode() != 1 || out.Len() != 0 {
				t.Errorf("%v, printed %q", exit, &out)
			}
			if line := log.String(); strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, "servicemax: ") || !strings.Contains(line, try.says) {
				t.Errorf("says %q", line)
			}
		})
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("absent.db was made")
	}
}
