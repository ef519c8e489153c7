package storage

import "context"

// Keys keeps secrets of the server's own under names, so that all instances on the same data share them.
// A [Store] may have it too; what needs it says so.
type Keys interface {
	// Secret replaces the value of that name by what change makes of it, in one atomic step: of
	// concurrent calls, each sees what the one before it left. It returns what is stored then, which is
	// durable. Where change returns what it was given, nothing is written.
	//
	// change is given nil if there is no value; a value without octets removes it. It follows the rules
	// of Store.Update: it may be called more than once, does not block or call the store, and its error
	// is returned as it is, with nothing stored.
	//
	// A name is UTF-8 of 1 to 255 octets, a value has 64 KiB at most; anything else is refused with
	// nothing stored.
	Secret(ctx context.Context, name string, change func(old []byte) ([]byte, error)) ([]byte, error)
}
