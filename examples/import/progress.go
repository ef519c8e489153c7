package main

import (
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/schollz/progressbar/v3"
	"golang.org/x/term"
)

// progress shows how far an import is: a bar on a terminal, a line every few seconds elsewhere.
type progress struct {
	w     io.Writer
	bar   *progressbar.ProgressBar // nil: lines
	total int64                    // bytes that this run has to read; 0: not known
	start time.Time

	mu       sync.Mutex
	bytes    int64 // of this run, like records
	records  int64
	rejected int64 // of all runs

	once      sync.Once
	end, over chan struct{}
}

const (
	barEvery  = 200 * time.Millisecond
	lineEvery = 5 * time.Second
)

// startProgress begins to show the progress of an import that goes on from s.
func startProgress(f *os.File, size int64, s state) *progress {
	p := &progress{w: f, start: time.Now(), rejected: s.Counts.Rejected, end: make(chan struct{}), over: make(chan struct{})}
	if size > 0 {
		p.total = max(size-s.Bytes, 1)
	}
	every := lineEvery
	if term.IsTerminal(int(f.Fd())) {
		every, p.bar = barEvery, newBar(f, p.total)
	}
	go p.run(every)
	return p
}

// newBar is a bar that shows the time left where the total is known, and else that something moves.
func newBar(w io.Writer, total int64) *progressbar.ProgressBar {
	if total == 0 {
		total = -1
	}
	return progressbar.NewOptions64(total,
		progressbar.OptionSetWriter(w),
		progressbar.OptionShowBytes(true),
		progressbar.OptionFullWidth(),
		progressbar.OptionSetPredictTime(true),
		progressbar.OptionSetSpinnerChangeInterval(0), // else it is drawn at its own times, also after the end
		progressbar.OptionClearOnFinish(),
	)
}

func (p *progress) run(every time.Duration) {
	defer close(p.over)
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
			p.show()
		case <-p.end:
			if p.bar != nil {
				p.bar.Clear()
			}
			return
		}
	}
}

// done notes that a record is done.
func (p *progress) done(rec record, v verdict) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.records++
	p.bytes += rec.bytes
	if v == rejected {
		p.rejected++
	}
}

func (p *progress) show() {
	p.mu.Lock()
	records, bytes, rejected := p.records, p.bytes, p.rejected
	p.mu.Unlock()
	spent := time.Since(p.start)
	text := fmt.Sprintf("%d done, %.0f/s, %d rejected", records, float64(records)/spent.Seconds(), rejected)
	if p.bar != nil {
		p.bar.Describe(text)
		p.bar.Set64(bytes)
		return
	}
	if p.total > 0 && bytes > 0 {
		left := time.Duration(float64(spent) * float64(max(p.total-bytes, 0)) / float64(bytes))
		text += fmt.Sprintf(", %d%%, %v left", min(100*bytes/p.total, 100), left.Round(time.Second))
	}
	fmt.Fprintln(p.w, "import:", text)
}

// stop ends the display.
func (p *progress) stop() {
	p.once.Do(func() { close(p.end) })
	<-p.over
}
