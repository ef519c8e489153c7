package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// acknowledgedBeforeOnDisk runs both file stores in a program that is built with copies of bbolt and
// buntdb which note each sync that they have made.
func acknowledgedBeforeOnDisk(t *testing.T) {
	program := buildNotingSyncs(t)
	for _, c := range []struct {
		side    string
		durable bool
	}{{"upstream", false}, {"ours", true}} {
		var stderr strings.Builder
		cmd := exec.Command(program, c.side, filepath.Join(t.TempDir(), "tokens.db"))
		cmd.Stderr = &stderr
		if err := cmd.Run(); err != nil {
			t.Fatalf("%s: %v\n%s", c.side, err, stderr.String())
		}
		_, log, ready := strings.Cut(stderr.String(), "ready\n")
		answers := strings.SplitAfter(log, "answer\n")
		answers = answers[:len(answers)-1] // what comes after the last one
		synced := 0
		for _, answer := range answers {
			if strings.Contains(answer, "sync\n") {
				synced++
			}
		}
		t.Logf("%s: %d of %d answers came after a sync, %d syncs", c.side, synced, len(answers), strings.Count(log, "sync\n"))
		if !ready || len(answers) != 10 || (synced == len(answers)) != c.durable {
			t.Errorf("%s: want a sync before each answer: %t\n%s", c.side, c.durable, stderr.String())
		}
	}
}

// buildNotingSyncs builds internal/acknowledge in a workspace of its own, with the modules and
// versions of the test but for the two that it alters.
func buildNotingSyncs(t *testing.T) (program string) {
	t.Helper()
	dir := t.TempDir()
	program = filepath.Join(dir, "acknowledge")
	work := append([]string{"work", "init"}, strings.Split(goTool(t, ".", "list", "-m", "-f", "{{.Dir}}"), "\n")...)
	goTool(t, dir, work...)
	if file := goTool(t, ".", "env", "GOWORK"); file != "off" && file != "" {
		if sums, err := os.ReadFile(file + ".sum"); err == nil {
			write(t, filepath.Join(dir, "go.work.sum"), sums)
		}
	}
	for _, m := range []struct{ module, file, sync string }{
		{"go.etcd.io/bbolt", "tx.go", `fdatasync\(tx\.db\)`},
		{"github.com/tidwall/buntdb", "buntdb.go", `[\w.]+\.file\.Sync\(\)`},
	} {
		noting := filepath.Join(dir, filepath.Base(m.module))
		if err := os.CopyFS(noting, os.DirFS(goTool(t, ".", "list", "-m", "-f", "{{.Dir}}", m.module))); err != nil {
			t.Fatal(err)
		}
		file, sync := filepath.Join(noting, m.file), regexp.MustCompile(m.sync)
		source := read(t, file)
		if !sync.Match(source) {
			t.Fatalf("%s of %s has no %s", m.file, m.module, m.sync)
		}
		write(t, file, sync.ReplaceAll(source, []byte(`func() error { err := $0; println("sync"); return err }()`)))
		goTool(t, dir, "work", "edit", "-replace="+m.module+"="+noting)
	}
	goTool(t, dir, "build", "-o", program, "github.com/ostiary-go/ostiary/interop/internal/acknowledge")
	return program
}

func write(t *testing.T, path string, content []byte) {
	t.Helper()
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// goTool runs the go command in dir and returns what it prints. Elsewhere than here it uses, or makes,
// the workspace in dir.
func goTool(t *testing.T, dir string, args ...string) string {
	t.Helper()
	cmd := exec.Command("go", args...)
	cmd.Dir = dir
	if dir != "." {
		cmd.Env = append(os.Environ(), "GOWORK="+filepath.Join(dir, "go.work"))
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go %s: %v\n%s", strings.Join(args, " "), err, stderr.String())
	}
	return strings.TrimSpace(string(out))
}
