// Package storage is the contract between the authorization server and the place where it keeps its
// grants and clients.
//
// An application opens one of the stores below this package and hands it on:
//
//	store, err := bolt.Open("auth.db")
//	manager := grants.New(store)
//
// Who writes a store of his own implements [Store], unless clients live elsewhere [Clients], and for the
// endpoints that show pages to users [Keys]; the doc comments here are all there is to know, and package
// storagetest tries what can be tried of them.
//
// What holds for all methods of all three:
//
//   - They are safe for concurrent use.
//   - A write that returned nil is durable: it survives the death of the process and, where the
//     engine can do that, of the machine. The next read, by whoever, sees it.
//   - Where the context has ended before the work has begun they return an error that [errors.Is]
//     context.Canceled or context.DeadlineExceeded, and that error means: nothing was stored.
//   - After Close they return [ErrClosed].
//   - An absent grant or client is [ErrNotFound]. Any error that this package does not name means
//     that the store failed; the caller answers 503 and the same call may be repeated.
//   - Strings and slices that go in or come out are the caller's: an implementation copies what it keeps.
//   - Times are kept to the millisecond.
package storage

import (
	"context"
	"iter"
	"time"

	"github.com/go-oauth2/oauth2/v4"
)

// Store keeps grants: one record each, found by its ID and changed atomically. A store knows no field
// of a Grant but ID, User, Client, Created and Expires, which it may index, and keeps the rest as the
// Grant's own encodings ([Grant.MarshalBinary], JSON) give it. User and Client are any UTF-8, of any
// length, with any character: a store whose keys are narrower indexes a digest of them. A record may have
// a megabyte.
type Store interface {
	// Insert stores a new grant, whose ID is not zero. If its ID is taken, whatever the rest, it returns
	// ErrExists and leaves what is there as it was.
	Insert(ctx context.Context, g *Grant) error

	// Grant returns the grant of that ID, or ErrNotFound. The grant may be shared with other callers:
	// it is read only.
	Grant(ctx context.Context, id ID) (*Grant, error)

	// Update applies change to the grant and stores what it leaves, in one atomic step: of concurrent
	// updates of one grant, each sees what the one before it left. It returns ErrNotFound, and does
	// not call change, if there is no such grant.
	//
	// change gets a grant of its own, which it may alter in every field but ID. It may be called more
	// than once, each time with a fresh grant as it stands then: it assigns its results and never adds
	// to them. It does not keep the grant, block, or call the store.
	//
	// If change returns an error, nothing is stored and Update returns that error as it is. If change
	// panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called
	// Update; the store serves on. Update returns only when what change has seen and what it left are durable, also
	// where it changed nothing. After any other error than those of change, ErrNotFound and the
	// context's, the outcome is unknown: the change was stored in full or not at all.
	Update(ctx context.Context, id ID, change func(*Grant) error) error

	// Grants yields the grants that f chooses in the order of their IDs, which is oldest first. The
	// grants are read only. A grant that is inserted, changed or removed meanwhile may be yielded
	// either way, each at most once; all others are yielded exactly once, as they stand. The loop
	// body may call the store: nothing is held while it runs. After an error, which is yielded with
	// a nil grant, the sequence ends; Filter.After resumes it.
	Grants(ctx context.Context, f Filter) iter.Seq2[*Grant, error]

	// Prune removes the grants whose Expires is not zero and is before the given time, in small bites
	// that let others write in between, until none is left or ctx ends. It returns how many it
	// removed, also beside an error. Stores run it by themselves.
	Prune(ctx context.Context, before time.Time) (int, error)

	// Close lets the calls that are under way finish, refuses those that come later with ErrClosed and
	// releases everything. A second Close returns nil.
	Close() error
}

// Clients keeps the registered clients. A Store usually has it too; an application with a client table
// of its own hands in an [oauth2.ClientStore] instead.
type Clients interface {
	// GetByID returns the client as a *Client of the caller's own, or ErrNotFound. IDs are compared
	// byte by byte.
	oauth2.ClientStore

	// PutClient registers c, or replaces the client of that ID. A registration with mistakes is refused
	// with a *RegistrationError that lists them all, and nothing is stored. The store draws the
	// generation (8 random bytes, never 0) when the ID is first put, and keeps it when the client is
	// replaced; c.Generation is not looked at. c is not altered and not kept.
	PutClient(ctx context.Context, c *Client) error

	// EndClient ends all grants of the client, whatever their number, by drawing its generation anew:
	// a grant holds only under the generation it was made in. It returns ErrNotFound for an unknown ID.
	EndClient(ctx context.Context, id string) error

	// DeleteClient removes the client, which ends all its grants; registering the ID again revives
	// none of them. It returns ErrNotFound for an unknown ID.
	DeleteClient(ctx context.Context, id string) error

	// Clients yields all clients in the order of their IDs, under the rules of Store.Grants.
	Clients(ctx context.Context) iter.Seq2[*Client, error]
}
