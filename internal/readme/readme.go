// Package readme reads the project's README for tests that hold it against the code.
package readme

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// Defaults returns the table of defaults: option to value. The test runs in a folder below the root.
func Defaults(t *testing.T) map[string]string {
	t.Helper()
	defaults := make(map[string]string)
	for line := range strings.Lines(read(t)) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[2], " `") {
			defaults[strings.Trim(cells[2], " `")] = strings.TrimSpace(cells[3])
		}
	}
	return defaults
}

// Go returns the blocks of Go.
func Go(t *testing.T) []string {
	t.Helper()
	var blocks []string
	for i, part := range strings.Split(read(t), "```") {
		if code, ok := strings.CutPrefix(part, "go\n"); ok && i%2 == 1 {
			blocks = append(blocks, code)
		}
	}
	return blocks
}

func read(t *testing.T) string {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for {
		b, err := os.ReadFile(filepath.Join(dir, "README.md"))
		if err == nil {
			return string(b)
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no README.md above this folder")
		}
		dir = filepath.Dir(dir)
	}
}
