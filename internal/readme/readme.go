// Package readme reads the project's README for tests that hold it against the code.
package readme

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// CheckDefaults holds the README's table of defaults against the constants of a package: option to value.
func CheckDefaults(t *testing.T, pkg string, constants map[string]any) {
	t.Helper()
	told := make(map[string]string)
	_, section, _ := strings.Cut(read(t), "\n## Defaults\n")
	section, _, _ = strings.Cut(section, "\n## ")
	for line := range strings.Lines(section) {
		if cells := strings.Split(line, "|"); len(cells) == 5 && strings.HasPrefix(cells[2], " `"+pkg+".") {
			told[strings.TrimPrefix(strings.Trim(cells[2], " `"), pkg+".")] = strings.TrimSpace(cells[3])
		}
	}
	for option, value := range constants {
		if told[option] != fmt.Sprint(value) {
			t.Errorf("%s.%s: the README says %q, the code %v", pkg, option, told[option], value)
		}
		delete(told, option)
	}
	for option := range told {
		t.Errorf("%s.%s: the README has it, and nothing holds it against the code", pkg, option)
	}
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
