package readme

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var declaration = regexp.MustCompile(`(?m)^([a-zA-Z, ]+) :?= `)

// The README's Go builds as it stands there. What is no whole program is the body of a function beside the
// first one, which is.
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
	further := `package main

import (
	"context"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

var (
	_, _ = introspect.New, os.Getenv
	_, _, _ = time.Hour, url.QueryEscape, middleware.Token // not every block uses everything
	sum storage.Digest
	mux = http.NewServeMux()
	sessions application
	_ handler.User
)

// application is what the reader has.
type application struct{}

type account struct { ID, Name string; SignedInAt time.Time }

func (application) User(*http.Request) *account { return nil }
`
	for i, lines := range blocks[1:] {
		if strings.Contains(lines, "jwt.New(") { // of another module, whose tests build it
			continue
		}
		further += fmt.Sprintf("\nfunc further%d(ctx context.Context, store *bolt.Store, manager *grants.Manager) {\n{ // a scope of its own\n%s\n", i, lines)
		for _, names := range declaration.FindAllStringSubmatch(lines, -1) {
			further += "use(" + names[1] + ")\n"
		}
		further += "}\n}\n"
	}
	further += "\nfunc use(...any) {}\n"
	for name, text := range map[string]string{"main.go": blocks[0], "further.go": further} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("go", "build", "-o", os.DevNull, "./"+dir).CombinedOutput(); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}
