package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

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

// openUsers reads the file of users. Without one it makes alice and bob, keeps them in the store, and
// writes their passwords to out, once.
func openUsers(ctx context.Context, keys storage.Keys, file string, out io.Writer) (users, error) {
	if file != "" {
		return readUsers(file)
	}
	passwords := map[string]string{}
	made := users{}
	for _, name := range []string{"alice", "bob"} {
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
		for _, name := range []string{"alice", "bob"} {
			fmt.Fprintf(out, "user %-5s password %s\n", name, passwords[name])
		}
	}
	u := users{}
	return u, json.Unmarshal(kept, &u)
}

func readUsers(file string) (users, error) {
	passwords := map[string]string{}
	if err := readJSON(file, &passwords); err != nil {
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
	u := users{}
	var mu sync.Mutex
	each(passwords, func(name, password string) {
		hash := storage.Hash(password) // slow by intent
		mu.Lock()
		defer mu.Unlock()
		u[name] = hash
	})
	return u, nil
}

// readJSON reads a file that holds one JSON value.
func readJSON(file string, into any) error {
	text, err := os.ReadFile(file)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, into); err != nil {
		at := ""
		if syntax, ok := errors.AsType[*json.SyntaxError](err); ok {
			at = fmt.Sprintf(" line %d:", 1+bytes.Count(text[:min(int(syntax.Offset), len(text))], []byte("\n")))
		}
		return fmt.Errorf("%s:%s %w", file, at, err)
	}
	return nil
}

// each calls do for all entries, as many at a time as there are processors.
func each[V any](all map[string]V, do func(string, V)) {
	var wg sync.WaitGroup
	turns := make(chan struct{}, processors)
	for name, value := range all {
		turns <- struct{}{}
		wg.Go(func() {
			defer func() { <-turns }()
			do(name, value)
		})
	}
	wg.Wait()
}
