package introspect_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"

	"github.com/ostiary-go/ostiary/middleware/introspect"
)

// slow is a RoundTripper that takes a second for an answer, and counts.
type slow struct {
	asked, under, most, ended atomic.Int32
	answer                    func() string // nil: about("")
}

func (s *slow) RoundTrip(r *http.Request) (*http.Response, error) {
	s.asked.Add(1)
	for n := s.under.Add(1); ; {
		if most := s.most.Load(); n <= most || s.most.CompareAndSwap(most, n) {
			break
		}
	}
	defer s.under.Add(-1)
	text := about("")
	if s.answer != nil {
		text = s.answer()
	}
	select {
	case <-time.After(time.Second):
	case <-r.Context().Done():
		s.ended.Add(1)
		return nil, r.Context().Err()
	}
	return &http.Response{
		StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(text)),
	}, nil
}

func validator(rt http.RoundTripper, options ...introspect.Option) *introspect.Validator {
	options = append([]introspect.Option{introspect.HTTPClient(&http.Client{Transport: rt}), introspect.Logger(quiet)}, options...)
	return introspect.New("https://auth.example/introspect", clientID, secret, options...)
}

// A thousand requests with one token are one request to the endpoint, at whatever moment they come. No
// goroutine is left, or the bubble would fail.
func TestOneRequestForOneToken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slow{}
		v := validator(rt)
		var wg sync.WaitGroup
		for i := range 1000 {
			wg.Go(func() {
				time.Sleep(time.Duration(i) * 2 * time.Millisecond)
				if info, err := v.LoadAccessToken(t.Context(), good); err != nil || info.GetUserID() != "alice" {
					t.Errorf("got %v, %v", info, err)
				}
			})
		}
		wg.Wait()
		if n := rt.asked.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

// Without the bubble's order: all at once on all processors.
func TestOneRequestForOneTokenAtOnce(t *testing.T) {
	var asked atomic.Int32
	v := validator(transport(func(*http.Request) (*http.Response, error) {
		asked.Add(1)
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(about("")))}, nil
	}))
	start := make(chan struct{})
	var wg sync.WaitGroup
	for range 1000 {
		wg.Go(func() {
			<-start
			if _, err := v.LoadAccessToken(t.Context(), good); err != nil {
				t.Error(err)
			}
		})
	}
	close(start)
	wg.Wait()
	if n := asked.Load(); n != 1 {
		t.Errorf("%d requests", n)
	}
}

