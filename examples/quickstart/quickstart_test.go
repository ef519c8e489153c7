//go:build unix

package main

import (
	"bytes"
	"encoding/base64"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/examples/internal/process"
)

func TestMain(m *testing.M) {
	os.Unsetenv("CLIENT_SECRET")
	process.Main(m, main)
}

// program is a quickstart that runs.
type program struct {
	*process.Process
	block string // what it printed
}

func start(t *testing.T, db string, flags ...string) *program {
	t.Helper()
	p := process.Start(t, db, flags...)
	return &program{p, p.Printed}
}

// value is what the block assigns to a variable.
func (p *program) value(name string) string {
	return regexp.MustCompile(`(?m)^` + name + `=(.*)$`).FindStringSubmatch(p.block)[1]
}

// with is the block with another value for a variable.
func (p *program) with(name, value string) string {
	return strings.Replace(p.block, "\n"+name+"="+p.value(name)+"\n", "\n"+name+"="+value+"\n", 1)
}

// saved runs a block from a file, as a reader who saved it does. It returns what was shown and the status.
func saved(t *testing.T, block string, env ...string) (string, int) {
	t.Helper()
	return runIn(t, "sh", block, env...)
}

func runIn(t *testing.T, shell, block string, env ...string) (string, int) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "try.sh")
	if err := os.WriteFile(path, []byte(block), 0o600); err != nil {
		t.Fatal(err)
	}
	words := append(strings.Fields(shell), path)
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Env = append(os.Environ(), env...)
	out, err := cmd.CombinedOutput()
	if err != nil && cmd.ProcessState == nil {
		t.Fatal(err)
	}
	return string(out), cmd.ProcessState.ExitCode()
}

// pasted feeds a block to an interactive shell, then asks it whether it is still there. It returns what
// was shown.
func pasted(t *testing.T, shell, block string) string {
	t.Helper()
	words := append(strings.Fields(shell), "-i")
	cmd := exec.Command(words[0], words[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // not the terminal of go test
	cmd.Env = append(os.Environ(), "HOME="+t.TempDir())
	cmd.Stdin = strings.NewReader(block + "echo still here with $?\n")
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Errorf("%v", err)
	}
	return string(out)
}

// shells are those of a few kinds that this machine has.
func shells() (found []string) {
	for _, shell := range []string{"sh", "dash", "bash", "zsh", "mksh", "busybox sh"} {
		if _, err := exec.LookPath(strings.Fields(shell)[0]); err == nil {
			found = append(found, shell)
		}
	}
	return found
}

func TestWalkthrough(t *testing.T) {
	db := filepath.Join(t.TempDir(), "quickstart.db")
	p := start(t, db)
	out, status := saved(t, p.block)
	if status != 0 || !strings.HasSuffix(out, "All as expected.\n") {
		t.Fatalf("status %d\n%s\n%s", status, out, p.Log)
	}
	p.Stop(t)

	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	tokens := regexp.MustCompile(`ost[a-z]_[\w-]{70}`).FindAllString(p.block+out, -1)
	slices.Sort(tokens)
	if tokens = slices.Compact(tokens); len(tokens) != 6 { // two pairs, and two of the client's own
		t.Errorf("the walkthrough shows %d tokens", len(tokens))
	}
	secrets := append(tokens, p.value("CLIENT_SECRET"))
	for _, token := range tokens {
		decoded, err := base64.RawURLEncoding.DecodeString(token[len("osta_"):])
		if err != nil {
			t.Fatal(err)
		}
		secrets = append(secrets, string(decoded[16:32]), string(decoded[32:48])) // between the grant's ID and the checksum
	}
	for _, s := range secrets {
		if bytes.Contains(file, []byte(s)) || strings.Contains(p.Log.String(), s) {
			t.Errorf("%q is in the file or the log", s)
		}
	}
}

// The block is the three lines that a reader looks for, and shell that survives being pasted: a terminal
// completes at a tab, and an interactive shell looks up history at an exclamation mark.
func TestBlock(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
	defer p.Stop(t)
	if !regexp.MustCompile(`^BASE=http://127\.0\.0\.1:\d+\nCLIENT_ID=demo\nCLIENT_SECRET=[\w-]{43}\n`).MatchString(p.block) {
		t.Errorf("the block begins with %.150q", p.block)
	}
	if !strings.HasSuffix(p.block, "\nEND\n") {
		t.Errorf("the block ends with %q", p.block[len(p.block)-100:])
	}
	if at := strings.IndexAny(p.block, "\t!"); at >= 0 {
		t.Errorf("the block has %q", p.block[at])
	}
}

// Every shell takes the block, also as the one that does what is in it.
func TestShells(t *testing.T) {
	for _, shell := range shells() {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
			defer p.Stop(t)
			block := strings.Replace(p.block, "\nsh <<'END'\n", "\n"+shell+" <<'END'\n", 1)
			if out, status := runIn(t, shell, block); status != 0 || !strings.HasSuffix(out, "All as expected.\n") {
				t.Errorf("status %d\n%s", status, out)
			}
		})
	}
}

