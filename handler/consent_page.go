package handler

import (
	"net/http"
	"net/url"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// showConsent asks the user.
func (a *authorizer) showConsent(w http.ResponseWriter, r *http.Request, p *pending, asked *grants.Authorization, user User) error {
	shown := *p
	shown.User, shown.Shown = user.ID, asked.Scope
	sealed, err := a.seal(w, r, &shown)
	if err != nil {
		return a.refuse(w, r, p, asked, user.ID, asError(err))
	}
	if user.Name == "" {
		user.Name = user.ID
	}
	words := a.words(r)
	data := ConsentPage{
		Words: words, Client: asked.Client, User: user, Pending: sealed, Nonce: newNonce(),
		Host: hostOf(asked.RedirectURI), Loopback: isLoopback(asked.RedirectURI) && asked.Client.Public,
	}
	for _, name := range asked.Scope {
		scope := pageScope(name, words)
		scope.Optional = a.optionalScopes.has(name)
		data.Scopes = append(data.Scopes, scope)
	}
	return a.show(w, http.StatusOK, a.pages.Consent, data.Nonce, data, data.write)
}

func pageScope(name string, words Words) PageScope {
	if said := words.Scopes[name]; said != "" {
		return PageScope{Name: name, Words: said}
	}
	return PageScope{Name: name, Words: name}
}

// nameOf is what a client is called.
func nameOf(c *storage.Client) string {
	if c.Name == "" {
		return c.ID
	}
	return c.Name
}

// hostOf is what a user can tell a redirect URI by: its host, or the scheme of an app's own.
func hostOf(uri string) string {
	u, err := url.Parse(uri)
	switch {
	case err != nil:
		return uri
	case u.Host == "":
		return u.Scheme
	}
	return u.Host
}

func isLoopback(uri string) bool {
	u, err := url.Parse(uri)
	return err == nil && u.Scheme == "http" && storage.Loopback(u.Hostname())
}

func (data ConsentPage) write(p *page) {
	words := data.Words
	names := map[string]string{"client": nameOf(data.Client), "user": data.User.Name, "host": data.Host}
	p.begin(words.Lang, plainly(words.ConsentTitle, names))
	p.markup("<h1>")
	p.sentence(words.ConsentTitle, names)
	p.markup("</h1>\n<p>")
	p.sentence(words.ConsentText, names)
	p.markup(" ")
	p.sentence(words.SignedInAs, names)
	p.markup("</p>\n<form method=\"post\" action=\"?\">\n<input type=\"hidden\" name=\"pending\" value=\"")
	p.text(data.Pending)
	p.markup("\">\n")
	data.writeScopes(p, names)
	if data.Loopback {
		p.markup("<p class=\"warning\" role=\"note\">")
		p.sentence(words.Loopback, names)
		p.markup("</p>\n")
	}
	p.markup("<p class=\"quiet\">")
	p.sentence(words.Destination, names)
	p.markup("</p>\n<div class=\"buttons\">\n<button name=\"consent\" value=\"deny\">")
	p.text(plainly(words.Deny, names))
	p.markup("</button>\n<button name=\"consent\" value=\"approve\" class=\"main\">")
	p.text(plainly(words.Approve, names))
	p.markup("</button>\n</div>\n</form>\n")
	p.end()
}

func (data ConsentPage) writeScopes(p *page, names map[string]string) {
	if len(data.Scopes) == 0 {
		p.markup("<p>")
		p.sentence(data.Words.NoScopes, names)
		p.markup("</p>\n")
		return
	}
	p.markup("<fieldset>\n<legend>")
	p.sentence(data.Words.ScopesTitle, names)
	p.markup("</legend>\n<ul>\n")
	for _, scope := range data.Scopes {
		p.markup("<li>")
		if scope.Optional {
			p.markup("<label><input type=\"checkbox\" name=\"scope\" checked value=\"")
			p.text(scope.Name)
			p.markup("\"> <span>")
			p.text(scope.Words)
			p.markup("</span></label>")
		} else {
			p.markup("<span>")
			p.text(scope.Words)
			p.markup("</span>")
		}
		p.markup("</li>\n")
	}
	p.markup("</ul>\n</fieldset>\n")
}
