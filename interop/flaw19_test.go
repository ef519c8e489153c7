package interop_test

import (
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

// buildNotingSyncs builds internal/acknowledge with stores that note each sync.
func buildNotingSyncs(t *testing.T) (program string) {
	t.Helper()
	program = filepath.Join(t.TempDir(), "acknowledge")
	noting := func(sync string) func(*testing.T, string) {
		return func(t *testing.T, file string) {
			alter(t, file, regexp.MustCompile(sync), -1, `func() error { err := $0; println("sync"); return err }()`)
		}
	}
	withAltered(t, []alteration{
		{"go.etcd.io/bbolt", "tx.go", noting(`fdatasync\(tx\.db\)`)},
		{"github.com/tidwall/buntdb", "buntdb.go", noting(`[\w.]+\.file\.Sync\(\)`)},
	}, "build", "-o", program, root+"/interop/internal/acknowledge")
	return program
}
