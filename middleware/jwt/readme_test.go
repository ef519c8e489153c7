package jwt

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ostiary-go/ostiary/internal/readme"
)

func TestREADMEDefaults(t *testing.T) {
	readme.CheckDefaults(t, "jwt", map[string]any{"Leeway": defaultLeeway, "CacheSize": defaultCacheSize})
}

// The README's Go that is about this module builds as it stands there.
func TestREADMEBuilds(t *testing.T) {
	dir, err := os.MkdirTemp(".", "tmp-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := "package main\n\nimport (\n\"github.com/ostiary-go/ostiary/middleware\"\n\"github.com/ostiary-go/ostiary/middleware/jwt\"\n)\n\nfunc main() {\n"
	found := 0
	for _, lines := range readme.Go(t) {
		if strings.Contains(lines, "jwt.New(") {
			program += "{\n" + lines + "_ = protect\n}\n"
			found++
		}
	}
	if found == 0 {
		t.Fatal("the README doesn't show it")
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program+"}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", os.DevNull, "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
