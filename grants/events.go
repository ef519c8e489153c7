package grants

import (
	"context"
	"log/slog"

	"github.com/ostiary-go/ostiary/storage"
)

// EventKind says what happened.
type EventKind string

// The kinds of events.
const (
	EventAuthorized    EventKind = "authorized"     // an authorization code was handed out
	EventIssued        EventKind = "issued"         // a grant got its first tokens
	EventImported      EventKind = "imported"       // a grant of an older system was taken over
	EventRefreshed     EventKind = "refreshed"      // a refresh token was used, or a lost answer repeated
	EventReuseDetected EventKind = "reuse_detected" // a spent code or refresh token was presented and the grant ended
	EventRevoked       EventKind = "revoked"        // an access token was revoked
	EventEnded         EventKind = "ended"          // a grant, or all of a client's (no Grant), was ended
	EventRefused       EventKind = "refused"        // a request was refused
)

// Event tells an application what happened. It never holds a secret, code or token, nor anything that
// a client sent and did not prove.
type Event struct {
	Kind       EventKind
	Client     string     // "" if the request named no registered client
	User       string     // "" for a client's own grant, and where the grant is not known
	Grant      storage.ID // zero where it is not known
	GrantType  string     // of the request, where it is served
	Scope      string     // of the tokens
	Reason     string     // of a refusal or a reuse, in words that the client is not told
	RemoteAddr string     // of the request, as the server saw it
}

// OnEvent sets a function that is called for each event: after what happened is durable, outside of
// all locks, in the goroutine of the request. A panic in it is logged and goes no further. Several are
// called in turn.
func OnEvent(f func(context.Context, Event)) Option {
	if f == nil {
		panic("grants: OnEvent: no function")
	}
	return func(m *Manager) { m.onEvent = append(m.onEvent, f) }
}

var eventLevels = map[EventKind]slog.Level{
	EventAuthorized:    slog.LevelDebug,
	EventIssued:        slog.LevelDebug,
	EventImported:      slog.LevelDebug,
	EventRefreshed:     slog.LevelDebug,
	EventReuseDetected: slog.LevelWarn,
	EventRevoked:       slog.LevelInfo,
	EventEnded:         slog.LevelInfo,
	EventRefused:       slog.LevelInfo,
}

// about notes tokens that were handed out.
func (e *Event) about(kind EventKind, i *issued) {
	e.Kind, e.Client, e.User, e.Grant, e.Scope = kind, i.client, i.user, i.id, i.scope
}

func (m *Manager) event(ctx context.Context, e Event) {
	level := eventLevels[e.Kind]
	if m.logger.Enabled(ctx, level) {
		attrs := []slog.Attr{slog.String("event", string(e.Kind))}
		for _, a := range []struct{ name, value string }{
			{"client", e.Client}, {"user", e.User}, {"grant_type", e.GrantType},
			{"scope", e.Scope}, {"reason", e.Reason}, {"remote", e.RemoteAddr},
		} {
			if a.value != "" {
				attrs = append(attrs, slog.String(a.name, a.value))
			}
		}
		if !e.Grant.IsZero() {
			attrs = append(attrs, slog.String("grant", e.Grant.String()))
		}
		m.logger.LogAttrs(ctx, level, "oauth", attrs...)
	}
	for _, f := range m.onEvent {
		m.call(ctx, f, e)
	}
}

func (m *Manager) call(ctx context.Context, f func(context.Context, Event), e Event) {
	defer func() {
		if p := recover(); p != nil {
			m.logger.ErrorContext(ctx, "oauth: the event hook panicked", "event", string(e.Kind))
		}
	}()
	f(ctx, e)
}
