package interop_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// alteration is what a test needs otherwise in a module that we use.
type alteration struct {
	module, file string
	alter        func(t *testing.T, file string) // in a copy of the module
}

// withAltered runs the go command in a workspace of its own, with the modules and versions of the test
// but for those that it alters.
func withAltered(t *testing.T, alterations []alteration, args ...string) {
	t.Helper()
	dir := t.TempDir()
	work := append([]string{"work", "init"}, strings.Split(goTool(t, ".", "list", "-m", "-f", "{{.Dir}}"), "\n")...)
	goTool(t, dir, work...)
	if file := goTool(t, ".", "env", "GOWORK"); file != "off" && file != "" {
		if sums, err := os.ReadFile(file + ".sum"); err == nil {
			write(t, filepath.Join(dir, "go.work.sum"), sums)
		}
	}
	for _, a := range alterations {
		altered := filepath.Join(dir, filepath.Base(a.module))
		if err := os.CopyFS(altered, os.DirFS(goTool(t, ".", "list", "-m", "-f", "{{.Dir}}", a.module))); err != nil {
			t.Fatal(err)
		}
		a.alter(t, filepath.Join(altered, a.file))
		goTool(t, dir, "work", "edit", "-replace="+a.module+"="+altered)
	}
	goTool(t, dir, args...)
}

// alter replaces what matches in a file, in so many places; -1: in one at least.
func alter(t *testing.T, file string, match *regexp.Regexp, places int, by string) {
	t.Helper()
	source := read(t, file)
	if n := len(match.FindAllIndex(source, -1)); n == 0 || places >= 0 && n != places {
		t.Fatalf("%s has %v in %d places", filepath.Base(file), match, n)
	}
	write(t, file, match.ReplaceAll(source, []byte(by)))
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
