// Package absent knows the two ways in which Go code says that it has nothing.
package absent

import "reflect"

// Nil tells whether there is nothing in v: no value at all, or a nil pointer in an interface.
func Nil(v any) bool {
	if v == nil {
		return true
	}
	r := reflect.ValueOf(v)
	return r.Kind() == reflect.Pointer && r.IsNil()
}
