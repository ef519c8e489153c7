package interop_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// TestFullDisk runs out of space, of a small file system and of the size that files may have, and gets
// more: requests that need it are refused meanwhile, and nothing is lost.
func TestFullDisk(t *testing.T) {
	for _, c := range []struct {
		name  string
		attr  *syscall.SysProcAttr
		limit func(t *testing.T) (dir string, more func())
	}{
		// In a user and mount namespace of its own whoever runs the test may mount, and nothing stays behind.
		{"file system", &syscall.SysProcAttr{
			Cloneflags:  syscall.CLONE_NEWUSER | syscall.CLONE_NEWNS,
			UidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}},
			GidMappings: []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}},
		}, smallFileSystem},
		{"file size", nil, smallFiles},
	} {
		t.Run(c.name, func(t *testing.T) {
			if os.Getenv("OSTIARY_FULL_DISK") != "" {
				dir, more := c.limit(t)
				fullDisk(t, dir, more)
				return
			}
			t.Parallel()
			run := "^" + strings.ReplaceAll(t.Name(), "/", "$/^") + "$"
			cmd := exec.Command(os.Args[0], "-test.run="+run, "-test.v", "-test.timeout=1m")
			cmd.Env = append(os.Environ(), "OSTIARY_FULL_DISK=1", "TMPDIR="+t.TempDir())
			cmd.SysProcAttr = c.attr
			out, err := cmd.CombinedOutput()
			t.Logf("%s", out)
			switch {
			case err != nil && len(out) == 0 && c.attr != nil:
				t.Skip("no namespace of our own: ", err)
			case err != nil:
				t.Fatal(err)
			}
		})
	}
}

const littleSpace = 1<<20 + 256<<10

func smallFileSystem(t *testing.T) (dir string, more func()) {
	dir = t.TempDir()
	set := func(flags uintptr, size int) error {
		return syscall.Mount("tmpfs", dir, "tmpfs", flags, fmt.Sprintf("size=%d", size))
	}
	if err := set(0, littleSpace); err != nil {
		t.Skip("no file system of our own: ", err)
	}
	t.Cleanup(func() { syscall.Unmount(dir, syscall.MNT_DETACH) })
	return dir, func() {
		if err := set(syscall.MS_REMOUNT, 10*littleSpace); err != nil {
			t.Fatal(err)
		}
	}
}

func smallFiles(t *testing.T) (dir string, more func()) {
	signal.Ignore(syscall.SIGXFSZ)
	var limit syscall.Rlimit
	set := func(size uint64) {
		if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &syscall.Rlimit{Cur: size, Max: limit.Max}); err != nil {
			t.Fatal(err)
		}
	}
	if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &limit); err != nil {
		t.Fatal(err)
	}
	set(littleSpace)
	return t.TempDir(), func() { set(limit.Cur) }
}

func fullDisk(t *testing.T, dir string, more func()) {
	path := filepath.Join(dir, "auth.db")
	store, err := bolt.Open(path, bolt.PruneEvery(0))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range clients() {
		if err := store.PutClient(t.Context(), c); err != nil {
			t.Fatal(err)
		}
	}
	m := grantsOn(store, grants.ClientAccessLifetime(10*time.Second))
	s := ours(t, m)
	var mu sync.Mutex
	var pairs []*answer
	ownTokens := 0
	begun := time.Now()

	// fill gets tokens until there is no more space, or until so many are there.
	fill := func(most int) (got int) {
		var all sync.WaitGroup
		for range 32 {
			all.Go(func() {
				for n := 0; ; n++ {
					var a *answer
					if n%8 == 0 {
						a = s.pair503(t)
					} else {
						a = s.token(t, as("svc"), "grant_type", "client_credentials")
					}
					mu.Lock()
					switch {
					case a != nil && a.status == http.StatusOK && a.refresh() == "":
						ownTokens++
						got++
					case a != nil && a.status == http.StatusOK:
						pairs = append(pairs, a)
						got++
					default:
						if a != nil && (a.status != 503 || a.member("error") != "temporarily_unavailable" || a.header.Get("Retry-After") == "") {
							t.Errorf("on a full disk: %s", a)
						}
						mu.Unlock()
						return
					}
					enough := got >= most
					mu.Unlock()
					if enough {
						return
					}
				}
			})
		}
		all.Wait()
		return got
	}
	filled := fill(1 << 20)
	size := func() int64 { info, _ := os.Stat(path); return info.Size() }
	t.Logf("%d grants were stored until the disk was full, in a file of %d bytes, in %v", filled, size(), time.Since(begun))
	// Tokens are validated, and revoked as far as it goes.
	for _, p := range pairs {
		s.works(t, p.access())
	}
	revoked := make(map[*answer]bool)
	for _, p := range pairs[:min(20, len(pairs))] {
		switch a := s.post(t, "/revoke", as("a"), "token", p.refresh()); {
		case a.status == http.StatusOK:
			revoked[p] = true
			s.dead(t, p.access())
		case a.status == 503:
			s.works(t, p.access())
		default:
			t.Errorf("revocation: %s", a)
		}
	}
	pruned, pruneErr := store.Prune(t.Context(), time.Now().Add(time.Minute)) // when tokens of clients have expired
	t.Logf("%d of 20 revocations were done, %d of %d grants of clients pruned (%v)", len(revoked), pruned, ownTokens, pruneErr)
	if len(revoked) == 0 || pruneErr != nil && !errors.Is(pruneErr, storage.ErrUnavailable) {
		t.Error("a full disk holds up more than it has to")
	}

	more()
	if got := fill(200); got < 200 {
		t.Errorf("with more space %d grants were stored", got)
	}
	hold := func() {
		t.Helper()
		for _, p := range pairs {
			if revoked[p] {
				s.dead(t, p.access())
			} else {
				s.works(t, p.access())
			}
		}
	}
	hold()
	if err := store.Close(); err != nil {
		t.Error(err)
	}
	if store, err = bolt.Open(path); err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	s = ours(t, grantsOn(store))
	hold()
	n := 0
	for _, err := range store.Grants(t.Context(), storage.Filter{}) {
		if err != nil {
			t.Fatal(err)
		}
		n++
	}
	t.Logf("%d pairs were given out, %d grants are there in a file of %d bytes", len(pairs), n, size())
}

// pair503 is pair where the store may fail: nil if there is no code.
func (s *site) pair503(t *testing.T) *answer {
	info, err := s.manager.GenerateAuthToken(t.Context(), "code", authorization("a"))
	if err != nil {
		return nil
	}
	return s.redeem(t, "a", info.GetCode())
}
