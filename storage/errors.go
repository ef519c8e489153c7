package storage

import "errors"

// The errors that [Store], [Clients] and [Keys] name. Callers find them with [errors.Is]; an implementation
// may wrap them. Whatever else an implementation returns means that it failed.
var (
	// ErrNotFound: no such grant or client.
	ErrNotFound = errors.New("storage: not found")
	// ErrExists: a grant with that ID is there already.
	ErrExists = errors.New("storage: exists already")
	// ErrUnavailable: the store cannot serve for now; nothing is wrong with the request.
	ErrUnavailable = errors.New("storage: unavailable")
	// ErrClosed: the store was closed.
	ErrClosed = errors.New("storage: closed")
	// ErrEmptyFilter: a Filter that names no grant, user or client, where everything would be meant.
	ErrEmptyFilter = errors.New("storage: the filter names no grant, user or client")
)