type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Whose context ends leaves at once; the request goes on while somebody waits for it, and no longer.
func TestLeaving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slow{}
		v := validator(rt)
		wait := func(d time.Duration) (after time.Duration, err error) {
			ctx, cancel := context.WithTimeout(t.Context(), d)
			defer cancel()
			start := time.Now()
			_, err = v.LoadAccessToken(ctx, good)
			return time.Since(start), err
		}
		var wg sync.WaitGroup
		for _, d := range []time.Duration{100, 200, 300, 2000} { // the first asks
			wg.Go(func() {
				after, err := wait(d * time.Millisecond)
				if d == 2000 && err != nil || d < 2000 && (!errors.Is(err, context.DeadlineExceeded) || after != d*time.Millisecond) {
					t.Errorf("who waits %d ms got %v after %v", d, err, after)
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		if rt.asked.Load() != 1 || rt.ended.Load() != 0 {
			t.Errorf("%d requests, %d of them ended", rt.asked.Load(), rt.ended.Load())
		}

		time.Sleep(time.Minute) // the answer is forgotten
		if _, err := wait(500 * time.Millisecond); err == nil {
			t.Error("an answer out of nothing")
		}
		synctest.Wait()
		if rt.asked.Load() != 2 || rt.ended.Load() != 1 {
			t.Errorf("nobody waits any more: %d requests, %d of them ended", rt.asked.Load(), rt.ended.Load())
		}
		if _, err := wait(2 * time.Second); err != nil { // who comes then asks anew
			t.Error(err)
		}
		ended, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := v.LoadAccessToken(ended, "another"); !errors.Is(err, context.Canceled) || rt.asked.Load() != 3 {
			t.Errorf("nobody to answer: %v, %d requests", err, rt.asked.Load())
		}
		if _, err := v.LoadAccessToken(ended, good); err != nil { // what is known takes no time
			t.Error(err)
		}
	})
}

// Whoever comes is told nothing older than what Cache allows, also while a request is under way: with 0,
// nothing that was asked before he came.
func TestNobodyJoinsAnOldRequest(t *testing.T) {
	for cache, want := range map[time.Duration]int32{0: 3, 400 * time.Millisecond: 2, 600 * time.Millisecond: 1} {
		synctest.Test(t, func(t *testing.T) {
			rt := &slow{}
			v := validator(rt, introspect.Cache(cache))
			var wg sync.WaitGroup
			for range 3 {
				wg.Go(func() {
					if _, err := v.LoadAccessToken(t.Context(), good); err != nil {
						t.Error(err)
					}
				})
				time.Sleep(250 * time.Millisecond)
			}
			wg.Wait()
			if n := rt.asked.Load(); n != want {
				t.Errorf("Cache(%v): %d requests, want %d", cache, n, want)
			}
		})
	}
	synctest.Test(t, func(t *testing.T) { // the end of an old request is not that of the next
		rt := &slow{}
		v := validator(rt, introspect.Cache(600*time.Millisecond))
		var wg sync.WaitGroup
		for _, d := range []time.Duration{0, 650, 1100} {
			wg.Go(func() {
				time.Sleep(d * time.Millisecond)
				if _, err := v.LoadAccessToken(t.Context(), good); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if n := rt.asked.Load(); n != 2 {
			t.Errorf("%d requests, want 2", n)
		}
	})
	synctest.Test(t, func(t *testing.T) { // a revocation that was acknowledged
		revoked := false
		rt := &slow{answer: func() string {
			if revoked {
				return `{"active":false}`
			}
			return about("")
		}}
		v := validator(rt, introspect.Cache(0))
		var wg sync.WaitGroup
		wg.Go(func() { v.LoadAccessToken(t.Context(), good) })
		synctest.Wait()
		revoked = true
		if _, err := v.LoadAccessToken(t.Context(), good); err != oerr.ErrInvalidAccessToken {
			t.Errorf("got %v", err)
		}
		wg.Wait()
	})
}

// An answer is believed from the asking on.
func TestBelievedFromTheAsking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slow{} // for a second
		v := validator(rt)
		for _, want := range []int32{1, 1, 2} {
			if _, err := v.LoadAccessToken(t.Context(), good); err != nil || rt.asked.Load() != want {
				t.Errorf("%v after %d requests, want %d", err, rt.asked.Load(), want)
			}
			time.Sleep(4500 * time.Millisecond)
		}
	})
}

// What is not read to its end is closed, or its connection would be lost.
func TestBodiesAreClosed(t *testing.T) {
	for name, answer := range map[string]*http.Response{
		"endless": {StatusCode: 200, Body: &endless{}}, "failed": {StatusCode: 500, Body: &endless{}},
	} {
		v := validator(transport(func(*http.Request) (*http.Response, error) {
			answer.Header = http.Header{"Content-Type": {"application/json"}}
			return answer, nil
		}))
		if _, err := v.LoadAccessToken(t.Context(), good); err == nil {
			t.Errorf("%s: no error", name)
		}
		if body := answer.Body.(*endless); !body.closed || body.read > 1<<20+1 {
			t.Errorf("%s: %d bytes were read, closed: %t", name, body.read, body.closed)
		}
	}
}

type endless struct {
	read   int
	closed bool
}

func (e *endless) Read(b []byte) (int, error) {
	e.read += len(b)
	return len(b), nil
}

func (e *endless) Close() error {
	e.closed = true
	return nil
}

// InFlight bounds the requests to the endpoint; the others wait their turn, and no longer than they can.
func TestInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rt := &slow{}
		v := validator(rt, introspect.InFlight(2), introspect.Timeout(2*time.Second))
		var served, late atomic.Int32
		var wg sync.WaitGroup
		for i := range 20 {
			wg.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 5500*time.Millisecond)
				defer cancel()
				switch _, err := v.LoadAccessToken(ctx, fmt.Sprint("token", i)); {
				case err == nil:
					served.Add(1)
				case errors.Is(err, context.DeadlineExceeded):
					late.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if served.Load() != 10 || late.Load() != 10 || rt.most.Load() != 2 {
			t.Errorf("%d served, %d too late, %d at a time", served.Load(), late.Load(), rt.most.Load())
		}
		synctest.Wait()
		if rt.under.Load() != 0 {
			t.Errorf("%d requests go on", rt.under.Load())
		}
		if _, err := v.LoadAccessToken(t.Context(), good); err != nil { // all places are free again
			t.Error(err)
		}
	})
}

// Failures are not kept, nor is what panics or exits on the way to the endpoint.
func TestFailuresAreNotKept(t *testing.T) {
	var fail func() error
	v := validator(transport(func(r *http.Request) (*http.Response, error) {
		if fail != nil {
			return nil, fail()
		}
		return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(about("")))}, nil
	}), introspect.InFlight(1))
	for name, with := range map[string]func() error{
		"error":  func() error { return errors.New("refused: " + good + secret) },
		"panic":  func() error { panic(good + secret) },
		"goexit": func() error { runtime.Goexit(); return nil },
	} {
		fail = with
		info, err := v.LoadAccessToken(t.Context(), good)
		if info != nil || err == nil || strings.Contains(err.Error(), good) || strings.Contains(err.Error(), secret) ||
			errors.Is(err, oerr.ErrInvalidAccessToken) || errors.Is(err, oerr.ErrExpiredAccessToken) {
			t.Errorf("%s: got %v, %v", name, info, err)
		}
	}
	fail = nil
	if _, err := v.LoadAccessToken(t.Context(), good); err != nil {
		t.Error(err)
	}
}

// The request has the values of the context of the one who asked first, for traces.
func TestContextValues(t *testing.T) {
	type key struct{}
	var got any
	v := validator(transport(func(r *http.Request) (*http.Response, error) {
		got = r.Context().Value(key{})
		return nil, io.EOF
	}))
	v.LoadAccessToken(context.WithValue(t.Context(), key{}, "trace"), good)
	if got != "trace" {
		t.Errorf("got %v", got)
	}
}
