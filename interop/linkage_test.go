package interop_test

import (
	"encoding/json"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	root      = "github.com/ostiary-go/ostiary"
	goOAuth2  = "github.com/go-oauth2/oauth2/v4"
	golangJWT = "github.com/golang-jwt/jwt/v5"
	etcdBbolt = "go.etcd.io/bbolt"
	goSys     = "golang.org/x/sys"
)

// TestLinkage holds what a program links in with our packages: a service that only protects routes has
// two packages of go-oauth2's, which import the standard library alone, and nothing of the server's.
func TestLinkage(t *testing.T) {
	never := []string{"html/template", "text/template", "testing", "os/exec"} // of the standard library
	for _, c := range []struct {
		name    string
		imports []string // in root
		only    []string // packages, or modules with all their packages where they end in /...
	}{
		{
			name:    "middleware",
			imports: []string{"middleware"},
			only:    []string{root + "/middleware", root + "/internal/absent", root + "/internal/b64token", root + "/internal/document", root + "/internal/scope", goOAuth2, goOAuth2 + "/errors"},
		},
		{
			name:    "introspect",
			imports: []string{"middleware/introspect"},
			only: []string{
				root + "/middleware/introspect", root + "/internal/bounded", root + "/internal/claims", root + "/internal/jws", root + "/internal/view",
				goOAuth2, goOAuth2 + "/errors", goOAuth2 + "/models",
			},
		},
		{
			name:    "jwt",
			imports: []string{"middleware/jwt"},
			only: []string{
				root + "/middleware/jwt", root + "/internal/b64token", root + "/internal/bounded", root + "/internal/claims", root + "/internal/jws", root + "/internal/view",
				goOAuth2, goOAuth2 + "/errors", goOAuth2 + "/models", golangJWT,
			},
		},
		{
			name:    "server",
			imports: []string{"handler", "middleware", "grants", "storage", "storage/bolt"},
			only: []string{
				root + "/handler", root + "/middleware", root + "/grants", root + "/storage", root + "/storage/bolt",
				root + "/internal/absent", root + "/internal/b64token", root + "/internal/bounded", root + "/internal/clientsecret", root + "/internal/document", root + "/internal/jws", root + "/internal/pkce", root + "/internal/scope", root + "/internal/view",
				goOAuth2, goOAuth2 + "/errors", goOAuth2 + "/models", golangJWT, etcdBbolt + "/...", goSys + "/...",
			},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"list", "-deps", "-f", "{{.Standard}} {{.ImportPath}}"}
			for _, path := range c.imports {
				args = append(args, root+"/"+path)
			}
			for line := range strings.Lines(goTool(t, ".", args...)) {
				standard, path, _ := strings.Cut(strings.TrimSpace(line), " ")
				if standard == "true" {
					if slices.Contains(never, path) {
						t.Errorf("links %s", path)
					}
				} else if !slices.ContainsFunc(c.only, func(pattern string) bool { return within(path, pattern) }) {
					t.Errorf("links %s", path)
				}
			}
		})
	}
}

// within tells whether a package is the one of that name, or below it if the name ends in /...
func within(path, pattern string) bool {
	name, all := strings.CutSuffix(pattern, "/...")
	return path == name || all && strings.HasPrefix(path, name+"/")
}

// TestRequirements holds what the root go.mod asks of everybody who imports one of its packages.
func TestRequirements(t *testing.T) {
	var mod struct {
		Require []struct {
			Path     string
			Indirect bool
		}
	}
	if err := json.Unmarshal([]byte(goTool(t, ".", "mod", "edit", "-json", "../go.mod")), &mod); err != nil {
		t.Fatal(err)
	}
	var direct []string
	for _, r := range mod.Require {
		if !r.Indirect {
			direct = append(direct, r.Path)
		}
	}
	if want := []string{goOAuth2, golangJWT, etcdBbolt}; !slices.Equal(direct, want) {
		t.Errorf("the root requires %v, want %v", direct, want)
	}
}

// TestLinkedSymbols holds what a program is spared that serves opaque tokens alone: nothing that makes, keeps or
// tells keys, signs JWTs or takes them apart. Programs that use it are beside it, so that the names are right.
func TestLinkedSymbols(t *testing.T) {
	symbols := func(example string) string {
		program := filepath.Join(built, "linked-"+example)
		goTool(t, ".", "build", "-C", "../examples", "-o", program, "./"+example)
		return goTool(t, ".", "tool", "nm", program)
	}
	opaque, signs, resource := symbols("quickstart"), symbols("server"), symbols("resource")
	for _, c := range []struct {
		symbol string // how it begins
		user   string // the symbols of a program that has it; "": none here does
	}{
		{root + "/grants.(*Keys).", signs},
		{root + "/grants.(*jwts).", signs},
		{root + "/grants.spare", signs},
		{root + "/handler.JWKS", signs},
		{root + "/middleware/jwt.", resource},
		{root + "/middleware/introspect.", resource},
		{golangJWT + ".(*Token).", signs},
		{golangJWT + ".NewWithClaims", ""}, // where it is used it is inlined
		{golangJWT + ".(*Parser).", ""},
		{"crypto/rsa.GenerateKey", signs},
		{"crypto/x509.MarshalPKCS8PrivateKey", signs},
	} {
		if strings.Contains(opaque, " "+c.symbol) {
			t.Errorf("quickstart links %s", c.symbol)
		}
		if c.user != "" && !strings.Contains(c.user, " "+c.symbol) {
			t.Errorf("nothing links %s", c.symbol)
		}
	}
	if used := " " + root + "/grants.(*Manager).LoadAccessToken"; !strings.Contains(opaque, used) {
		t.Errorf("quickstart has no %s", used)
	}
}
