package handler

import (
	"time"
)

func (data AppsPage) write(p *page) {
	words := data.Words
	names := map[string]string{"user": data.User.Name}
	p.begin(words.Lang, plainly(words.AppsTitle, names))
	p.markup("<h1>")
	p.sentence(words.AppsTitle, names)
	p.markup("</h1>\n<p>")
	p.sentence(words.SignedInAs, names)
	p.markup("</p>\n")
	if len(data.Apps) == 0 {
		p.markup("<p>")
		p.sentence(words.NoApps, names)
		p.markup("</p>\n")
	}
	for _, app := range data.Apps {
		data.writeApp(p, app)
	}
	if len(data.Apps) > 1 {
		p.markup("<form method=\"post\" action=\"?\">\n<input type=\"hidden\" name=\"pending\" value=\"")
		p.text(data.Pending)
		p.markup("\">\n<div class=\"buttons\"><button name=\"all\" value=\"all\">")
		p.text(words.EndAll)
		p.markup("</button></div>\n</form>\n")
	}
	p.end()
}

func (data AppsPage) writeApp(p *page, app PageApp) {
	words := data.Words
	names := map[string]string{"client": app.Name, "user": data.User.Name, "since": app.Since.Format(time.DateOnly), "used": app.Used.Format(time.DateOnly)}
	p.markup("<section>\n<h2>")
	p.text(app.Name)
	p.markup("</h2>\n")
	if len(app.Scopes) > 0 {
		p.markup("<ul>\n")
		for _, scope := range app.Scopes {
			p.markup("<li><span>")
			p.text(scope.Words)
			p.markup("</span></li>\n")
		}
		p.markup("</ul>\n")
	}
	p.markup("<p class=\"quiet\">")
	p.sentence(words.Dates, names)
	p.markup("</p>\n<form method=\"post\" action=\"?\">\n<input type=\"hidden\" name=\"pending\" value=\"")
	p.text(data.Pending)
	p.markup("\">\n<button name=\"client\" value=\"")
	p.text(app.Client.ID)
	p.markup("\" aria-label=\"")
	p.text(plainly(words.EndOne, names) + ": " + app.Name)
	p.markup("\">")
	p.text(plainly(words.EndOne, names))
	p.markup("</button>\n</form>\n</section>\n")
}
