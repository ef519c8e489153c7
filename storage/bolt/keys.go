package bolt

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"unicode/utf8"
)

// The bounds of storage.Keys, in octets.
const (
	longestName   = 255
	largestSecret = 64 << 10
)

// Secret implements [storage.Keys].
func (s *Store) Secret(ctx context.Context, name string, change func(old []byte) ([]byte, error)) ([]byte, error) {
	if name == "" || len(name) > longestName || !utf8.ValidString(name) {
		return nil, fmt.Errorf("bolt: the name of a secret has to be UTF-8 of 1 to %d octets", longestName)
	}
	key := []byte(name)
	var stored []byte
	err := s.write(ctx, func(s *staging) error {
		old, err := decodeSecret(name, s.get(keysBucket, key))
		if err != nil {
			return err
		}
		value, err := change(bytes.Clone(old))
		switch {
		case err != nil:
			return err
		case len(value) > largestSecret:
			return fmt.Errorf("bolt: a secret has %d octets at most", largestSecret)
		}
		stored = append([]byte(nil), value...) // nil if it has no octets
		switch {
		case bytes.Equal(value, old):
		case len(value) == 0:
			s.delete(keysBucket, key)
		default:
			s.put(keysBucket, key, seal(key, value))
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return stored, nil
}

// decodeSecret returns the value of a record, which it shares, or nil if there is none. A damaged one is an
// error, lest a key be made anew that is still in use.
func decodeSecret(name string, record []byte) ([]byte, error) {
	if record == nil {
		return nil, nil
	}
	value, err := unseal([]byte(name), record)
	if err == nil && (len(record) == len(value) || len(value) == 0) {
		err = errors.New("has no checksum or no value")
	}
	if err != nil {
		return nil, fmt.Errorf("bolt: secret %q: %w", name, err)
	}
	return value, nil
}
