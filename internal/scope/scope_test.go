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

// A scope that nobody has looked at yet costs far less than to compare each of its words with all others,
// which is measured beside it. The fastest of some rounds counts: what else the machine does is no matter.
func TestManyWordsAreNotComparedWithEachOther(t *testing.T) {
	took := func(f func()) time.Duration {
		start := time.Now()
		f()
		return time.Since(start)
	}
	s := many(8000)
	words := strings.Fields(s)
	compared := time.Hour
	for range 3 {
		compared = min(compared, took(func() {
			var seen []string
			for _, w := range words {
				if !slices.Contains(seen, w) {
					seen = append(seen, w)
				}
			}
		}))
	}
	for name, f := range map[string]func(){"Parse": func() { Parse(s) }, "Within": func() { Within(words, s) }} {
		least := time.Hour
		for range 10 {
			if least = min(least, took(f)); least < compared/6 {
				break
			}
		}
		if least >= compared/6 {
			t.Errorf("%s takes %v, and to compare all words %v", name, least, compared)
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
