package storage

import (
	"errors"
	"strings"
	"testing"
	"time"
)

func good() *Client {
	return &Client{ID: "web", Secret: HashGenerated("x"), GrantTypes: []string{"authorization_code", "refresh_token"}, Scope: "read write", RedirectURIs: []string{"https://web.example/cb"}}
}

func TestValidate(t *testing.T) {
	public := func(c *Client) { c.Public, c.Secret = true, "" }
	for _, c := range []struct {
		name   string
		change func(*Client)
		fields string // with a mistake
	}{
		{"good", func(*Client) {}, ""},
		{"good, public", public, ""},
		{"RFC6749/4.5/absolute URI", func(c *Client) { c.GrantTypes = []string{"urn:ietf:params:oauth:grant-type:device_code"} }, ""},
		{"no ID", func(c *Client) { c.ID = "" }, "ID"},
		{"RFC6749/A.1/control in ID", func(c *Client) { c.ID = "a\nb" }, "ID"},
		{"no secret", func(c *Client) { c.Secret = "" }, "Secret"},
		{"secret in the clear", func(c *Client) { c.Secret = "hunter2" }, "Secret"},
		{"old secret in the clear", func(c *Client) { c.OldSecret = "hunter2" }, "OldSecret"},
		{"public with a secret", func(c *Client) { c.Public = true }, "Secret"},
		{"RFC6749/4.4/public client_credentials", func(c *Client) { public(c); c.GrantTypes = append(c.GrantTypes, "client_credentials") }, "GrantTypes"},
		{"RFC9700/2.1.2/implicit", func(c *Client) { c.GrantTypes = []string{"implicit"} }, "GrantTypes"},
		{"unknown grant type", func(c *Client) { c.GrantTypes = []string{"client_credential"} }, "GrantTypes"},
		{"code without redirect URI", func(c *Client) { c.RedirectURIs = nil }, "RedirectURIs"},
		{"RFC6749/3.3/scope", func(c *Client) { c.Scope = "read  write" }, "Scope"},
		{"negative life", func(c *Client) { c.RefreshIdle = -1 }, "RefreshIdle"},
		{"short life", func(c *Client) { c.AccessLifetime = time.Millisecond }, "AccessLifetime"},
		{"endless access token", func(c *Client) { c.AccessLifetime = Unlimited }, "AccessLifetime"},
		{"endless refresh token", func(c *Client) { c.RefreshIdle, c.RefreshLifetime = Unlimited, Unlimited }, ""},
		{"RFC8707/2/resource", func(c *Client) { c.Resources = []string{"https://api.example/#x"} }, "Resources"},
		{"RFC8707/2/relative resource", func(c *Client) { c.Resources = []string{"/api"} }, "Resources"},
		{"RFC8707/2/audience", func(c *Client) { c.Audience = []string{"api"} }, "Audience"},
		{"RFC7662/2.1/public that introspects", func(c *Client) { public(c); c.Introspect = true }, "Introspect"},
		{"RFC9700/2.1.1/public without PKCE", func(c *Client) { public(c); c.InsecureNoPKCE = true }, "InsecureNoPKCE"},
		{"public without redirect URI", func(c *Client) { public(c); c.InsecureNoRedirectURI = true }, "InsecureNoRedirectURI"},
		{"RFC9700/2.2.2/public without rotation", func(c *Client) { public(c); c.InsecureNoRotation = true }, "InsecureNoRotation"},
		{"twice insecure", func(c *Client) { public(c); c.InsecureNoRotation, c.InsecurePublicNoRotation = true, true }, ""},
		{"all at once", func(c *Client) { c.ID, c.Secret, c.Scope, c.RedirectURIs = "", "hunter2", "é", []string{"/x", "y"} }, "ID Secret RedirectURIs RedirectURIs Scope"},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := good()
			c.change(client)
			err := client.Validate()
			var fields []string
			if e, ok := errors.AsType[*RegistrationError](err); ok {
				for _, m := range e.Mistakes {
					fields = append(fields, m.Field)
				}
			} else if err != nil {
				t.Fatalf("%T", err)
			}
			if got := strings.Join(fields, " "); got != c.fields {
				t.Errorf("mistakes in %q, want %q: %v", got, c.fields, err)
			}
			if err != nil && strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the secret is in the error: %v", err)
			}
		})
	}
}

// Row ATK-03, and what is like it.
func TestRedirectURIs(t *testing.T) {
	for uri, want := range map[string]bool{
		"https://web.example/cb": true, "https://two.example/b?x=1": true, "https://web.example:8443/cb": true, "https://[2001:db8::1]/cb": true, "https://web.example": true,
		"http://127.0.0.1/cb": true, "http://[::1]:8080/cb": true, "http://localhost/cb": true, "com.example.app:/cb": true, "com.example.app://cb": true,
		"javascript:alert(1)": false, "data:text/html,x": false, "vbscript:x": false, "file:///etc/passwd": false, "blob:https://x": false, "about:blank": false,
		"http://web.example/cb": false, "http://127.0.0.2/cb": false, "http://localhost.evil.example/cb": false, "http://127.0.0.1.evil.example/": false,
		"https://*.example/cb": false, "https://u:p@web.example/cb": false, "https://u@web.example/cb": false, "https://web.example/cb#": false, "https://web.example/cb#x": false,
		"/cb": false, "web.example/cb": false, "//web.example/cb": false, "": false, "myapp:/cb": false, "com.example.app:": false, "com.example.app:cb": false,
		"https://web.example:0/cb": false, "https://web.example:65536/cb": false, "https://web.example:/cb": false, "https://web.example:08/cb": false, "https:///cb": false, "https:cb": false,
		"https://web.example/a b": false, "https://web.example/é": false, "https://wéb.example/": false, "https://web.example/\x00": false, `https://web.example\@evil.example/`: false,
		"https://web..example/": false, "https://web%2eexample/": false, "https://[::1%25eth0]/": false, "https://web.example/%zz": false, "https://web.example/" + strings.Repeat("x", 2048): false,
	} {
		if reason := redirectURIMistake(uri); (reason == "") != want {
			t.Errorf("%q: %q", uri, reason)
		}
	}
}
