package jwt_test

import (
	"bufio"
	"context"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
)

//go:embed testdata/jose.mjs
var joseProgram []byte

// joseInstalled is where jose lies, with the program that uses it.
var joseInstalled = sync.OnceValues(func() (dir string, err error) {
	dir = filepath.Join(scratch, "jose")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	npm := exec.Command("npm", "install", "--no-save", "--no-audit", "--no-fund", "--ignore-scripts", "jose@6.2.18")
	npm.Dir = dir
	if out, err := npm.CombinedOutput(); err != nil {
		return "", fmt.Errorf("npm: %v\n%s", err, out)
	}
	return dir, os.WriteFile(filepath.Join(dir, "jose.mjs"), joseProgram, 0o600)
})

// node is a process in which jose runs.
type node struct {
	cmd    *exec.Cmd
	issuer string
	mu     sync.Mutex
	in     io.WriteCloser
	out    *bufio.Scanner
}

// joseStarted is one process for all tests.
var joseStarted = sync.OnceValues(func() (*node, error) {
	dir, err := joseInstalled()
	if err != nil {
		return nil, err
	}
	n := &node{cmd: exec.Command("node", "jose.mjs")}
	n.cmd.Dir, n.cmd.Stderr = dir, os.Stderr
	if n.in, err = n.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	out, err := n.cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := n.cmd.Start(); err != nil {
		return nil, err
	}
	atEnd = append(atEnd, func() error {
		n.in.Close() // by which it ends
		return n.cmd.Wait()
	})
	n.out = bufio.NewScanner(out)
	answer, err := n.read()
	n.issuer = answer.Issuer
	return n, err
})

// startJose skips the test on a machine without Node.js.
func startJose(t testing.TB) *node {
	t.Helper()
	for _, program := range []string{"node", "npm"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skip(err)
		}
	}
	n, err := joseStarted()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

type joseAnswer struct {
	Issuer, Token, Error string
	Claims               map[string]any
}

func (n *node) read() (a joseAnswer, err error) {
	if !n.out.Scan() {
		return a, errors.Join(io.ErrUnexpectedEOF, n.out.Err())
	}
	if err := json.Unmarshal(n.out.Bytes(), &a); err != nil {
		return a, err
	}
	if a.Error != "" {
		return a, errors.New(a.Error)
	}
	return a, nil
}

func (n *node) ask(question map[string]any) (a joseAnswer, err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if err := json.NewEncoder(n.in).Encode(question); err != nil {
		return a, err
	}
	return n.read()
}

// joseSets counts key sets, so that each is fetched anew.
var joseSets atomic.Int64

// jose is how its manual verifies tokens of a key set that is elsewhere.
func jose(t testing.TB, issuer, algorithm string) verify {
	t.Helper()
	n, keys, set := startJose(t), keysAddress(t, issuer), joseSets.Add(1)
	return func(_ context.Context, token string) (map[string]any, error) {
		a, err := n.ask(map[string]any{"name": "verify", "set": set, "keys": keys, "issuer": issuer, "audience": api, "algorithm": algorithm, "token": token})
		return a.Claims, err
	}
}

// joseIssuer signs by jose, and has it write and serve the keys.
func joseIssuer(t testing.TB, algorithm string) (issuer string, sign sign) {
	t.Helper()
	n := startJose(t)
	return n.issuer, func(claims map[string]any) (string, error) {
		a, err := n.ask(map[string]any{"name": "sign", "algorithm": algorithm, "claims": claims})
		return a.Token, err
	}
}
