//go:build unix

package jwt_test

import (
	"bufio"
	"context"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/handler"
	"github.com/ostiary-go/ostiary/middleware"
	"github.com/ostiary-go/ostiary/middleware/introspect"
	"github.com/ostiary-go/ostiary/middleware/jwt"
	"github.com/ostiary-go/ostiary/storage"
	"github.com/ostiary-go/ostiary/storage/bolt"
)

// What middleware/jwt and middleware/introspect say of themselves.
const (
	outageInterval = 10 * time.Second // from a fetch of the keys to the next one for a kid that is unknown
	outageBackOff  = 5 * time.Second  // from a fetch that failed to the next
	outageFetch    = 5 * time.Second  // the longest that a fetch takes

	outageAPI      = "https://orders.example" // the audience
	outageTimeout  = 2 * time.Second          // of an introspection
	outageInFlight = 8                        // introspections
	outagePatience = time.Minute              // of the tests, on a machine that has other things to do
)

// outageServe is the authorization server, in a process of its own, until its standard input ends.
func outageServe(path, address, issuer string) {
	fatal := func(err error) {
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(3)
		}
	}
	ctx := context.Background()
	store, err := bolt.Open(path)
	fatal(err)
	for _, c := range []*storage.Client{
		{ID: "svc", Secret: storage.HashGenerated("svc-secret"), GrantTypes: []string{"client_credentials"}, Scope: "read"},
		{ID: "orders", Secret: storage.HashGenerated("orders-secret"), Introspect: true},
	} {
		if _, err := store.GetByID(ctx, c.ID); err != nil { // the first time
			fatal(store.PutClient(ctx, c))
		}
	}
	keys, err := grants.OpenKeys(ctx, store)
	fatal(err)
	m := grants.New(store, grants.Issuer(issuer), grants.JWT(keys), grants.DefaultAudience(outageAPI), grants.Logger(slog.New(slog.DiscardHandler)))
	mux := http.NewServeMux()
	mux.Handle("/token", handler.Token(m))
	mux.Handle("/introspect", handler.Introspect(m))
	mux.Handle("/keys", handler.JWKS(m))
	mux.Handle("/.well-known/oauth-authorization-server", handler.Metadata(m, handler.Paths{Token: "/token", JWKS: "/keys", Introspect: "/introspect"}))
	mux.Handle("/orders", outageGuard(m, outagePatience))
	mux.HandleFunc("POST /rotate", func(w http.ResponseWriter, r *http.Request) {
		fatal(outageRotate(r.Context(), store, keys))
	})
	listener, err := net.Listen("tcp", address)
	fatal(err)
	go func() { fatal(http.Serve(listener, mux)) }()
	out := os.NewFile(3, "ready")
	_, err = fmt.Fprintln(out, "ready")
	fatal(err)
	io.Copy(io.Discard, os.Stdin)
	os.Exit(0)
}

// outageRotate has the next key sign now, as if its time had come: keys of the ring are dated back.
func outageRotate(ctx context.Context, store *bolt.Store, keys *grants.Keys) error {
	_, err := store.Secret(ctx, "ostiary/keys", func(old []byte) ([]byte, error) {
		var ring struct {
			Keys []map[string]any `json:"keys"`
		}
		if err := json.Unmarshal(old, &ring); err != nil {
			return nil, err
		}
		ring.Keys[len(ring.Keys)-1]["from"] = time.Now().Add(-time.Millisecond)
		return json.Marshal(ring)
	})
	if err != nil {
		return err
	}
	return keys.Rotate(ctx) // which reads the ring; the one that is next now is told too short a time to sign
}

func outageGuard(v middleware.Validator, timeout time.Duration) http.Handler {
	return middleware.Bearer(v, middleware.Audience(outageAPI), middleware.Timeout(timeout))(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, middleware.Token(r.Context()).GetClientID())
	}))
}

// outageServer is that process, and what starts it again.
type outageServer struct {
	t                     *testing.T
	path, address, issuer string

	cmd *exec.Cmd
}

const outageAsServer = "OSTIARY_OUTAGE_SERVER"

