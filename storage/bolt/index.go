package bolt

import (
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// The expiry index says when the pruner has to look at a grant: at its expiry or before. An entry is not
// moved when a grant lives longer, which each rotation would have to pay for; the pruner that meets it
// files it anew. So there is an entry no later than each expiry, and there may be further ones.
func (s *staging) fileExpiry(id storage.ID, expires time.Time) {
	if !expires.IsZero() {
		s.put(expiresBucket, expiryKey(id, expires), nil)
	}
}

func expiryKey(id storage.ID, expires time.Time) []byte {
	return append(expiryPrefix(expires), id[:]...)
}

// expiryPrefix sorts as bytes as the times sort, those before 1970 included.
func expiryPrefix(t time.Time) []byte {
	return binary.BigEndian.AppendUint64(make([]byte, 0, 8+len(storage.ID{})), uint64(t.UnixMilli())^1<<63)
}

// The user index has the grants that have a user.
func (s *staging) fileUser(id storage.ID, user string) {
	if user != "" {
		s.put(usersBucket, userKey(id, user), nil)
	}
}

func (s *staging) unfileUser(id storage.ID, user string) {
	if user != "" {
		s.delete(usersBucket, userKey(id, user))
	}
}

func userKey(id storage.ID, user string) []byte { return append(userPrefix(user), id[:]...) }

// userPrefix is of one length for all users, so that none is the beginning of another's.
func userPrefix(user string) []byte {
	sum := sha256.Sum256([]byte(user))
	return sum[:16]
}
