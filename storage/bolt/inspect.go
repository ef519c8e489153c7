package bolt

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
	"math/bits"

	bbolterrors "go.etcd.io/bbolt/errors"
)

// inspector looks at a bbolt file by plain reads, which give an error where something is wrong. bbolt maps
// the file and believes what it finds there: in one that is too short or names a page that is not there,
// it reads what is no memory, which ends the process, and pages that lead to each other end it likewise.
type inspector struct {
	findings
	file     io.ReaderAt
	size     int64
	pageSize int64
	meta     meta
	spoiled  error    // what is wrong with the other meta page
	free     []uint64 // the free list, if one was written
	reached  pageSet
	frames   [][]byte // a page for each level of the walk
}

// bbolt's files: their integers are of the machine's byte order.
var order = binary.NativeEndian

const (
	magic      = 0xED0CDAED
	version    = 2
	noFreelist = 1<<64 - 1

	pageHeader    = 16 // page number, flags, count, pages that follow and belong to it
	elementHeader = 16
	bucketHeader  = 16 // root page, sequence
	metaEnd       = pageHeader + 64

	smallestPage = 1 << 10
	largestPage  = 1 << 24

	branchFlag   = 0x01
	leafFlag     = 0x02
	metaFlag     = 0x04
	freelistFlag = 0x10
)

// meta is a meta page: the beginning of everything. There are two, of which the newer valid one counts.
type meta struct {
	pageSize, root, freelist, pages, txid uint64
}

func readMeta(page []byte) (m meta, err error) {
	if len(page) < metaEnd {
		return m, bbolterrors.ErrInvalid
	}
	b := page[pageHeader:]
	m = meta{uint64(order.Uint32(b[8:])), order.Uint64(b[16:]), order.Uint64(b[32:]), order.Uint64(b[40:]), order.Uint64(b[48:])}
	sum := fnv.New64a()
	sum.Write(b[:56])
	switch {
	case order.Uint32(b) != magic:
		return m, bbolterrors.ErrInvalid
	case order.Uint32(b[4:]) != version:
		return m, bbolterrors.ErrVersionMismatch
	case order.Uint64(b[56:]) != sum.Sum64():
		return m, bbolterrors.ErrChecksum
	}
	return m, nil
}

// inspect looks at what a file of that length says of itself: its two meta pages and its free list.
func inspect(file io.ReaderAt, size int64) (*inspector, error) {
	in := &inspector{file: file, size: size, findings: findings{most: 1}}
	if err := in.readMetas(); err != nil {
		return nil, err
	}
	pages := uint64(size / in.pageSize)
	m := in.meta
	switch {
	case m.pages > pages:
		return nil, fmt.Errorf("is truncated: it has %d bytes of %d pages of %d bytes", size, m.pages, in.pageSize)
	case m.root < 2 || m.root >= m.pages:
		return nil, fmt.Errorf("is damaged: its meta page names page %d of %d as the root", m.root, m.pages)
	}
	in.reached = newPageSet(m.pages)
	if m.freelist == noFreelist {
		return in, nil
	}
	return in, in.readFreelist()
}

// readMetas finds the page size and the meta page that counts, in the way of bbolt.
func (in *inspector) readMetas() error {
	first, err := in.metaAt(0)
	if err == nil {
		in.pageSize = int64(first.pageSize)
	}
	size := int64(0)
	second, err2 := meta{}, err
	if err == nil {
		second, err2 = in.metaAt(in.pageSize)
	} else {
		for size = smallestPage; size <= largestPage; size *= 2 {
			if second, err2 = in.metaAt(size); err2 == nil {
				break
			}
		}
	}
	switch {
	case err != nil && err2 != nil:
		return fmt.Errorf("is no bbolt file, or a damaged one: meta page 0: %w", err)
	case err != nil:
		in.pageSize, in.meta, in.spoiled = size, second, fmt.Errorf("meta page 0: %w", err)
	case err2 != nil:
		in.meta, in.spoiled = first, fmt.Errorf("meta page 1: %w", err2)
	case second.txid > first.txid:
		in.meta = second
	default:
		in.meta = first
	}
	if in.meta.pageSize != uint64(in.pageSize) || bits.OnesCount64(uint64(in.pageSize)) != 1 || in.pageSize < smallestPage || in.pageSize > largestPage {
		return fmt.Errorf("is damaged: its meta pages name a page size of %d bytes", in.meta.pageSize)
	}
	if in.size < 2*in.pageSize {
		return fmt.Errorf("is truncated: it has %d bytes of two meta pages of %d bytes", in.size, in.pageSize)
	}
	return nil
}

