package middleware

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"runtime"
	"strings"
)

// loggerOf finds the logger of v, or of what it wraps; nil if none has one.
func loggerOf(v Validator) *slog.Logger {
	if l, ok := validatorWith[interface{ Logger() *slog.Logger }](v); ok {
		return l.Logger()
	}
	return nil
}

func (g *guard) log() *slog.Logger {
	if g.logger != nil {
		return g.logger
	}
	return slog.Default()
}

// logFailure writes down why access could not be validated, without access itself. If the request is
// over there was no failure: nobody waits for the answer any more.
func (g *guard) logFailure(ctx context.Context, err error, access string) {
	level := slog.LevelError
	if ctx.Err() != nil {
		level = slog.LevelDebug
	}
	text := strings.NewReplacer(
		access, "[token]",
		url.QueryEscape(access), "[token]", // as in the text of a *url.Error
		url.PathEscape(access), "[token]",
	).Replace(err.Error())
	g.log().Log(ctx, level, "middleware: validating an access token failed", "error", text)
}

// logPanic writes down where the Validator panicked, and no value: there may be a token among them.
// It is called by the deferred function that has recovered.
func (g *guard) logPanic(ctx context.Context, p any) {
	var pcs [32]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	var stack []string
	for more := true; more; {
		var f runtime.Frame
		f, more = frames.Next()
		stack = append(stack, fmt.Sprintf("%s %s:%d", f.Function, f.File, f.Line))
	}
	g.log().ErrorContext(ctx, "middleware: validating an access token panicked", "panic", fmt.Sprintf("%T", p), "stack", stack)
}
