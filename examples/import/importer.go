package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// importer imports records, many at a time.
type importer struct {
	manager  *grants.Manager
	parse    parser
	workers  int
	progress *progress
}

// verdict is what becomes of a record.
type verdict int

const (
	imported verdict = iota
	there
	expired
	skipped
	rejected
)

// run imports the records of a batch. The rejects are in the order of the lines. An error says that the
// store failed; part of the batch may be in it then, and the batch is to be run again.
func (m importer) run(records []record) (counts, []reject, error) {
	var (
		mu      sync.Mutex
		sum     counts
		rejects []reject
		failed  error
		next    atomic.Int64
		group   sync.WaitGroup
	)
	for range min(m.workers, len(records)) {
		group.Go(func() {
			for {
				at := int(next.Add(1)) - 1
				if at >= len(records) {
					return
				}
				rec := records[at]
				v, reason, err := m.one(rec)
				mu.Lock()
				switch {
				case err != nil && failed == nil:
					failed = fmt.Errorf("line %d: %w", rec.line, err)
					next.Store(int64(len(records))) // no more of them
				case err == nil:
					sum.count(v)
					if v == rejected {
						rejects = append(rejects, reject{Line: rec.line, Reason: reason})
					}
				}
				mu.Unlock()
				m.progress.done(rec, v)
			}
		})
	}
	group.Wait()
	if failed != nil {
		return counts{}, nil, failed
	}
	slices.SortFunc(rejects, func(a, b reject) int { return int(a.Line - b.Line) })
	return sum, rejects, nil
}

// one imports a record. A batch that was begun is finished, so that it can't be interrupted.
func (m importer) one(rec record) (v verdict, reason string, err error) {
	if rec.wrong != "" {
		return rejected, rec.wrong, nil
	}
	i, nothing, reason := m.parse(rec.text)
	switch {
	case reason != "":
		return rejected, reason, nil
	case nothing:
		return skipped, "", nil
	}
	isNew, err := m.manager.Import(context.Background(), i)
	if err == nil {
		if isNew {
			return imported, "", nil
		}
		return there, "", nil
	}
	refused, ok := errors.AsType[*grants.Error](err)
	switch {
	case !ok || refused.Code == "temporarily_unavailable":
		return 0, "", fmt.Errorf("the store failed: %w", err)
	case refused.Code == "invalid_grant":
		return expired, "", nil
	case refused.Code == "invalid_request":
		return rejected, refused.Description, nil
	}
	return rejected, refused.Cause.Error(), nil // the description is for clients, and tells them less
}

func (c *counts) count(v verdict) {
	*[]*int64{imported: &c.Imported, there: &c.There, expired: &c.Expired, skipped: &c.Skipped, rejected: &c.Rejected}[v]++
}

// lastGrant is the grant that was imported last.
type lastGrant struct{ id atomic.Pointer[storage.ID] }

func (l *lastGrant) note(_ context.Context, e grants.Event) {
	if e.Kind == grants.EventImported {
		l.id.Store(&e.Grant)
	}
}

func (l *lastGrant) orElse(id storage.ID) storage.ID {
	if last := l.id.Load(); last != nil {
		return *last
	}
	return id
}
