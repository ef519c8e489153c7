package bolt

import (
	"bytes"
	"errors"
	"fmt"
)

// tree is a bucket and its pages, for the inspector.
type tree struct {
	*inspector
	name     string                         // in findings
	branches bool                           // leaves are not looked at
	leaves   int                            // then, how deep they are, once it is known: it is the same for all
	record   func(page uint64, k, v []byte) // gets each key with its value; nil: none is wanted
	bucket   func(page uint64, k, v []byte) // gets each bucket in the bucket; nil: they are walked, too
	broken   bool                           // not all of it could be reached
}

// No tree is so deep, nor are buckets in buckets; what leads to itself is stopped here at the latest.
const deepest = 500

// root returns the tree whose entries are the buckets of the file.
func (in *inspector) root() *tree { return &tree{inspector: in, name: "the list of buckets"} }

// walkAll looks at every page. It returns the first thing that is wrong.
func (in *inspector) walkAll() error {
	in.root().walk(in.meta.root, nil, nil, 0)
	return in.err()
}

// walkBranches looks at the pages that lead to other pages alone, which are one in about a hundred. In a
// damaged file they lead bbolt round and round, or to pages that are free and show what has long been
// changed.
func (in *inspector) walkBranches() error {
	root := in.root()
	root.bucket = func(page uint64, name, header []byte) {
		t := &tree{inspector: in, name: fmt.Sprintf("bucket %q", name), branches: true}
		t.walkBucket(page, name, header, 1)
	}
	root.walk(in.meta.root, nil, nil, 0)
	in.checkUsed()
	return in.err()
}

func (t *tree) bad(page uint64, format string, args ...any) {
	t.add("%s: page %d: %w", t.name, page, fmt.Errorf(format, args...))
	t.broken = true
}

// walkBucket looks at a bucket, given the entry of page that says where it is.
func (t *tree) walkBucket(page uint64, key, header []byte, depth int) {
	if len(header) < bucketHeader {
		t.bad(page, "bucket %q has a header of %d bytes", key, len(header))
		return
	}
	root := order.Uint64(header)
	if root != 0 {
		if len(header) != bucketHeader {
			t.bad(page, "bucket %q has a header of %d bytes", key, len(header))
		}
		t.walk(root, nil, nil, depth)
		return
	}
	inline := header[bucketHeader:]
	if len(inline) < pageHeader {
		t.bad(page, "bucket %q has a page of %d bytes in it", key, len(inline))
		return
	}
	_, flags, count, overflow := pageHead(inline)
	if flags != leafFlag || overflow != 0 {
		t.bad(page, "bucket %q has a page in it with flags %#x, and %d more", key, flags, overflow)
		return
	}
	e := elements{page: inline, leaf: true, count: int(count), at: pageHeader + elementHeader*int(count)}
	if end := t.eachRecord(page, e, nil, nil, func(k, v []byte) {
		t.bad(page, "bucket %q has a bucket %q in a page in it", key, k)
	}); end >= 0 && end != len(inline) {
		t.bad(page, "bucket %q has a page in it of %d bytes, of which %d are used", key, len(inline), end)
	}
}

// walk looks at a page and those below it. Their keys are low or more, and less than high.
func (t *tree) walk(id uint64, low, high []byte, depth int) {
	if t.full() {
		return
	}
	if depth > deepest {
		t.bad(id, "is %d levels below the root", depth)
		return
	}
	e, err := t.load(id, depth)
	if err != nil {
		t.bad(id, "%w", err)
		return
	}
	if e.leaf {
		if !t.branches {
			t.eachRecord(id, e, low, high, func(k, v []byte) {
				if t.bucket != nil {
					t.bucket(id, k, v)
					return
				}
				inner := *t
				inner.name, inner.record = fmt.Sprintf("%s: bucket %q", t.name, k), nil
				inner.walkBucket(id, k, v, depth+1)
			})
		}
		return
	}
	if e.count == 0 {
		t.bad(id, "leads nowhere")
		return
	}
	this, err := e.next()
	for n := 0; ; n++ {
		if err != nil {
			t.bad(id, "entry %d: %w", n, err)
			return
		}
		last := e.done()
		if !t.inOrder(id, n, this.key, low, high, last) {
			return
		}
		low = this.key
		end, next := high, element{}
		if !last {
			if next, err = e.next(); err != nil {
				t.bad(id, "entry %d: %w", n+1, err)
				return
			}
			end = next.key
		}
		if t.branches && t.leaves == 0 && t.isLeaf(this.child) {
			t.leaves = depth + 1
		}
		if t.leaves != depth+1 {
			t.walk(this.child, low, end, depth+1)
		} else if this.child < 2 || this.child >= t.meta.pages {
			t.bad(id, "entry %d leads to page %d of %d", n, this.child, t.meta.pages)
		} else if _, ok := t.reached.addRun(this.child, 0); !ok {
			t.bad(id, "entry %d leads to page %d, which is in use or free elsewhere", n, this.child)
		}
		if last || t.full() {
			return
		}
		this = next
	}
}

// isLeaf tells whether a page says that it is a leaf. What is wrong with one that does not is found when
// it is walked.
func (t *tree) isLeaf(id uint64) bool {
	var header [pageHeader]byte
	if id < 2 || id >= t.meta.pages || t.read(header[:], id) != nil {
		return false
	}
	_, flags, _, _ := pageHead(header[:])
	return flags == leafFlag
}

