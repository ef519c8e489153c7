package middleware_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/go-oauth2/oauth2/v4/models"
	"github.com/ostiary-go/ostiary/middleware"
)

// A nonsense constant panics where it stands, and names itself.
func TestPanics(t *testing.T) {
	for want, f := range map[string]func(){
		"middleware: Bearer: the Validator is nil":           func() { middleware.Bearer(nil) },
		`middleware: Realm("a\nb"): want`:                    func() { middleware.Realm("a\nb") },
		`middleware: ResourceMetadata("/x"): want`:           func() { middleware.ResourceMetadata("/x") },
		`middleware: ResourceMetadata("//a/x"): want`:        func() { middleware.ResourceMetadata("//a/x") },
		`middleware: ResourceMetadata("ftp://a/x"): want`:    func() { middleware.ResourceMetadata("ftp://a/x") },
		`middleware: ResourceMetadata("https:///x"): want`:   func() { middleware.ResourceMetadata("https:///x") },
		`middleware: ResourceMetadata("https://a#"): want`:   func() { middleware.ResourceMetadata("https://a#") },
		`middleware: ResourceMetadata("https://a\nb"): want`: func() { middleware.ResourceMetadata("https://a\nb") },
		`middleware: ResourceMetadata("https://ä"): want`:    func() { middleware.ResourceMetadata("https://ä") },
		"middleware: Audience(): want":                       func() { middleware.Audience() },
		"middleware: Audience: a name is empty":              func() { middleware.Audience("https://a.example", "") },
		"middleware: NotFound: the function is nil":          func() { middleware.NotFound(nil) },
		"middleware: TokenLimit(0): want":                    func() { middleware.TokenLimit(0) },
		"middleware: Timeout(-1s): want":                     func() { middleware.Timeout(-time.Second) },
		"middleware: Scope(): want":                          func() { middleware.Scope() },
		`middleware: Scope("a b"): not`:                      func() { middleware.Scope("c", "a b") },
		`middleware: Scope("")`:                              func() { middleware.Scope("") },
		`middleware: AnyScope("\"")`:                         func() { middleware.AnyScope(`"`) },
		"middleware: AnyScope()":                             func() { middleware.AnyScope() },
	} {
		if says := panics(f); !strings.HasPrefix(says, want) {
			t.Errorf("panic %q, want %q", says, want)
		}
	}
}

