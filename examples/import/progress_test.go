package main

import (
	"bytes"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// Where standard error is no terminal there is a plain line every few seconds.
func TestProgressLines(t *testing.T) {
	for _, c := range []struct {
		name string
		size int64
		from state
		want string
	}{
		{"size known", 1000, state{}, "import: 20 done, 4/s, 1 rejected, 20%, 20s left\nimport: 40 done, 4/s, 1 rejected, 40%, 15s left\n"},
		{"going on", 1400, state{mark: mark{Bytes: 400}, Counts: counts{Rejected: 7}}, "import: 20 done, 4/s, 8 rejected, 20%, 20s left\nimport: 40 done, 4/s, 8 rejected, 40%, 15s left\n"},
		{"size not known", 0, state{}, "import: 20 done, 4/s, 1 rejected\nimport: 40 done, 4/s, 1 rejected\n"},
		{"size too small", 100, state{}, "import: 20 done, 4/s, 1 rejected, 100%, 0s left\nimport: 40 done, 4/s, 1 rejected, 100%, 0s left\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			r, w, err := os.Pipe()
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) {
				p := startProgress(w, c.size, c.from)
				for n := range 2 * 20 {
					v := imported
					if n == 0 {
						v = rejected
					}
					p.done(record{bytes: 10}, v)
					if n%20 == 19 {
						time.Sleep(5 * time.Second)
						synctest.Wait()
					}
				}
				p.stop()
				p.stop()
			})
			w.Close()
			got, err := io.ReadAll(r)
			if err != nil || string(got) != c.want {
				t.Errorf("got\n%swant\n%s%v", got, c.want, err)
			}
		})
	}
}

// On a terminal there is a bar with the same figures.
func TestProgressBar(t *testing.T) {
	for _, c := range []struct {
		name  string
		total int64
		want  string
	}{
		{"size known", 1000, `7 done, [\d.]+/s, 2 rejected +70% \|.*\| .*\[.*:.*\]`},
		{"size not known", 0, `7 done, [\d.]+/s, 2 rejected .*B/s`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var b bytes.Buffer
			p := &progress{bar: newBar(&b, c.total), start: time.Now(), records: 7, bytes: 700, rejected: 2}
			p.show()
			lines := strings.Split(b.String(), "\r")
			if last := lines[len(lines)-1]; !regexp.MustCompile(c.want).MatchString(last) {
				t.Errorf("shows %q", b.String())
			}
		})
	}
}

// The size of a regular file is known; -size tells that of anything else.
func TestSize(t *testing.T) {
	h := newHouse(t)
	path := h.file(t, "tokens", pairLines(3))
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	defer r.Close()
	for _, c := range []struct {
		file *os.File
		size int64
		want int64
	}{{file, 0, int64(len(pairLines(3)))}, {file, 5, int64(len(pairLines(3)))}, {r, 0, 0}, {r, 5, 5}} {
		in, err := openLines(c.file, c.size)
		if err != nil || in.size() != c.want {
			t.Errorf("size %d, want %d; %v", in.size(), c.want, err)
		}
	}
}

// Nothing but the summary is on standard output.
func TestOutput(t *testing.T) {
	h := newHouse(t)
	o := h.runFile(t, h.file(t, "tokens", pairLines(3)), "-size", "12")
	const want = "imported      3\nalready there 0\nexpired       0\nskipped       0\nrejected      0\nlines         3\n"
	if o.out != want || o.err != "" || o.status != 0 {
		t.Errorf("status %d\n%s%s", o.status, o.out, o.err)
	}
}