func (s *outageServer) start() {
	s.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		s.t.Fatal(err)
	}
	defer r.Close()
	cmd := exec.Command(os.Args[0], "-test.run=^TestOutage$")
	cmd.Env = append(os.Environ(), outageAsServer+"="+s.path+" "+s.address+" "+s.issuer)
	cmd.ExtraFiles = []*os.File{w}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	_, err = cmd.StdinPipe() // is closed when this process ends, however it does
	if err == nil {
		err = cmd.Start()
	}
	w.Close()
	if err != nil {
		s.t.Fatal(err)
	}
	s.cmd = cmd
	if line, err := bufio.NewReader(r).ReadString('\n'); line != "ready\n" {
		s.kill()
		s.t.Fatalf("the server does not start: %v\n%s", err, stderr.String())
	}
}

func (s *outageServer) kill() {
	s.cmd.Process.Kill()
	s.cmd.Wait()
}

func (s *outageServer) signal(signal os.Signal) {
	if err := s.cmd.Process.Signal(signal); err != nil {
		s.t.Error(err)
	}
}

// outageProxy stands before the server, counts what comes, and may spoil it.
type outageProxy struct {
	url     string
	forward http.Handler
	spoil   atomic.Pointer[http.HandlerFunc]

	connections, introspecting outageGauge
	metadata, keys, introspect atomic.Int64
}

// outageGauge goes up and down, and knows how high it was.
type outageGauge struct{ now, most atomic.Int64 }

func (g *outageGauge) add(n int64) {
	now := g.now.Add(n)
	for most := g.most.Load(); now > most && !g.most.CompareAndSwap(most, now); most = g.most.Load() {
	}
}

func newOutageProxy(t *testing.T, address string) *outageProxy {
	transport := &http.Transport{MaxIdleConnsPerHost: 4}
	forward := &httputil.ReverseProxy{
		Transport:    transport,
		Rewrite:      func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "http", Host: address}) },
		ErrorHandler: func(http.ResponseWriter, *http.Request, error) { panic(http.ErrAbortHandler) }, // hangs up
		ErrorLog:     slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
	}
	p := &outageProxy{forward: forward}
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/.well-known/oauth-authorization-server":
			p.metadata.Add(1)
		case "/keys":
			p.keys.Add(1)
		case "/introspect":
			p.introspect.Add(1)
			p.introspecting.add(1)
			defer p.introspecting.add(-1)
		}
		if spoil := p.spoil.Load(); spoil != nil {
			(*spoil)(w, r)
			return
		}
		forward.ServeHTTP(w, r)
	}))
	server.Config.ErrorLog = forward.ErrorLog
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			p.connections.add(1)
		case http.StateClosed:
			p.connections.add(-1)
		}
	}
	server.Start()
	t.Cleanup(func() {
		server.CloseClientConnections()
		server.Close()
		transport.CloseIdleConnections()
	})
	p.url = server.URL
	return p
}

func (p *outageProxy) behave(h http.HandlerFunc) {
	if h == nil {
		p.spoil.Store(nil)
		return
	}
	p.spoil.Store(&h)
}

// outageDrip answers by the octet.
func outageDrip(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", "1000")
	for range 1000 {
		io.WriteString(w, " ")
		http.NewResponseController(w).Flush()
		select {
		case <-time.After(200 * time.Millisecond):
		case <-r.Context().Done():
			return
		}
	}
}

// outageGarbage answers one wrong thing after the other.
func outageGarbage() http.HandlerFunc {
	var turn atomic.Int64
	answers := []http.HandlerFunc{
		func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "out of order", 500) },
		func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "<html>Back soon</html>") },
		outageSays(502, ``),
		outageSays(200, `{"active":`),
		outageSays(200, `null`),
		outageSays(200, `{}`),
		outageSays(200, `[{"active":true}]`),
		outageSays(401, `{"error":"invalid_client"}`),
		outageSays(404, `{"active":false}`),
		outageSays(204, ``),
		func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/elsewhere", http.StatusFound) },
		func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		func(w http.ResponseWriter, _ *http.Request) { // breaks off
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, `{"active":true}`)
		},
		func(w http.ResponseWriter, _ *http.Request) { // ends never
			w.Header().Set("Content-Type", "application/json")
			for chunk := strings.Repeat(" ", 1<<16); ; {
				if _, err := io.WriteString(w, chunk); err != nil {
					return
				}
			}
		},
	}
	return func(w http.ResponseWriter, r *http.Request) {
		answers[int(turn.Add(1))%len(answers)](w, r)
	}
}

