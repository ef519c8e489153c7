//go:build unix

package main

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
	"github.com/chromedp/chromedp/kb"
	"golang.org/x/oauth2"

	"github.com/ostiary-go/ostiary/examples/internal/process"
)

// chromium starts a browser without any state. Where there is none the test is skipped, unless
// OSTIARY_BROWSER demands one.
func chromium(t *testing.T) context.Context {
	t.Helper()
	var program string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if path, err := exec.LookPath(name); err == nil {
			program = path
			break
		}
	}
	switch {
	case program == "" && os.Getenv("OSTIARY_BROWSER") != "":
		t.Fatal("no Chromium here")
	case program == "":
		t.Skip("no Chromium here")
	}
	allocator, stop := chromedp.NewExecAllocator(t.Context(), append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(program), chromedp.NoSandbox, chromedp.DisableGPU, chromedp.WSURLReadTimeout(time.Minute))...)
	t.Cleanup(stop)
	ctx, cancel := chromedp.NewContext(allocator)
	t.Cleanup(cancel)
	if err := chromedp.Do(ctx, chromedp.Navigate("about:blank")); err != nil {
		t.Fatal(err)
	}
	return ctx
}

// do has the browser do things, one after the other.
func do(t *testing.T, ctx context.Context, steps ...chromedp.Action[chromedp.Void]) {
	t.Helper()
	for _, step := range steps {
		look(t, ctx, step)
	}
}

// look is do for one thing, of which something is wanted.
func look[T any](t *testing.T, ctx context.Context, action chromedp.Action[T]) T {
	t.Helper()
	bounded, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	value, err := chromedp.Run(bounded, action)
	if err != nil {
		at, _ := chromedp.Run(ctx, chromedp.Location())
		text, _ := chromedp.Run(ctx, chromedp.Evaluate[string]("document.body.innerText"))
		t.Fatalf("%v at %s:\n%s", err, at, text)
	}
	return value
}

// site is a web server of somebody else's that keeps what it was asked.
type site struct {
	*httptest.Server
	mu   sync.Mutex
	seen []visit
}

type visit struct{ method, path, query, body, referer string }

func newSite(t *testing.T, pages map[string]string) *site {
	s := new(site)
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		s.mu.Lock()
		s.seen = append(s.seen, visit{r.Method, r.URL.Path, r.URL.RawQuery, string(body), r.Referer()})
		s.mu.Unlock()
		w.Header().Set("Content-Type", "text/html")
		io.WriteString(w, "<title>"+r.URL.Path+"</title>"+pages[r.URL.Path])
	}))
	t.Cleanup(s.Close)
	return s
}

// visits are those of a path.
func (s *site) visits(path string) (visits []visit) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.seen {
		if v.path == path {
			visits = append(visits, v)
		}
	}
	return visits
}

// tour is a browser before the server, and a client where it comes back to.
type tour struct {
	*process.Process
	ctx      context.Context
	client   *site
	config   *oauth2.Config
	verifier string
}

func newTour(t *testing.T) *tour {
	ctx := chromium(t)
	p := launch(t)
	client := newSite(t, map[string]string{"/cb": "<p>back</p>"})
	config := config(p.URL, "web", "web-secret")
	config.RedirectURL, config.Scopes = client.URL+"/cb", []string{"orders:read", "profile:email"}
	return &tour{p, ctx, client, config, oauth2.GenerateVerifier()}
}

func (o *tour) address(more ...string) string {
	address := o.config.AuthCodeURL("a-secret-state", oauth2.S256ChallengeOption(o.verifier))
	for i := 0; i < len(more); i += 2 {
		address += "&" + more[i] + "=" + url.QueryEscape(more[i+1])
	}
	return address
}

