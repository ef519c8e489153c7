package middleware

import (
	"context"
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// TestDeadline holds deadline against context.WithTimeout.
func TestDeadline(t *testing.T) {
	type key struct{}
	for name, steps := range map[string]func(ctx context.Context, cancelParent, end func()) (after time.Duration, err error){
		"times_out": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			start := time.Now()
			<-ctx.Done()
			return time.Since(start), ctx.Err()
		},
		"times_out_unwatched": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			time.Sleep(5*time.Second + 1)
			return 0, ctx.Err()
		},
		"still_time": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			time.Sleep(5*time.Second - 1)
			return 0, ctx.Err()
		},
		"watched_late": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			time.Sleep(2 * time.Second)
			start := time.Now()
			<-ctx.Done()
			return time.Since(start), ctx.Err()
		},
		"watched_too_late": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			time.Sleep(time.Minute)
			<-ctx.Done()
			return 0, ctx.Err()
		},
		"request_ends": func(ctx context.Context, cancelParent, _ func()) (time.Duration, error) {
			cancelParent()
			return 0, ctx.Err()
		},
		"request_ends_watched": func(ctx context.Context, cancelParent, _ func()) (time.Duration, error) {
			go cancelParent()
			<-ctx.Done()
			return 0, ctx.Err()
		},
		"child": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			start := time.Now()
			child, cancel := context.WithCancel(ctx)
			defer cancel()
			<-child.Done()
			return time.Since(start), child.Err()
		},
		"ended_watched": func(ctx context.Context, _, end func()) (time.Duration, error) {
			done := ctx.Done()
			end()
			<-done
			return 0, ctx.Err()
		},
		"value": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			if ctx.Value(key{}) != "kept" {
				return -1, context.Canceled
			}
			ctx.Done()
			if ctx.Value(key{}) != "kept" {
				return -2, context.Canceled
			}
			return 0, ctx.Err()
		},
		"deadline": func(ctx context.Context, _, _ func()) (time.Duration, error) {
			at, _ := ctx.Deadline()
			return time.Until(at), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				parent, cancelParent := context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
				defer cancelParent()
				std, cancel := context.WithTimeout(parent, 5*time.Second)
				wantAfter, wantErr := steps(std, cancelParent, cancel)
				cancel()

				parent, cancelParent = context.WithCancel(context.WithValue(t.Context(), key{}, "kept"))
				defer cancelParent()
				ours := newDeadline(parent, 5*time.Second)
				after, err := steps(ours, cancelParent, ours.end)
				ours.end()
				if err != wantErr || after != wantAfter {
					t.Errorf("err %v after %v, context.WithTimeout has %v after %v", err, after, wantErr, wantAfter)
				}
			})
		})
	}

	for name, watched := range map[string]bool{"request_ends_sooner": false, "request_ends_sooner_watched": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				start := time.Now()
				parent, cancel := context.WithTimeout(t.Context(), time.Second)
				defer cancel()
				d := newDeadline(parent, time.Minute)
				defer d.end()
				if at, ok := d.Deadline(); !ok || at.Sub(start) != time.Second {
					t.Errorf("the deadline is %v from now, %t", at.Sub(start), ok)
				}
				if watched {
					<-d.Done()
				} else {
					<-parent.Done()
				}
				if after := time.Since(start); after != time.Second || d.Err() != context.DeadlineExceeded {
					t.Errorf("%v after %v", d.Err(), after)
				}
			})
		})
	}

	t.Run("ended_unwatched", func(t *testing.T) {
		d := newDeadline(t.Context(), time.Hour)
		d.end()
		<-d.Done()
		if d.Err() == nil {
			t.Error("whoever kept the context sees no end")
		}
	})

	t.Run("child_costs_no_goroutine", func(t *testing.T) {
		parent, cancelParent := context.WithCancel(t.Context())
		defer cancelParent()
		d := newDeadline(parent, time.Hour)
		defer d.end()
		before := runtime.NumGoroutine()
		for range 100 {
			_, cancel := context.WithCancel(d)
			defer cancel()
		}
		if n := runtime.NumGoroutine() - before; n > 50 {
			t.Errorf("100 children started %d goroutines", n)
		}
	})
}

// BenchmarkDeadline is what a validation pays for its deadline: ours, if nobody waits for it or
// somebody does, and that of the standard library.
func BenchmarkDeadline(b *testing.B) {
	ctx, cancel := context.WithCancel(b.Context())
	defer cancel()
	b.Run("unwatched", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			newDeadline(ctx, time.Second).end()
		}
	})
	b.Run("watched", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			d := newDeadline(ctx, time.Second)
			d.Done()
			d.end()
		}
	})
	b.Run("context.WithTimeout", func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			_, end := context.WithTimeout(ctx, time.Second)
			end()
		}
	})
}

func newDeadline(parent context.Context, after time.Duration) *deadline {
	d := new(deadline)
	d.start(parent, after)
	return d
}
