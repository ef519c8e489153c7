package storagetest

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/storage"
)

// keepingAs is a store that alters what change leaves before it is stored.
func keepingAs(alter func(value []byte) []byte) func(*altered) {
	return secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		value, err := do(old)
		return alter(value), err
	})
}

// secretCalls is a store whose Secret calls change in another way.
func secretCalls(how func(old []byte, do secretChange) ([]byte, error)) func(*altered) {
	return func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) { return how(old, do) })
		}
	}
}

// calling is a store that takes names for others.
func calling(other func(name string) string) func(*altered) {
	return func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, other(name), do)
		}
	}
}

// answering is a store whose Secret returns something else.
func answering(other func(value []byte, err error) ([]byte, error)) func(*altered) {
	return func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return other(a.memory.Secret(ctx, name, do))
		}
	}
}

// refusing is a store that refuses some names and values.
func refusing(refused func(name string, value []byte) bool) func(*altered) {
	return func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				value, err := do(old)
				if err == nil && refused(name, value) {
					err = errors.New("engine: not to its taste")
				}
				return value, err
			})
		}
	}
}

// getThenPut loses what others put in between.
func getThenPut(a *altered) {
	a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
		old, err := a.memory.Secret(ctx, name, unchanged)
		if err != nil {
			return nil, err
		}
		value, err := do(old)
		wait()
		if err != nil {
			return nil, err
		}
		return a.memory.Secret(ctx, name, func([]byte) ([]byte, error) { return value, nil })
	}
}

// closingWith does something to the data before it closes.
func closingWith(a *altered, before func()) {
	a.close = func() error {
		a.exclusively(before)
		return a.memory.Close()
	}
}

