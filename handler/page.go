package handler

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	_ "embed"
	"encoding/base64"
	"errors"
	"html"
	"net/http"
	"strconv"
	"strings"

	"github.com/ostiary-go/ostiary/grants"
)

// page writes HTML. html/template would be linked into programs that show no page, so what is not
// markup is told by its type, and only constants are markup.
type page struct{ bytes.Buffer }

// markup is HTML as it stands in this package.
type markup string

func (p *page) markup(m markup) { p.WriteString(string(m)) }

// text escapes, for elements and for attributes in quotes.
func (p *page) text(s string) { p.WriteString(html.EscapeString(s)) }

// sentence writes words in which {name} stands for values, which are set apart.
func (p *page) sentence(words string, values map[string]string) {
	for {
		before, after, ok := strings.Cut(words, "{")
		p.text(before)
		if !ok {
			return
		}
		name, rest, ok := strings.Cut(after, "}")
		value, known := values[name]
		if !ok || !known {
			p.text("{")
			words = after
			continue
		}
		p.markup("<b>")
		p.text(value)
		p.markup("</b>")
		words = rest
	}
}

// plainly is sentence for where there can be no elements.
func plainly(words string, values map[string]string) string {
	for name, value := range values {
		words = strings.ReplaceAll(words, "{"+name+"}", value)
	}
	return words
}

//go:embed page.css
var css string

func (p *page) begin(lang, title string) {
	p.markup("<!DOCTYPE html>\n<html lang=\"")
	p.text(lang)
	p.markup("\">\n<head>\n<meta charset=\"utf-8\">\n<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\n" +
		"<meta name=\"color-scheme\" content=\"light dark\">\n<title>")
	p.text(title)
	p.markup("</title>\n<style>")
	p.WriteString(css) // has no </style> in it
	p.markup("</style>\n</head>\n<body>\n<main>\n")
}

func (p *page) end() { p.markup("</main>\n</body>\n</html>\n") }

// The policies allow what a page needs and nothing else. There is no form-action: browsers apply it to
// the redirect that answers the form too, and to those that follow it at the client.
func policyOfShipped() string {
	sum := sha256.Sum256([]byte(css))
	return "default-src 'none'; style-src 'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'; base-uri 'none'; frame-ancestors 'none'"
}

func policyOfOwn(nonce string) string {
	return "default-src 'self'; img-src 'self' data:; style-src 'self' 'nonce-" + nonce + "'; script-src 'self' 'nonce-" + nonce +
		"'; object-src 'none'; base-uri 'none'; frame-ancestors 'none'"
}

// show answers with a page: the application's, or else the shipped one.
func (s *site) show(w http.ResponseWriter, status int, own Template, nonce string, data any, shipped func(*page)) error {
	p, policy := new(page), policyOfShipped()
	if own == nil {
		shipped(p)
	} else if err := own.Execute(p, data); err != nil {
		return &grants.Error{Code: serverError, Description: somethingWrong, Cause: errors.New("a template of the application's failed: " + err.Error())}
	} else {
		policy = policyOfOwn(nonce)
	}
	h := w.Header()
	h.Set("Content-Type", "text/html; charset=utf-8")
	h.Set("Content-Length", strconv.Itoa(p.Len()))
	h.Set("Content-Security-Policy", policy)
	h.Set("X-Frame-Options", "DENY")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "same-origin") // with no-referrer, forms would be sent with Origin: null
	h.Set("Cache-Control", "no-store")
	h.Set("Pragma", "no-cache")
	w.WriteHeader(status)
	w.Write(p.Bytes())
	return nil
}

func newNonce() string { return rand.Text() }
