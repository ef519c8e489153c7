package interop_test

import (
	"fmt"
	"os"
	"testing"
)

// built is where programs are that more than one test runs.
var built string

func TestMain(m *testing.M) {
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "ostiary-interop")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		built = dir
		return m.Run()
	}())
}
