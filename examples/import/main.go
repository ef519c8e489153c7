// Import moves the tokens of an older system into the file of an ostiary server, so that nobody has to
// sign in anew. README.md says what it reads.
//
//	go build -o import ./examples/import
//	./import -db auth.db < tokens.jsonl
//
// The clients have to be registered before, and the server must not run meanwhile, since the file
// belongs to one process at a time. An import that was interrupted goes on where it stopped when the same
// command is run again. The exit status tells what came of it:
//
//	0  everything is in
//	1  stopped early; run it again
//	2  wrong usage
//	3  finished, and some lines were rejected; the reject file says which, and why
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

const (
	statusDone     = 0
	statusStopped  = 1
	statusUsage    = 2
	statusRejected = 3
)

// options are what the command line says.
type options struct {
	db, format, rejects, state string
	size                       int64
	workers                    int
	refreshLifetime            lifetime
}

func main() {
	var o options
	flag.StringVar(&o.db, "db", "auth.db", "`file` of the server, with the clients in it")
	flag.StringVar(&o.format, "format", "lines", "`format` of the input: "+formatNames())
	flag.StringVar(&o.rejects, "rejects", "rejects.jsonl", "`file` for the lines that were rejected: their numbers, and why")
	flag.StringVar(&o.state, "state", "", "`file` that says where to go on (default the one of -db with .import after it)")
	flag.Int64Var(&o.size, "size", 0, "`bytes` of the input, for the time left, where it is no regular file")
	flag.IntVar(&o.workers, "workers", 64, "`number` of imports at a time")
	flag.Var(&o.refreshLifetime, "refresh-lifetime", "`time` after which a refresh token ends in any case, as the server's grants.RefreshLifetime: 8760h, or unlimited (default the manager's own)")
	flag.Parse()
	if o.state == "" {
		o.state = o.db + ".import"
	}
	if err := o.check(flag.Args()); err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		flag.Usage()
		os.Exit(statusUsage)
	}

	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second Ctrl-C ends it at once
	c, err := run(ctx, o, os.Stdin)
	if err != nil {
		fmt.Fprintln(os.Stderr, "import:", err)
		fmt.Fprintln(os.Stderr, "import: not finished; run the same command again, and it goes on from there")
		os.Exit(statusStopped)
	}
	c.summary(os.Stdout)
	if c.Rejected > 0 {
		fmt.Fprintln(os.Stderr, "import: the lines that were rejected are in", o.rejects)
		os.Exit(statusRejected)
	}
}

// check finds what is wrong with the command line.
func (o options) check(rest []string) error {
	_, known := formats[o.format]
	switch {
	case len(rest) > 0:
		return fmt.Errorf("%q is too much: the tokens come on standard input", rest)
	case !known:
		return fmt.Errorf("no format %q", o.format)
	case o.workers < 1:
		return errors.New("-workers is at least 1")
	case o.size < 0:
		return errors.New("-size is at least 0")
	}
	if _, err := os.Stat(o.db); err != nil {
		return fmt.Errorf("%w (-db names the file of the server; the clients have to be registered in it before)", err)
	}
	return apart(map[string]string{
		"-db": o.db, "-rejects": o.rejects, "-state": o.state, "what -state is made in": o.state + ".new", "standard input": "",
	})
}

// storeTimeout is how long one import waits for the store. Nobody waits for the answer, and a slow disk
// behind many workers is no failure.
const storeTimeout = time.Minute

// run imports the input, from where an earlier run stopped. An error means that it stopped early.
func run(ctx context.Context, o options, stdin *os.File) (counts, error) {
	in, err := formats[o.format].open(stdin, o.size)
	if err != nil {
		return counts{}, err
	}
	store, err := bolt.Open(o.db)
	if err != nil {
		return counts{}, err
	}
	defer store.Close()
	var last lastGrant
	settings := []grants.Option{
		grants.ImportedTokens(), grants.StoreTimeout(storeTimeout),
		grants.Logger(slog.New(slog.DiscardHandler)), grants.OnEvent(last.note),
	}
	if o.refreshLifetime > 0 {
		settings = append(settings, grants.RefreshLifetime(time.Duration(o.refreshLifetime)))
	}
	manager := grants.New(store, settings...)

	s, err := resume(ctx, o, in, store)
	if err != nil {
		return counts{}, err
	}
	rejects, err := openRejects(o.rejects, s.RejectBytes)
	if err != nil {
		return counts{}, err
	}
	defer rejects.Close()
	p := startProgress(os.Stderr, in.size(), s)
	defer p.stop()

	importer := importer{manager: manager, parse: formats[o.format].parse, workers: o.workers, progress: p}
	for b := range batches(ctx, in) {
		c, rejected, err := importer.run(b.records)
		if err != nil {
			return counts{}, err
		}
		s.mark, s.Grant = b.end, last.orElse(s.Grant)
		s.Counts.add(c)
		s.Counts.Lines = b.end.Lines
		if s.RejectBytes, err = rejects.append(rejected); err != nil {
			return counts{}, err
		}
		switch b.err {
		case nil:
			err = s.save(o.state)
		case io.EOF:
			return s.Counts, finish(rejects, o.state)
		default:
			err = errors.Join(b.err, s.save(o.state))
		}
		if err != nil {
			return counts{}, err
		}
	}
	return counts{}, errors.New("interrupted; what was begun is saved")
}

// finish removes what is of no use once everything is in.
func finish(r *rejects, state string) error {
	if err := r.finish(); err != nil {
		return err
	}
	return removeState(state)
}
