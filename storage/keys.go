package storage

import "context"

// Keys keeps secrets of the server's own under names, such as a key that seals or signs, so that all
// instances on the same data agree on one value. A [Store] may have it too; what needs it says so.
//
// What the package comment says of all methods holds for it too. A value is kept as it is, so whoever can
// read the data has it; it never stands in an error or a log.
type Keys interface {
	// Secret replaces the value of that name by what change makes of it, in one atomic step: of
	// concurrent calls for one name, each sees what the one before it left. It returns what is stored
	// then, as a slice of the caller's own, or nil if there is no value. Beside an error it returns nil.
	//
	// change gets nil if there is no value, else a slice of its own, which it may alter and return. If it
	// returns the octets that are there, nothing is written; if it returns none, the value is removed. It
	// may be called more than once, each time with the value as it stands then: it assigns its results
	// and never adds to them. It does not block or call the store.
	//
	// If change returns an error, nothing is stored and Secret returns that error as it is. If change
	// panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called
	// Secret; the store serves on. Secret returns only when what change has seen and what it left are
	// durable, also where it changed nothing. After any other error than those of change and the
	// context's, the outcome is unknown: the value was stored in full or not at all.
	//
	// A name is any UTF-8 of 1 to 255 octets, with any character, and is compared byte by byte. A value
	// has 64 KiB at most. What is longer, and what is no name, is refused with an error and nothing is
	// stored.
	Secret(ctx context.Context, name string, change func(old []byte) ([]byte, error)) ([]byte, error)
}
