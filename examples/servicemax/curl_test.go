//go:build unix

package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/examples/internal/process"
)

// c3 is the curl line of ServiceMax' documentation as it is printed there.
const c3 = `curl https://mydomain.io/sec/auth/token -d "grant_type=refresh_token&client_id=57d22b28e0c5962541889195&refresh_token="`

func TestMain(m *testing.M) { process.Main(m, main) }

// program is the example, running.
type program struct {
	*process.Process
	refresh, whoami, revoke string // the lines that it printed
	base, token, access     string // what stands in them
}

var printed = regexp.MustCompile(`^(?:# user w1, password \S+
# user w2, password \S+
)?curl (http://127\.0\.0\.1:\d+)/sec/auth/token -d "grant_type=refresh_token&client_id=57d22b28e0c5962541889195&refresh_token=(ostr_[\w-]{70})"
curl http://127\.0\.0\.1:\d+/api/whoami -H "Authorization: Bearer (osta_[\w-]{70})"
curl http://127\.0\.0\.1:\d+/sec/auth/token/revoke -d "token=ostr_[\w-]{70}&client_id=57d22b28e0c5962541889195"
$`)

// start runs the example until it has printed its lines.
func start(t *testing.T, db string) *program {
	t.Helper()
	p := &program{Process: process.Start(t, db)}
	found := printed.FindStringSubmatch(p.Printed)
	if found == nil {
		t.Fatalf("printed\n%s", p.Printed)
	}
	p.base, p.token, p.access = found[1], found[2], found[3]
	lines := strings.SplitAfter(p.Printed[strings.Index(p.Printed, "curl "):], "\n")
	p.refresh, p.whoami, p.revoke = lines[0], lines[1], lines[2]
	return p
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
	const itIsW1 = "{\"client_id\":\"57d22b28e0c5962541889195\",\"scope\":\"token\",\"sub\":\"w1\"}\n\nHTTP 200\n"

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
	p.Stop(t)

	file, err := os.ReadFile(db)
	if err != nil {
		t.Fatal(err)
	}
	for _, token := range shows {
		if bytes.Contains(file, []byte(token)) || strings.Contains(p.Log.String(), token) {
			t.Errorf("%s is in the file or the log", token)
		}
	}
}

// Each start prints a pair of its own; those of earlier starts live on. All lines can be pasted at once.
func TestLaterStarts(t *testing.T) {
	db := filepath.Join(t.TempDir(), "servicemax.db")
	first := start(t, db)
	first.Stop(t)
	second := start(t, db)
	defer second.Stop(t)
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

func TestCannotStart(t *testing.T) { process.CannotStart(t, "servicemax") }
