package introspect_test

import (
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/testbed"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
)

const (
	clientID = "orders"
	secret   = "s:e c+r%e&t=/orders"
	good     = "good-5d0c8f1e7a23-/+" // is sent form-encoded
)

// seen is what the endpoint was asked.
type seen struct {
	mu       sync.Mutex
	requests []*http.Request
	forms    []url.Values
}

func (s *seen) add(r *http.Request) url.Values {
	b, err := io.ReadAll(r.Body)
	if err != nil {
		panic(err)
	}
	form, err := url.ParseQuery(string(b))
	if err != nil {
		panic(err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.requests, s.forms = append(s.requests, r), append(s.forms, form)
	return form
}

func (s *seen) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.requests)
}

// world is a resource server, an introspection endpoint, and HTTP on both sides of the Validator.
type world struct {
	*seen
	endpoint  string
	validator *introspect.Validator
	log       testbed.Log
	api       string
	client    *http.Client

	authClient *http.Client // of the server with the endpoint
}

// newWorld serves orders behind what guard makes of a Validator, and answer at the endpoint: over TCP, or
// over pipes, which let the time of a synctest bubble go on.
func newWorld(t *testing.T, pipes bool, answer http.HandlerFunc, guard func(*introspect.Validator) http.Handler, options ...introspect.Option) *world {
	t.Helper()
	w := &world{seen: &seen{}}
	base, client := testbed.Serve(t, http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		r.Form = w.add(r)
		answer(rw, r)
	}), pipes)
	defaults := []introspect.Option{introspect.Logger(w.log.Logger())}
	if pipes {
		base = "http://localhost"
		defaults = append(defaults, introspect.HTTPClient(client))
	}
	w.endpoint, w.authClient = base+"/introspect", client
	w.validator = introspect.New(w.endpoint, clientID, secret, append(defaults, options...)...)
	if guard == nil {
		guard = func(v *introspect.Validator) http.Handler {
			return middleware.Bearer(v, middleware.Audience("https://orders.example"))(middleware.Scope("orders:read")(orders))
		}
	}
	w.api, w.client = testbed.Serve(t, guard(w.validator), pipes)
	return w
}

// orders is the guarded handler: it tells what it sees.
var orders = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
	token := middleware.Token(r.Context())
	fmt.Fprintf(w, "client=%s user=%s scope=%s", token.GetClientID(), token.GetUserID(), token.GetScope())
})

// get asks the resource server and returns its status and, if that is not 200, the error it names.
func (w *world) get(t *testing.T, path, token string) (status int, says string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", w.api+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Authorization", "Bearer "+token)
	res, err := w.client.Do(r)
	if err != nil {
		t.Error(err)
		return 0, ""
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		t.Error(err)
	}
	says = string(b)
	if res.StatusCode != 200 {
		_, says, _ = strings.Cut(says, `"error":"`)
		says, _, _ = strings.Cut(says, `"`)
		challenge := res.Header.Get("WWW-Authenticate")
		if unavailable := res.StatusCode == 503; unavailable != (challenge == "") || unavailable != (res.Header.Get("Retry-After") != "") ||
			!unavailable && !strings.Contains(challenge, `error="`+says+`"`) {
			t.Errorf("%d %s: challenge %q, Retry-After %q", res.StatusCode, b, challenge, res.Header.Get("Retry-After"))
		}
	}
	w.noLeak(t, fmt.Sprint(res.Header, string(b)), token)
	return res.StatusCode, says
}

// noLeak holds that neither text nor the log has the token or the secret in it, in any of their spellings.
func (w *world) noLeak(t *testing.T, text, token string) {
	t.Helper()
	authorization := ""
	if w.count() > 0 {
		authorization = strings.TrimPrefix(w.requests[0].Header.Get("Authorization"), "Basic ")
	}
	for _, word := range []string{token, secret, authorization} {
		for _, spelling := range []string{word, url.QueryEscape(word), url.PathEscape(word)} {
			if word != "" && strings.Contains(text+w.log.String(), spelling) {
				t.Errorf("%q is in the answer or the log: %s %s", spelling, text, w.log.String())
			}
		}
	}
}

// says answers with a JSON text.
func says(text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		io.WriteString(w, text)
	}
}

// about is what is said of an active token, with members beside that or in the place of others.
func about(members string) string {
	text := `{"active":true`
	for name, value := range map[string]string{
		"client_id": `"web"`, "sub": `"alice"`, "scope": `"orders:read"`, "token_type": `"Bearer"`,
		"exp": fmt.Sprint(time.Now().Add(time.Hour).Unix()), "iat": fmt.Sprint(time.Now().Unix()),
	} {
		if !strings.Contains(members, `"`+name+`":`) {
			text += `,"` + name + `":` + value
		}
	}
	if members != "" {
		text += "," + members
	}
	return text + "}"
}

func in(d time.Duration) string { return fmt.Sprint(time.Now().Add(d).Unix()) }

var quiet = slog.New(slog.DiscardHandler)
