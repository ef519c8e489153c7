package bolt

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/ostiary-go/ostiary/storage"
)

// Backup writes a copy of the file to w, as it is at one moment: every write that was answered before
// Backup was called is in it. The copy is a file that [Open] takes and [Check] can look at; both do so
// whatever it is called. It has no lock and is as secret as the file: keep it at mode 0600.
//
// The store serves on meanwhile, and commits don't wait for a slow w. But what is freed while a backup
// runs is not used again before it ends, so the file grows by what is written. A copy takes as many bytes
// as the file has in use or had at its fullest.
//
// Where a commit fails meanwhile Backup returns [storage.ErrUnavailable], and may be repeated.
//
// progress, which may be nil, is called in between with the bytes written so far and those of the whole
// copy. Where ctx ends, or w fails or takes less than it is given, Backup returns that error, and what was
// written is no copy. [Store.Close] waits for a backup.
func (s *Store) Backup(ctx context.Context, w io.Writer, progress func(written, total int64)) error {
	return s.backup(ctx, func(int64) io.Writer { return w }, progress)
}

// backup asks for the writer once it knows how much there is to write.
func (s *Store) backup(ctx context.Context, writer func(total int64) io.Writer, progress func(written, total int64)) error {
	leave, err := s.enter(ctx)
	if err != nil {
		return err
	}
	defer leave()
	stale, finished := make(<-chan struct{}), make(chan struct{})
	defer close(finished)
	if s.committer != nil {
		var left func()
		left, stale = s.committer.readers.enter()
		go func() { // what waits for readers does not wait for a slow w
			defer left()
			select {
			case <-stale:
			case <-finished:
			}
		}()
	}
	var tx *bbolt.Tx
	if err := guard(func() (err error) {
		tx, err = s.db.Begin(false)
		return err
	}); err != nil {
		return err
	}
	defer tx.Rollback()
	out := &backupWriter{ctx: ctx, w: writer(tx.Size()), total: tx.Size(), progress: progress}
	_, err = tx.WriteTo(out) // by plain reads
	switch {
	case out.err != nil: // bbolt doesn't always wrap it
		err = out.err
	case err != nil:
		err = fmt.Errorf("bolt: backup: %w", err)
	}
	select {
	case <-stale: // pages that it was still to read may have been used for others
		err = fmt.Errorf("%w: a commit failed while the backup ran", storage.ErrUnavailable)
	default:
	}
	return err
}

// backupWriter writes a copy and keeps what went wrong.
type backupWriter struct {
	ctx            context.Context
	w              io.Writer
	written, total int64
	progress       func(written, total int64)
	err            error
}

func (b *backupWriter) Write(p []byte) (n int, err error) {
	if b.err = b.ctx.Err(); b.err != nil {
		return 0, b.err
	}
	n, err = b.w.Write(p)
	if n < 0 || n > len(p) {
		n = 0
	}
	if n < len(p) && err == nil {
		err = io.ErrShortWrite
	}
	b.written += int64(n)
	if b.err = err; err == nil && b.progress != nil {
		b.progress(b.written, b.total)
	}
	return n, err
}

// stalled is how long a client that fetches a backup may take nothing.
const stalled = time.Minute

// BackupHandler serves [Store.Backup] by GET, as a file named for the store's and the time. Where it fails
// on the way, or the client takes nothing for a minute, the connection is cut, so that the client knows
// that it has no copy; an answer that is complete has as many bytes as its Content-Length says.
//
// Warning: it asks nobody who he is. Whoever gets the file has the server's own secrets (see
// [Store.Secret]), can guess at passwords that are client secrets, knows all users and clients, and can use
// the retry window of a token that he has. Mount it behind the application's own guard for administrators,
// never in reach of the public.
func (s *Store) BackupHandler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Method != http.MethodGet && r.Method != http.MethodHead {
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "GET only", http.StatusMethodNotAllowed)
			return
		}
		began, slow := false, impatient{w, http.NewResponseController(w)}
		defer slow.done()
		begin := func(total int64) io.Writer {
			began = true
			h := w.Header()
			h.Set("Content-Type", "application/octet-stream")
			h.Set("Content-Disposition", `attachment; filename="`+backupName(s.db.Path(), time.Now())+`"`)
			h.Set("Content-Length", strconv.FormatInt(total, 10))
			h.Set("Cache-Control", "no-store")
			if r.Method == http.MethodHead {
				return headOnly{}
			}
			return slow
		}
		err := s.backup(r.Context(), begin, nil)
		switch {
		case err == nil, err == errHeadOnly:
		case began:
			panic(http.ErrAbortHandler) // the only way to tell the client
		default:
			w.Header().Set("Cache-Control", "no-store")
			http.Error(w, "no backup can be had for now", http.StatusServiceUnavailable)
		}
	})
}

// backupName has nothing in it that would have to be quoted.
func backupName(path string, at time.Time) string {
	base := filepath.Base(path)
	ext := filepath.Ext(base)
	plain := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '.' || r == '-' || r == '_' {
			return r
		}
		return '_'
	}, strings.TrimSuffix(base, ext)+at.UTC().Format("-20060102T150405Z")+ext)
	return plain
}

// headOnly is the writer of an answer without a body.
type headOnly struct{}

var errHeadOnly = fmt.Errorf("bolt: no body is wanted: %w", io.ErrClosedPipe)

func (headOnly) Write([]byte) (int, error) { return 0, errHeadOnly }

// impatient gives each write its time, whatever the server gives to all of them together.
type impatient struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

// done sends what the server still holds, while that has a deadline, and leaves none to the next request
// of the connection.
func (i impatient) done() {
	i.control.Flush()
	i.control.SetWriteDeadline(time.Time{})
}

func (i impatient) Write(p []byte) (int, error) {
	i.control.SetWriteDeadline(time.Now().Add(stalled)) // not every writer can do so
	return i.w.Write(p)
}