func (o *tour) signIn(t *testing.T) {
	t.Helper()
	do(t, o.ctx, chromedp.Navigate(o.address()),
		chromedp.WaitVisible(chromedp.CSS(`input[name=username]`)),
		chromedp.SendKeys(chromedp.CSS(`input[name=username]`), "alice"),
		chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "wonderland"),
		chromedp.Click(chromedp.CSS(`button`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value=approve]`)))
}

// press clicks a button that leads to the client.
func (o *tour) press(t *testing.T, button string) url.Values {
	t.Helper()
	do(t, o.ctx, chromedp.Click(chromedp.CSS(button)), chromedp.WaitVisible(`//p[text()="back"]`))
	return o.back(t)
}

// back is what the client was sent last.
func (o *tour) back(t *testing.T) url.Values {
	t.Helper()
	visits := o.client.visits("/cb")
	if len(visits) == 0 {
		t.Fatal("the browser did not come back")
	}
	last := visits[len(visits)-1]
	if last.method != "GET" || last.body != "" {
		t.Errorf("comes back by %s with %q", last.method, last.body)
	}
	query, _ := url.ParseQuery(last.query)
	if query.Get("state") != "a-secret-state" || query.Get("iss") != o.URL {
		t.Errorf("came back with %v", query)
	}
	return query
}

func TestBrowser(t *testing.T) {
	o := newTour(t)
	o.signIn(t)
	text := look(t, o.ctx, chromedp.Text(chromedp.CSS("main")))
	for _, want := range []string{"Allow Web shop?", "See your orders", "See your email address", "signed in as alice", strings.TrimPrefix(o.client.URL, "http://")} {
		if !strings.Contains(text, want) {
			t.Errorf("the consent page does not say %q: %s", want, text)
		}
	}
	do(t, o.ctx, chromedp.Click(chromedp.CSS(`input[name=scope]`)))
	back := o.press(t, `button[value=approve]`)
	token, err := o.config.Exchange(t.Context(), back.Get("code"), oauth2.VerifierOption(o.verifier))
	if err != nil {
		t.Fatal(err)
	}
	api := o.config.Client(t.Context(), token)
	if who := ask(t, api, o.URL+"/api/whoami"); who["scope"] != "orders:read" {
		t.Errorf("with one scope unticked: %v", who)
	}

	do(t, o.ctx, chromedp.Navigate(o.address()), chromedp.WaitVisible(chromedp.CSS(`button[value=deny]`))) // it asks for more than it was given
	if back = o.press(t, `button[value=deny]`); back.Get("error") != "access_denied" {
		t.Errorf("denied: %v", back)
	}

	o.config.Scopes = []string{"orders:read"}
	do(t, o.ctx, chromedp.Navigate(o.address()), chromedp.WaitVisible(`//p[text()="back"]`))
	if back = o.back(t); back.Get("code") == "" {
		t.Errorf("is asked again: %v", back)
	}

	do(t, o.ctx, chromedp.Navigate(o.URL+"/account/apps"), chromedp.WaitVisible(`//h2[text()="Web shop"]`),
		chromedp.Click(chromedp.CSS(`button[name=client]`)), chromedp.WaitVisible(`//p[contains(text(), "No application")]`))
	if who := ask(t, api, o.URL+"/api/whoami"); who["status"] != 401 {
		t.Errorf("after the end: %v", who)
	}
	do(t, o.ctx, chromedp.Navigate(o.address()), chromedp.WaitVisible(chromedp.CSS(`button[value=approve]`)))
}

// focused is what has the keyboard.
const focused = `(e => e.name + (e.name == "consent" ? "=" + e.value : ""))(document.activeElement)`

func TestKeyboardAlone(t *testing.T) {
	o := newTour(t)
	do(t, o.ctx, chromedp.Navigate(o.address()), chromedp.WaitVisible(chromedp.CSS(`input[name=username]`)),
		chromedp.KeyEvent("alice"), chromedp.KeyEvent(kb.Tab), chromedp.KeyEvent("wonderland"), chromedp.KeyEvent(kb.Enter),
		chromedp.WaitVisible(chromedp.CSS(`button[value=approve]`)))
	for _, want := range []string{"scope", "consent=deny", "consent=approve"} {
		do(t, o.ctx, chromedp.KeyEvent(kb.Tab))
		got := look(t, o.ctx, chromedp.Evaluate[string](focused))
		if got != want {
			t.Errorf("the focus is on %q, want %q", got, want)
		}
		if got == "scope" {
			do(t, o.ctx, chromedp.KeyEvent(" "))
			if look(t, o.ctx, chromedp.Evaluate[bool](`document.activeElement.checked`)) {
				t.Error("the space bar does not untick")
			}
		}
		if look(t, o.ctx, chromedp.Evaluate[string](`getComputedStyle(document.activeElement).outlineStyle`)) == "none" {
			t.Errorf("the focus on %s can not be seen", got)
		}
	}
	do(t, o.ctx, chromedp.KeyEvent(kb.Enter), chromedp.WaitVisible(`//p[text()="back"]`))
	if o.back(t).Get("code") == "" {
		t.Error("no code")
	}
}

// looks are how the pages are looked at.
var looks = []struct {
	name   string
	width  int64
	scheme string
}{{"phone-light", 320, "light"}, {"phone-dark", 320, "dark"}, {"desktop-light", 1280, "light"}, {"desktop-dark", 1280, "dark"}}

// contrast is the least contrast of a text to what is behind it (WCAG 2.2, 1.4.3), and which it is.
const contrast = `(() => {
	const parse = c => c.match(/[\d.]+/g).map(Number);
	const light = c => { const [r, g, b] = parse(c).map(v => { v /= 255; return v <= .04045 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4 }); return .2126 * r + .7152 * g + .0722 * b };
	const behind = e => { for (; e; e = e.parentElement) { const c = getComputedStyle(e).backgroundColor; if ((parse(c)[3] ?? 1) > 0) return c } return "rgb(255, 255, 255)" };
	let least = [99, ""];
	for (const e of document.querySelectorAll("main *")) {
		if (![...e.childNodes].some(n => n.nodeType == 3 && n.textContent.trim())) continue;
		const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
		const ratio = (a + .05) / (b + .05);
		if (ratio < least[0]) least = [ratio, e.textContent.trim()];
	}
	return {ratio: least[0], text: least[1]};
})()`

// small are what is hard to hit with a finger (WCAG 2.2, 2.5.8).
const small = `[...document.querySelectorAll("button, label, input:not([type=hidden]):not([type=checkbox]), a.button")].filter(e => e.getBoundingClientRect().height < 24).length`

// unlabelled are the fields and buttons that have no name for who can't see them.
const unlabelled = `[...document.querySelectorAll("input:not([type=hidden]), button")].filter(e => !(e.labels && e.labels.length) && !e.textContent.trim() && !e.ariaLabel).length`

func TestLooks(t *testing.T) {
	o := newTour(t)
	pages := []struct {
		name string
		show func(t *testing.T)
	}{
		{"login", func(t *testing.T) {
			do(t, o.ctx, chromedp.Navigate(o.address()), chromedp.WaitVisible(chromedp.CSS(`input[name=username]`)))
		}},
		{"consent", func(t *testing.T) {
			do(t, o.ctx, chromedp.SendKeys(chromedp.CSS(`input[name=username]`), "alice"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "wonderland"), chromedp.Click(chromedp.CSS(`button`)), chromedp.WaitVisible(chromedp.CSS(`button[value=approve]`)))
		}},
		{"apps", func(t *testing.T) {
			o.press(t, `button[value=approve]`)
			if _, err := o.config.Exchange(t.Context(), o.back(t).Get("code"), oauth2.VerifierOption(o.verifier)); err != nil {
				t.Fatal(err)
			}
			do(t, o.ctx, chromedp.Navigate(o.URL+"/account/apps"), chromedp.WaitVisible(`//h2[text()="Web shop"]`))
		}},
		{"warning", func(t *testing.T) {
			app := config(o.URL, "app", "")
			app.RedirectURL = o.client.URL + "/cb"
			do(t, o.ctx, chromedp.Navigate(app.AuthCodeURL("x", oauth2.S256ChallengeOption(o.verifier))), chromedp.WaitVisible(chromedp.CSS(`.warning`)))
		}},
		{"failure", func(t *testing.T) {
			do(t, o.ctx, chromedp.Navigate(o.URL+"/oauth/authorize?client_id=unknown"), chromedp.WaitVisible(chromedp.CSS(`h1`)))
		}},
		{"home", func(t *testing.T) {
			do(t, o.ctx, chromedp.Navigate(o.URL+"/"), chromedp.WaitVisible(chromedp.CSS(`h1`)))
		}},
	}
	for _, page := range pages {
		page.show(t)
		for _, as := range looks {
			t.Run(page.name+"/"+as.name, func(t *testing.T) {
				do(t, o.ctx, chromedp.EmulateViewport(as.width, 800), preferring(as.scheme))
				overflow := look(t, o.ctx, chromedp.Evaluate[bool](`document.documentElement.scrollWidth > innerWidth`))
				least := look(t, o.ctx, chromedp.Evaluate[struct {
					Ratio float64 `json:"ratio"`
					Text  string  `json:"text"`
				}](contrast))
				tiny, nameless := look(t, o.ctx, chromedp.Evaluate[int](small)), look(t, o.ctx, chromedp.Evaluate[int](unlabelled))
				if overflow || least.Ratio < 4.5 || tiny > 0 || nameless > 0 {
					t.Errorf("overflow %t, contrast %.1f of %q, %d too small, %d without name", overflow, least.Ratio, least.Text, tiny, nameless)
				}
				if dir := os.Getenv("OSTIARY_SCREENSHOTS"); dir != "" {
					if err := os.WriteFile(filepath.Join(dir, page.name+"-"+as.name+".png"), look(t, o.ctx, chromedp.FullScreenshot(100)), 0o644); err != nil {
						t.Error(err)
					}
				}
			})
		}
	}
}

// preferring is a user who likes pages light, or dark.
func preferring(scheme string) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, target *chromedp.Target) error {
		_, err := cdp.Call(ctx, target, emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: scheme}}})
		return err
	})
}

