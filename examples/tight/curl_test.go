//go:build unix

package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/examples/internal/process"
)

// The lines of the documentation.
const (
	docs = "https://sandbox.hurdlr.com"
	c1   = `curl --request POST --url https://sandbox.hurdlr.com/rest/v4/auth/token --header 'Authorization: Bearer <token>' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id= --data client_secret= --data grant_type=refresh_token --data refresh_token= --data code= --data userId=`
	c2   = `curl --request POST --url https://sandbox.hurdlr.com/rest/v5/accountant/token --header 'Authorization: Bearer <token>' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id= --data client_secret= --data grant_type= --data refresh_token= --data code= --data userId=`
	c4   = `curl --request POST --url https://sandbox.hurdlr.com/rest/v5/auth/token --header 'Authorization: Bearer <token>' --header 'Content-Type: application/x-www-form-urlencoded' --data client_id= --data client_secret= --data grant_type= --data refresh_token= --data code= --data userId=`
	c4b  = `curl --request POST --url https://sandbox.hurdlr.com/rest/v5/accountant/userToken --header 'Authorization: Bearer <token>' --header 'Content-Type: application/x-www-form-urlencoded' --data userId=`
)

// filled is a line with another host, a bearer token, and values, as name=value, in its blanks.
func filled(line, url, bearer string, values ...string) string {
	line = strings.Replace(line, docs, url, 1)
	line = strings.Replace(line, "<token>", bearer, 1)
	for _, v := range values {
		blank := v[:strings.Index(v, "=")+1]
		line = strings.Replace(line+" ", " "+blank+" ", " "+v+" ", 1)
		line = strings.TrimSuffix(line, " ")
	}
	return line
}

func TestMain(m *testing.M) { process.Main(m, main) }

// program is a server that runs.
type program struct{ *process.Process }

func launch(t *testing.T, db string) program {
	t.Helper()
	return program{process.Start(t, db)}
}

// one is the one string of that shape in what was printed.
func (p program) one(t *testing.T, shape string) string {
	t.Helper()
	found := regexp.MustCompile(shape).FindStringSubmatch(p.Printed)
	if found == nil {
		t.Fatalf("no %s in:\n%s", shape, p.Printed)
	}
	return found[1]
}

