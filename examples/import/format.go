package main

import (
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/grants"
)

// format is how an older system's records come in.
type format struct {
	open  func(f *os.File, size int64) (input, error)
	parse parser
}

// parser reads a record. nothing says that there is no token in it to import; reason, if it is not "",
// what is wrong with it, without anything of the record itself.
type parser func(text []byte) (i grants.Import, nothing bool, reason string)

var formats = map[string]format{
	"lines":     {openLines, parseLine},
	"go-oauth2": {openLines, parseGoOAuth2},
	"buntdb":    {openBuntDB, parseGoOAuth2},
}

func formatNames() string {
	return strings.Join(slices.Sorted(maps.Keys(formats)), ", ")
}