// A guard that doesn't know who is asking must not let anybody in, nor send clients into a loop.
func TestWithoutBearer(t *testing.T) {
	for name, guard := range map[string]func(http.Handler) http.Handler{
		"Scope":    middleware.Scope("orders:read"),
		"AnyScope": middleware.AnyScope("orders:read"),
		"User":     middleware.User,
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			defer slog.SetDefault(slog.Default())
			slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil)))
			mux := http.NewServeMux()
			mux.Handle("GET /orders/{id}", guard(orders))
			const request = "GET /orders/secret-number-17\nAuthorization: Bearer " + good
			checkRefusal(t, send(t, listen(t, mux), request), request, 500, "server_error", nil)
			if strings.Count(log.String(), "\n") != 1 || !strings.Contains(log.String(), name+" without Bearer") ||
				!strings.Contains(log.String(), "GET /orders/{id}") || leaked(log.String(), request) != "" {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

// What a Validator returned or panicked with is written down, but for the token.
func TestLog(t *testing.T) {
	const awkward = "a/b+c~d==" // is escaped in URLs
	for name, tt := range map[string]struct {
		load   func() (oauth2.TokenInfo, error)
		status int
		want   []string
	}{
		"error": {
			func() (oauth2.TokenInfo, error) {
				return nil, fmt.Errorf("%s, a%%2Fb%%2Bc~d%%3D%%3D or a%%2Fb+c~d==: connection refused", awkward)
			},
			503, []string{"[token], [token] or [token]: connection refused"},
		},
		"panic": {
			func() (oauth2.TokenInfo, error) { panic(errors.New(awkward)) },
			500, []string{"*errors.errorString", "bearer_test.go"},
		},
		"panic_of_the_token": {
			func() (oauth2.TokenInfo, error) { return wrapper{(*bomb)(nil)}, nil },
			500, []string{"runtime.errorString", "bearer_test.go"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			logger := slog.New(slog.NewJSONHandler(&log, nil))
			v := logging{validate(tt.load), logger}
			w := httptest.NewRecorder()
			middleware.Bearer(v)(http.NotFoundHandler()).ServeHTTP(w, request("Bearer "+awkward))
			var line map[string]any
			if err := json.Unmarshal(log.Bytes(), &line); err != nil {
				t.Fatalf("%d with log %q: %v", w.Code, log.String(), err)
			}
			if w.Code != tt.status || line["level"] != "ERROR" || strings.Contains(log.String(), awkward) {
				t.Errorf("%d, want %d, with log %s", w.Code, tt.status, log.String())
			}
			for _, want := range tt.want {
				if !strings.Contains(log.String(), want) {
					t.Errorf("log has no %q: %s", want, log.String())
				}
			}
		})
	}

	t.Run("client_gone", func(t *testing.T) {
		var log bytes.Buffer
		v := logging{&validator{}, slog.New(slog.NewJSONHandler(&log, nil))}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		w := httptest.NewRecorder()
		middleware.Bearer(v)(orders).ServeHTTP(w, request("Bearer "+hanging).WithContext(ctx))
		if w.Code != 503 || log.Len() != 0 {
			t.Errorf("%d, log %s: want 503, and no error that isn't one", w.Code, log.String())
		}
	})
}

// A Validator that knows what this resource is called says so, through wrappers too, unless the option does.
func TestAudienceOfValidator(t *testing.T) {
	for name, c := range map[string]struct {
		validator middleware.Validator
		options   []middleware.Option
		status    int
	}{
		"its own":         {naming{&validator{}, "https://a.example"}, nil, 200},
		"traced":          {traced{traced{naming{&validator{}, "https://a.example"}}}, nil, 200},
		"traced manager":  {tracedManager{managing{Validator: naming{&validator{}, "https://a.example"}}}, nil, 200},
		"another":         {naming{&validator{}, "https://b.example"}, nil, 401},
		"option":          {naming{&validator{}, "https://b.example"}, []middleware.Option{middleware.Audience("https://a.example")}, 200},
		"narrower option": {naming{&validator{}, "https://a.example"}, []middleware.Option{middleware.Audience("https://b.example")}, 401},
	} {
		t.Run(name, func(t *testing.T) {
			w := httptest.NewRecorder()
			middleware.Bearer(c.validator, c.options...)(orders).ServeHTTP(w, request("Bearer "+forA))
			if w.Code != c.status {
				t.Errorf("got %d, want %d", w.Code, c.status)
			}
		})
	}
}

// A wrapper around a Validator keeps its logger.
func TestLogger(t *testing.T) {
	for name, wrap := range map[string]func(middleware.Validator) middleware.Validator{
		"bare":      func(v middleware.Validator) middleware.Validator { return v },
		"Validator": func(v middleware.Validator) middleware.Validator { return traced{traced{v}} },
		"Manager": func(v middleware.Validator) middleware.Validator {
			return tracedManager{managing{Validator: v}}
		},
	} {
		t.Run(name, func(t *testing.T) {
			v := &validator{}
			w := httptest.NewRecorder()
			middleware.Bearer(wrap(v))(orders).ServeHTTP(w, request("Bearer "+failing))
			if w.Code != 503 || strings.Count(v.logged(), "\n") != 1 {
				t.Errorf("%d, log of the Validator: %s", w.Code, v.logged())
			}
		})
	}
	t.Run("none", func(t *testing.T) {
		protect := middleware.Bearer(logging{&validator{}, nil})
		var log bytes.Buffer
		defer slog.SetDefault(slog.Default())
		slog.SetDefault(slog.New(slog.NewTextHandler(&log, nil))) // after Bearer was built
		protect(orders).ServeHTTP(httptest.NewRecorder(), request("Bearer "+failing))
		if strings.Count(log.String(), "\n") != 1 {
			t.Errorf("log: %s", log.String())
		}
	})
}

// The request is the handler's as it came, but for the context.
func TestRequestStays(t *testing.T) {
	body := &untouchable{t: t}
	r := request("Bearer " + good)
	r.Method, r.Body = "POST", body
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	ctx, before := r.Context(), fmt.Sprint(r.Header, r.URL, r.RemoteAddr, r.Form, r.PostForm)
	w := httptest.NewRecorder()
	middleware.Bearer(&validator{})(http.HandlerFunc(func(hw http.ResponseWriter, hr *http.Request) {
		if hw != http.ResponseWriter(w) {
			t.Error("the ResponseWriter is another")
		}
		if hr.Body != io.ReadCloser(body) {
			t.Error("the body is another")
		}
		if after := fmt.Sprint(hr.Header, hr.URL, hr.RemoteAddr, hr.Form, hr.PostForm); after != before {
			t.Errorf("request is %s, was %s", after, before)
		}
	})).ServeHTTP(w, r)
	if w.Code != 200 || r.Context() != ctx || r.Body != io.ReadCloser(body) {
		t.Errorf("%d, or the caller's request was changed", w.Code)
	}
}

// With InsecureForm a handler can parse the form as if nobody had.
func TestFormCanBeReadAgain(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader("access_token="+good+"&item=pen"))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	body := r.Body
	middleware.Bearer(&validator{}, middleware.InsecureForm())(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if r.PostFormValue("item") != "pen" || middleware.Token(r.Context()) == nil {
			t.Errorf("form is %v", r.PostForm)
		}
		r.Body.Close()
	})).ServeHTTP(httptest.NewRecorder(), r)
	if r.Body != body {
		t.Error("the caller's request was changed")
	}
}