func outageSays(status int, text string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		if text != "" {
			io.WriteString(w, text)
		}
	}
}

// outageWorld is the server, and an API in this process that guards routes by what it tells: /jwt by its keys,
// as /late, which nobody asks before the outage; /asked by asking it, as /briefly, where an answer is believed
// for a second. Below /hurried they have a second for an answer.
type outageWorld struct {
	*outageServer
	proxy  *outageProxy // nil: there is none
	api    string
	mux    *http.ServeMux
	client *http.Client

	known, cold []string // tokens of a key that the API knows, which it has seen, and not
	fresh       string   // one of a key that it doesn't know
	told        string   // the keys
	fetched     time.Time
}

func newOutageWorld(t *testing.T, proxied bool) *outageWorld {
	t.Helper()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := free.Addr().String()
	free.Close()
	w := &outageWorld{outageServer: &outageServer{t: t, path: filepath.Join(t.TempDir(), "auth.db"), address: address, issuer: "http://" + address}}
	if proxied {
		w.proxy = newOutageProxy(t, address)
		w.issuer = w.proxy.url
	}
	w.start()
	t.Cleanup(func() { w.kill() })

	w.mux = http.NewServeMux()
	for path, v := range map[string]middleware.Validator{
		"/jwt": w.validator(), "/late": w.validator(), "/asked": w.introspector(introspect.Cache(time.Hour)), "/briefly": w.introspector(introspect.Cache(time.Second)),
	} {
		w.mux.Handle(path, outageGuard(v, outagePatience))
		w.mux.Handle("/hurried"+path, outageGuard(v, time.Second))
	}
	api := httptest.NewServer(w.mux)
	transport := &http.Transport{MaxIdleConnsPerHost: 256}
	w.api, w.client = api.URL, &http.Client{Transport: transport, Timeout: outagePatience + outagePatience/2}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		api.Close()
	})
	return w
}

func (w *outageWorld) validator() *jwt.Validator {
	return jwt.New(w.issuer, outageAPI, jwt.Logger(slog.New(slog.DiscardHandler)))
}

func (w *outageWorld) introspector(options ...introspect.Option) *introspect.Validator {
	return introspect.New(w.issuer+"/introspect", "orders", "orders-secret", append([]introspect.Option{
		introspect.Issuer(w.issuer), introspect.Timeout(outageTimeout), introspect.InFlight(outageInFlight), introspect.Logger(slog.New(slog.DiscardHandler)),
	}, options...)...)
}

// prepare has the API see tokens, and the server go on to a key that it has not told before.
func (w *outageWorld) prepare() {
	w.t.Helper()
	for range 2 {
		w.known = append(w.known, w.token())
	}
	for range 8 {
		w.cold = append(w.cold, w.token())
	}
	for _, access := range w.known {
		for _, path := range []string{"/jwt", "/asked", "/briefly"} {
			w.becomes(path, access, 200, 503)
			if path == "/jwt" {
				w.fetched = time.Now()
			}
		}
	}
	for range 2 {
		r, err := http.Post("http://"+w.address+"/rotate", "", nil)
		if err != nil || r.StatusCode != 200 {
			w.t.Fatal(r, err)
		}
		r.Body.Close()
	}
	w.fresh, w.told = w.token(), w.keys()
	if strings.Count(w.told, `"kid"`) != 4 || outageKid(w.fresh) == outageKid(w.known[0]) {
		w.t.Fatal("there was no rotation")
	}
}

// token asks the server itself for one.
func (w *outageWorld) token() string {
	w.t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+w.address+"/token", strings.NewReader("grant_type=client_credentials"))
	if err != nil {
		w.t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.SetBasicAuth("svc", "svc-secret")
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	var answer struct {
		Access string `json:"access_token"`
	}
	if err := json.NewDecoder(res.Body).Decode(&answer); err != nil || answer.Access == "" {
		w.t.Fatalf("no token: %d, %v", res.StatusCode, err)
	}
	return answer.Access
}