// run is a line as it is, in a shell, with the curl of this machine. Only where it finds its settings is
// ours: they make it show the status.
func run(t *testing.T, line string) (status int, members map[string]any) {
	t.Helper()
	home := t.TempDir()
	settings := "silent\nshow-error\nnoproxy = \"*\"\nwrite-out = \"\\n%{http_code}\"\n"
	if err := os.WriteFile(filepath.Join(home, ".curlrc"), []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command("sh", "-c", line)
	cmd.Env = append(os.Environ(), "CURL_HOME="+home, "HOME="+home)
	out, err := cmd.CombinedOutput()
	last := max(strings.LastIndex(string(out), "\n"), 0)
	if _, scanned := fmt.Sscan(string(out[last:]), &status); err != nil || scanned != nil {
		t.Fatalf("%s\n%v: %s", line, err, out)
	}
	if err := json.Unmarshal(out[:last], &members); err != nil {
		t.Fatalf("%s\n%v: %s", line, err, out)
	}
	return status, members
}

// pair fails unless the line brings five members, with a new pair, or four, with an access token alone.
func pair(t *testing.T, line string, size int) (access, refresh string) {
	t.Helper()
	status, members := run(t, line)
	access, _ = members["access_token"].(string)
	refresh, _ = members["refresh_token"].(string)
	if status != 200 || len(members) != size || !tokenShape.MatchString(access) || size == 5 != tokenShape.MatchString(refresh) {
		t.Fatalf("%s\n%d %v", line, status, members)
	}
	return access, refresh
}

func refusal(t *testing.T, line string, status int, code string) {
	t.Helper()
	if got, members := run(t, line); got != status || members["error"] != code {
		t.Errorf("%s\nwant %d %s, got %d %v", line, status, code, got, members)
	}
}

func (p program) whoami(t *testing.T, access, sub string) {
	t.Helper()
	status, members := run(t, "curl "+p.URL+"/api/whoami --header 'Authorization: Bearer "+access+"'")
	if status != 200 || members["sub"] != sub || members["client_id"] != "acme" {
		t.Errorf("want %s, got %d %v", sub, status, members)
	}
}

// What the first start prints are the lines of the documentation, filled, and each does what it says.
func TestPrintedLines(t *testing.T) {
	p := launch(t, filepath.Join(t.TempDir(), "tight.db"))
	defer p.Stop(t)
	secret := "client_secret=" + p.one(t, `client_secret=([\w-]{43}) `)
	bearer, refresh := p.one(t, `Bearer ([0-9a-f.]{97})'`), p.one(t, `refresh_token=([0-9a-f.]{97}) `)
	accountant := p.one(t, `userToken --header 'Authorization: Bearer ([0-9a-f.]{97})'`)
	onBehalf := []string{"client_id=acme", secret, "grant_type=client_credentials"}
	want := []struct {
		line, sub string
		members   int
	}{
		{filled(c1, p.URL, bearer, "client_id=acme", secret, "refresh_token="+refresh), "user:u1", 5},
		{filled(c2, p.URL, bearer, append(onBehalf, "userId=a1")...), "accountant:a1", 5},
		{filled(c4, p.URL, bearer, append(onBehalf, "userId=u2")...), "user:u2", 5},
		{filled(c4b, p.URL, accountant, "userId=u1"), "user:u1", 4},
	}
	var printed []string
	for line := range strings.Lines(p.Printed) {
		if strings.HasPrefix(line, "curl --request POST ") {
			printed = append(printed, strings.TrimSuffix(line, "\n"))
		}
	}
	if len(printed) != len(want) {
		t.Fatalf("printed %d lines:\n%s", len(printed), p.Printed)
	}
	for i, w := range want {
		if printed[i] != w.line {
			t.Fatalf("printed\n%s\nwant\n%s", printed[i], w.line)
		}
		access, _ := pair(t, printed[i], w.members)
		p.whoami(t, access, w.sub)
	}
	whoami := p.one(t, `\n(curl --url .*/api/whoami .*)\n`)
	if status, members := run(t, whoami); status != 200 || members["sub"] != "user:u1" {
		t.Errorf("%s\n%d %v", whoami, status, members)
	}
	for _, token := range []string{secret, bearer, refresh, accountant} {
		if strings.Contains(p.Log.String(), token) {
			t.Errorf("the log has %q", token)
		}
	}
}

// G-01: the token lines filled from one refresh token and its successors, with any word as bearer.
func TestFilledLines(t *testing.T) {
	p := launch(t, filepath.Join(t.TempDir(), "tight.db"))
	defer p.Stop(t)
	secret, refresh := p.one(t, `(client_secret=[\w-]{43}) `), p.one(t, `refresh_token=([0-9a-f.]{97}) `)
	for _, line := range []string{c1, c2, c4} {
		var access string
		access, refresh = pair(t, filled(line, p.URL, "word", "client_id=acme", secret, "grant_type=refresh_token", "refresh_token="+refresh), 5)
		p.whoami(t, access, "user:u1")
	}
}

// G-18 and G-26: the lines as they are printed in the documentation, blanks and all, on another host.
func TestBlankLines(t *testing.T) {
	p := launch(t, filepath.Join(t.TempDir(), "tight.db"))
	defer p.Stop(t)
	for _, row := range []struct {
		line   string
		status int
		code   string
	}{
		{c1, 401, "invalid_client"},
		{c2, 400, "invalid_request"},
		{c4, 400, "invalid_request"},
		{c4b, 401, "invalid_token"},
	} {
		refusal(t, strings.Replace(row.line, docs, p.URL, 1), row.status, row.code)
	}
}

// A later start gives nothing away, says how to begin anew, and honours what was given out.
func TestLaterStart(t *testing.T) {
	db := filepath.Join(t.TempDir(), "tight.db")
	first := launch(t, db)
	secret, refresh := first.one(t, `(client_secret=[\w-]{43}) `), first.one(t, `refresh_token=([0-9a-f.]{97}) `)
	first.Stop(t)
	second := launch(t, db)
	defer second.Stop(t)
	if second.Printed != "" || !strings.Contains(second.Log.String(), "another -db begins anew") {
		t.Errorf("printed %q; %s", second.Printed, second.Log)
	}
	access, _ := pair(t, filled(c1, second.URL, "word", "client_id=acme", secret, "refresh_token="+refresh), 5)
	second.whoami(t, access, "user:u1")
}

func TestCannotStart(t *testing.T) { process.CannotStart(t, "tight") }
