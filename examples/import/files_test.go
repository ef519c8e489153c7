package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// One file for two things would be destroyed: it is wrong usage, and every file stays as it was.
func TestOneFileForTwo(t *testing.T) {
	link := func(t *testing.T, make func(old, new string) error, old, new string) string {
		t.Helper()
		if err := make(old, new); err != nil {
			t.Skip(err)
		}
		return new
	}
	for _, c := range []struct {
		name  string
		flags func(t *testing.T, h house, tokens string) []string
		says  string
	}{
		{"-rejects is -db", func(t *testing.T, h house, _ string) []string { return []string{"-rejects", h.db} }, "-db and -rejects"},
		{"-state is -db", func(t *testing.T, h house, _ string) []string { return []string{"-state", h.db} }, "-db and -state"},
		{"-state is -db once it is saved", func(t *testing.T, h house, _ string) []string {
			db := link(t, os.Rename, h.db, h.db+".new")
			return []string{"-db", db, "-state", h.db}
		}, "-db and what -state is made in"},
		{"-rejects is -state", func(t *testing.T, h house, _ string) []string { return []string{"-state", h.rejects()} }, "-rejects and -state"},
		{"-rejects is the default of -state", func(t *testing.T, h house, _ string) []string { return []string{"-rejects", h.state()} }, "-rejects and -state"},
		{"-rejects is -state once it is saved", func(t *testing.T, h house, _ string) []string { return []string{"-rejects", h.state() + ".new"} }, "-rejects and what -state is made in"},
		{"-rejects is the input", func(t *testing.T, _ house, tokens string) []string { return []string{"-rejects", tokens} }, "-rejects and standard input"},
		{"-state is the input", func(t *testing.T, _ house, tokens string) []string { return []string{"-state", tokens} }, "-state and standard input"},
		{"-state is the input once it is saved", func(t *testing.T, h house, tokens string) []string {
			return []string{"-state", strings.TrimSuffix(link(t, os.Link, tokens, filepath.Join(h.dir, "state.new")), ".new")}
		}, "standard input and what -state is made in"},
		{"-db is the input", func(t *testing.T, _ house, tokens string) []string { return []string{"-db", tokens} }, "-db and standard input"},
		{"in other words", func(t *testing.T, h house, _ string) []string {
			return []string{"-rejects", h.dir + "/./x/../" + filepath.Base(h.state())}
		}, "-rejects and -state"},
		{"by a relative path", func(t *testing.T, h house, _ string) []string {
			here, err := os.Getwd()
			if err != nil {
				t.Fatal(err)
			}
			relative, err := filepath.Rel(here, h.state())
			if err != nil {
				t.Skip(err)
			}
			return []string{"-rejects", relative}
		}, "-rejects and -state"},
		{"by a symbolic link", func(t *testing.T, h house, _ string) []string {
			return []string{"-rejects", link(t, os.Symlink, h.db, filepath.Join(h.dir, "link"))}
		}, "-db and -rejects"},
		{"by a hard link", func(t *testing.T, h house, tokens string) []string {
			return []string{"-rejects", link(t, os.Link, tokens, filepath.Join(h.dir, "link"))}
		}, "-rejects and standard input"},
		{"by a symbolic link to its folder", func(t *testing.T, h house, _ string) []string {
			return []string{"-rejects", filepath.Join(link(t, os.Symlink, h.dir, filepath.Join(t.TempDir(), "link")), filepath.Base(h.state()))}
		}, "-rejects and -state"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			h := newHouse(t)
			tokens := h.file(t, "tokens", "bad\n"+pairLines(1))
			flags := c.flags(t, h, tokens)
			before := files(t, h.dir)
			o := h.runFile(t, tokens, flags...)
			if o.status != statusUsage || o.out != "" || !strings.Contains(o.err, "import: "+c.says+" are the same file") {
				t.Errorf("status %d\n%s%s", o.status, o.out, o.err)
			}
			after := files(t, h.dir)
			for name, text := range before {
				if after[name] != text {
					t.Errorf("%s was altered or is gone", name)
				}
				delete(after, name)
			}
			for name := range after {
				t.Errorf("%s is new", name)
			}
		})
	}
}

// files are the names and contents of what is in a folder.
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	all := map[string]string{}
	entries, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		text, err := os.ReadFile(filepath.Join(dir, e.Name()))
		if err != nil {
			t.Fatal(err)
		}
		all[e.Name()] = string(text)
	}
	return all
}

// A reject file that is not the one of the import that goes on is kept: it begins, and says where they are.
func TestRejectsOfAnotherAreKept(t *testing.T) {
	lines := someLines()
	h := begun(t, lines)
	notes := h.file(t, "notes", "milk, bread")
	const n = batchRecords * 3 / 2
	o := h.runFile(t, h.file(t, "tokens", lines), "-rejects", notes)
	o.want(t, statusRejected, counts{Imported: n/3 - 1, There: batchRecords - 1, Rejected: 2, Lines: n})
	if text, err := os.ReadFile(notes); err != nil || strings.Count(string(text), "\n") != 2 {
		t.Errorf("the new one is %q, %v", text, err)
	}
	kept, err := filepath.Glob(notes + ".*")
	if err != nil || len(kept) != 1 {
		t.Fatalf("%q, %v", kept, err)
	}
	if text, err := os.ReadFile(kept[0]); err != nil || string(text) != "milk, bread" {
		t.Errorf("kept is %q, %v", text, err)
	}
	if !strings.Contains(o.err, kept[0]) {
		t.Errorf("it does not say where they are:\n%s", o.err)
	}
}
