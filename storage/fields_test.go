package storage

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"testing"
	"time"
)

// A field added to Grant or Client is added to its encodings and its Clone, or these tests fail.

func TestEveryFieldOfGrantIsKept(t *testing.T) {
	whole := filled[Grant]()
	data, _ := whole.MarshalBinary()
	eachLeaf("Grant", reflect.ValueOf(whole).Elem(), func(name string, leaf reflect.Value) {
		t.Run(name, func(t *testing.T) {
			old := reflect.ValueOf(leaf.Interface())
			defer leaf.Set(old)
			alter(leaf, 99)
			altered, err := whole.MarshalBinary()
			if err != nil {
				t.Fatal(err)
			}
			if bytes.Equal(altered, data) {
				t.Fatal("MarshalBinary leaves it out")
			}
			var fromBinary, fromJSON Grant
			if err := fromBinary.UnmarshalBinary(altered); err != nil {
				t.Fatal(err)
			}
			text, err := json.Marshal(whole)
			if err != nil {
				t.Fatal(err)
			}
			if err := json.Unmarshal(text, &fromJSON); err != nil {
				t.Fatal(err)
			}
			for form, read := range map[string]*Grant{"binary": &fromBinary, "JSON": &fromJSON} {
				if again, _ := read.MarshalBinary(); !bytes.Equal(again, altered) {
					t.Errorf("%s form: %+v became %+v", form, whole, read)
				}
			}
		})
	})
}

func TestEveryFieldOfClientIsKept(t *testing.T) {
	whole := filled[Client]()
	eachLeaf("Client", reflect.ValueOf(whole).Elem(), func(name string, leaf reflect.Value) {
		old := reflect.ValueOf(leaf.Interface())
		defer leaf.Set(old)
		alter(leaf, 99)
		text, err := json.Marshal(whole)
		if err != nil {
			t.Fatal(err)
		}
		read := new(Client)
		if err := json.Unmarshal(text, read); err != nil || !reflect.DeepEqual(read, whole) {
			t.Errorf("%s: %+v became %+v, %v", name, whole, read, err)
		}
	})
}

func TestClonesShareNothing(t *testing.T) {
	g, c := filled[Grant](), filled[Client]()
	shareNothing(t, "Grant", reflect.ValueOf(g), reflect.ValueOf(g.Clone()))
	shareNothing(t, "Client", reflect.ValueOf(c), reflect.ValueOf(c.Clone()))
	for _, v := range []struct{ whole, clone any }{{g, g.Clone()}, {c, c.Clone()}, {&Grant{}, (&Grant{}).Clone()}, {&Client{}, (&Client{}).Clone()}} {
		if !reflect.DeepEqual(v.whole, v.clone) {
			t.Errorf("the clone of %+v is %+v", v.whole, v.clone)
		}
	}
}

func shareNothing(t *testing.T, name string, a, b reflect.Value) {
	switch a.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Map:
		if a.Type() != reflect.TypeFor[*time.Location]() && a.Pointer() == b.Pointer() {
			t.Errorf("%s is shared", name)
		}
	}
	switch a.Kind() {
	case reflect.Pointer:
		shareNothing(t, name, a.Elem(), b.Elem())
	case reflect.Struct:
		for i := range a.NumField() {
			if field := a.Type().Field(i); field.IsExported() {
				shareNothing(t, name+"."+field.Name, a.Field(i), b.Field(i))
			}
		}
	case reflect.Slice:
		for i := range a.Len() {
			shareNothing(t, fmt.Sprintf("%s[%d]", name, i), a.Index(i), b.Index(i))
		}
	}
}

// filled is a T without a zero field.
func filled[T any]() *T {
	v := new(T)
	fill(reflect.ValueOf(v).Elem())
	n := 0
	eachLeaf("", reflect.ValueOf(v).Elem(), func(_ string, leaf reflect.Value) {
		n++
		alter(leaf, n)
	})
	return v
}

// fill makes what pointers, slices and maps point to.
func fill(v reflect.Value) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		fill(v.Elem())
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			fill(v.Index(i))
		}
	case reflect.Struct:
		if v.Type() != reflect.TypeFor[time.Time]() {
			for i := range v.NumField() {
				fill(v.Field(i))
			}
		}
	}
}

func eachLeaf(name string, v reflect.Value, do func(name string, leaf reflect.Value)) {
	switch {
	case v.Kind() == reflect.Pointer:
		eachLeaf(name, v.Elem(), do)
	case v.Kind() == reflect.Struct && v.Type() != reflect.TypeFor[time.Time]():
		for i := range v.NumField() {
			eachLeaf(name+"."+v.Type().Field(i).Name, v.Field(i), do)
		}
	case v.Kind() == reflect.Slice:
		for i := range v.Len() {
			eachLeaf(fmt.Sprintf("%s[%d]", name, i), v.Index(i), do)
		}
	default:
		do(name, v)
	}
}

// alter sets a field to another value for each n; a bool is turned over.
func alter(v reflect.Value, n int) {
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(time.UnixMilli(1_800_000_000_000 + int64(n)).UTC()))
		return
	case time.Duration:
		v.SetInt(int64(time.Duration(n) * time.Millisecond))
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(fmt.Sprint("text ", n))
	case reflect.Bool:
		v.SetBool(!v.Bool())
	case reflect.Int, reflect.Int64:
		v.SetInt(int64(n))
	case reflect.Uint64:
		v.SetUint(1<<63 + uint64(n))
	case reflect.Uint8:
		v.SetUint(uint64(n))
	case reflect.Array:
		v.Index(v.Len() - 1).SetUint(uint64(n))
	case reflect.Map:
		v.Set(reflect.ValueOf(map[string]string{"key": fmt.Sprint(n), "": ""}))
	default:
		panic("a field of a new kind: " + v.Type().String())
	}
}
