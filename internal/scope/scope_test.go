package scope

import (
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

func TestParse(t *testing.T) {
	for _, c := range []struct {
		scope string
		words []string
		ok    bool
	}{
		{"", nil, true},
		{"read", []string{"read"}, true},
		{"write read", []string{"write", "read"}, true},
		{"read write read", []string{"read", "write"}, true},
		{"read Read", []string{"read", "Read"}, true},
		{"!#[]~ a:b", []string{"!#[]~", "a:b"}, true},
		{" ", nil, false},
		{" read", nil, false},
		{"read ", nil, false},
		{"read  write", nil, false},
		{"read\twrite", nil, false},
		{"read\n", nil, false},
		{`a"b`, nil, false},
		{`a\b`, nil, false},
		{"read\x7f", nil, false},
		{"readé", nil, false},
	} {
		if words, ok := Parse(c.scope); !slices.Equal(words, c.words) || (words == nil) != (c.words == nil) || ok != c.ok {
			t.Errorf("%q: %q, %t", c.scope, words, ok)
		}
	}
}

func TestWithin(t *testing.T) {
	for _, c := range []struct {
		words []string
		scope string
		want  bool
	}{
		{nil, "", true},
		{nil, "read", true},
		{[]string{"read"}, "read", true},
		{[]string{"write", "read"}, "read write jobs", true},
		{[]string{"read", "admin"}, "read write", false},
		{[]string{"read"}, "", false},
		{[]string{"rea"}, "read", false},
		{[]string{"READ"}, "read", false},
		{[]string{""}, "", false},
		{[]string{""}, "read", false},
	} {
		if Within(c.words, c.scope) != c.want {
			t.Errorf("%q within %q: %t", c.words, c.scope, !c.want)
		}
		for _, w := range c.words {
			if len(c.words) == 1 && Has(c.scope, w) != c.want {
				t.Errorf("%q has %q: %t", c.scope, w, !c.want)
			}
		}
	}
}

func TestCanonical(t *testing.T) {
	words := []string{"write", "read", "Read"}
	if got := Canonical(words); got != "Read read write" || !slices.Equal(words, []string{"write", "read", "Read"}) {
		t.Errorf("%q of %q", got, words)
	}
	if Canonical(nil) != "" {
		t.Error("no words have a scope")
	}
}

// many is a scope of n words, as a request may have it that nobody has looked at yet.
func many(n int) string {
	var b strings.Builder
	for i := range n {
		b.WriteString(" w" + strconv.Itoa(1e6+i))
	}
	return b.String()[1:]
}

// A word costs about the same among 16,000 as among 1,000; compared with all others it would cost 16 times
// as much. The fastest of many rounds is what counts, so that nothing else on the machine does.
func TestCostGrowsWithTheWords(t *testing.T) {
	cost := func(f func(), n int) float64 {
		start := time.Now()
		f()
		return float64(time.Since(start)) / float64(n)
	}
	const few, lots = 1000, 16000
	short, long := many(few), many(lots)
	shortWords, longWords := strings.Fields(short), strings.Fields(long)
	for name, f := range map[string]struct{ short, long func() }{
		"Parse":  {func() { Parse(short) }, func() { Parse(long) }},
		"Within": {func() { Within(shortWords, short) }, func() { Within(longWords, long) }},
	} {
		least := [2]float64{1e18, 1e18}
		for round := range 20 {
			least[0], least[1] = min(least[0], cost(f.short, few)), min(least[1], cost(f.long, lots))
			if round >= 4 && least[1] < 8*least[0] {
				break
			}
		}
		if least[1] >= 8*least[0] {
			t.Errorf("%s: a word of %d costs %.0f ns, one of %d costs %.0f ns", name, lots, least[1], few, least[0])
		}
	}
}

func BenchmarkParse(b *testing.B) {
	for _, n := range []int{1, 4, 1000, 16000} {
		b.Run(strconv.Itoa(n), func(b *testing.B) {
			s := many(n)
			b.ReportAllocs()
			for b.Loop() {
				Parse(s)
			}
		})
	}
}
