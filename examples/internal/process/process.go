//go:build unix

// Package process runs an example as a process of its own, for the example's tests.
package process

import (
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

const asProgram = "OSTIARY_EXAMPLE_AS_PROGRAM"

// Main is for TestMain: the tests or, in a process that Start has begun, the example's main.
func Main(m *testing.M, main func()) {
	if os.Getenv(asProgram) != "" {
		os.Unsetenv(asProgram)
		main()
		return
	}
	if _, err := exec.LookPath("curl"); err != nil {
		fmt.Fprintln(os.Stderr, "these tests need curl:", err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Process is an example that runs.
type Process struct {
	*exec.Cmd
	URL     string // where it serves
	Printed string // on standard output, before it began to
	Log     *bytes.Buffer

	rest   io.Reader // of the log
	output string    // file
}

func command(flags ...string) *exec.Cmd {
	cmd := exec.Command(os.Args[0], flags...)
	cmd.Env = append(os.Environ(), asProgram+"=yes")
	return cmd
}

var serving = regexp.MustCompile(`serving until Ctrl-C url=(\S+)`)

// Start runs the example on a free port, unless flags say otherwise, until it says that it serves. db is ""
// for one that keeps nothing.
func Start(t *testing.T, db string, flags ...string) *Process {
	t.Helper()
	if db != "" {
		flags = append([]string{"-db", db}, flags...)
	}
	return start(t, command(append([]string{"-addr", "127.0.0.1:0"}, flags...)...))
}

// StartOther is Start for the example of another folder.
func StartOther(t *testing.T, dir, db string, flags ...string) *Process {
	t.Helper()
	program := filepath.Join(t.TempDir(), filepath.Base(dir))
	if out, err := exec.Command("go", "build", "-o", program, dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	return start(t, exec.Command(program, append([]string{"-addr", "127.0.0.1:0", "-db", db}, flags...)...))
}

func start(t *testing.T, cmd *exec.Cmd) *Process {
	t.Helper()
	p := &Process{Log: new(bytes.Buffer), Cmd: cmd, output: filepath.Join(t.TempDir(), "printed")}
	out, err := os.Create(p.output)
	if err != nil {
		t.Fatal(err)
	}
	defer out.Close()
	p.Stdout = out
	if p.rest, err = p.StderrPipe(); err != nil {
		t.Fatal(err)
	}
	if err := p.Cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { p.Cmd.Process.Kill() })
	for buffer := make([]byte, 1<<12); p.URL == ""; {
		n, err := p.rest.Read(buffer)
		p.Log.Write(buffer[:n])
		if found := serving.FindStringSubmatch(p.Log.String()); found != nil {
			p.URL = found[1]
		} else if err != nil {
			t.Fatalf("%v: %s", err, p.Log)
		}
	}
	p.Printed = p.printed(t)
	return p
}

func (p *Process) printed(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile(p.output)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// Stop ends the example as Ctrl-C does, and fails unless it ends well.
func (p *Process) Stop(t *testing.T) {
	t.Helper()
	p.Cmd.Process.Signal(os.Interrupt)
	p.Ends(t)
}

// Ends waits for an end with status 0, up to which nothing more was printed.
func (p *Process) Ends(t *testing.T) {
	t.Helper()
	io.Copy(p.Log, p.rest)
	if err := p.Cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, p.Log)
	}
	if all := p.printed(t); all != p.Printed {
		t.Errorf("also printed %q", strings.TrimPrefix(all, p.Printed))
	}
}

// CannotStart fails unless an example that can't start says why on one line under its name, with status 1
// and nothing printed, and leaves every file as it was.
func CannotStart(t *testing.T, name string) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	dir := t.TempDir()
	held, text, absent := filepath.Join(dir, "held.db"), filepath.Join(dir, "text.db"), filepath.Join(dir, "absent.db")
	defer Start(t, held).Stop(t)
	if err := os.WriteFile(text, []byte("recipes"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, try := range []struct {
		name   string
		flags  []string
		status int
		says   string
	}{
		{"port", []string{"-addr", taken.Addr().String(), "-db", absent}, 1, "address already in use (-addr "},
		{"address", []string{"-addr", "nonsense", "-db", absent}, 1, "(-addr "},
		{"file", []string{"-addr", "127.0.0.1:0", "-db", held}, 1, "held.db: is held by another process (-db "},
		{"directory", []string{"-addr", "127.0.0.1:0", "-db", dir}, 1, "is a directory (-db "},
		{"text", []string{"-addr", "127.0.0.1:0", "-db", text}, 1, "text.db: is no bbolt file"},
		{"stray argument", []string{"-addr", "127.0.0.1:0", "-db", absent, "stray"}, 2, "\"stray\" is no option; -h shows them\n"},
	} {
		t.Run(try.name, func(t *testing.T) {
			var out, log bytes.Buffer
			cmd := command(try.flags...)
			cmd.Stdout, cmd.Stderr = &out, &log
			exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
			if !ok || exit.ExitCode() != try.status || out.Len() != 0 {
				t.Errorf("%v, printed %q", exit, &out)
			}
			if line := log.String(); strings.Count(line, "\n") != 1 || !strings.HasPrefix(line, name+": ") || !strings.Contains(line, try.says) {
				t.Errorf("says %q", line)
			}
		})
	}
	if content, err := os.ReadFile(text); string(content) != "recipes" {
		t.Errorf("text.db is now %q, %v", content, err)
	}
	if _, err := os.Stat(absent); err == nil {
		t.Error("absent.db was made, and with it a secret that nobody has seen")
	}
}

// Refuses fails unless the example, with these flags, ends with status 1 and that on standard error, under
// its name, and prints nothing.
func Refuses(t *testing.T, name, says string, flags ...string) {
	t.Helper()
	var out, log bytes.Buffer
	cmd := command(append([]string{"-addr", "127.0.0.1:0"}, flags...)...)
	cmd.Stdout, cmd.Stderr = &out, &log
	exit, ok := errors.AsType[*exec.ExitError](cmd.Run())
	if !ok || exit.ExitCode() != 1 || out.Len() != 0 || !strings.HasPrefix(log.String(), name+": ") || !strings.Contains(log.String(), says) {
		t.Errorf("%v, printed %q, says %q, want %q", exit, &out, &log, says)
	}
}