func TestToken(t *testing.T) {
	if token := middleware.Token(t.Context()); token != nil {
		t.Errorf("without Bearer: %v", token)
	}
	type key struct{}
	r := request("Bearer " + good)
	r = r.WithContext(context.WithValue(r.Context(), key{}, "kept"))
	inner := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		if middleware.Token(ctx).GetUserID() != "alice" || ctx.Value(key{}) != "kept" || ctx.Err() != nil {
			t.Errorf("token %v, value %v, err %v", middleware.Token(ctx), ctx.Value(key{}), ctx.Err())
		}
		if _, ok := ctx.Deadline(); ok {
			t.Error("the time for the validation binds the handler")
		}
		for _, text := range []string{fmt.Sprint(ctx), fmt.Sprintf("%+v", r.Context())} {
			if strings.Contains(text, "alice") || !strings.Contains(text, "middleware.Bearer") {
				t.Errorf("context is written as %s", text)
			}
		}
	})
	middleware.Bearer(&validator{})(inner).ServeHTTP(httptest.NewRecorder(), r)
	// The innermost Bearer decides.
	outer := middleware.Bearer(validate(func() (oauth2.TokenInfo, error) { return token("x", "mallory", ""), nil }))
	outer(middleware.Bearer(&validator{})(inner)).ServeHTTP(httptest.NewRecorder(), r)
}

// A refused HEAD request gets the headers of a GET, and nobody is relied on to drop a body.
func TestHead(t *testing.T) {
	r := request("Bearer nonsense")
	h := middleware.Bearer(&validator{})(orders)
	get, head := httptest.NewRecorder(), httptest.NewRecorder()
	h.ServeHTTP(get, r)
	r.Method = "HEAD"
	h.ServeHTTP(head, r)
	if head.Code != get.Code || fmt.Sprint(head.Header()) != fmt.Sprint(get.Header()) || head.Body.Len() != 0 {
		t.Errorf("%d %v %q", head.Code, head.Header(), head.Body)
	}
}

// What a Validator started for one validation ends with it, and not with the time allowed.
func TestValidationEnds(t *testing.T) {
	var kept context.Context
	h := middleware.Bearer(keeping{&kept}, middleware.Timeout(time.Hour))(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		select {
		case <-kept.Done():
		default:
			t.Error("the Validator's context lives on")
		}
		if err := r.Context().Err(); err != nil {
			t.Errorf("the handler's context: %v", err)
		}
	}))
	h.ServeHTTP(httptest.NewRecorder(), request("Bearer "+good))
	if kept == nil {
		t.Error("the Validator wasn't asked")
	}
}

// The figure of the package: the context, and the copy of the request.
func TestAllocations(t *testing.T) {
	v := instant{&models.Token{UserID: "alice", Scope: "orders:read"}}
	h := middleware.Bearer(v)(middleware.Scope("orders:read")(middleware.User(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
	r, w := request("Bearer "+typical), blank{http.Header{}}
	if n := testing.AllocsPerRun(100, func() { h.ServeHTTP(w, r) }); n > 2 {
		t.Errorf("%v allocations for a good token, want at most 2", n)
	}
}

func request(authorization string) *http.Request {
	r := httptest.NewRequest("GET", "/orders", nil)
	r.Header.Set("Authorization", authorization)
	return r
}

type (
	validate func() (oauth2.TokenInfo, error)
	logging  struct {
		middleware.Validator
		logger *slog.Logger
	}
	traced        struct{ middleware.Validator }
	tracedManager struct{ oauth2.Manager }
	managing      struct {
		oauth2.Manager
		middleware.Validator
	}
	keeping struct{ ctx *context.Context }
	naming  struct {
		middleware.Validator
		name string
	}
	bomb        struct{ models.Token }
	untouchable struct{ t *testing.T }
)

func (f validate) LoadAccessToken(context.Context, string) (oauth2.TokenInfo, error) { return f() }

func (k keeping) LoadAccessToken(ctx context.Context, _ string) (oauth2.TokenInfo, error) {
	*k.ctx = ctx
	ctx.Done() // sets the timer
	return &models.Token{}, nil
}

func (l logging) Logger() *slog.Logger { return l.logger }

func (n naming) Audience() []string { return []string{n.name} }

func (v traced) Unwrap() middleware.Validator { return v.Validator }

func (m tracedManager) Unwrap() oauth2.Manager { return m.Manager }

func (m managing) LoadAccessToken(ctx context.Context, access string) (oauth2.TokenInfo, error) {
	return m.Validator.LoadAccessToken(ctx, access)
}

func (m managing) Unwrap() middleware.Validator { return m.Validator }

func (b *bomb) Audience() []string { return []string{b.Scope} } // of a nil pointer

func (u *untouchable) Read([]byte) (int, error) { u.t.Error("the body was read"); return 0, io.EOF }
func (u *untouchable) Close() error             { u.t.Error("the body was closed"); return nil }
