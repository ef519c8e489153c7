package main

import (
	"fmt"
	"io"
)

// counts are what became of the lines.
type counts struct {
	Imported int64 `json:"imported"` // new here
	There    int64 `json:"there"`    // here already
	Expired  int64 `json:"expired"`  // nothing of it is alive
	Skipped  int64 `json:"skipped"`  // codes, and what the older system had removed itself
	Rejected int64 `json:"rejected"` // see the reject file
	Lines    int64 `json:"lines"`    // read, empty ones included
}

func (c *counts) add(d counts) {
	c.Imported += d.Imported
	c.There += d.There
	c.Expired += d.Expired
	c.Skipped += d.Skipped
	c.Rejected += d.Rejected
	c.Lines += d.Lines
}

func (c counts) summary(w io.Writer) {
	fmt.Fprintf(w, "imported      %d\nalready there %d\nexpired       %d\nskipped       %d\nrejected      %d\nlines         %d\n",
		c.Imported, c.There, c.Expired, c.Skipped, c.Rejected, c.Lines)
}
