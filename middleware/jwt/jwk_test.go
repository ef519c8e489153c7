package jwt

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"testing"
)

// RFC 7517, RFC 7518 6: which keys there are afterwards, whatever a token then says.
func TestReadKeys(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	rsa := func(bytesOfN int, e ...byte) string {
		return fmt.Sprintf(`"kty":"RSA","kid":"1","n":"%s","e":"%s"`, b64(bytes.Repeat([]byte{0xff}, bytesOfN)), b64(e))
	}
	const ed = `"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"`
	const ec = `"kty":"EC","crv":"P-256","kid":"1","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"`
	usual := rsa(256, 1, 0, 1)
	for jwk, alg := range map[string]string{
		usual: "RS256", usual + `,"alg":"RS256"`: "RS256", usual + `,"alg":"PS256"`: "PS256", rsa(256, 3): "RS256", rsa(1024, 1, 0, 1): "RS256",
		rsa(256, 1): "", rsa(256, 2): "", rsa(256, 1, 0, 0): "", rsa(256, 0): "", rsa(256): "", rsa(255, 1, 0, 1): "", rsa(1025, 1, 0, 1): "", rsa(2048, 1, 0, 1): "",
		rsa(256, 0x7f, 0xff, 0xff, 0xff): "RS256", rsa(256, 0x80, 0, 0, 1): "",
		usual + `,"alg":"HS256"`: "", usual + `,"alg":"ES256"`: "", usual + `,"alg":"none"`: "", usual + `,"alg":""`: "", usual + `,"alg":"RS512"`: "", usual + `,"alg":1`: "",
		ed + `,"kid":"1"`: "EdDSA", ed + `,"kid":"1","alg":"EdDSA"`: "EdDSA", ed + `,"kid":"1","alg":"ES256"`: "", ed: "", ed + `,"kid":""`: "", ed + `,"kid":1`: "", ed + `,"kid":"1","alg":"HS256"`: "",
		ec: "ES256", ec + `,"alg":"ES256"`: "ES256", ec + `,"alg":"ES384"`: "", ec + `,"alg":"RS256"`: "", ec + `,"key_ops":["sign","verify"]`: "ES256", ec + `,"key_ops":["sign"]`: "", ec + `,"use":"sig"`: "ES256", ec + `,"use":"enc"`: "",
		ec + `,"d":""`: "", `"kty":"oct","kid":"1","k":"AAAA"`: "",
	} {
		keys, err := readKeys([]byte(`{"keys":[{` + jwk + `}]}`))
		switch {
		case err != nil || len(keys) > 1:
			t.Errorf("%.80s: %d keys, %v", jwk, len(keys), err)
		case alg == "" && len(keys) != 0:
			t.Errorf("%.80s…%.40s is for %s", jwk, jwk[len(jwk)-20:], keys[0].alg)
		case alg != "" && (len(keys) != 1 || keys[0].alg != alg || keys[0].method != methods[alg] || keys[0].kid != "1"):
			t.Errorf("%.80s: got %v, want one for %s", jwk, keys, alg)
		}
	}
}
