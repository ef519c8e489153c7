package storage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/ostiary-go/ostiary/storage"
)

func ExampleNewSecret() {
	plain, stored := storage.NewSecret()
	ok, err := stored.Matches(context.Background(), plain) // show plain once, keep stored
	fmt.Println(len(plain), stored, ok, err)
	// Output: 43 [secret] true <nil>
}

func ExampleHash() {
	stored := storage.Hash("correct horse battery staple") // slow and salted: a person chose it
	ok, _ := stored.Matches(context.Background(), "correct horse battery staple")
	fmt.Println(ok, storage.Hash("") == "")
	// Output: true true
}

func ExampleHashGenerated() {
	plain, stored := storage.NewSecret()
	fmt.Println(storage.HashGenerated(plain) == stored)
	// Output: true
}

func ExampleClient_Validate() {
	err := (&storage.Client{
		ID: "app", Secret: "hunter2", GrantTypes: []string{"authorization_code"},
		RedirectURIs: []string{"http://app.example/cb", "myapp:/cb"},
	}).Validate()
	refused, _ := errors.AsType[*storage.RegistrationError](err)
	for _, m := range refused.Mistakes {
		fmt.Println(m)
	}
	// Output:
	// Secret: is not a stored form; make it with Hash, HashGenerated or NewSecret
	// RedirectURIs "http://app.example/cb": http is for the loopback interface alone: 127.0.0.1, [::1] or localhost (RFC 8252 7.3)
	// RedirectURIs "myapp:/cb": scheme myapp is refused: https, http on loopback, or a private-use scheme with a dot such as com.example.app (RFC 8252 7.1)
}

// A secret is replaced without an outage: both are accepted until the old one is taken away.
func ExampleClient_VerifySecret() {
	c := &storage.Client{ID: "app", Secret: storage.HashGenerated("the new one"), OldSecret: storage.HashGenerated("the old one")}
	for _, secret := range []string{"the new one", "the old one", "a guess"} {
		ok, err := c.VerifySecret(context.Background(), secret)
		fmt.Println(ok, err)
	}
	// Output:
	// true <nil>
	// true <nil>
	// false <nil>
}

func ExampleParseID() {
	id, err := storage.ParseID("01a20c98-953c-75c8-9dd5-6c42342e08e1")
	fmt.Println(id, err)
	_, err = storage.ParseID("01A20C98")
	fmt.Println(err)
	// Output:
	// 01a20c98-953c-75c8-9dd5-6c42342e08e1 <nil>
	// storage: not a grant ID
}

func ExampleNewID() {
	id := storage.NewID()
	fmt.Println(len(id.String()), id.IsZero())
	// Output: 36 false
}

func ExampleFilter() {
	fmt.Println(storage.Filter{}.Empty()) // chooses every grant there is: Manager.End refuses it

	phone := storage.Filter{User: "alice", Client: "app"} // fields narrow each other
	fmt.Println(phone.Matches(&storage.Grant{ID: storage.NewID(), User: "alice", Client: "app"}))
	fmt.Println(phone.Matches(&storage.Grant{ID: storage.NewID(), User: "alice", Client: "other"}))
	// Output:
	// true
	// true
	// false
}

func ExampleLoopback() {
	fmt.Println(storage.Loopback("127.0.0.1"), storage.Loopback("::1"), storage.Loopback("127.0.0.1.example.com"))
	// Output: true true false
}
