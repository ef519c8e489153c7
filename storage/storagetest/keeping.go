package storagetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// keeping holds the promises of what is kept under which name.
var keeping = ofKeys([]promise{
	{"Secret/stores", "Secret replaces the value of that name by what change makes of it", secretStores},
	{"Secret/agree", "It returns what is stored then", secretAgree},
	{"Secret/own", "as a slice of the caller's own, or nil if there is no value.", secretOwn},
	{"Secret/given", "change gets nil if there is no value, else a slice of its own, which it may alter and return.", secretGiven},
	{"Secret/no_change", "If it returns the octets that are there, nothing is written;", secretNoChange},
	{"Secret/removes", "if it returns none, the value is removed.", secretRemoves},
	{"Secret/names", "A name is any UTF-8 of 1 to 255 octets, with any character, and is compared byte by byte.", secretNames},
	{"Secret/no_name", "What is longer, and what is no name, is refused with an error and nothing is stored.", secretNoName},
	{"Secret/large", "A value has 64 KiB at most.", secretLarge},
	{"Secret/too_large", "What is longer, and what is no name, is refused with an error and nothing is stored.", secretTooLarge},
})

// ofKeys leaves the promises out for a store without secrets.
func ofKeys(promises []promise) []promise {
	for i, row := range promises {
		promises[i].try = func(p *probe) error {
			if p.keys == nil {
				return errNoKeys
			}
			return row.try(p)
		}
	}
	return promises
}

const (
	longestName   = 255
	largestSecret = 64 << 10
)

func secretStores(p *probe) error {
	other := fullSecret(0)
	if err := errors.Join(p.keeps("key", nil), p.keep("other", other)); err != nil {
		return err
	}
	for _, value := range [][]byte{fullSecret(1), {0}, fullSecret(2), []byte("\xc2\x00short"), []byte(`{"json":1}`), fullSecret(2)[:100]} {
		if err := errors.Join(p.keep("key", value), p.keeps("key", value)); err != nil {
			return err
		}
		if err := p.reopen(); err != nil {
			return err
		}
		if err := errors.Join(p.keeps("key", value), p.keeps("other", other), p.lists(storage.Filter{})); err != nil {
			return err
		}
	}
	return nil
}

// secretAgree is what secrets are for: of many who find none and make one, all get the same.
func secretAgree(p *probe) error {
	const n = 30
	for _, name := range []string{"first key", "second key"} {
		got := make([][]byte, n)
		err := atOnce(n, func(i int) (err error) {
			got[i], err = p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
				if old != nil {
					return old, nil
				}
				return fullSecret(i), nil
			})
			return err
		})
		if err != nil {
			return fmt.Errorf("Secret returned %w", err)
		}
		for i := range got {
			if err := sameSecret("one of several calls that found no value and made one got", got[i], got[0]); err != nil || got[0] == nil {
				return errors.Join(err, errors.New("and another"))
			}
		}
		if err := p.keeps(name, got[0]); err != nil {
			return err
		}
	}
	return nil
}

func secretOwn(p *probe) error {
	want := fullSecret(1)
	for _, change := range []func([]byte) ([]byte, error){setSecret(want), unchanged} {
		got, err := p.keys.Secret(p.ctx, "key", change)
		if err != nil {
			return fmt.Errorf("Secret returned %w", err)
		}
		clear(got)
		if err := p.keeps("key", want); err != nil {
			return fmt.Errorf("what Secret had returned was cleared: %w", err)
		}
	}
	got, err := p.keys.Secret(p.ctx, "key", unchanged)
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	another, err := p.keys.Secret(p.ctx, "key", unchanged)
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	clear(got)
	if err := sameSecret("what one call had returned was cleared, and what another had returned is", another, want); err != nil {
		return err
	}
	// What change returns is the caller's as well.
	mine := fullSecret(2)
	got, err = p.keys.Secret(p.ctx, "key", func([]byte) ([]byte, error) { return mine, nil })
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	clear(mine)
	if err := errors.Join(sameSecret("what change had returned was cleared, and what Secret returned is now", got, fullSecret(2)), p.keeps("key", fullSecret(2))); err != nil {
		return err
	}
	// From here on the store may do with its memory what it likes, but not with what it gave away.
	if err := errors.Join(p.keep("key", fullSecret(3)), p.keep("key", nil), p.keep("key", fullSecret(4)), p.reopen()); err != nil {
		return err
	}
	return sameSecret("what Secret had returned is now", got, fullSecret(2))
}

func secretGiven(p *probe) error {
	if err := p.keeps("key", nil); err != nil {
		return err
	}
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	// It alters what it got and fails.
	declined := errors.New("change failed")
	_, err := p.keys.Secret(p.ctx, "key", func(old []byte) ([]byte, error) {
		clear(old)
		return old, declined
	})
	if err != declined {
		return fmt.Errorf("Secret returned %v, want %v", err, declined)
	}
	if err := p.keeps("key", fullSecret(1)); err != nil {
		return fmt.Errorf("change altered what it had got and returned an error: %w", err)
	}
	// It alters what it got and returns another value, and keeps what it got.
	var kept []byte
	_, err = p.keys.Secret(p.ctx, "key", func(old []byte) ([]byte, error) {
		kept = old
		clear(old)
		return fullSecret(2), nil
	})
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	copy(kept, "spoiled")
	if err := p.keeps("key", fullSecret(2)); err != nil {
		return err
	}
	// It alters what it got and returns it: in place, shortened, and with more behind it.
	for _, alter := range []func([]byte) []byte{
		func(b []byte) []byte { b[0] ^= 1; return b },
		func(b []byte) []byte { slices.Reverse(b); return b[:100] },
		func(b []byte) []byte { return append(b, b...) },
	} {
		var want []byte
		got, err := p.keys.Secret(p.ctx, "key", func(old []byte) ([]byte, error) {
			value := alter(old)
			want = slices.Clone(value)
			return value, nil
		})
		if err != nil {
			return fmt.Errorf("Secret returned %w", err)
		}
		if err := errors.Join(sameSecret("change altered what it had got and returned it, and Secret returned", got, want), p.keeps("key", want)); err != nil {
			return err
		}
	}
	return nil
}

