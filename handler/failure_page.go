package handler

import (
	"net/http"

	"github.com/ostiary-go/ostiary/grants"
)

// showFailure answers an error with a page. Nothing that was sent stands on it.
func (s *site) showFailure(w http.ResponseWriter, r *http.Request, e *pageError) {
	words := s.words(r)
	data := FailurePage{Words: words, Status: e.status, Nonce: newNonce()}
	switch {
	case e.status >= http.StatusInternalServerError:
		data.Title, data.Text = words.UnavailableTitle, words.Unavailable
	case e.status == http.StatusForbidden:
		data.Title, data.Text = words.ForbiddenTitle, words.Forbidden
	default:
		data.Title, data.Text = words.BadRequestTitle, words.BadRequest
	}
	if e.cause != nil && e.status < http.StatusInternalServerError {
		data.Detail = sendable(e.cause.Description)
	}
	if err := s.show(w, e.status, s.pages.Failure, data.Nonce, data, data.write); err != nil {
		s.logFailure(r.Context(), nil, err.(*grants.Error))
		data.Words = English()
		s.show(w, e.status, nil, "", data, data.write)
	}
}

func (data FailurePage) write(p *page) {
	p.begin(data.Words.Lang, data.Title)
	p.markup("<h1>")
	p.text(data.Title)
	p.markup("</h1>\n<p>")
	p.text(data.Text)
	p.markup("</p>\n")
	if data.Detail != "" {
		p.markup("<p class=\"quiet\">")
		p.text(data.Words.Detail)
		p.markup(" ")
		p.text(data.Detail)
		p.markup(".</p>\n")
	}
	p.end()
}
