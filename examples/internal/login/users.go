package login

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/ostiary-go/ostiary/examples/internal/serve"
	"github.com/ostiary-go/ostiary/storage"
)

// users are the names of the users and the hashes of their passwords.
type users map[string]storage.Secret

// check tells whether the password is the user's. An unknown user takes as long as a known one.
func (u users) check(ctx context.Context, name, password string) (bool, error) {
	secret, ok := u[name]
	if !ok {
		for _, secret = range u {
			break
		}
		secret = secret.Decoy()
	}
	return secret.Matches(ctx, password)
}

// Open is a login for users of these names. Their passwords are made when it first runs on the store, which
// keeps hashes, and written to out then, once, as comments for a shell.
func Open(ctx context.Context, keys storage.Keys, out io.Writer, names ...string) (*Login, error) {
	passwords, made := map[string]string{}, users{}
	for _, name := range names {
		passwords[name], made[name] = storage.NewSecret()
	}
	fresh, err := json.Marshal(made)
	if err != nil {
		return nil, err
	}
	kept, err := keys.Secret(ctx, "example users", func(old []byte) ([]byte, error) {
		if old != nil {
			return old, nil
		}
		return fresh, nil
	})
	if err != nil {
		return nil, err
	}
	if !bytes.Equal(kept, fresh) {
		slog.Info("not the first start, which alone shows the users' passwords: another -db begins anew")
	} else {
		for _, name := range names {
			fmt.Fprintf(out, "# user %s, password %s\n", name, passwords[name])
		}
	}
	u := users{}
	if err := json.Unmarshal(kept, &u); err != nil {
		return nil, err
	}
	return newLogin(u), nil
}

// Read is a login for the users of a file: a JSON object of names and passwords.
func Read(file string) (*Login, error) {
	passwords := map[string]string{}
	if err := serve.ReadJSON(file, &passwords); err != nil {
		return nil, err
	}
	var wrong []error
	for name, password := range passwords {
		switch {
		case name == "" || !utf8.ValidString(name) || strings.ContainsFunc(name, func(r rune) bool { return r < ' ' }):
			wrong = append(wrong, fmt.Errorf("%s: user %q: no name for a user", file, name))
		case password == "":
			wrong = append(wrong, fmt.Errorf("%s: user %q: has no password", file, name))
		}
	}
	if len(passwords) == 0 {
		wrong = append(wrong, fmt.Errorf("%s: has no users", file))
	}
	if wrong != nil {
		slices.SortFunc(wrong, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, errors.Join(wrong...)
	}
	return Of(passwords), nil
}

// Of is a login for users with these passwords.
func Of(passwords map[string]string) *Login {
	u := users{}
	var mu sync.Mutex
	serve.Each(passwords, func(name, password string) {
		hash := storage.Hash(password) // slow by intent
		mu.Lock()
		defer mu.Unlock()
		u[name] = hash
	})
	return newLogin(u)
}
