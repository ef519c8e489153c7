package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"

	"github.com/ostiary-go/ostiary/storage"
)

// keepingWhole holds the promises of how a change of a secret is done once and in full, or not at all.
var keepingWhole = ofKeys([]promise{
	{"Secret/exactly_once", "in one atomic step: of concurrent calls for one name, each sees what the one before it left.", secretExactlyOnce},
	{"Secret/fresh_value", "It may be called more than once, each time with the value as it stands then", secretFreshValue},
	{"Secret/neighbours", "If change returns an error, nothing is stored", secretNeighbours},
	{"Secret/error_as_it_is", "If change returns an error, nothing is stored and Secret returns that error as it is.", secretErrorAsItIs},
	{"Secret/beside_error", "Beside an error it returns nil.", secretBesideError},
	{"Secret/panic", "If change panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called Secret; the store serves on.", secretPanic},
	{"Secret/goexit", "If change panics or calls runtime.Goexit, nothing is stored and that goes on in the goroutine that called Secret; the store serves on.", secretGoexit},
	{"Secret/unspoken", "it never stands in an error or a log.", secretUnspoken},
})

func secretExactlyOnce(p *probe) error {
	const n = 50
	saw, left := make([]int, n), make([][]byte, n)
	err := atOnce(n, func(i int) (err error) {
		left[i], err = p.keys.Secret(p.ctx, "key", func(old []byte) ([]byte, error) {
			saw[i] = len(old)
			return append(old, byte(i)), nil
		})
		return err
	})
	if err != nil {
		return fmt.Errorf("Secret returned %w", err)
	}
	slices.Sort(saw)
	for i := range saw {
		if saw[i] != i {
			return fmt.Errorf("of %d calls that add an octet each, they saw %d, want each number once", n, saw)
		}
	}
	slices.SortFunc(left, func(a, b []byte) int { return len(a) - len(b) })
	for i := range left {
		if len(left[i]) != i+1 || !bytes.HasPrefix(left[n-1], left[i]) {
			return fmt.Errorf("of %d calls that add an octet each, one returned %x and another %x", n, left[i], left[n-1])
		}
	}
	return p.keeps("key", left[n-1])
}

// secretFreshValue can't make a store call change again; but where one does, a trace of the call before
// would show.
func secretFreshValue(p *probe) error {
	const n = 30
	if err := p.keep("key", []byte("....................")); err != nil {
		return err
	}
	err := atOnce(n, func(i int) error {
		mine := []byte(fmt.Sprintf("<%d>", i))
		var trace error
		_, err := p.keys.Secret(p.ctx, "key", func(old []byte) ([]byte, error) {
			if bytes.Contains(old, mine) {
				trace = fmt.Errorf("change was called again with what it had left of the value before: %q", old)
			}
			copy(old, mine)
			return append(old, '+'), nil
		})
		return errors.Join(err, trace)
	})
	if err != nil {
		return err
	}
	got, err := p.keys.Secret(p.ctx, "key", unchanged)
	if err != nil || bytes.Count(got, []byte("+")) != n {
		return fmt.Errorf("%d calls left %q, %v", n, got, err)
	}
	return nil
}

func secretNeighbours(p *probe) error {
	const names, each = 8, 6
	errChange := errors.New("change failed")
	err := atOnce(names*each, func(i int) error {
		name := fmt.Sprint("key ", i%names)
		var err error
		switch i / names {
		case 0: // fails
			_, err = p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) { clear(old); return []byte("failed"), errChange })
			if err == errChange {
				return nil
			}
		case 1: // panics
			if v := recovered(func() {
				_, err = p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) { clear(old); panic(errChange) })
			}); v == errChange {
				return nil
			}
		default:
			_, err = p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) { return append(old, '+'), nil })
			if err == nil {
				return nil
			}
		}
		return fmt.Errorf("among others, Secret returned %w", err)
	})
	if err != nil {
		return err
	}
	for i := range names {
		if err := p.keeps(fmt.Sprint("key ", i), []byte(strings.Repeat("+", each-2))); err != nil {
			return err
		}
	}
	return nil
}

