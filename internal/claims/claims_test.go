package claims

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ostiary-go/ostiary/internal/jws"
)

func read(t *testing.T, text string) (*Claims, error) {
	t.Helper()
	members, err := jws.Object([]byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return Read(members)
}

// RFC 9068 2.2, RFC 7662 2.2.
func TestRead(t *testing.T) {
	c, err := read(t, `{"iss":"https://auth.example","sub":"alice","client_id":"web","scope":"read","jti":"x","aud":"https://a.example","iat":100,"nbf":90.5,"exp":3700,
		"cnf":{"jkt":"thumb","jwk":{"kty":"EC"}},"tenant":["a",{"b":1}]}`)
	if err != nil {
		t.Fatal(err)
	}
	members := c.Members
	c.Members = nil
	want := &Claims{
		Issuer: "https://auth.example", Subject: "alice", Client: "web", Scope: "read", ID: "x", Audience: []string{"https://a.example"},
		Issued: time.Unix(100, 0), NotBefore: time.UnixMilli(90500), Expires: time.Unix(3700, 0),
		Confirmation: map[string]string{"jkt": "thumb", "jwk": `{"kty":"EC"}`},
	}
	if !reflect.DeepEqual(c, want) {
		t.Errorf("got %+v\nwant %+v", c, want)
	}
	c.Members = members
	if !c.For([]string{"https://b.example", "https://a.example"}) || c.For([]string{"https://b.example"}) || c.For(nil) {
		t.Error("it is for https://a.example alone")
	}
	token := c.Show("the token")
	if token.GetClientID() != "web" || token.GetUserID() != "alice" || token.GetScope() != "read" || token.GetAccess() != "the token" ||
		!token.GetAccessCreateAt().Equal(time.Unix(100, 0)) || token.GetAccessExpiresIn() != time.Hour {
		t.Errorf("got %+v", &token)
	}
	if !reflect.DeepEqual(token.Confirmation(), want.Confirmation) {
		t.Errorf("got %v", token.Confirmation())
	}
	token.SetScope("read write")
	token.Claims()["tenant"].([]any)[1].(map[string]any)["b"] = "other"
	token.Confirmation()["jkt"] = "other"
	again := c.Show("")
	if again.GetScope() != "read" || !reflect.DeepEqual(again.Claims()["tenant"], []any{"a", map[string]any{"b": json.Number("1")}}) || again.Confirmation()["jkt"] != "thumb" {
		t.Error("one view has altered what another shows")
	}
	if text := fmt.Sprintf("%v %+v", &token, &token); strings.Contains(text, "the token") {
		t.Errorf("it prints its token: %s", text)
	}
}

// RFC 9068 2.2, RFC 9700 4.15: the subject of a client's own token is the client, which is no user.
func TestUser(t *testing.T) {
	for text, user := range map[string]string{
		`{"sub":"svc","client_id":"svc"}`: "", `{"client_id":"svc"}`: "", `{}`: "", `{"sub":"alice","client_id":"svc"}`: "alice", `{"sub":"alice"}`: "alice",
	} {
		if c, err := read(t, text); err != nil || c.User() != user {
			t.Errorf("%s: got %q, %v", text, c.User(), err)
		}
	}
	c, _ := read(t, `{"exp":100}`)
	if token := c.Show(""); !token.GetAccessCreateAt().Add(token.GetAccessExpiresIn()).Equal(time.Unix(100, 0)) {
		t.Error("a token without iat does not tell its end")
	}
}

func TestReadRefuses(t *testing.T) {
	for member, values := range map[string][]string{
		"iss": {"1", "null", "[]", `["https://auth.example"]`}, "sub": {"1", "null"}, "client_id": {"1", "null"}, "scope": {"1", "null", `["read"]`}, "jti": {"1", "null"},
		"exp": {`"100"`, "null", "-1", "1e400", "1e12", "253402300800", "-0.5", "true"}, "iat": {`"100"`, "-1"}, "nbf": {`"100"`, "[]"},
		"aud": {"1", "null", "{}", "[1]", `["a",null]`}, "cnf": {"null", "{}", `"x"`, "[]", "true"},
	} {
		for _, value := range values {
			if _, err := read(t, `{"`+member+`":`+value+`}`); err == nil || !strings.Contains(err.Error(), member) {
				t.Errorf("%s %s: %v", member, value, err)
			}
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add(`{"iss":"x","aud":["a","b"],"exp":1.5,"cnf":{"a":[1]}}`)
	f.Fuzz(func(t *testing.T, text string) {
		members, err := jws.Object([]byte(text))
		if err != nil {
			return
		}
		c, err := Read(members)
		if err != nil {
			return
		}
		for _, at := range []time.Time{c.Issued, c.NotBefore, c.Expires} {
			if !at.IsZero() && (at.Year() < 1969 || at.Year() > 10000) {
				t.Errorf("%s is read as %v", text, at)
			}
		}
		if _, bound := members["cnf"]; bound != (len(c.Confirmation) > 0) {
			t.Errorf("%s is bound to %v", text, c.Confirmation)
		}
		token := c.Show("x")
		if !reflect.DeepEqual(token.Claims(), members) {
			t.Errorf("%s became %v", text, token.Claims())
		}
	})
}