// keys are what the server tells.
func (w *outageWorld) keys() string {
	w.t.Helper()
	res, err := w.client.Get("http://" + w.address + "/keys")
	if err != nil {
		w.t.Fatal(err)
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		w.t.Fatal(err)
	}
	return string(body)
}

// outageKid is the kid of a token, and outageForge the token with a kid that nobody has.
func outageKid(access string) any { return outageHeader(access)["kid"] }

func outageForge(access string) string {
	header := outageHeader(access)
	header["kid"] = fmt.Sprint("nobody's-", rand.Uint64())
	text, _ := json.Marshal(header)
	_, rest, _ := strings.Cut(access, ".")
	return base64.RawURLEncoding.EncodeToString(text) + "." + rest
}

func outageHeader(access string) map[string]any {
	first, _, _ := strings.Cut(access, ".")
	octets, _ := base64.RawURLEncoding.DecodeString(first)
	var header map[string]any
	json.Unmarshal(octets, &header)
	return header
}

// get asks the API, and fails for a 503 without Retry-After, or with a challenge.
func (w *outageWorld) get(path, access string) int {
	return w.getAt(w.api+path, access)
}

func (w *outageWorld) getAt(address, access string) int {
	r, err := http.NewRequest(http.MethodGet, address, nil)
	if err != nil {
		w.t.Error(err)
		return 0
	}
	r.Header.Set("Authorization", "Bearer "+access)
	res, err := w.client.Do(r)
	if err != nil {
		w.t.Error(err)
		return 0
	}
	defer res.Body.Close()
	io.Copy(io.Discard, res.Body)
	if out := res.StatusCode == 503; out != (res.Header.Get("Retry-After") != "") || out && res.Header.Get("WWW-Authenticate") != "" {
		w.t.Errorf("%s: %d with %v", address, res.StatusCode, res.Header)
	}
	return res.StatusCode
}

func (w *outageWorld) wants(path, access string, status int) {
	w.t.Helper()
	if got := w.get(path, access); got != status {
		w.t.Errorf("%s: want %d, got %d", path, status, got)
	}
}

// becomes asks until there is that answer, before which there may be the other one.
func (w *outageWorld) becomes(path, access string, status, before int) {
	w.t.Helper()
	for began := time.Now(); ; time.Sleep(100 * time.Millisecond) {
		got := w.get(path, access)
		if got == status {
			return
		}
		if got != before || time.Since(began) > outagePatience {
			w.t.Fatalf("%s: want %d, got %d after %v", path, status, got, time.Since(began))
		}
	}
}

// TestOutage tries what APIs do whose authorization server is killed and started again, stopped, or answers
// too slowly or wrongly, and how they come back; and at last with many clients, when nothing may pile up.
func TestOutage(t *testing.T) {
	if asServer := os.Getenv(outageAsServer); asServer != "" {
		parts := strings.Split(asServer, " ")
		outageServe(parts[0], parts[1], parts[2])
	}
	paused, resumed := func(w *outageWorld) { w.signal(syscall.SIGSTOP) }, func(w *outageWorld) { w.signal(syscall.SIGCONT) }
	killed, restarted := func(w *outageWorld) { w.kill() }, func(w *outageWorld) { w.start() }
	spoiled := func(by http.HandlerFunc) func(*outageWorld) { return func(w *outageWorld) { w.proxy.behave(by) } }
	cases := []struct {
		name       string
		proxied    bool
		begin, end func(w *outageWorld)
	}{
		{"killed", false, killed, restarted},
		{"paused", false, paused, resumed},
		{"drips", true, spoiled(outageDrip), spoiled(nil)},
		{"answers garbage", true, spoiled(outageGarbage()), spoiled(nil)},
	}
	crowds := []*outageWorld{newOutageWorld(t, true), newOutageWorld(t, true)}
	for _, w := range crowds {
		w.prepare() // by now: they have to be older than an interval
	}
	var all sync.WaitGroup
	for _, c := range cases {
		all.Go(func() { // they wait for the most part, and for more than one does the machine have room
			t.Run(c.name, func(t *testing.T) {
				w := newOutageWorld(t, c.proxied)
				w.prepare()
				c.begin(w)
				w.during()
				c.end(w)
				w.after()
			})
		})
	}
	all.Wait()
	for i, c := range cases[:len(crowds)] {
		t.Run(c.name+" before a crowd", func(t *testing.T) {
			w := crowds[i]
			w.t = t
			time.Sleep(time.Until(w.fetched.Add(outageInterval)))
			w.flood(c.begin, c.end)
		})
	}
}