// secretNoChange can't see what is written; but nothing must be lost, or be there that was not.
func secretNoChange(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	for range 2 {
		if err := errors.Join(p.keep("key", fullSecret(1)), p.keeps("key", fullSecret(1)), p.keeps("absent", nil), p.keep("absent", nil)); err != nil {
			return err
		}
		if err := p.reopen(); err != nil {
			return err
		}
	}
	return p.keeps("key", fullSecret(1))
}

func secretRemoves(p *probe) error {
	if err := p.keep("key, and more", fullSecret(0)); err != nil {
		return err
	}
	for i, none := range [][]byte{nil, {}} {
		if err := p.keep("key", fullSecret(i)); err != nil {
			return err
		}
		got, err := p.keys.Secret(p.ctx, "key", func([]byte) ([]byte, error) { return none, nil })
		if err != nil {
			return fmt.Errorf("Secret returned %w", err)
		}
		if err := errors.Join(sameSecret("a value was removed, and Secret returned", got, nil), p.keeps("key", nil)); err != nil {
			return err
		}
		if err := errors.Join(p.keep("key", fullSecret(i)), p.keeps("key", fullSecret(i)), p.keep("key", nil)); err != nil {
			return fmt.Errorf("after a value was removed: %w", err)
		}
		if err := p.reopen(); err != nil {
			return err
		}
		if err := errors.Join(p.keeps("key", nil), p.keeps("key, and more", fullSecret(0))); err != nil {
			return err
		}
	}
	return p.keep("key", fullSecret(3))
}

func secretNames(p *probe) error {
	long := strings.Repeat("n", longestName-1)
	names := []string{
		"key", "Key", "key ", " key", "ke", "key\x00", "\x00", "\x00key", "key.1", "key/1", "key_1", "keyx1", "key%", "..", "*", "'", `"`, "\n",
		"\u00e9", "e\u0301", "ß", "ss", "\U0010ffff", "\ufffd", long, long + "n", long + "o", strings.Repeat("é", longestName/2),
	}
	err := atOnce(len(names), func(i int) error { return p.keep(names[i], fullSecret(i)) })
	if err != nil {
		return err
	}
	has := func() error {
		for i, name := range names {
			if err := p.keeps(name, fullSecret(i)); err != nil {
				return err
			}
		}
		return errors.Join(p.keeps("kez", nil), p.keeps("KEY", nil), p.keeps(long+"N", nil))
	}
	if err := has(); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	if err := has(); err != nil {
		return err
	}
	for i, name := range names {
		if err := p.keep(name, nil); err != nil {
			return err
		}
		for j := i + 1; j < len(names); j++ {
			if err := p.keeps(names[j], fullSecret(j)); err != nil {
				return fmt.Errorf("%.40q was removed: %w", name, err)
			}
		}
	}
	return nil
}

func secretNoName(p *probe) error {
	long := strings.Repeat("n", longestName)
	near := []string{long, "key", "k\ufffd", "\ufffd"}
	for i, name := range near {
		if err := p.keep(name, fullSecret(i)); err != nil {
			return err
		}
	}
	for _, name := range []string{"", long + "n", long + long, "k\xff", "\xff", "key\xc3"} {
		got, err := p.keys.Secret(p.ctx, name, setSecret([]byte("of no name")))
		if err == nil || got != nil {
			return fmt.Errorf("Secret(%.40q), of %d octets, returned %.60q, %v, want an error", name, len(name), got, err)
		}
	}
	if err := p.reopen(); err != nil {
		return err
	}
	for i, name := range near {
		if err := p.keeps(name, fullSecret(i)); err != nil {
			return err
		}
	}
	return nil
}

func secretLarge(p *probe) error {
	large := make([]byte, largestSecret)
	for i := range large {
		large[i] = byte(i*i>>8 + i)
	}
	if err := errors.Join(p.keep("key", large), p.keeps("key", large), p.keep("all zeros", make([]byte, largestSecret))); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return errors.Join(p.keeps("key", large), p.keeps("all zeros", make([]byte, largestSecret)))
}

func secretTooLarge(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	for _, size := range []int{largestSecret + 1, 2 * largestSecret, 1 << 20} {
		for _, name := range []string{"key", "another key"} {
			got, err := p.keys.Secret(p.ctx, name, setSecret(make([]byte, size)))
			if err == nil || got != nil {
				return fmt.Errorf("Secret, given %d octets, returned %d octets, %v, want an error", size, len(got), err)
			}
		}
	}
	if err := errors.Join(p.keeps("key", fullSecret(1)), p.keeps("another key", nil)); err != nil {
		return err
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return errors.Join(p.keeps("key", fullSecret(1)), p.keeps("another key", nil), p.keep("key", fullSecret(2)))
}
