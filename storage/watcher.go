package storage

// Changes names the records that a store is about to alter, or that somebody else has altered.
type Changes struct {
	Grants  []ID
	Clients []string
	All     bool // any record may be among them
}

// Watcher is a [Store] that tells of its changes, for those who keep copies of what it returned. It is
// optional: without it nothing is kept.
//
// Watch has changing called before the store commits a change, with the records that it alters, and the
// function that changing returned after the commit, or its failure, before anybody is answered. From the
// first call to the second a reader may see the old record or the new one, and must keep neither; what it
// read before the first call is out of date from then on. Where the store does not know what a commit did,
// it says All until it does. Changes that others made to the same data are told as soon as they are known.
// Both functions are quick and do not call the store. stop ends it.
//
// Watch is safe for concurrent use.
type Watcher interface {
	Watch(changing func(Changes) (changed func())) (stop func())
}
