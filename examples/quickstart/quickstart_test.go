//go:build unix

package main

import (
	"bytes"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"
)

var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "quickstart")
	if err != nil {
		panic(err)
	}
	binary = filepath.Join(dir, "quickstart")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		panic(string(out))
	}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// program is a quickstart that runs.
type program struct {
	*exec.Cmd
	block string // what it printed
	log   *bytes.Buffer
}

// start runs the quickstart on a free port until it has printed its block.
func start(t *testing.T, db string, flags ...string) *program {
	t.Helper()
	p := &program{Cmd: exec.Command(binary, append([]string{"-addr", "127.0.0.1:0", "-db", db}, flags...)...), log: new(bytes.Buffer)}
	out, err := p.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	p.Stderr = p.log
	if err := p.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Process.Kill() })
	buffer := make([]byte, 1<<16)
	for !strings.HasSuffix(p.block, "\nEND\n") {
		n, err := out.Read(buffer)
		p.block += string(buffer[:n])
		if err != nil {
			t.Fatalf("%v after %q; %s", err, p.block, p.log)
		}
	}
	return p
}

// stop ends the program as Ctrl-C does.
func (p *program) stop(t *testing.T) {
	t.Helper()
	p.Process.Signal(os.Interrupt)
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.log)
	}
}

// sh runs shell and returns what it printed and its status.
func sh(t *testing.T, script string, env ...string) (string, int) {
	t.Helper()
	cmd := exec.Command("sh")
	cmd.Stdin = strings.NewReader(script)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if exit, ok := errors.AsType[*exec.ExitError](err); err != nil && !ok {
		t.Fatal(err)
	} else if ok {
		return string(out), exit.ExitCode()
	}
	return string(out), 0
}

// saved runs a block from a file, as a reader who saved it does.
func saved(t *testing.T, block string, env ...string) (string, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "try.sh")
	if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	return sh(t, "sh "+path, env...)
}

func TestWalkthrough(t *testing.T) {
	db := filepath.Join(t.TempDir(), "quickstart.db")
	p := start(t, db)
	out, status := saved(t, p.block)
	if status != 0 || !strings.HasSuffix(out, "All as expected.\n") {
		t.Fatalf("status %d\n%s\n%s", status, out, p.log)
	}
	p.stop(t)

	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	secrets := regexp.MustCompile(`ost[a-z]_[A-Za-z0-9_-]{70}|(?m)^CLIENT_SECRET=(.*)$`).FindAllString(p.block+out, -1)
	if len(secrets) < 6 {
		t.Fatalf("the walkthrough shows %d secrets alone", len(secrets))
	}
	for _, s := range secrets {
		if s = strings.TrimPrefix(s, "CLIENT_SECRET="); bytes.Contains(file, []byte(s)) || strings.Contains(p.log.String(), s) {
			t.Errorf("%s is in the file or the log", s)
		}
	}
}

// The block can fail: with an expectation that is wrong, and without a server.
func TestWalkthroughFails(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
	if out, status := saved(t, strings.Replace(p.block, "expect 401 'Bearer", "expect 402 'Bearer", 1)); status == 0 || !strings.Contains(out, "NOT AS EXPECTED") {
		t.Errorf("status %d\n%s", status, out)
	}
	p.stop(t)
	if out, status := saved(t, p.block); status == 0 {
		t.Errorf("without a server\n%s", out)
	}
}

// Pasted into a terminal, the block never closes it, also when a check fails.
func TestPastedBlockLeavesTheShellOpen(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
	defer p.stop(t)
	for _, block := range []string{p.block, strings.Replace(p.block, "CLIENT_SECRET=", "CLIENT_SECRET=x", 1), regexp.MustCompile(`(?m)^CLIENT_SECRET=.*$`).ReplaceAllString(p.block, "CLIENT_SECRET=")} {
		if out, status := sh(t, block+"echo still here\n"); status != 0 || !strings.HasSuffix(out, "still here\n") {
			t.Errorf("status %d\n%s", status, out)
		}
	}
}

