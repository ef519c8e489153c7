package storage

import (
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"testing"
)

func TestRegistrationLimits(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*Client)
		want   string // "": it is accepted
	}{
		{"longest_ID", func(c *Client) { c.ID = strings.Repeat("i", 2048) }, ""},
		{"too_long_ID", func(c *Client) { c.ID = strings.Repeat("i", 2049) }, "ID: is longer than 2048 bytes"},
		{"RFC6749/A.1/space_to_tilde", func(c *Client) { c.ID = " o:d d+%~" }, ""},
		{"RFC6749/A.1/DEL", func(c *Client) { c.ID = "a\x7f" }, `ID "a\x7f": has a character outside of %x20-7E (RFC 6749 A.1)`},
		{"RFC6749/A.1/not_ASCII", func(c *Client) { c.ID = "é" }, `ID "é": has a character outside of %x20-7E (RFC 6749 A.1)`},
		{"name_of_any_language", func(c *Client) { c.Name = "Bücher 書" }, ""},
		{"name_not_UTF-8", func(c *Client) { c.Name = "\xff" }, `Name "\xff": is not UTF-8`},
		{"longest_redirect_URI", func(c *Client) { c.RedirectURIs = []string{"https://a.example/" + strings.Repeat("x", 2030)} }, ""},
		{"too_long_redirect_URI", func(c *Client) { c.RedirectURIs = []string{"https://a.example/" + strings.Repeat("x", 2031)} },
			`RedirectURIs "https://a.example/` + strings.Repeat("x", 2031) + `": is longer than 2048 bytes`},
		{"a_second_is_long_enough", func(c *Client) { c.AccessLifetime, c.RefreshIdle, c.RefreshLifetime = 1e9, 1e9, 1e9 }, ""},
		{"a_second_is_the_least", func(c *Client) { c.RefreshIdle = 1e9 - 1 }, `RefreshIdle "999.999999ms": is shorter than a second`},
		{"slow_secret", func(c *Client) { c.OldSecret = cheap("it") }, ""},
		{"secret_with_too_short_a_digest", func(c *Client) { c.OldSecret = "sha256:AAAA" }, "OldSecret: is not a stored form; make it with Hash, HashGenerated or NewSecret"},
		{"secret_with_a_line_end", func(c *Client) { c.OldSecret = HashGenerated("abc") + "\n" }, "OldSecret: is not a stored form; make it with Hash, HashGenerated or NewSecret"},
		{"metadata_of_any_language", func(c *Client) { c.Metadata = map[string]string{"Bücher": "書"} }, ""},
		{"metadata_not_UTF-8", func(c *Client) { c.Metadata = map[string]string{"logo": "\xff"} }, `Metadata "logo": is not UTF-8`},
		{"metadata_key_not_UTF-8", func(c *Client) { c.Metadata = map[string]string{"\xff": ""} }, `Metadata "\xff": is not UTF-8`},
		{"ATK-03/second_of_two", func(c *Client) { c.RedirectURIs = append(c.RedirectURIs, "javascript:alert(1)") },
			`RedirectURIs "javascript:alert(1)": scheme javascript is refused: https, http on loopback, or a private-use scheme with a dot such as com.example.app (RFC 8252 7.1)`},
		{"ATK-03/registered_without_a_use_for_it", func(c *Client) {
			c.GrantTypes = []string{"client_credentials"}
			c.RedirectURIs = []string{"//web.example/cb"}
		}, `RedirectURIs "//web.example/cb": is not absolute (RFC 6749 3.1.2)`},
	} {
		t.Run(c.name, func(t *testing.T) {
			client := good()
			c.change(client)
			err := client.Validate()
			want := ""
			if c.want != "" {
				want = fmt.Sprintf("storage: client %q can't be registered:\n\t%s", client.ID, c.want)
			}
			if got := fmt.Sprint(err); err != nil && got != want || err == nil && want != "" {
				t.Errorf("got  %s\nwant %s", got, want)
			}
		})
	}
}

func TestValidateAltersNothing(t *testing.T) {
	for _, c := range []*Client{good(), {}, filled[Client]()} {
		before := c.Clone()
		c.Validate()
		if !reflect.DeepEqual(c, before) {
			t.Errorf("%+v became %+v", before, c)
		}
	}
}

// What stands where a secret belongs is kept out of errors, and stored forms out of what is printed.
func TestSecretsAreNotPrinted(t *testing.T) {
	c := good()
	c.Secret, c.OldSecret = "hunter2 in the clear", "hunter2 before"
	err := c.Validate()
	if _, ok := errors.AsType[*RegistrationError](err); !ok {
		t.Fatalf("got %T, want a *RegistrationError", err)
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("refused", "error", err, "secret", c.Secret)
	for _, seen := range []string{
		err.Error(), fmt.Sprintf("%+v", err), fmt.Sprintf("%#v", err.(*RegistrationError).Mistakes),
		fmt.Sprintf("%v %+v %#v", c, c, c), fmt.Sprintf("%s %q %x", c.Secret, c.Secret, c.OldSecret), log.String(),
	} {
		if strings.Contains(seen, "hunter2") || strings.Contains(seen, fmt.Sprintf("%x", "hunter2")) {
			t.Errorf("a secret is printed: %s", seen)
		}
	}
}

// go-oauth2 sees a client through these.
func TestClientInfo(t *testing.T) {
	c := good()
	if c.GetID() != "web" || c.IsPublic() || c.GetUserID() != "" || c.GetSecret() != string(c.Secret) {
		t.Errorf("%q %t %q %q", c.GetID(), c.IsPublic(), c.GetUserID(), c.GetSecret())
	}
	if c.GetDomain() != "https://web.example/cb" {
		t.Errorf("GetDomain is %q, want the only redirect URI", c.GetDomain())
	}
	c.RedirectURIs = append(c.RedirectURIs, "https://web.example/other")
	if c.GetDomain() != "" || new(Client).GetDomain() != "" {
		t.Error("where there is not exactly one redirect URI, GetDomain chooses one")
	}
	if !c.Allows("refresh_token") || c.Allows("client_credentials") || c.Allows("") {
		t.Error("Allows is not what is registered")
	}
	if spa := (&Client{Public: true}); !spa.IsPublic() {
		t.Error("a public client isn't")
	}
}
