package interop_test

import (
	"expvar"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// The steps of a commit of bbolt's, in their order.
const (
	writePages = "write pages"
	syncPages  = "sync pages"
	writeMeta  = "write meta"
	syncMeta   = "sync meta" // before which the outcome of a failure is nothing, and after it anything
)

var commitSteps = []string{writePages, syncPages, writeMeta, syncMeta}

// failingDisk decides which steps of commits fail, in a program that onFailingDisk built.
type failingDisk struct {
	mu      sync.Mutex
	outage  string         // this step fails each time
	next    string         // this step fails once
	chance  float64        // of a commit that follows one that went well to fail
	steps   []string       // of which one fails then
	commits int            // that went well
	failed  map[string]int // by step
}

// set alters the disk.
func (d *failingDisk) set(alter func()) {
	d.mu.Lock()
	defer d.mu.Unlock()
	alter()
}

// do is a step of a commit. Of those that are to fail, half are done nevertheless.
func (d *failingDisk) do(step string, do func() error) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if step == d.outage || step == d.next {
		d.next = ""
		d.failed[step]++
		if step != writeMeta && rand.N(2) == 0 {
			do()
		}
		return syscall.EIO
	}
	if err := do(); err != nil {
		return err
	}
	if step == syncMeta {
		d.commits++
		if rand.Float64() < d.chance {
			d.next = d.steps[rand.N(len(d.steps))]
		}
	}
	return nil
}

const underFailingDisk = "OSTIARY_FAILING_DISK"

// failingDiskHook is the name under which the altered bbolt finds its disk.
const failingDiskHook = "failing disk"

// onFailingDisk runs the test that calls it once more, in a program that is built with a copy of bbolt
// whose commits fail where the disk that it returns says so. To the test here it returns nil.
func onFailingDisk(t *testing.T) *failingDisk {
	t.Helper()
	if os.Getenv(underFailingDisk) != "" {
		d := &failingDisk{failed: make(map[string]int)}
		hook.Store(d)
		return d
	}
	run := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
	cmd := exec.Command(withFailingDisk(t), "-test.run="+run, "-test.v", "-test.count=1", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), underFailingDisk+"=1")
	out, err := cmd.CombinedOutput()
	t.Logf("%s", out)
	if err != nil || !strings.Contains(string(out), "--- PASS: "+t.Name()) {
		t.Fatal("over a disk that fails: ", err)
	}
	return nil
}

// hook is the disk of a program that is built with that copy of bbolt.
var hook atomic.Pointer[failingDisk]

func init() {
	do := func(step string, do func() error) error {
		if d := hook.Load(); d != nil {
			return d.do(step, do)
		}
		return do()
	}
	expvar.Publish(failingDiskHook, expvar.Func(func() any { return do }))
}

var failingDiskProgram struct {
	sync.Mutex
	path string
}

// withFailingDisk builds these tests with a bbolt that asks the disk of the program about each step of
// a commit.
func withFailingDisk(t *testing.T) (program string) {
	t.Helper()
	p := &failingDiskProgram
	p.Lock()
	defer p.Unlock()
	if p.path != "" {
		return p.path
	}
	path := filepath.Join(built, "failing-disk.test")
	args := []string{"test", "-c", "-o", path, root + "/interop"}
	if raceDetector() {
		args = slices.Insert(args, 1, "-race")
	}
	withAltered(t, []alteration{{"go.etcd.io/bbolt", "tx.go", func(t *testing.T, file string) {
		alter(t, file, regexp.MustCompile(`fdatasync\(tx\.db\)`), 2, `onDisk("sync", func() error { return $0 })`)
		alter(t, file, regexp.MustCompile(`_, (err := )(tx\.db\.ops\.writeAt\(.*\))(; err != nil)`), 2,
			`${1}onDisk("write", func() error { _, err := $2; return err })$3`)
		// The pages are first, the meta page is second.
		parts := strings.SplitN(string(read(t, file)), "func (tx *Tx) writeMeta() error {", 2)
		if len(parts) != 2 {
			t.Fatal("tx.go has no writeMeta")
		}
		for i, what := range []string{" pages", " meta"} {
			parts[i] = strings.ReplaceAll(parts[i], `onDisk("sync"`, `onDisk("sync`+what+`"`)
			parts[i] = strings.ReplaceAll(parts[i], `onDisk("write"`, `onDisk("write`+what+`"`)
		}
		write(t, file, []byte(strings.Join(parts, "func (tx *Tx) writeMeta() error {")))
		write(t, filepath.Join(filepath.Dir(file), "on_disk.go"), []byte(`package bbolt

import "expvar"

func onDisk(step string, do func() error) error {
	if hook, ok := expvar.Get("`+failingDiskHook+`").(expvar.Func); ok {
		return hook().(func(string, func() error) error)(step, do)
	}
	return do()
}
`))
	}}}, args...)
	p.path = path
	return path
}

func raceDetector() bool {
	info, ok := debug.ReadBuildInfo()
	return ok && slices.Contains(info.Settings, debug.BuildSetting{Key: "-race", Value: "true"})
}