// load reads a page with all that belongs to it, and notes that it was reached.
func (in *inspector) load(id uint64, depth int) (elements, error) {
	var e elements
	if id < 2 || id >= in.meta.pages {
		return e, fmt.Errorf("is not in the file's %d pages", in.meta.pages)
	}
	for len(in.frames) <= depth {
		in.frames = append(in.frames, make([]byte, in.pageSize))
	}
	b := in.frames[depth][:in.pageSize]
	if err := in.read(b, id); err != nil {
		return e, err
	}
	own, flags, count, overflow := pageHead(b)
	switch {
	case own != id:
		return e, fmt.Errorf("calls itself page %d", own)
	case flags != leafFlag && flags != branchFlag:
		return e, fmt.Errorf("has flags %#x", flags)
	case overflow >= in.meta.pages-id:
		return e, fmt.Errorf("is said to have %d pages more, of the file's %d", overflow, in.meta.pages)
	}
	if twice, ok := in.reached.addRun(id, overflow); !ok {
		return e, fmt.Errorf("page %d is in use twice", twice)
	}
	e = elements{page: b, leaf: flags == leafFlag, count: int(count), at: pageHeader + elementHeader*int(count)}
	if overflow > 0 {
		if e.headers() > int64(overflow+1)*in.pageSize {
			return e, fmt.Errorf("has room for less than %d entries", count)
		}
		if e.headers() > int64(len(b)) {
			b = make([]byte, e.headers())
			if err := in.read(b, id); err != nil {
				return e, err
			}
			e.page = b
		}
	}
	if e.headers() > int64(len(e.page)) {
		return e, fmt.Errorf("has room for less than %d entries", count)
	}
	// bbolt takes as many pages as the entries need; older versions took one more where they fit exactly.
	end := e.end()
	if overflow < uint64((end-1)/in.pageSize) || overflow > uint64(end/in.pageSize) {
		return e, fmt.Errorf("has %d pages more for entries of %d bytes", overflow, end)
	}
	if end > int64(len(e.page)) {
		b = make([]byte, end)
		if err := in.read(b, id); err != nil {
			return e, err
		}
		in.frames[depth] = b // it may be reused
		e.page = b
	}
	return e, nil
}

// eachRecord looks at the entries of a leaf and returns where they end, or -1.
func (t *tree) eachRecord(page uint64, e elements, low, high []byte, bucket func(k, v []byte)) (end int) {
	for n := 0; !e.done(); n++ {
		this, err := e.next()
		if err != nil {
			t.bad(page, "entry %d: %w", n, err)
			return -1
		}
		if !t.inOrder(page, n, this.key, low, high, e.done()) {
			return -1
		}
		low = this.key
		switch {
		case this.bucket:
			bucket(this.key, this.value)
		case t.record != nil:
			t.record(page, this.key, this.value)
		}
		if t.full() {
			return -1
		}
	}
	return e.at
}

// inOrder tells whether the key of entry n is where it should be: low is the key before it, or for the
// first one that of the entry above.
func (t *tree) inOrder(page uint64, n int, key, low, high []byte, last bool) bool {
	c := bytes.Compare(key, low)
	if c < 0 || c == 0 && n > 0 || last && high != nil && bytes.Compare(key, high) >= 0 {
		t.bad(page, "entry %d: key %x is out of order", n, key)
		return false
	}
	return true
}

// element is an entry of a page.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool
}

// elements are the entries of a page: their headers, then their keys and values without gaps.
type elements struct {
	page  []byte
	leaf  bool
	count int
	n, at int // the next entry, and where it has to begin
}

func (e *elements) headers() int64 { return pageHeader + elementHeader*int64(e.count) }

func (e *elements) done() bool { return e.n == e.count }

// header returns where the entry n is said to begin, and the lengths of its key and its value.
func (e *elements) header(n int) (at, key, value int64) {
	from := pageHeader + elementHeader*n
	h := e.page[from : from+elementHeader]
	if e.leaf {
		return int64(from) + int64(order.Uint32(h[4:])), int64(order.Uint32(h[8:])), int64(order.Uint32(h[12:]))
	}
	return int64(from) + int64(order.Uint32(h)), int64(order.Uint32(h[4:])), 0
}

// end returns where the last entry is said to end.
func (e *elements) end() int64 {
	if e.count == 0 {
		return pageHeader
	}
	at, key, value := e.header(e.count - 1)
	return at + key + value
}

var (
	errBeyond  = errors.New("reaches beyond its page")
	errGap     = errors.New("does not begin where the one before it ends")
	errNoKey   = errors.New("has no key")
	errStrange = errors.New("is neither a value nor a bucket")
)

func (e *elements) next() (element, error) {
	var x element
	if e.headers() > int64(len(e.page)) {
		return x, errBeyond
	}
	from := pageHeader + elementHeader*e.n
	at, key, value := e.header(e.n)
	switch {
	case at != int64(e.at):
		return x, errGap
	case key == 0:
		return x, errNoKey
	case at+key+value > int64(len(e.page)):
		return x, errBeyond
	}
	x.key = e.page[at : at+key : at+key]
	x.value = e.page[at+key : at+key+value : at+key+value]
	if e.leaf {
		flags := order.Uint32(e.page[from:])
		if flags > 1 {
			return x, errStrange
		}
		x.bucket = flags == 1
	} else {
		x.child = order.Uint64(e.page[from+8:])
	}
	e.n, e.at = e.n+1, int(at+key+value)
	return x, nil
}
