// Package examples is the module of the programs that a reader copies from, one folder each, with a
// test that runs it.
package examples