func TestLaterStarts(t *testing.T) {
	db := filepath.Join(t.TempDir(), "quickstart.db")
	first := start(t, db)
	secret := regexp.MustCompile(`(?m)^CLIENT_SECRET=(.*)$`).FindStringSubmatch(first.block)[1]
	first.stop(t)

	second := start(t, db)
	if strings.Contains(second.block, secret) {
		t.Error("the secret is known to the second start")
	}
	if out, status := saved(t, second.block); status == 0 || !strings.Contains(out, "Set CLIENT_SECRET") {
		t.Errorf("without the secret: status %d\n%s", status, out)
	}
	if out, status := saved(t, second.block, "CLIENT_SECRET="+secret); status != 0 {
		t.Errorf("with the secret: status %d\n%s", status, out)
	}
	second.stop(t)

	third := start(t, db, "-new-secret")
	old := regexp.MustCompile(`(?m)^CLIENT_SECRET=.*$`).ReplaceAllString(third.block, "CLIENT_SECRET="+secret)
	if out, status := saved(t, old); status == 0 || !strings.Contains(out, "invalid_client") {
		t.Errorf("with the replaced secret: status %d\n%s", status, out)
	}
	if out, status := saved(t, third.block); status != 0 {
		t.Errorf("with the new secret: status %d\n%s", status, out)
	}
	third.stop(t)
}

// What can't start says why on one line and ends with status 1.
func TestCannotStart(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	held := filepath.Join(t.TempDir(), "held.db")
	p := start(t, held)
	defer p.stop(t)
	text := filepath.Join(t.TempDir(), "text.db")
	os.WriteFile(text, []byte("recipes"), 0o600)
	for name, flags := range map[string][]string{
		"port":      {"-addr", taken.Addr().String(), "-db", filepath.Join(t.TempDir(), "x.db")},
		"file":      {"-addr", "127.0.0.1:0", "-db", held},
		"directory": {"-addr", "127.0.0.1:0", "-db", t.TempDir()},
		"text":      {"-addr", "127.0.0.1:0", "-db", text},
	} {
		var out, log bytes.Buffer
		cmd := exec.Command(binary, flags...)
		cmd.Stdout, cmd.Stderr = &out, &log
		exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
		if !ok || exit.ExitCode() != 1 || out.Len() != 0 || strings.Count(log.String(), "\n") != 1 || !strings.HasPrefix(log.String(), "quickstart: ") {
			t.Errorf("%s: %v, %q, %q", name, exit, &out, &log)
		}
	}
}

// A request that is under way when SIGTERM comes is answered.
func TestFinishesRequests(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
	base := regexp.MustCompile(`(?m)^BASE=http://(.*)$`).FindStringSubmatch(p.block)[1]
	secret := regexp.MustCompile(`(?m)^CLIENT_SECRET=(.*)$`).FindStringSubmatch(p.block)[1]
	body, write := io.Pipe()
	r, err := http.NewRequest("POST", "http://"+base+"/oauth/token", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("demo", secret)
	answered := make(chan int, 1)
	go func() {
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	io.WriteString(write, "grant_type=client_")
	other, err := new(http.Client).Get("http://" + base + "/orders") // answered: so the one before it was accepted
	if err != nil {
		t.Fatal(err)
	}
	other.Body.Close()
	p.Process.Signal(syscall.SIGTERM)
	for { // until it listens no more, it hasn't seen the signal
		conn, err := net.DialTimeout("tcp", base, time.Second)
		if err != nil {
			break
		}
		conn.Close()
	}
	io.WriteString(write, "credentials")
	write.Close()
	if status := <-answered; status != http.StatusOK {
		t.Errorf("answered %d", status)
	}
	if err := p.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.log)
	}
}
