package storage

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/internal/scope"
)

// RegistrationError refuses a client and lists all that is wrong with it. Find it with [errors.As].
type RegistrationError struct {
	Client   string
	Mistakes []Mistake
}

// Mistake is one thing wrong with a registration.
type Mistake struct {
	Field  string // of Client
	Value  string // what stands there; "" where that is a secret or says nothing
	Reason string
}

// Error lists all mistakes, one a line.
func (e *RegistrationError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "storage: client %q can't be registered:", e.Client)
	for _, m := range e.Mistakes {
		fmt.Fprintf(&b, "\n\t%s", m)
	}
	return b.String()
}

// String returns the mistake on one line.
func (m Mistake) String() string {
	if m.Value == "" {
		return m.Field + ": " + m.Reason
	}
	return fmt.Sprintf("%s %q: %s", m.Field, m.Value, m.Reason)
}

// The grant types that a client can be registered for without being an absolute URI (RFC 6749 4.5).
// password is not offered by this library; an application may serve it as a grant type of its own.
var grantTypes = []string{"authorization_code", "refresh_token", "client_credentials", "password"}

// Longer values are refused, so that a key fits every store.
const (
	longestID  = 2048
	longestURI = 2048
)

// Validate returns a *RegistrationError that lists everything that is wrong with the registration, or
// nil. PutClient of every store calls it.
func (c *Client) Validate() error {
	e := &RegistrationError{Client: c.ID}
	add := func(field, value, reason string) {
		e.Mistakes = append(e.Mistakes, Mistake{field, value, reason})
	}

	switch {
	case c.ID == "":
		add("ID", "", "is missing")
	case len(c.ID) > longestID:
		add("ID", "", fmt.Sprintf("is longer than %d bytes", longestID))
	case !visible(c.ID):
		add("ID", c.ID, "has a character outside of %x20-7E (RFC 6749 A.1)")
	}
	if !utf8.ValidString(c.Name) {
		add("Name", c.Name, "is not UTF-8")
	}
	for key, value := range c.Metadata {
		if !utf8.ValidString(key) || !utf8.ValidString(value) {
			add("Metadata", key, "is not UTF-8")
		}
	}

	if c.Public && (c.Secret != "" || c.OldSecret != "") {
		add("Secret", "", "a public client has none")
	}
	if !c.Public && c.Secret == "" {
		add("Secret", "", "is missing; a client that can't keep one is registered with Public")
	}
	for _, s := range []struct {
		field string
		Secret
	}{{"Secret", c.Secret}, {"OldSecret", c.OldSecret}} {
		if s.Secret != "" && !s.Secret.wellFormed() {
			add(s.field, "", "is not a stored form; make it with Hash, HashGenerated or NewSecret")
		}
	}

	for _, uri := range c.RedirectURIs {
		if reason := redirectURIMistake(uri); reason != "" {
			add("RedirectURIs", uri, reason)
		}
	}
	for _, t := range c.GrantTypes {
		switch {
		case t == "implicit":
			add("GrantTypes", t, "is not offered: tokens don't belong into URLs (RFC 9700 2.1.2)")
		case !slices.Contains(grantTypes, t) && !absoluteURI(t):
			add("GrantTypes", t, "is unknown: neither one of "+strings.Join(grantTypes, ", ")+" nor an absolute URI")
		}
	}
	if c.Allows("authorization_code") && len(c.RedirectURIs) == 0 {
		add("RedirectURIs", "", "are missing; authorization_code needs one")
	}
	if c.Public && c.Allows("client_credentials") {
		add("GrantTypes", "client_credentials", "is for confidential clients (RFC 6749 4.4)")
	}
	if _, ok := scope.Parse(c.Scope); !ok {
		add("Scope", c.Scope, "is malformed: words of %x21 / %x23-5B / %x5D-7E, separated by single spaces (RFC 6749 3.3)")
	}

	for _, life := range []struct {
		field string
		time.Duration
		unlimited bool
	}{
		{"AccessLifetime", c.AccessLifetime, false},
		{"RefreshIdle", c.RefreshIdle, true},
		{"RefreshLifetime", c.RefreshLifetime, true},
	} {
		switch {
		case life.Duration < 0:
			add(life.field, life.String(), "is negative")
		case life.Duration != 0 && life.Duration < time.Second:
			add(life.field, life.String(), "is shorter than a second")
		case life.Duration == Unlimited && !life.unlimited:
			add(life.field, "Unlimited", "an access token has to expire")
		}
	}

	for _, of := range []struct {
		field string
		names []string
	}{{"Resources", c.Resources}, {"Audience", c.Audience}} {
		for _, name := range of.names {
			if !ValidResource(name) {
				add(of.field, name, "is no absolute URI without a fragment (RFC 8707 2)")
			}
		}
	}
	if c.Public && c.Introspect {
		add("Introspect", "", "is for confidential clients (RFC 7662 2.1)")
	}
	if c.Public && c.InsecureNoPKCE {
		add("InsecureNoPKCE", "", "is for confidential clients (RFC 9700 2.1.1)")
	}
	if c.Public && c.InsecureNoRedirectURI {
		add("InsecureNoRedirectURI", "", "is for confidential clients")
	}
	if c.Public && c.InsecureNoRotation && !c.InsecurePublicNoRotation {
		add("InsecureNoRotation", "", "a public client has to rotate its refresh tokens (RFC 9700 2.2.2), unless InsecurePublicNoRotation is set too")
	}

	if e.Mistakes != nil {
		return e
	}
	return nil
}

// visible tells whether s consists of VSCHAR (RFC 6749 A): %x20-7E.
func visible(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] > '~' {
			return false
		}
	}
	return true
}
