package jwt_test

import (
	"fmt"
	"os"
	"testing"
)

// scratch is a directory for as long as the tests run.
var scratch string

// atEnd is done when they have.
var atEnd []func() error

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ostiary-interop-jwt")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		scratch = dir
		status := m.Run()
		for _, end := range atEnd {
			if err := end(); err != nil {
				fmt.Fprintln(os.Stderr, err)
				status = 1
			}
		}
		return status
	}())
}
