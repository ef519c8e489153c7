package main

import (
	"encoding/hex"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/grants"
)

// line is a record of the format that README.md describes: one grant, and the tokens that were given
// out under it.
type line struct {
	Client   string      `json:"client"`
	User     string      `json:"user"`
	Scope    string      `json:"scope"`
	Audience []string    `json:"audience"`
	Access   []lineToken `json:"access"`
	Refresh  *lineToken  `json:"refresh"`
}

type lineToken struct {
	Token   string `json:"token"`
	SHA256  string `json:"sha256"`  // 64 hexadecimal digits
	Expires string `json:"expires"` // RFC 3339, or never
}

// parseLine is the [parser] of our own format.
func parseLine(text []byte) (i grants.Import, nothing bool, reason string) {
	var l line
	if reason := decodeStrictly(text, &l); reason != "" {
		return i, false, reason
	}
	if strings.ContainsRune(l.User, utf8.RuneError) { // which stands for what is no character
		return i, false, "user is not Unicode"
	}
	i = grants.Import{Client: l.Client, User: l.User, Scope: l.Scope, Audience: l.Audience}
	for _, t := range l.Access {
		token, reason := t.imported()
		if reason != "" {
			return i, false, "access: " + reason
		}
		i.Access = append(i.Access, token)
	}
	if l.Refresh != nil {
		if i.Refresh, reason = l.Refresh.imported(); reason != "" {
			return i, false, "refresh: " + reason
		}
	}
	return i, false, ""
}

func (t lineToken) imported() (i grants.ImportedToken, reason string) {
	switch {
	case (t.Token == "") == (t.SHA256 == ""):
		return i, "either token or sha256 is needed"
	case t.Expires == "":
		return i, `expires is missing; "never" is a token without end`
	case t.SHA256 != "":
		digest, err := hex.DecodeString(t.SHA256)
		if err != nil || len(digest) != len(i.SHA256) || strings.Trim(t.SHA256, "0") == "" {
			return i, "sha256 is not a digest of 64 hexadecimal digits"
		}
		copy(i.SHA256[:], digest)
	}
	i.Token = t.Token
	if t.Expires == "never" {
		return i, ""
	}
	expires, err := time.Parse(time.RFC3339, t.Expires)
	if err != nil {
		return i, "expires is no time of RFC 3339"
	}
	i.Expires = sinceEpoch(expires)
	return i, ""
}

// sinceEpoch is t, or the beginning of 1970 where t is before: both are long over, but the zero time
// means never, and some systems write it where they mean nothing.
func sinceEpoch(t time.Time) time.Time {
	if epoch := time.Unix(0, 0); t.Before(epoch) {
		return epoch
	}
	return t
}
