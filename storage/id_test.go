package storage

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestIDsAreInTheOrderOfTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		last := NewID()
		for _, pause := range []time.Duration{250, time.Microsecond, time.Millisecond - 250, time.Millisecond, time.Second, time.Hour, 5 * 365 * 24 * time.Hour} {
			for range 20 {
				time.Sleep(pause)
				id := NewID()
				if id.String() <= last.String() || string(id[:]) <= string(last[:]) {
					t.Fatalf("%v, made %v after %v, is not greater", id, pause, last)
				}
				last = id
			}
		}
		if a, b := NewID(), NewID(); a == b || a.IsZero() || !(ID{}).IsZero() {
			t.Errorf("%v and %v of the same time", a, b)
		}
	})
}

func TestIDAsText(t *testing.T) {
	id := NewID()
	text, err := json.Marshal(map[ID]ID{id: id})
	if want := `{"` + id.String() + `":"` + id.String() + `"}`; err != nil || string(text) != want {
		t.Fatalf("%s, %v, want %s", text, err, want)
	}
	var read map[ID]ID
	if err := json.Unmarshal(text, &read); err != nil || read[id] != id {
		t.Errorf("%s reads as %v, %v", text, read, err)
	}
	for _, bad := range []string{strings.ToUpper("01a20c98-953c-75c8-9dd5-6c42342e08e1"), "01a20c98953c75c89dd56c42342e08e1", "urn:uuid:01a20c98-953c-75c8-9dd5-6c42342e08e1"} {
		got := id
		if err := got.UnmarshalText([]byte(bad)); err == nil || got != id {
			t.Errorf("%q reads as %v, %v", bad, got, err)
		}
	}
}