// blocked are the documents that the browser would not show in a frame.
func blocked(t *testing.T, ctx context.Context) (count func() int) {
	var mu sync.Mutex
	n := 0
	err := chromedp.Listen(ctx, func(event any) {
		if failed, ok := event.(*network.EventLoadingFailed); ok && failed.Type == network.ResourceTypeDocument && strings.Contains(failed.ErrorText, "ERR_BLOCKED_BY_RESPONSE") {
			mu.Lock()
			defer mu.Unlock()
			n++
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return func() int { mu.Lock(); defer mu.Unlock(); return n }
}

// attacked are the rows that need a browser.
func attacked(t *testing.T) {
	t.Run("ATK-06", func(t *testing.T) {
		recorder := newSite(t, nil)
		o := newTour(t)
		elsewhere := strings.Replace(recorder.URL, "127.0.0.1", "localhost", 1)
		o.client.Config.Handler = withLinks(o.client.Config.Handler, elsewhere)
		o.signIn(t)
		code := o.press(t, `button[value=approve]`).Get("code")
		do(t, o.ctx, chromedp.WaitVisible(chromedp.CSS(`img`)), chromedp.Click(chromedp.CSS(`a`)), chromedp.WaitReady(`//title[text()="/link"]`))
		if _, err := o.config.Exchange(t.Context(), code, oauth2.VerifierOption(o.verifier)); err != nil {
			t.Fatal(err)
		}
		if _, err := o.config.Exchange(t.Context(), code, oauth2.VerifierOption(o.verifier)); err == nil {
			t.Error("a code of the history is worth something")
		}
		seen := append(append([]visit(nil), o.client.visits("/cb")...), recorder.seen...)
		if len(seen) < 3 {
			t.Fatalf("seen %v", seen)
		}
		for _, v := range seen {
			if strings.Contains(v.referer, code) || strings.Contains(v.referer, "a-secret-state") || strings.Contains(v.referer, "pending") || v.path == "/cb" && v.referer != "" {
				t.Errorf("Referer %q at %s", v.referer, v.path)
			}
		}
	})
	t.Run("ATK-11/browser", func(t *testing.T) {
		o := newTour(t)
		o.signIn(t)
		o.press(t, `button[value=approve]`)
		token, err := o.config.Exchange(t.Context(), o.back(t).Get("code"), oauth2.VerifierOption(o.verifier))
		if err != nil {
			t.Fatal(err)
		}
		evil := newSite(t, map[string]string{
			"/approve": `<form method="post" action="` + o.URL + `/oauth/authorize"><input name="consent" value="approve"><input name="client_id" value="web"></form><script>document.forms[0].submit()</script>`,
			"/end":     `<form method="post" action="` + o.URL + `/account/apps"><input name="all" value="all"></form><script>document.forms[0].submit()</script>`,
			"/login":   `<form method="post" action="` + o.URL + `/login"><input name="username" value="bob"><input name="password" value="builder"></form><script>document.forms[0].submit()</script>`,
			"/read":    `<script>Promise.all(["/account/apps", "/", "/oauth/authorize?client_id=web"].map(p => fetch("` + o.URL + `" + p, {credentials: "include"}).then(() => "read", () => "refused"))).then(all => document.title = all.join(" "))</script>`,
		})
		elsewhere := strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)
		for _, path := range []string{"/approve", "/end"} {
			do(t, o.ctx, chromedp.Navigate(elsewhere+path), chromedp.WaitVisible(chromedp.CSS(`h1`)))
			if text := look(t, o.ctx, chromedp.Text(chromedp.CSS("h1"))); text != "This form does not count" {
				t.Errorf("%s: %s", path, text)
			}
		}
		do(t, o.ctx, chromedp.Navigate(elsewhere+"/login"), chromedp.WaitVisible(`//*[contains(text(), "cross-origin")]`))
		do(t, o.ctx, chromedp.Navigate(elsewhere+"/read"), chromedp.Poll[chromedp.Void](`document.title != "/read"`))
		if title := look(t, o.ctx, chromedp.Title()); title != "refused refused refused" {
			t.Errorf("another site reads: %s", title)
		}
		do(t, o.ctx, chromedp.Navigate(o.URL+"/account/apps"), chromedp.WaitVisible(`//h2[text()="Web shop"]`))
		if text := look(t, o.ctx, chromedp.Text(chromedp.CSS("main"))); !strings.Contains(text, "signed in as alice") {
			t.Errorf("signed in as somebody else: %s", text)
		}
		if who := ask(t, o.config.Client(t.Context(), token), o.URL+"/api/whoami"); who["sub"] != "alice" {
			t.Errorf("whoami: %v", who)
		}
	})
	t.Run("ATK-14", func(t *testing.T) {
		o := newTour(t)
		frames := ""
		for _, path := range []string{"/login?next=%2F", "/account/apps", "/", strings.TrimPrefix(o.address(), o.URL)} {
			frames += fmt.Sprintf(`<iframe src="%s%s"></iframe>`, o.URL, path)
		}
		evil := newSite(t, map[string]string{"/frames": frames})
		refused := blocked(t, o.ctx)
		o.signIn(t)
		for _, elsewhere := range []string{evil.URL, strings.Replace(evil.URL, "127.0.0.1", "localhost", 1)} { // same site, and another
			before := refused()
			do(t, o.ctx, chromedp.Navigate(elsewhere+"/frames"), chromedp.Func(func(context.Context, *chromedp.Target) error {
				for range 100 {
					if refused()-before == 4 {
						return nil
					}
					time.Sleep(50 * time.Millisecond)
				}
				return fmt.Errorf("%d of 4 frames are refused", refused()-before)
			}))
		}
		o.signInAgain(t)
		o.press(t, `button[value=approve]`) // looks at method and body
	})
}

func (o *tour) signInAgain(t *testing.T) {
	t.Helper()
	do(t, o.ctx, chromedp.Navigate(o.address("prompt", "login")), chromedp.WaitVisible(chromedp.CSS(`input[name=password]`)),
		chromedp.SendKeys(chromedp.CSS(`input[name=username]`), "alice"), chromedp.SendKeys(chromedp.CSS(`input[name=password]`), "wonderland"), chromedp.Click(chromedp.CSS(`button`)),
		chromedp.WaitVisible(chromedp.CSS(`button[value=approve]`)))
}

// withLinks has the pages of a site load from, and link to, another.
func withLinks(h http.Handler, to string) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h.ServeHTTP(w, r)
		fmt.Fprintf(w, `<img src="%s/picture" alt="x" width="9" height="9"><a href="%s/link">on</a>`, to, to)
	})
}
