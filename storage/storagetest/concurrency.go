package storagetest

import (
	"errors"
	"fmt"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// settle gives goroutines time to come to where they wait. Without it everything holds too, but less
// is tried. In a synctest bubble it is exact.
func settle() { time.Sleep(10 * time.Millisecond) }

// pace leaves the processor to others, and the clock of a synctest bubble.
func pace() { time.Sleep(time.Microsecond) }

// during reads again and again in four goroutines, from before write is called until it has returned.
func during(write, read func() error) error {
	var written atomic.Bool
	writing := async(func() error {
		defer written.Store(true)
		pace()
		return write()
	})
	reading := atOnce(4, func(int) error {
		for !written.Load() {
			if err := read(); err != nil {
				return err
			}
			pace()
		}
		return nil
	})
	return errors.Join(<-writing, reading)
}

// async runs do in a goroutine of its own. A panic, or a runtime.Goexit such as t.Fatal's, is an
// error too.
func async(do func() error) <-chan error {
	result := make(chan error, 1)
	go func() {
		err := errGone
		defer func() {
			if v := recover(); v != nil {
				err = fmt.Errorf("panic: %v\n%s", v, debug.Stack())
			}
			result <- err
		}()
		err = do()
	}()
	return result
}

// atOnce runs do for 0 to n-1, up to 256 at a time, and returns the first few errors.
func atOnce(n int, do func(i int) error) error {
	const most = 256
	errs := make([]error, n)
	var workers sync.WaitGroup
	for w := range min(n, most) {
		workers.Go(func() {
			for i := w; i < n; i += most {
				errs[i] = <-async(func() error { return do(i) })
			}
		})
	}
	workers.Wait()
	errs = slices.DeleteFunc(errs, func(err error) bool { return err == nil })
	return errors.Join(errs[:min(len(errs), 3)]...)
}

// slowUpdate starts an update that stays in its change until release is called, and sets Audience then.
func (p *probe) slowUpdate(id storage.ID) (result <-chan error, release func(), err error) {
	entered, released := make(chan struct{}), make(chan struct{})
	enter := sync.OnceFunc(func() { close(entered) })
	result = async(func() error {
		return p.Update(p.ctx, id, func(g *storage.Grant) error {
			enter()
			<-released
			g.Audience = []string{"held"}
			return nil
		})
	})
	select {
	case <-entered:
		return result, sync.OnceFunc(func() { close(released) }), nil
	case err := <-result:
		return nil, nil, fmt.Errorf("Update returned %v without a call of change", err)
	}
}