var brokenKeys = []brokenStore{
	{"Every/concurrent", "concurrent Secrets lose those of other names", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var all map[string][]byte
			a.exclusively(func() { all = maps.Clone(a.secrets) })
			wait()
			a.exclusively(func() { a.secrets = all })
			return a.memory.Secret(ctx, name, do)
		}
	}},
	{"Every/durable", "the secret that was stored last is not written", func(a *altered) {
		var old map[string][]byte
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(b []byte) ([]byte, error) {
				value, err := do(b)
				if err == nil && !bytes.Equal(value, a.secrets[name]) {
					old = maps.Clone(a.secrets)
				}
				return value, err
			})
		}
		closingWith(a, func() {
			if old != nil {
				a.secrets = old
			}
		})
	}},
	{"Every/durable", "a new secret is not written", func(a *altered) {
		fresh := map[string]bool{}
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				if old == nil {
					fresh[name] = true
				} else {
					delete(fresh, name)
				}
				return do(old)
			})
		}
		closingWith(a, func() {
			maps.DeleteFunc(a.secrets, func(name string, _ []byte) bool { return fresh[name] })
		})
	}},
	{"Every/durable", "a secret that was removed comes back", func(a *altered) {
		old := map[string][]byte{}
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(b []byte) ([]byte, error) {
				if b != nil {
					old[name] = bytes.Clone(b)
				}
				return do(b)
			})
		}
		closingWith(a, func() {
			for name, value := range old {
				if a.secrets[name] == nil {
					a.secrets[name] = value
				}
			}
		})
	}},
	{"Every/seen", "what changes nothing is answered from a cache that changes pass by", func(a *altered) {
		var cache sync.Map
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			if had, ok := cache.Load(name); ok {
				if value, err := do(bytes.Clone(had.([]byte))); err == nil && bytes.Equal(value, had.([]byte)) {
					return value, nil
				}
			}
			value, err := a.memory.Secret(ctx, name, do)
			if err == nil {
				cache.LoadOrStore(name, bytes.Clone(value))
			}
			return value, err
		}
	}},
	{"Every/ended_stores_nothing", "Secret looks at the context again when it has stored", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			return value, cmp.Or(err, ctx.Err())
		}
	}},
	{"Every/ended_while_waiting", "a Secret that was queued can't be called back", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			value, err := a.memory.Secret(context.WithoutCancel(ctx), name, do)
			return value, cmp.Or(err, ctx.Err())
		}
	}},

	{"Secret/stores", "values end at NUL", keepingAs(func(value []byte) []byte {
		value, _, _ = bytes.Cut(value, []byte{0})
		return value
	})},
	{"Secret/stores", "values are text", keepingAs(func(value []byte) []byte { return bytes.ToValidUTF8(value, []byte("\ufffd")) })},
	{"Secret/stores", "the first one stays for ever", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		if old != nil {
			do(old)
			return old, nil
		}
		return do(old)
	})},
	{"Secret/stores", "one for all names", calling(func(name string) string { return "the" })},
	{"Secret/agree", "get, then put", getThenPut},
	{"Secret/agree", "who comes too late gets what he made", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			old, err := a.memory.Secret(ctx, name, unchanged)
			if err != nil || old != nil {
				return old, err
			}
			made, err := do(nil)
			if err != nil {
				return nil, err
			}
			wait()
			_, err = a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				if old != nil {
					return old, nil
				}
				return made, nil
			})
			return made, err
		}
	}},
	{"Secret/own", "the store's own", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) (value []byte, err error) {
			_, err = a.memory.Secret(ctx, name, do)
			a.exclusively(func() { value = a.secrets[name] })
			return value, err
		}
	}},
	{"Secret/own", "one slice for all who change nothing", func(a *altered) {
		var cache sync.Map
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err != nil || value == nil {
				return value, err
			}
			shared, _ := cache.LoadOrStore(name+string(value), value)
			return shared.([]byte), nil
		}
	}},
	{"Secret/own", "what change returned", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			_, left, err := a.leaving(ctx, name, do)
			return left, err
		}
	}},
	{"Secret/own", "what change returned is stored", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, left, err := a.leaving(ctx, name, do)
			if len(value) > 0 {
				a.exclusively(func() { a.secrets[name] = left })
			}
			return value, err
		}
	}},
	{"Secret/own", "memory that Close releases", func(a *altered) {
		var released [][]byte
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			a.exclusively(func() { released = append(released, value) })
			return value, err
		}
		closingWith(a, func() {
			for _, b := range released {
				clear(b)
			}
		})
	}},
	{"Secret/given", "the store's own", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func([]byte) ([]byte, error) { return do(a.secrets[name]) })
		}
	}},
	{"Secret/given", "what change got is kept", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var given []byte
			value, err := a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) { given = old; return do(old) })
			if len(given) == len(value) && err == nil && value != nil {
				a.exclusively(func() { a.secrets[name] = given })
			}
			return value, err
		}
	}},
	{"Secret/given", "empty, and not nil", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		if old == nil {
			old = []byte{}
		}
		return do(old)
	})},
	{"Secret/given", "compares what change returns with what it has altered", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var left []byte
			value, err := a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				given := bytes.Clone(old)
				value, err := do(given)
				left = bytes.Clone(value)
				if bytes.Equal(value, given) {
					return old, err
				}
				return value, err
			})
			if err == nil && value != nil {
				value = left
			}
			return value, err
		}
	}},
	{"Secret/given", "the room behind it is used for something else", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				room := append(bytes.Clone(old), make([]byte, len(old))...)
				value, err := do(room[:len(old):len(room)])
				clear(room[len(old):])
				return value, err
			})
		}
	}},
	{"Secret/no_change", "no row was affected", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		before := bytes.Clone(old)
		value, err := do(old)
		if err == nil && bytes.Equal(value, before) {
			err = storage.ErrNotFound
		}
		return value, err
	})},
	{"Secret/no_change", "what was not changed is removed", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		before := bytes.Clone(old)
		value, err := do(old)
		if bytes.Equal(value, before) {
			value = nil
		}
		return value, err
	})},
	{"Secret/no_change", "where there is none a call makes one", keepingAs(func(value []byte) []byte {
		if value == nil {
			value = []byte{0}
		}
		return value
	})},
	{"Secret/removes", "nil leaves what is there", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		before := bytes.Clone(old)
		value, err := do(old)
		if value == nil {
			value = before
		}
		return value, err
	})},
	{"Secret/removes", "an empty value is one", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var empty bool
			value, err := a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				if old == nil && a.secrets[name] != nil {
					old = []byte{}
				}
				value, err := do(old)
				empty = value != nil && len(value) == 0
				return value, err
			})
			if err == nil && empty {
				a.exclusively(func() { a.secrets[name] = []byte{} })
				value = []byte{}
			}
			return value, err
		}
	}},
	{"Secret/removes", "all that begin so are removed", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err == nil && value == nil {
				a.exclusively(func() {
					maps.DeleteFunc(a.secrets, func(other string, _ []byte) bool { return strings.HasPrefix(other, name) })
				})
			}
			return value, err
		}
	}},
	{"Secret/removes", "a removed name is marked for ever", func(a *altered) {
		var removed sync.Map
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			if _, ok := removed.Load(name); ok {
				return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) { do(nil); return nil, nil })
			}
			value, err := a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				value, err := do(old)
				if err == nil && old != nil && len(value) == 0 {
					removed.Store(name, true)
				}
				return value, err
			})
			return value, err
		}
	}},
	{"Secret/names", "without case", calling(strings.ToLower)},
	{"Secret/names", "spaces at the end don't count", calling(func(name string) string { return strings.TrimRight(name, " ") })},
	{"Secret/names", "names end at NUL", calling(func(name string) string {
		name, _, _ = strings.Cut(name, "\x00")
		return cmp.Or(name, "none")
	})},
	{"Secret/names", "names are cut", calling(func(name string) string { return name[:min(len(name), 254)] })},
	{"Secret/names", "what looks alike is alike", calling(func(name string) string { return strings.ReplaceAll(name, "e\u0301", "\u00e9") })},
	{"Secret/names", "not every character", refusing(func(name string, _ []byte) bool { return strings.ContainsAny(name, "\n'\"") })},
	{"Secret/names", "ASCII alone", refusing(func(name string, _ []byte) bool {
		return strings.ContainsFunc(name, func(r rune) bool { return r >= utf8.RuneSelf })
	})},
	{"Secret/names", "64 octets at most", refusing(func(name string, _ []byte) bool { return len(name) > 64 })},
	{"Secret/no_name", "none is one", calling(func(name string) string { return cmp.Or(name, "none") })},
	{"Secret/no_name", "cut to what it may have", calling(func(name string) string { return name[:min(len(name), longestName)] })},
	{"Secret/no_name", "UTF-8 is mended", calling(func(name string) string { return strings.ToValidUTF8(name, "\ufffd") })},
	{"Secret/no_name", "taken without a word", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if name == "" || !utf8.ValidString(name) {
				err = nil
			}
			return value, err
		}
	}},
	{"Secret/large", "32 KiB at most", refusing(func(_ string, value []byte) bool { return len(value) > 32<<10 })},
	{"Secret/large", "one octet less", refusing(func(_ string, value []byte) bool { return len(value) == largestSecret })},
	{"Secret/large", "cut", keepingAs(func(value []byte) []byte { return value[:min(len(value), largestSecret-1)] })},
	{"Secret/too_large", "cut without a word", keepingAs(func(value []byte) []byte { return value[:min(len(value), largestSecret)] })},
	{"Secret/too_large", "welcome", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, left, err := a.leaving(ctx, name, do)
			if err != nil && len(left) > largestSecret {
				a.exclusively(func() { a.secrets[name] = bytes.Clone(left) })
				return left, nil
			}
			return value, err
		}
	}},
	{"Secret/too_large", "refused, and stored", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, left, err := a.leaving(ctx, name, do)
			if err != nil && len(left) > largestSecret {
				a.exclusively(func() { a.secrets[name] = bytes.Clone(left[:largestSecret]) })
			}
			return value, err
		}
	}},
	{"Secret/too_large", "refused, and what was there is gone", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err != nil && ctx.Err() == nil {
				a.exclusively(func() { delete(a.secrets, name) })
			}
			return value, err
		}
	}},

	{"Secret/exactly_once", "get, then put", getThenPut},
	{"Secret/exactly_once", "stored twice", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		value, err := do(old)
		if err != nil {
			return nil, err
		}
		return do(value)
	})},
	{"Secret/exactly_once", "acknowledged and forgotten", func(a *altered) {
		var n atomic.Int64
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			if n.Add(1) != 20 {
				return a.memory.Secret(ctx, name, do)
			}
			old, err := a.memory.Secret(ctx, name, unchanged)
			if err != nil {
				return nil, err
			}
			return do(old)
		}
	}},
	{"Secret/exactly_once", "what is stored by the time it returns", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			if _, err := a.memory.Secret(ctx, name, do); err != nil {
				return nil, err
			}
			wait()
			return a.memory.Secret(ctx, name, unchanged)
		}
	}},
	{"Secret/fresh_value", "change is called again with what it has altered", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		do(old)
		return do(old)
	})},
	{"Secret/fresh_value", "change is called again with what it returned", secretCalls(func(old []byte, do secretChange) ([]byte, error) {
		value, err := do(old)
		if err != nil {
			return nil, err
		}
		return do(value)
	})},
	{"Secret/fresh_value", "change is called again with how it stood", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			stood, err := a.memory.Secret(ctx, name, unchanged)
			if err != nil {
				return nil, err
			}
			wait()
			return a.memory.Secret(ctx, name, func([]byte) ([]byte, error) { return do(bytes.Clone(stood)) })
		}
	}},
	{"Secret/neighbours", "what a failed change spoiled is what the next one gets", func(a *altered) {
		spoiled := map[string][]byte{}
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				if spoiled[name] != nil {
					old = spoiled[name]
				}
				spoiled[name] = old
				value, err := do(old)
				if err == nil {
					delete(spoiled, name)
				}
				return value, err
			})
		}
	}},
	{"Secret/neighbours", "what fails at the same time fails together", func(a *altered) {
		var failed atomic.Pointer[error]
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err != nil {
				failed.Store(&err)
			}
			wait()
			if err := failed.Load(); err != nil {
				return nil, *err
			}
			return value, nil
		}
	}},
	{"Secret/error_as_it_is", "wrapped", answering(func(value []byte, err error) ([]byte, error) { return value, wrapped(err) })},
	{"Secret/error_as_it_is", "swallowed", answering(func(value []byte, err error) ([]byte, error) { return value, nil })},
	{"Secret/error_as_it_is", "stored all the same", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var failed error
			value, err := a.memory.Secret(ctx, name, func(old []byte) (value []byte, _ error) {
				value, failed = do(old)
				return value, nil
			})
			if failed != nil {
				return nil, failed
			}
			return value, err
		}
	}},
	{"Secret/error_as_it_is", "absence is taken for the store's", answering(func(value []byte, err error) ([]byte, error) {
		if errors.Is(err, storage.ErrNotFound) {
			return nil, nil
		}
		return value, err
	})},
	{"Secret/error_as_it_is", "errors are compared that can't be", answering(func(value []byte, err error) ([]byte, error) {
		if errors.As(err, new(changeError)) && any(err) == any(err) {
			return nil, nil
		}
		return value, err
	})},
	{"Secret/error_as_it_is", "change is called until it succeeds", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			for err == storage.ErrUnavailable {
				a.rest()
				value, err = a.memory.Secret(ctx, name, do)
			}
			return value, err
		}
	}},
	{"Secret/beside_error", "what is stored", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err != nil {
				value, _ = a.memory.Secret(context.Background(), name, unchanged)
			}
			return value, err
		}
	}},
	{"Secret/beside_error", "what change made", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			_, left, err := a.leaving(ctx, name, do)
			return left, err
		}
	}},
	{"Secret/beside_error", "empty", answering(func(value []byte, err error) ([]byte, error) {
		if err != nil {
			value = []byte{}
		}
		return value, err
	})},
	{"Secret/panic", "swallowed", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			defer func() { recover() }()
			return a.memory.Secret(ctx, name, do)
		}
	}},
	{"Secret/panic", "an error instead", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) (_ []byte, err error) {
			defer func() {
				if v := recover(); v != nil {
					err = fmt.Errorf("panic: %v", v)
				}
			}()
			return a.memory.Secret(ctx, name, do)
		}
	}},
	{"Secret/panic", "removed", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			var panicked any
			value, err := a.memory.Secret(ctx, name, func(old []byte) (value []byte, err error) {
				defer func() { panicked = recover() }()
				return do(old)
			})
			if panicked != nil {
				panic(panicked)
			}
			return value, err
		}
	}},
	{"Secret/panic", "the turn is never given back", keepsTurnOfSecret(func(do func()) {
		if v := recovered(do); v != nil {
			panic(v)
		}
	})},
	{"Secret/goexit", "the turn is never given back", keepsTurnOfSecret(func(do func()) { do() })},
	{"Secret/goexit", "taken for success", secretCalls(func(old []byte, do secretChange) (value []byte, err error) {
		done := make(chan bool)
		go func() {
			defer close(done)
			value, err = do(old)
		}()
		<-done
		return value, err
	})},
	{"Secret/unspoken", "what is too large is in the error", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
				value, err := do(old)
				if err == nil && len(value) > largestSecret {
					err = fmt.Errorf("%.30q is too large", value)
				}
				return value, err
			})
		}
	}},
	{"Secret/unspoken", "what could not be stored is in the error", func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) ([]byte, error) {
			value, err := a.memory.Secret(ctx, name, do)
			if err != nil {
				left, _ := do(nil)
				err = fmt.Errorf("store %x: %w", left[:min(len(left), 64)], err)
			}
			return value, err
		}
	}},
}

// keepsTurnOfSecret is a store that gives the turn back only where change returns.
func keepsTurnOfSecret(run func(func())) func(*altered) {
	return func(a *altered) {
		a.secret = func(ctx context.Context, name string, do secretChange) (value []byte, err error) {
			if err := a.begin(ctx); err != nil {
				return nil, err
			}
			run(func() { value, err = do(bytes.Clone(a.secrets[name])) })
			a.end()
			if err != nil {
				return nil, err
			}
			return a.memory.Secret(ctx, name, func([]byte) ([]byte, error) { return value, nil })
		}
	}
}

// leaving is Secret of the memory store, and what change returned last.
func (a *altered) leaving(ctx context.Context, name string, do secretChange) (value, left []byte, err error) {
	value, err = a.memory.Secret(ctx, name, func(old []byte) (_ []byte, err error) {
		left, err = do(old)
		return left, err
	})
	return value, left, err
}