// The block fails where anything isn't as it says: at its beginning, in the middle and at its end, in
// the status and in the text.
func TestWalkthroughFails(t *testing.T) {
	for _, wrong := range [][2]string{
		{`expect 200 '"expires_in":900'`, `expect 201 '"expires_in":900'`},
		{`expect 200 '"expires_in":900'`, `expect 200 '"expires_in":901'`},
		{"expect 401 'Bearer", "expect 402 'Bearer"},
		{"expect 403 insufficient_scope", "expect 403 invalid_token"},
		{"expect 400 invalid_grant", "expect 200 invalid_grant"},
		{"ALICE_REFRESH_2=$(", "ALICE_REFRESH_2=x$("},
	} {
		t.Run(wrong[1], func(t *testing.T) {
			t.Parallel()
			p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
			defer p.Stop(t)
			block := strings.Replace(p.block, wrong[0], wrong[1], 1)
			out, status := saved(t, block)
			if block == p.block || status == 0 || !strings.Contains(out, "NOT AS EXPECTED") || strings.Contains(out, "All as expected") {
				t.Errorf("status %d\n%s", status, out)
			}
		})
	}
}

// Pasted into a terminal the block never closes it, whether all goes well or not.
func TestPastedBlockLeavesTheShellOpen(t *testing.T) {
	for _, shell := range shells() {
		t.Run(shell, func(t *testing.T) {
			t.Parallel()
			p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
			for _, try := range []struct{ block, shows, status string }{
				{p.with("CLIENT_SECRET", "${CLIENT_SECRET-}"), "Set CLIENT_SECRET", "1"},
				{p.with("CLIENT_SECRET", "wrong"), "NOT AS EXPECTED", "1"},
				{p.block, "All as expected.", "0"},
			} {
				if out := pasted(t, shell, try.block); !strings.Contains(out, try.shows) || !strings.Contains(out, "still here with "+try.status+"\n") {
					t.Errorf("want %q and status %s:\n%s", try.shows, try.status, out)
				}
			}
			p.Stop(t)
			if out := pasted(t, shell, p.block); !strings.Contains(out, "still here with 1\n") {
				t.Errorf("without a server:\n%s", out)
			}
		})
	}
}

// The block knows where to find the server, also where it listens on every address.
func TestAddresses(t *testing.T) {
	for addr, base := range map[string]string{
		":0":          "http://localhost:",
		"0.0.0.0:0":   "http://localhost:",
		"localhost:0": "http://",
		"[::1]:0":     "http://[::1]:",
	} {
		t.Run(addr, func(t *testing.T) {
			if l, err := net.Listen("tcp", addr); err != nil {
				t.Skip(err)
			} else {
				l.Close()
			}
			p := start(t, filepath.Join(t.TempDir(), "quickstart.db"), "-addr", addr)
			defer p.Stop(t)
			url := p.value("BASE")
			out, err := exec.Command("curl", "--noproxy", "*", "-sS", "-i", url+"/orders").CombinedOutput()
			if !strings.HasPrefix(url, base) || !strings.HasPrefix(string(out), "HTTP/1.1 401 ") {
				t.Errorf("BASE=%s: %v\n%s", url, err, out)
			}
		})
	}
}

func TestLaterStarts(t *testing.T) {
	db := filepath.Join(t.TempDir(), "quickstart.db")
	first := start(t, db)
	secret := first.value("CLIENT_SECRET")
	first.Stop(t)

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
	second.Stop(t)

	third := start(t, db, "-new-secret")
	if out, status := saved(t, third.with("CLIENT_SECRET", secret)); status == 0 || !strings.Contains(out, "invalid_client") {
		t.Errorf("with the replaced secret: status %d\n%s", status, out)
	}
	if out, status := saved(t, third.block); status != 0 {
		t.Errorf("with the new secret: status %d\n%s", status, out)
	}
	third.Stop(t)
}

func TestCannotStart(t *testing.T) { process.CannotStart(t, "quickstart") }

// A request that is under way when SIGTERM comes is answered.
func TestFinishesRequests(t *testing.T) {
	p := start(t, filepath.Join(t.TempDir(), "quickstart.db"))
	base, secret := strings.TrimPrefix(p.value("BASE"), "http://"), p.value("CLIENT_SECRET")
	body, write := io.Pipe()
	r, err := http.NewRequest("POST", "http://"+base+"/oauth/token", body)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Expect", "100-continue") // which comes when the handler reads: the body then begins
	r.SetBasicAuth("demo", secret)
	client := &http.Client{Transport: &http.Transport{ExpectContinueTimeout: time.Minute}}
	answered := make(chan int, 1)
	go func() {
		res, err := client.Do(r)
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	io.WriteString(write, "grant_type=client_")
	p.Cmd.Process.Signal(syscall.SIGTERM)
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
	p.Ends(t)
}
