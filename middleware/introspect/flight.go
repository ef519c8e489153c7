package introspect

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

// flight is one question to the endpoint, and those who wait for the answer.
type flight struct {
	began   time.Time
	waiting int                // guarded by Validator.mu
	cancel  context.CancelFunc // when nobody waits any more
	done    chan struct{}      // is closed when the rest is set
	answer  answer
	err     error
}

// ask waits for the answer about a token that many may ask for. It waits no longer than ctx.
func (v *Validator) ask(ctx context.Context, key digest, access string) (answer, error) {
	if ctx.Err() != nil {
		return answer{}, gone(ctx)
	}
	f, found := v.board(ctx, key, access)
	if f == nil {
		return found, nil
	}
	select {
	case <-f.done:
		return f.answer, f.err
	case <-ctx.Done():
		v.leave(key, f)
		return answer{}, gone(ctx)
	}
}

func gone(ctx context.Context) error {
	return fmt.Errorf("introspect: there was no answer in time: %w", ctx.Err())
}

// board returns the flight for a token, which has to be left, or an answer that has come meanwhile.
func (v *Validator) board(ctx context.Context, key digest, access string) (*flight, answer) {
	v.mu.Lock()
	defer v.mu.Unlock()
	now := time.Now()
	if f := v.flights[key]; f != nil && now.Before(f.began.Add(v.cache)) { // else its answer is older than what is believed
		f.waiting++
		return f, answer{}
	}
	if found, ok := v.kept.get(key, now); ok {
		return nil, found
	}
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx)) // who comes first may leave first
	f := &flight{began: now, waiting: 1, cancel: cancel, done: make(chan struct{})}
	v.flights[key] = f
	go v.fly(ctx, f, key, access)
	return f, answer{}
}

// leave ends a flight that nobody waits for.
func (v *Validator) leave(key digest, f *flight) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if f.waiting--; f.waiting == 0 {
		f.cancel()
		v.close(key, f)
	}
}

// close lets nobody else board f. It is called under v.mu.
func (v *Validator) close(key digest, f *flight) {
	if v.flights[key] == f { // and not one that began later
		delete(v.flights, key)
	}
}

// fly asks. An answer is kept before the flight closes, so that whoever comes finds the one or the other.
func (v *Validator) fly(ctx context.Context, f *flight, key digest, access string) {
	defer func() {
		if p := recover(); p != nil { // of an http.RoundTripper
			f.answer, f.err = answer{}, fmt.Errorf("introspect: asking panicked: %T", p)
		}
		v.mu.Lock()
		v.close(key, f)
		v.mu.Unlock()
		f.cancel()
		close(f.done)
	}()
	f.err = errors.New("introspect: asking was ended") // by runtime.Goexit
	f.answer, f.err = v.fetch(ctx, access)
	if f.err == nil && v.cache > 0 {
		v.kept.put(key, f.answer)
	}
}

// fetch asks the endpoint when it is its turn.
func (v *Validator) fetch(ctx context.Context, access string) (answer, error) {
	select {
	case v.slots <- struct{}{}:
		defer func() { <-v.slots }()
	case <-ctx.Done():
		return answer{}, gone(ctx)
	}
	ctx, cancel := context.WithTimeout(ctx, v.timeout)
	defer cancel()
	asked := time.Now()
	body, err := v.endpoint.ask(ctx, access)
	if err != nil {
		return answer{}, err
	}
	a, err := v.policy.read(body, time.Now())
	if err != nil {
		return answer{}, err
	}
	if a.refusal == errUntyped {
		a.refusal = oerr.ErrInvalidAccessToken
		v.untyped.Do(func() { v.warnUntyped(ctx) })
	}
	a.until = asked.Add(v.cache)
	if a.claims != nil && !a.claims.Expires.IsZero() && a.claims.Expires.Before(a.until) {
		a.until = a.claims.Expires
	}
	return a, nil
}

func (v *Validator) warnUntyped(ctx context.Context) {
	logger := v.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.WarnContext(ctx, "introspect: the endpoint names no token_type, and such tokens are refused: see InsecureUntyped")
}
