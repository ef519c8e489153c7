package introspect

import (
	"encoding/binary"
	"encoding/json"
	"time"
	"unsafe"

	"github.com/ostiary-go/ostiary/internal/bounded"
)

// kept are the answers that are still believed. Who has no good token fills the refused ones alone.
type kept struct {
	good, refused *bounded.Table[digest, answer]
}

// Of the bytes, refused tokens get a share.
const refusedShare = 8

func newKept(bytes int64) *kept {
	hash := func(key digest) uint64 { return binary.NativeEndian.Uint64(key[:]) }
	return &kept{
		good:    bounded.New(bytes-bytes/refusedShare, hash, costOfAnswer, nil),
		refused: bounded.New(bytes/refusedShare, hash, func(digest, answer) int64 { return 0 }, nil),
	}
}

func (k *kept) get(key digest, now time.Time) (answer, bool) {
	if a, ok := k.good.Get(key); ok && now.Before(a.until) {
		return a, true
	}
	a, ok := k.refused.Get(key)
	return a, ok && now.Before(a.until)
}

func (k *kept) put(key digest, a answer) {
	to := k.good
	if a.refusal != nil {
		to = k.refused
	}
	to.Put(key, a, to.Counter(key)) // which nobody is locked out of
}

// costOfAnswer is what an answer points to, roughly, in bytes.
func costOfAnswer(_ digest, a answer) int64 {
	cost := int64(unsafe.Sizeof(*a.claims)) + costOf(a.claims.Members)
	for _, name := range a.claims.Audience {
		cost += int64(unsafe.Sizeof(name))
	}
	for name, value := range a.claims.Confirmation {
		cost += int64(len(name) + len(value) + 64)
	}
	return cost
}

func costOf(value any) int64 {
	switch value := value.(type) {
	case string:
		return int64(unsafe.Sizeof(value)) + int64(len(value))
	case json.Number:
		return int64(unsafe.Sizeof(value)) + int64(len(value))
	case map[string]any:
		cost := int64(320)
		for name, member := range value {
			cost += 64 + int64(len(name)) + costOf(member)
		}
		return cost
	case []any:
		cost := int64(unsafe.Sizeof(value))
		for _, element := range value {
			cost += 2*int64(unsafe.Sizeof(element)) + costOf(element)
		}
		return cost
	}
	return 0
}