// during is what holds in an outage.
func (w *outageWorld) during() {
	w.t.Helper()
	for _, access := range w.known {
		w.wants("/jwt", access, 200)
		w.wants("/asked", access, 200)
	}
	w.wants("/jwt", w.cold[0], 200)
	var all sync.WaitGroup
	for path, access := range map[string]string{"/asked": w.cold[0], "/late": w.known[0]} {
		all.Go(func() {
			began := time.Now()
			w.wants(path, access, 503)
			waited := time.Since(began)
			w.t.Logf("%s: 503 after %v", path, waited.Round(time.Millisecond))
			if waited > outagePatience/2 {
				w.t.Errorf("%s: it took %v", path, waited)
			}
		})
	}
	all.Wait()
	w.becomes("/briefly", w.known[0], 503, 200)

	time.Sleep(time.Until(w.fetched.Add(outageInterval)))
	for range 4 {
		for path, access := range map[string]string{"/jwt": w.fresh, "/late": w.fresh, "/asked": w.fresh} {
			all.Go(func() { w.wants(path, access, 503) })
		}
		all.Go(func() { w.wants("/jwt", outageForge(w.known[0]), 503) })
	}
	all.Wait()
	for _, access := range w.known {
		w.wants("/jwt", access, 200)
		w.wants("/asked", access, 200)
	}
	w.wants("/jwt", w.cold[1], 200)
}

