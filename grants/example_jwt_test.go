package grants_test

import (
	"context"
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/ostiary-go/ostiary/grants"
	"github.com/ostiary-go/ostiary/storage"
)

// claimsIn reads the claims of a JWT, as everybody can who has it.
func claimsIn(access string) (claims map[string]any) {
	text, _ := base64.RawURLEncoding.DecodeString(strings.Split(access, ".")[1])
	json.Unmarshal(text, &claims)
	return claims
}

func ExampleJWT() {
	store, done := exampleStore()
	defer done()
	keys, err := grants.OpenKeys(ctx, store) // made on first start
	if err != nil {
		panic(err)
	}
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice", Scope: "read"})
	claims := claimsIn(pair.GetAccess())
	fmt.Println(claims["iss"], claims["sub"], claims["client_id"], claims["scope"], claims["aud"])

	manager.End(ctx, storage.Filter{User: "alice"})
	_, err = manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(err)
	// Output:
	// https://auth.example alice app read https://auth.example
	// invalid access token
}

func ExampleOpenKeys() {
	store, done := exampleStore()
	defer done()
	keys, err := grants.OpenKeys(ctx, store)
	if err != nil {
		panic(err)
	}
	again, err := grants.OpenKeys(ctx, store) // another instance, or after a restart
	if err != nil {
		panic(err)
	}
	a, _ := keys.Public(ctx)
	b, _ := again.Public(ctx)
	for i := range a {
		fmt.Println(a[i].State, a[i].Algorithm, a[i].ID == b[i].ID)
	}
	// Output:
	// active ES256 true
	// next ES256 true
}

// kms stands for a key in a key management service: it signs, and nobody sees it.
type kms struct{ crypto.Signer }

func newKMS() kms {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		panic(err)
	}
	return kms{key}
}

func ExampleSupplyKeys() {
	store, done := exampleStore()
	defer done()
	thisYear, lastYear := newKMS(), newKMS()
	keys, err := grants.SupplyKeys(thisYear, []crypto.PublicKey{lastYear.Public()})
	if err != nil {
		panic(err)
	}
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	_, err = manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(strings.Count(pair.GetAccess(), "."), err)
	// Output: 2 <nil>
}

func ExampleAlgorithm() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store, grants.Algorithm("RS256")) // for validators that know nothing else
	list, _ := keys.Public(ctx)
	fmt.Println(list[0].Algorithm)
	// Output: RS256
}

func ExampleRotateEvery() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store, grants.RotateEvery(30*24*time.Hour))
	list, _ := keys.Public(ctx)
	fmt.Println(list[1].From.Sub(list[0].From))
	// Output: 720h0m0s
}

func ExampleKeepRetired() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store, grants.KeepRetired(30*time.Minute))
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys), grants.AccessLifetime(time.Hour))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(pair.GetAccessExpiresIn().Round(time.Minute)) // no longer than its key is told
	// Output: 30m0s
}

func ExampleEncryptKeys() {
	store, done := exampleStore()
	defer done()
	var key [32]byte // from where the application keeps its secrets
	rand.Read(key[:])

	_, err := grants.OpenKeys(ctx, store, grants.EncryptKeys(key))
	fmt.Println(err)
	_, err = grants.OpenKeys(ctx, store)
	fmt.Println(err)
	// Output:
	// <nil>
	// grants: the key ring is encrypted, and EncryptKeys is not set
}

func ExampleKeys_Public() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	list, err := keys.Public(ctx)
	for _, key := range list {
		fmt.Println(key.State, err)
	}
	// Output:
	// active <nil>
	// next <nil>
}

func ExamplePublicKey_JWK() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	list, _ := keys.Public(ctx)
	jwk := list[0].JWK()
	fmt.Println(jwk["kty"], jwk["crv"], jwk["alg"], jwk["use"], jwk["kid"] == list[0].ID)
	// Output: EC P-256 ES256 sig true
}

// What the present key has signed stays good. The next one signs at once if it is told long enough, here in
// ten minutes.
func ExampleKeys_Rotate() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	if err := keys.Rotate(ctx); err != nil {
		panic(err)
	}
	list, _ := keys.Public(ctx)
	fmt.Println(time.Until(list[1].From).Round(time.Minute))
	// Output: 10m0s
}

// A key may have become known: nothing that it has signed counts any more.
func ExampleKeys_Remove() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys))
	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})

	list, _ := keys.Public(ctx)
	fmt.Println(keys.Remove(ctx, list[0].ID))
	_, err := manager.LoadAccessToken(ctx, pair.GetAccess())
	fmt.Println(err)
	// Output:
	// <nil>
	// invalid access token
}

func ExampleManager_PublicKeys() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys))
	list, err := manager.PublicKeys(ctx)
	fmt.Println(manager.Signs(), len(list), err)
	// Output: true 2 <nil>
}

func ExampleManager_Signs() {
	store, done := exampleStore()
	defer done()
	fmt.Println(grants.New(store).Signs())
	// Output: false
}

// What the application adds stands in JWTs, in answers to introspection, and in middleware.Claims.
func ExampleClaims() {
	store, done := exampleStore()
	defer done()
	tenants := map[string]string{"alice": "acme"}
	keys, _ := grants.OpenKeys(ctx, store)
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys),
		grants.Claims(func(ctx context.Context, of grants.Introspection) (map[string]any, error) {
			return map[string]any{"tenant": tenants[of.User]}, nil
		}))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(claimsIn(pair.GetAccess())["tenant"])
	// Output: acme
}

func ExampleDefaultAudience() {
	store, done := exampleStore()
	defer done()
	keys, _ := grants.OpenKeys(ctx, store)
	manager := grants.New(store, grants.Issuer("https://auth.example"), grants.JWT(keys), grants.DefaultAudience("https://api.example"))

	pair, _ := manager.Issue(ctx, grants.Issue{Client: "app", User: "alice"})
	fmt.Println(claimsIn(pair.GetAccess())["aud"])
	// Output: https://api.example
}
