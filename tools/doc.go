// Package tools pins the programs that .ci/run uses, as tool directives of a module of its own, so
// that none of them gets into the go.mod of those who import ostiary.
//
//	go tool staticcheck work
//	go tool govulncheck work
package tools