// after is what holds when it is over.
func (w *outageWorld) after() {
	w.t.Helper()
	began := time.Now()
	w.becomes("/asked", w.fresh, 200, 503)
	asked := time.Since(began)
	w.becomes("/jwt", w.fresh, 200, 503)
	w.t.Logf("all is well after %v where it is asked, after %v where there are keys", asked.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
	if waited := time.Since(began); waited > outageFetch+outageBackOff+outagePatience/2 {
		w.t.Errorf("it took %v", waited)
	}
	w.becomes("/late", w.known[0], 200, 503)
	w.becomes("/briefly", w.known[0], 200, 503)
	for _, access := range append(w.known, w.fresh, w.cold[2]) {
		w.wants("/jwt", access, 200)
		w.wants("/late", access, 200)
		w.becomes("/asked", access, 200, 503)
		w.becomes("/briefly", access, 200, 503)
		if got := w.getAt("http://"+w.address+"/orders", access); got != 200 {
			w.t.Errorf("at the server itself: %d", got)
		}
	}
	for _, path := range []string{"/jwt", "/asked", "/late"} {
		w.becomes(path, outageForge(w.known[0]), 401, 503)
	}
	if w.proxy != nil { // slow is no outage
		w.mux.Handle("/slowly", outageGuard(w.validator(), outagePatience))
		forward := w.proxy.forward
		w.proxy.behave(func(rw http.ResponseWriter, r *http.Request) {
			time.Sleep(200 * time.Millisecond)
			forward.ServeHTTP(rw, r)
		})
		w.becomes("/asked", w.cold[3], 200, 503)
		w.becomes("/slowly", w.fresh, 200, 503)
		w.proxy.behave(nil)
	}
	if got := w.keys(); got != w.told {
		w.t.Errorf("the keys are others: %s, before %s", got, w.told)
	}
}

// flood is an outage with 200 clients.
func (w *outageWorld) flood(begin, end func(*outageWorld)) {
	const clients, lasts = 200, 3 * time.Second
	goroutines, heap := runtime.NumGoroutine(), outageHeap()
	p := w.proxy
	metadata, keys, asked := p.metadata.Load(), p.keys.Load(), p.introspect.Load()
	p.introspecting.most.Store(0)
	p.connections.most.Store(p.connections.now.Load())

	begin(w)
	began := time.Now()
	var accepted, out atomic.Int64
	want := func(path, access string, status int, count *atomic.Int64) {
		if got := w.get(path, access); got != status {
			w.t.Errorf("%s: want %d, got %d", path, status, got)
		}
		count.Add(1)
	}
	var all sync.WaitGroup
	for client := range clients {
		all.Go(func() {
			for time.Since(began) < lasts && !w.t.Failed() {
				if client%2 == 0 { // who has a token that is known
					want("/jwt", w.known[0], 200, &accepted)
					want("/jwt", w.cold[rand.N(len(w.cold))], 200, &accepted)
					want("/asked", w.known[rand.N(len(w.known))], 200, &accepted)
					continue
				}
				switch client % 8 {
				case 1:
					want("/hurried/jwt", outageForge(w.known[0]), 503, &out)
				case 3:
					want("/hurried/late", w.known[0], 503, &out)
				default:
					want("/hurried/asked", fmt.Sprint("osta_", rand.Uint64()), 503, &out)
				}
			}
		})
	}
	var mostGoroutines int
	var mostHeap uint64
	stop, stopped := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(stopped)
		for {
			select {
			case <-stop:
				return
			case <-time.After(100 * time.Millisecond):
				mostGoroutines = max(mostGoroutines, runtime.NumGoroutine())
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				mostHeap = max(mostHeap, m.HeapAlloc)
			}
		}
	}()
	all.Wait()
	close(stop)
	<-stopped
	took := time.Since(began)
	metadata, keys, asked = p.metadata.Load()-metadata, p.keys.Load()-keys, p.introspect.Load()-asked
	mostAsked, mostConnections := p.introspecting.most.Load(), p.connections.most.Load()
	slack := 6*outageInFlight + 32                       // connections that are kept for what comes
	left := w.settle(goroutines+slack, outagePatience/3) // though it is not over
	end(w)
	w.becomes("/asked", w.cold[rand.N(len(w.cold))], 200, 503)
	goroutinesAfter, heapAfter := w.settle(goroutines+slack, outagePatience), outageHeap()
	w.t.Logf("%d clients for %v: %d requests accepted, %d answered 503", clients, took.Round(time.Millisecond), accepted.Load(), out.Load())
	w.t.Logf("at the server: %d requests for metadata and %d for keys by two resource servers, %d introspections, of which %d at a time, over %d connections",
		metadata, keys, asked, mostAsked, mostConnections)
	w.t.Logf("goroutines: %d before, %d meanwhile, %d when the crowd has gone, %d after; heap: %d kB, %d, %d", goroutines, mostGoroutines, left, goroutinesAfter, heap>>10, mostHeap>>10, heapAfter>>10)
	if accepted.Load() == 0 || out.Load() == 0 {
		w.t.Error("there was no crowd")
	}
	if most := 2 * (2 + int64(took/outageBackOff)); metadata > most || keys > most {
		w.t.Errorf("the keys were asked for more often than each %v", outageBackOff)
	}
	if mostAsked > 4*outageInFlight { // those whose client has gone may take a moment to notice
		w.t.Errorf("%d introspections at a time", mostAsked)
	}
	if mostConnections > 6*outageInFlight {
		w.t.Errorf("%d connections", mostConnections)
	}
	if most := max(left, goroutinesAfter); most > goroutines+slack {
		w.t.Errorf("%d goroutines are left, of %d", most, goroutines)
	}
	if mostGoroutines > goroutines+12*clients {
		w.t.Errorf("%d goroutines", mostGoroutines)
	}
	if heapAfter > heap+16<<20 {
		w.t.Errorf("%d kB of heap are left, of %d", heapAfter>>10, heap>>10)
	}
}

// settle waits until there are that few goroutines, though not for ever, and returns how many there are.
func (w *outageWorld) settle(goroutines int, patience time.Duration) int {
	w.client.CloseIdleConnections()
	for began := time.Now(); runtime.NumGoroutine() > goroutines && time.Since(began) < patience; {
		time.Sleep(100 * time.Millisecond)
	}
	return runtime.NumGoroutine()
}

func outageHeap() uint64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
