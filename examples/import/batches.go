package main

import (
	"context"
	"iter"
)

// A batch has at most this many records, of about this many bytes. After each the state is saved.
const (
	batchRecords = 256
	batchBytes   = 4 << 20
)

// batch is a piece of the input. The last one has an err, which is io.EOF at the end of the input.
type batch struct {
	records []record
	end     mark // the place after them
	err     error
}

// batches yields the input in batches until it ends or ctx does. The next one is read while one is
// imported, so that there are never more than two in memory.
func batches(ctx context.Context, in input) iter.Seq[batch] {
	return func(yield func(batch) bool) {
		read, done := make(chan batch), make(chan struct{})
		defer close(done)
		go func() {
			for last := false; !last; {
				b := readBatch(in)
				last = b.err != nil
				select {
				case read <- b:
				case <-done:
					return
				}
			}
		}()
		for {
			select {
			case b := <-read:
				if ctx.Err() != nil || !yield(b) || b.err != nil {
					return
				}
			case <-ctx.Done(): // also where the input has nothing to give for now
				return
			}
		}
	}
}

func readBatch(in input) (b batch) {
	for size := int64(0); len(b.records) < batchRecords && size < batchBytes; {
		rec, err := in.next()
		if err != nil {
			b.err = err
			break
		}
		b.records = append(b.records, rec)
		size += rec.bytes
	}
	b.end = in.mark()
	return b
}
