package handler

import (
	"io"
	"net/http"
	"time"

	"github.com/ostiary-go/ostiary/storage"
)

// Pages is an Option that sets how the pages for users look, and what they say. What it leaves out is as
// shipped: plain, without JavaScript, fit for small screens, in English.
type Pages struct {
	// Words returns the words for a request, as by its Accept-Language. It begins with [English] and
	// alters what it likes; nil is English.
	Words func(r *http.Request) Words

	// The templates are given a [ConsentPage], a [FailurePage], an [AppsPage], which say what has to be
	// in them. A *html/template.Template is a Template; one of text/template is not safe. What they
	// load has to come from this site, and inline scripts and styles need the page's Nonce.
	Consent, Failure, Apps Template
}

func (p Pages) apply(o *options) { o.pages = p }

// Template writes a page. *html/template.Template is one.
type Template interface {
	Execute(w io.Writer, page any) error
}

// ConsentPage is what the consent page shows, and what its form has to send: by POST to "?", Pending in a
// field pending, "approve" or "deny" in a field consent, and the names of ticked optional scopes in
// fields scope.
type ConsentPage struct {
	Words    Words
	Client   *storage.Client // read only
	User     User
	Host     string // that the browser is sent back to
	Loopback bool   // any program on the user's device can pose as the client (RFC 8252 8.6)
	Scopes   []PageScope
	Pending  string
	Nonce    string // of Content-Security-Policy
}

// PageScope is a scope in the words of the application.
type PageScope struct {
	Name, Words string
	Optional    bool // the user may untick it
}

// FailurePage is what the page about an error shows.
type FailurePage struct {
	Words  Words
	Status int    // of the answer
	Title  string // of Words
	Text   string
	Detail string // for the developer of the client, in English; ""
	Nonce  string
}

// AppsPage is what the page of connected applications shows, and what its forms have to send: by POST to
// "?", Pending in a field pending, and either the client's ID in a field client or "all" in a field all.
type AppsPage struct {
	Words   Words
	User    User
	Apps    []PageApp
	Pending string
	Nonce   string
}

// PageApp is a client that has access to the user's account.
type PageApp struct {
	Client      *storage.Client // read only
	Name        string
	Scopes      []PageScope
	Since, Used time.Time // Used is a day
	Grants      int
}

// Words are what the pages say. In each, {client}, {user} and {host} stand for the names, in Dates {since}
// and {used} for days.
type Words struct {
	Lang string // of the html element (BCP 47)

	ConsentTitle string
	ConsentText  string
	SignedInAs   string
	ScopesTitle  string
	NoScopes     string // where nothing in particular is asked for
	Destination  string
	Loopback     string
	Approve      string
	Deny         string

	// Scopes are the words for scopes; one without is shown by its name.
	Scopes map[string]string

	// What went wrong: titles and texts.
	BadRequestTitle, BadRequest   string // the client or the address is to blame
	ForbiddenTitle, Forbidden     string // the form does not count
	UnavailableTitle, Unavailable string // this side is
	Detail                        string // before what only developers need

	// Connected applications.
	AppsTitle string
	NoApps    string
	Dates     string
	EndOne    string
	EndAll    string
}

// English is what the pages say unless [Pages] says otherwise.
func English() Words {
	return Words{
		Lang: "en",

		ConsentTitle: "Allow {client}?",
		ConsentText:  "{client} asks for access to your account.",
		SignedInAs:   "You are signed in as {user}.",
		ScopesTitle:  "It would be allowed to:",
		NoScopes:     "It asks for nothing beyond knowing who you are.",
		Destination:  "You will be sent to {host}.",
		Loopback:     "Any program on this device can call itself {client}. Go on only if you have just started it yourself.",
		Approve:      "Allow",
		Deny:         "Cancel",

		BadRequestTitle: "This link does not work",
		BadRequest:      "Go back to where you came from and start again. If it happens again, tell the people who run that application.",
		ForbiddenTitle:  "This form does not count",
		Forbidden:       "It was not sent from here, or somebody else has signed in meanwhile. Go back to where you came from and start again.",

		UnavailableTitle: "This does not work at the moment",
		Unavailable:      "The fault is on our side. Try again in a moment.",
		Detail:           "For developers:",

		AppsTitle: "Connected applications",
		NoApps:    "No application has access to your account.",
		Dates:     "Since {since}. Last used on {used}.",
		EndOne:    "End access",
		EndAll:    "End access for all of them",
	}
}

func (o *options) words(r *http.Request) Words {
	if o.pages.Words == nil {
		return English()
	}
	return o.pages.Words(r)
}