func (in *inspector) metaAt(at int64) (meta, error) {
	var page [metaEnd]byte
	if _, err := in.file.ReadAt(page[:], at); err != nil && !errors.Is(err, io.EOF) {
		return meta{}, err
	}
	return readMeta(page[:])
}

// readFreelist reads the list of free pages, which bbolt writes over without looking.
func (in *inspector) readFreelist() error {
	bad := func(format string, args ...any) error {
		return fmt.Errorf("is damaged: free list at page %d: "+format, append([]any{in.meta.freelist}, args...)...)
	}
	at := in.meta.freelist
	if at < 2 || at >= in.meta.pages {
		return bad("is not in the file's %d pages", in.meta.pages)
	}
	var header [pageHeader + 8]byte
	if err := in.read(header[:], at); err != nil {
		return bad("%w", err)
	}
	id, flags, count, overflow := pageHead(header[:])
	switch {
	case id != at:
		return bad("calls itself page %d", id)
	case flags != freelistFlag:
		return bad("has flags %#x", flags)
	case overflow >= in.meta.pages-at:
		return bad("is said to have %d pages more", overflow)
	}
	room := (overflow+1)*uint64(in.pageSize) - pageHeader
	skip := uint64(0)
	if count == 0xFFFF { // the count stands before the list
		count, skip = order.Uint64(header[pageHeader:]), 1
	}
	if count > room/8-skip {
		return bad("is said to have %d entries", count)
	}
	list := make([]byte, pageHeader+8*(count+skip))
	if err := in.read(list, at); err != nil {
		return bad("%w", err)
	}
	list = list[pageHeader+8*skip:]
	in.free = make([]uint64, 0, count)
	last := uint64(1)
	for ; len(list) > 0; list = list[8:] {
		id := order.Uint64(list)
		if id <= last || id >= in.meta.pages || id >= at && id <= at+overflow {
			return bad("names page %d after page %d of %d", id, last, in.meta.pages)
		}
		in.free = append(in.free, id)
		last = id
	}
	in.reached.addRun(at, overflow)
	return nil
}

// read fills b from the beginning of a page on.
func (in *inspector) read(b []byte, page uint64) error {
	_, err := in.file.ReadAt(b, int64(page)*in.pageSize)
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	return err
}

func pageHead(b []byte) (id uint64, flags uint16, count, overflow uint64) {
	return order.Uint64(b), order.Uint16(b[8:]), uint64(order.Uint16(b[10:])), uint64(order.Uint32(b[12:]))
}

// pageSet is a set of pages.
type pageSet []uint64

func newPageSet(pages uint64) pageSet {
	s := make(pageSet, pages/64+1)
	s.addRun(0, 1) // the meta pages
	return s
}

func (s pageSet) has(page uint64) bool { return s[page/64]>>(page%64)&1 == 1 }

func (s pageSet) add(page uint64) { s[page/64] |= 1 << (page % 64) }

// addRun adds a page and so many that follow it, or returns one that is in it already.
func (s pageSet) addRun(page, overflow uint64) (twice uint64, ok bool) {
	for last := page + overflow; page <= last; page++ {
		if s.has(page) {
			return page, false
		}
		s.add(page)
	}
	return 0, true
}

// checkUsed looks for pages that were reached and are on the free list.
func (in *inspector) checkUsed() {
	for _, page := range in.free {
		if in.reached.has(page) {
			in.add("page %d: is in use and on the free list", page)
		}
	}
}

// checkFree compares the free list, if one was written, with the pages that were reached: each page is in
// use or free.
func (in *inspector) checkFree() {
	if in.meta.freelist == noFreelist {
		return
	}
	in.checkUsed()
	known := append(pageSet(nil), in.reached...)
	for _, page := range in.free {
		known.add(page)
	}
	for page := uint64(0); page < in.meta.pages; page++ {
		first := page
		for page < in.meta.pages && !known.has(page) {
			page++
		}
		if page > first {
			in.add("pages %d to %d: are neither in use nor on the free list", first, page-1)
		}
	}
}
