package serve

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync"
)

// ReadJSON reads a file that holds one JSON value.
func ReadJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		at := ""
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = fmt.Sprintf(" line %d:", 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")))
		}
		return fmt.Errorf("%s:%s %w", file, at, err)
	}
	return nil
}

// Each calls do for all entries, as many at a time as there are processors.
func Each[V any](all map[string]V, do func(string, V)) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, runtime.GOMAXPROCS(0))
	for name, value := range all {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			do(name, value)
		})
	}
	wg.Wait()
}
