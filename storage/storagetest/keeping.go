package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

var keeping = []promise{
	{"Secret/replaces", "Secret replaces the value of that name by what change makes of it, in one atomic step:", secretReplaces},
	{"Secret/exactly_once", "of concurrent calls, each sees what the one before it left.", secretExactlyOnce},
	{"Secret/durable", "It returns what is stored then, which is durable.", secretDurable},
	{"Secret/none", "change is given nil if there is no value; a value without octets removes it.", secretNone},
	{"Secret/error_as_it_is", "its error is returned as it is, with nothing stored.", secretError},
	{"Secret/bounds", "A name is UTF-8 of 1 to 255 octets, a value has 64 KiB at most; anything else is refused with nothing stored.", secretBounds},
	{"Secret/copies", "Strings and slices that go in or come out are the caller's: an implementation copies what it keeps.", secretCopies},
	{"Secret/ended", "Where the context has ended before the work has begun they return an error that [errors.Is] context.Canceled or context.DeadlineExceeded", secretEnded},
	{"Secret/closed", "After Close they return [ErrClosed].", secretClosed},
}

var errNoKeys = errors.New("the store keeps no secrets of the server's own")

// secret stores a value, and returns an error unless the one before it was that.
func (p *probe) secret(name string, before, value []byte) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	var was []byte
	got, err := keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
		was = bytes.Clone(old)
		return value, nil
	})
	switch {
	case err != nil:
		return fmt.Errorf("Secret returned %w", err)
	case !bytes.Equal(was, before) || (was == nil) != (before == nil):
		return fmt.Errorf("change was given %q, want %q", was, before)
	case !bytes.Equal(got, value):
		return fmt.Errorf("Secret returned %q, want %q", got, value)
	}
	return nil
}

func secretReplaces(p *probe) error {
	one, two := []byte("one"), []byte("two")
	return errors.Join(p.secret("a", nil, one), p.secret("b", nil, two), p.secret("a", one, two), p.secret("a", two, two), p.secret("b", two, one), p.secret("A", nil, one))
}

func secretExactlyOnce(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	const n = 50
	err := atOnce(n, func(int) error {
		_, err := keys.Secret(p.ctx, "a", func(old []byte) ([]byte, error) { return append(bytes.Clone(old), 'x'), nil })
		return err
	})
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	all := []byte(strings.Repeat("x", n))
	return p.secret("a", all, all)
}

func secretDurable(p *probe) error {
	value := []byte("value")
	if err := p.secret("a", nil, value); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return p.secret("a", value, value)
}

func secretNone(p *probe) error {
	value := []byte("value")
	return errors.Join(p.secret("a", nil, nil), p.secret("a", nil, value), p.secret("a", value, []byte{}), p.secret("a", nil, value))
}

func secretError(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	value, errChange := []byte("value"), errors.New("change failed")
	if err := p.secret("a", nil, value); err != nil {
		return err
	}
	if got, err := keys.Secret(p.ctx, "a", func([]byte) ([]byte, error) { return []byte("other"), errChange }); err != errChange || got != nil {
		return fmt.Errorf("Secret returned %q, %v", got, err)
	}
	return p.secret("a", value, value)
}

func secretBounds(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	longest, largest := strings.Repeat("n", 255), bytes.Repeat([]byte("v"), 64<<10)
	if err := errors.Join(p.secret(longest, nil, largest), p.secret(longest, largest, largest)); err != nil {
		return err
	}
	for name, value := range map[string][]byte{"": largest, longest + "n": largest, "\xff": largest, "a": append(bytes.Clone(largest), 'v')} {
		if _, err := keys.Secret(p.ctx, name, func([]byte) ([]byte, error) { return value, nil }); err == nil {
			return fmt.Errorf("a name of %d octets and a value of %d are taken", len(name), len(value))
		} else if strings.Contains(err.Error(), "vvv") {
			return errors.New("the error has the value in it")
		}
	}
	return p.secret("a", nil, nil)
}

func secretCopies(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	shared := []byte("value")
	got, err := keys.Secret(p.ctx, "a", func([]byte) ([]byte, error) { return shared, nil })
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	shared[0], got[1] = 'X', 'X'
	value := []byte("value")
	_, err = keys.Secret(p.ctx, "a", func(old []byte) ([]byte, error) {
		same := bytes.Clone(old)
		clear(old)
		return same, nil
	})
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	return p.secret("a", value, value)
}

func secretEnded(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	ctx, cancel := context.WithCancel(p.ctx)
	cancel()
	if _, err := keys.Secret(ctx, "a", func([]byte) ([]byte, error) { return []byte("value"), nil }); !errors.Is(err, context.Canceled) {
		return fmt.Errorf("Secret returned %v", err)
	}
	return p.secret("a", nil, nil)
}

func secretClosed(p *probe) error {
	keys, ok := p.Store.(storage.Keys)
	if !ok {
		return errNoKeys
	}
	if err := p.Close(); err != nil {
		return fmt.Errorf("Close returned %w", err)
	}
	_, err := keys.Secret(p.ctx, "a", func(old []byte) ([]byte, error) { return old, nil })
	return wantErr("Secret", err, storage.ErrClosed)
}
