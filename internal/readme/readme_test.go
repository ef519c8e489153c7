package readme

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// The README's Go builds as it stands there. What is no whole program is put behind the first one's run.
func TestGoBuilds(t *testing.T) {
	blocks := Go(t)
	if len(blocks) < 2 || !strings.HasPrefix(blocks[0], "package main") {
		t.Fatalf("%d blocks of Go", len(blocks))
	}
	dir, err := os.MkdirTemp(".", "tmp-")
	if err != nil {
		t.Fatal(err)
	}
	defer os.RemoveAll(dir)
	program := blocks[0]
	for _, lines := range blocks[1:] {
		program += "\nfunc further(ctx context.Context, manager *grants.Manager) error {\n" + lines + "\n_, _ = pair, n\nreturn err\n}\n"
	}
	if err := os.WriteFile(filepath.Join(dir, "main.go"), []byte(program), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", os.DevNull, "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
