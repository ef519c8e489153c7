package introspect

import (
	"bytes"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	oerr "github.com/go-oauth2/oauth2/v4/errors"
)

// FuzzAnswer holds any body against what package encoding/json reads of it: a token is let through only
// where a plain reader finds it active, of type Bearer, in its time and of the issuer.
func FuzzAnswer(f *testing.F) {
	now := time.Unix(1767225600, 0)
	for _, seed := range []string{
		"", "{}", "null", `{"active":true}`, `{"active":false}`, `{"active":"true"}`, `{"active":true,"active":false}`, typical(1),
		`{"active":true,"token_type":"bearer","exp":1767225601,"nbf":1767225630,"iss":"https://auth.example","aud":["a"],"cnf":{"jkt":"x"}}`,
		`{"active":true,"token_type":"DPoP","exp":1e400}`, `{"active":true,"token_type":"Bearer","exp":1767225600.5}`, `{"active":true,"token_type":"Bearer","aud":[]}`,
		`{"Active":true,"active":false}`, `{"active":true,"token_type":null}`, `{"active":true,"iss":null,"token_type":"Bearer"}`,
	} {
		f.Add([]byte(seed))
	}
	p := policy{issuer: "https://auth.example"}
	f.Fuzz(func(t *testing.T, body []byte) {
		a, err := p.read(body, now)
		if err != nil {
			if a != (answer{}) || errors.Is(err, oerr.ErrInvalidAccessToken) || errors.Is(err, oerr.ErrExpiredAccessToken) {
				t.Fatalf("%v with %v", a, err)
			}
			return
		}
		var plain map[string]any
		d := json.NewDecoder(bytes.NewReader(body))
		d.UseNumber() // a number that no float64 holds is one all the same
		if err := d.Decode(&plain); err != nil || !json.Valid(body) {
			t.Fatalf("%q is no JSON", body)
		}
		if (a.claims == nil) == (a.refusal == nil) {
			t.Fatalf("%q: %v", body, a)
		}
		if a.refusal != nil {
			if a.refusal != oerr.ErrInvalidAccessToken && a.refusal != oerr.ErrExpiredAccessToken && a.refusal != errUntyped {
				t.Fatalf("%q: %v", body, a.refusal)
			}
			return
		}
		kind, _ := plain["token_type"].(string)
		issuer, told := plain["iss"]
		if plain["active"] != true || !strings.EqualFold(kind, "bearer") || told && issuer != p.issuer {
			t.Errorf("%q is let through", body)
		}
		if exp, ok := seconds(plain["exp"]); ok && exp <= float64(now.Unix()) {
			t.Errorf("%q is past its exp", body)
		}
		if nbf, ok := seconds(plain["nbf"]); ok && nbf > float64(now.Add(leeway).Unix()) {
			t.Errorf("%q is before its nbf", body)
		}
		if costOfAnswer(digest{}, a) < int64(len(a.claims.Scope)) {
			t.Errorf("%q costs nothing", body)
		}
	})
}

func seconds(value any) (float64, bool) {
	number, ok := value.(json.Number)
	if !ok {
		return 0, false
	}
	seconds, err := number.Float64()
	return seconds, err == nil
}
