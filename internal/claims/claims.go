// Package claims reads what is said of an access token: by a JWT (RFC 9068 2.2), or in answer to
// introspection (RFC 7662 2.2). Both have the same words for it.
package claims

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"
)

// Claims are the members that a resource server needs, and all of them as they came. What was not there is
// zero. They are not altered.
type Claims struct {
	Issuer   string // iss
	Subject  string // sub
	Client   string // client_id
	Scope    string
	ID       string   // jti
	Audience []string // aud, of one or several

	Issued, NotBefore, Expires time.Time // iat, nbf, exp

	Confirmation map[string]string // cnf (RFC 7800); nil if there is none

	Members map[string]any // numbers as json.Number
}

// Read reads members, which become the Claims's own. A member that is there has to be of its JSON type: a
// time a number of seconds since 1970 and before the year 10000, aud a string or an array of strings, cnf an
// object with something in it. The error names the member, never its value.
func Read(members map[string]any) (*Claims, error) {
	c := &Claims{Members: members}
	r := reader{members: members}
	r.text("iss", &c.Issuer)
	r.text("sub", &c.Subject)
	r.text("client_id", &c.Client)
	r.text("scope", &c.Scope)
	r.text("jti", &c.ID)
	r.time("iat", &c.Issued)
	r.time("nbf", &c.NotBefore)
	r.time("exp", &c.Expires)
	if aud, ok := members["aud"]; ok {
		c.Audience = r.audience(aud)
	}
	if cnf, ok := members["cnf"]; ok {
		c.Confirmation = r.confirmation(cnf)
	}
	if r.wrong != "" {
		return nil, fmt.Errorf("the member %s is not of its type", r.wrong)
	}
	return c, nil
}

// User is whom the token stands for: "" where it is the client's own, which then is its subject (RFC 9068
// 2.2, RFC 9700 4.15).
func (c *Claims) User() string {
	if c.Subject == c.Client {
		return ""
	}
	return c.Subject
}

// For tells whether aud names one of the resource servers.
func (c *Claims) For(names []string) bool {
	return slices.ContainsFunc(c.Audience, func(name string) bool { return slices.Contains(names, name) })
}

// reader remembers the first member that is wrong.
type reader struct {
	members map[string]any
	wrong   string
}

func (r *reader) isWrong(name string) {
	if r.wrong == "" {
		r.wrong = name
	}
}

func (r *reader) text(name string, to *string) {
	if value, ok := r.members[name]; ok {
		if *to, ok = value.(string); !ok {
			r.isWrong(name)
		}
	}
}

const year10000 = 253402300800

func (r *reader) time(name string, to *time.Time) {
	value, ok := r.members[name]
	if !ok {
		return
	}
	number, _ := value.(json.Number) // "" is none
	if seconds, err := strconv.ParseInt(string(number), 10, 64); err == nil && seconds >= 0 && seconds < year10000 {
		*to = time.Unix(seconds, 0)
	} else if seconds, err := strconv.ParseFloat(string(number), 64); err == nil && seconds >= 0 && seconds < year10000 {
		*to = time.UnixMilli(int64(seconds * 1000))
	} else {
		r.isWrong(name)
	}
}

func (r *reader) audience(value any) []string {
	switch value := value.(type) {
	case string:
		return []string{value}
	case []any:
		names := make([]string, len(value))
		for i := range value {
			var ok bool
			if names[i], ok = value[i].(string); !ok {
				r.isWrong("aud")
			}
		}
		return names
	}
	r.isWrong("aud")
	return nil
}

// confirmation has what is no string as JSON.
func (r *reader) confirmation(value any) map[string]string {
	object, _ := value.(map[string]any)
	if len(object) == 0 {
		r.isWrong("cnf")
		return nil
	}
	methods := make(map[string]string, len(object))
	for name, value := range object {
		text, ok := value.(string)
		if !ok {
			b, _ := json.Marshal(value) // what came as JSON goes as JSON
			text = string(b)
		}
		methods[name] = text
	}
	return methods
}
