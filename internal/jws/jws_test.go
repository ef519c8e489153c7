package jws

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
)

// RFC 7515 7.1: three parts, joined by dots.
func TestSplit(t *testing.T) {
	if p, ok := Split("h.c.s"); !ok || p != (Parts{Header: "h", Claims: "c", Signature: "s", Signed: "h.c"}) {
		t.Errorf("h.c.s: got %+v, %t", p, ok)
	}
	for _, wrong := range []string{"", ".", "..", "h", "h.c", "h.c.", "h..s", ".c.s", "h.c.s.", "h.c.s.x", "a.b.c.d.e", strings.Repeat(".", 1000)} {
		if p, ok := Split(wrong); ok {
			t.Errorf("%q: got %+v", wrong, p)
		}
	}
}

// RFC 7515 2: Base64url, all trailing '=' omitted, no line breaks or other characters.
func TestDecode(t *testing.T) {
	if octets, ok := Decode("-_8"); !ok || !bytes.Equal(octets, []byte{0xfb, 0xff}) {
		t.Errorf("got %x, %t", octets, ok)
	}
	for _, wrong := range []string{"-_8=", "-_9", "+/8", "-_8\n", "-_\r8", " -_8", "-", "é"} {
		if octets, ok := Decode(wrong); ok {
			t.Errorf("%q: got %x", wrong, octets)
		}
	}
}

// RFC 7515 4 and RFC 7519 4: names within an object are unique.
func TestObject(t *testing.T) {
	got, err := Object([]byte(` {"a":[1,{"b":null,"B":"x"}],"A":1e3,"c":{},"d":true} `))
	want := map[string]any{"a": []any{json.Number("1"), map[string]any{"b": nil, "B": "x"}}, "A": json.Number("1e3"), "c": map[string]any{}, "d": true}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, %v", got, err)
	}
	nested := func(n int) string {
		return `{"a":` + strings.Repeat("[", n) + strings.Repeat("]", n) + "}"
	}
	if _, err := Object([]byte(nested(deepest - 1))); err != nil {
		t.Errorf("%d deep: %v", deepest, err)
	}
	for name, wrong := range map[string]string{
		"nothing": "", "null": "null", "array": "[]", "string": `"a"`, "number": "1", "cut": `{"a":1`, "two": "{}{}", "garbage after": "{} x",
		"twice": `{"a":1,"a":1}`, "twice, written otherwise": `{"a":1,"\u0061":2}`, "twice within": `{"x":[{"a":1,"a":1}]}`,
		"not UTF-8": "{\"a\":\"\xff\"}", "no comma": `{"a":1 "b":2}`, "no colon": `{"a" 1}`, "comma at the end": `{"a":1,}`, "byte order mark": "\ufeff{}",
		"deep": nested(deepest), "deep objects": strings.Repeat(`{"a":`, 10_000) + "1" + strings.Repeat("}", 10_000), "10,000 deep": nested(10_000), "1,000,000 deep": nested(1_000_000),
	} {
		if got, err := Object([]byte(wrong)); err == nil {
			t.Errorf("%s: got %v", name, got)
		} else if wrong != "" && len(wrong) > 3 && strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: the error has the text in it", name)
		}
	}
}

// What is read means the same to encoding/json, and is written by nobody in two ways.
func FuzzToken(f *testing.F) {
	part := base64.RawURLEncoding.EncodeToString
	f.Add(part([]byte(`{"alg":"EdDSA"}`)) + "." + part([]byte(`{"exp":1e3,"aud":["x",{"y":null}]}`)) + ".c2ln")
	f.Add("e30.e30.e30")
	f.Fuzz(func(t *testing.T, s string) {
		p, ok := Split(s)
		if !ok {
			return
		}
		if p.Header+"."+p.Claims != p.Signed || p.Signed+"."+p.Signature != s {
			t.Fatalf("%q was split into %+v", s, p)
		}
		octets, ok := Decode(p.Claims)
		if !ok {
			return
		}
		if part(octets) != p.Claims {
			t.Fatalf("%q is another way to write %x", p.Claims, octets)
		}
		object, err := Object(octets)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(octets))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(object, want) {
			t.Fatalf("%s is read as %v, by encoding/json as %v, %v", octets, object, want, err)
		}
	})
}

func FuzzObject(f *testing.F) {
	for _, text := range []string{`{"a":[1,-2.5e+3,{"b":null,"\u0062\"":"\\\ud800"}],"":true , "c" : [ ] }`, `{"a":{},"a":1}`, `[{}]`} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		object, err := Object(text)
		if err != nil {
			return
		}
		d := json.NewDecoder(bytes.NewReader(text))
		d.UseNumber()
		var want map[string]any
		if err := d.Decode(&want); err != nil || !reflect.DeepEqual(object, want) {
			t.Fatalf("%s is read as %v, by encoding/json as %v, %v", text, object, want, err)
		}
	})
}