func secretErrorAsItIs(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	fails := func(name string, want error) error {
		_, err := p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
			clear(old)
			return []byte("failed"), want
		})
		return err
	}
	for _, want := range errorsOfChange {
		for _, name := range []string{"key", "absent"} {
			if err := fails(name, want); err != want {
				return fmt.Errorf("Secret returned the error %v, want the very error %v", err, want)
			}
		}
		if err := errors.Join(p.keeps("key", fullSecret(1)), p.keeps("absent", nil)); err != nil {
			return err
		}
	}
	if _, ok := fails("key", changeError{"not comparable"}).(changeError); !ok {
		return errors.New("Secret did not return the very error that change returned")
	}
	if err := p.keep("key", fullSecret(2)); err != nil {
		return fmt.Errorf("after an error of change: %w", err)
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return errors.Join(p.keeps("key", fullSecret(2)), p.keeps("absent", nil))
}

func secretBesideError(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(p.ctx)
	cancel()
	for _, c := range []struct {
		how  string
		name string
		ctx  context.Context
		do   func([]byte) ([]byte, error)
	}{
		{"change returned an error", "key", p.ctx, func(old []byte) ([]byte, error) { return old, errors.New("change failed") }},
		{"the context had ended", "key", ended, setSecret(fullSecret(2))},
		{"there was no name", "", p.ctx, setSecret(fullSecret(2))},
		{"the value was too large", "key", p.ctx, setSecret(make([]byte, largestSecret+1))},
	} {
		if got, err := p.keys.Secret(c.ctx, c.name, c.do); got != nil || err == nil {
			return fmt.Errorf("%s, and Secret returned %d octets and error %v", c.how, len(got), err)
		}
	}
	return p.keeps("key", fullSecret(1))
}

func secretPanic(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	for _, name := range []string{"key", "absent"} {
		want := &struct{ int }{}
		var err error
		got := recovered(func() {
			_, err = p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
				clear(old)
				panic(want)
			})
		})
		if got != want {
			return fmt.Errorf("the caller of Secret recovered %v and got the error %v, want the value of the panic", got, err)
		}
	}
	return p.keepsOn()
}

func secretGoexit(p *probe) error {
	if err := p.keep("key", fullSecret(1)); err != nil {
		return err
	}
	for _, name := range []string{"key", "absent"} {
		err := <-async(func() error {
			_, err := p.keys.Secret(p.ctx, name, func(old []byte) ([]byte, error) {
				clear(old)
				runtime.Goexit()
				return nil, nil
			})
			return err
		})
		if err != errGone {
			return fmt.Errorf("change called runtime.Goexit and Secret returned %v", err)
		}
	}
	return p.keepsOn()
}

// keepsOn returns an error unless the store has the secret of that name, and none that is absent, and takes
// changes of them.
func (p *probe) keepsOn() error {
	if err := errors.Join(p.keeps("key", fullSecret(1)), p.keeps("absent", nil)); err != nil {
		return err
	}
	g := plainGrant("alice", "app")
	if err := errors.Join(p.keep("key", fullSecret(2)), p.keep("absent", fullSecret(3)), p.insert(g)); err != nil {
		return fmt.Errorf("the store does not serve on: %w", err)
	}
	if err := p.reopen(); err != nil {
		return err
	}
	return errors.Join(p.keeps("key", fullSecret(2)), p.keeps("absent", fullSecret(3)), p.lists(storage.Filter{}, g))
}

// secretUnspoken looks at errors alone.
func secretUnspoken(p *probe) error {
	const word = "Rumpelstiltskin"
	if err := p.keep("key", []byte(word)); err != nil {
		return err
	}
	ended, cancel := context.WithCancel(p.ctx)
	cancel()
	large := bytes.Repeat([]byte(word), largestSecret/len(word)+1)
	for _, c := range []struct {
		name string
		ctx  context.Context
		do   func([]byte) ([]byte, error)
	}{
		{"key", p.ctx, setSecret(large)},
		{"another key", p.ctx, setSecret(large)},
		{"key", p.ctx, func(old []byte) ([]byte, error) { return append(old, large...), nil }},
		{"", p.ctx, setSecret([]byte(word))},
		{"\xff", p.ctx, setSecret([]byte(word))},
		{"key", ended, setSecret([]byte(word + word))},
	} {
		_, err := p.keys.Secret(c.ctx, c.name, c.do)
		if err == nil {
			return fmt.Errorf("Secret(%.40q) returned no error", c.name)
		}
		if text := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(text, word) || strings.Contains(text, fmt.Sprintf("%x", word)) {
			return fmt.Errorf("there is a value in the error %.200s", text)
		}
	}
	return nil
}
