package storagetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"iter"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/go-oauth2/oauth2/v4"
	"github.com/ostiary-go/ostiary/storage"
)

func TestCorrectStore(t *testing.T) {
	Run(t, func(*testing.T) func() storage.Store {
		d := newData()
		return func() storage.Store { return &memory{data: d} }
	})
}

// What the contract leaves open is left open by the suite.
func TestCorrectInOtherWays(t *testing.T) {
	ways := map[string]func(*altered){
		"change_runs_twice": func(a *altered) {
			a.update = func(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
				return a.memory.Update(ctx, id, func(g *storage.Grant) error {
					if err := change(g.Clone()); err != nil {
						return err
					}
					return change(g)
				})
			}
		},
		"optimistic_update": func(a *altered) {
			var underWay sync.RWMutex
			a.close = func() error {
				underWay.Lock()
				defer underWay.Unlock()
				return a.memory.Close()
			}
			a.update = func(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
				underWay.RLock()
				defer underWay.RUnlock()
				for {
					stands, err := a.memory.Grant(ctx, id)
					if err != nil {
						return err
					}
					own := stands.Clone()
					if err := change(own); err != nil {
						return err
					}
					errMoved := errors.New("moved")
					err = a.memory.Update(ctx, id, func(g *storage.Grant) error {
						if encoded(g) != encoded(stands) {
							return errMoved
						}
						*g = *own
						return nil
					})
					if err != errMoved {
						return err
					}
				}
			}
		},
		"change_of_a_secret_runs_twice": func(a *altered) {
			a.secret = func(ctx context.Context, name string, change secretChange) ([]byte, error) {
				return a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
					if _, err := change(bytes.Clone(old)); err != nil {
						return nil, err
					}
					return change(old)
				})
			}
		},
		"optimistic_secret": func(a *altered) {
			var underWay sync.RWMutex
			a.close = func() error {
				underWay.Lock()
				defer underWay.Unlock()
				return a.memory.Close()
			}
			a.secret = func(ctx context.Context, name string, change secretChange) ([]byte, error) {
				underWay.RLock()
				defer underWay.RUnlock()
				for {
					stands, err := a.memory.Secret(ctx, name, unchanged)
					if err != nil {
						return nil, err
					}
					value, err := change(bytes.Clone(stands))
					if err != nil {
						return nil, err
					}
					errMoved := errors.New("moved")
					got, err := a.memory.Secret(ctx, name, func(old []byte) ([]byte, error) {
						if !bytes.Equal(old, stands) {
							return nil, errMoved
						}
						return value, nil
					})
					if err != errMoved {
						return got, err
					}
				}
			}
		},
		"change_runs_elsewhere": func(a *altered) {
			a.update = func(ctx context.Context, id storage.ID, change func(*storage.Grant) error) error {
				var panicked any
				err := <-async(func() error {
					return a.memory.Update(ctx, id, func(g *storage.Grant) (err error) {
						defer func() {
							if panicked = recover(); panicked != nil {
								err = errGone
							}
						}()
						return change(g)
					})
				})
				if panicked != nil {
					panic(panicked)
				}
				return err
			}
		},
		"wrapped_errors": func(a *altered) {
			a.insert = func(ctx context.Context, g *storage.Grant) error { return wrapped(a.memory.Insert(ctx, g)) }
			a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
				g, err := a.memory.Grant(ctx, id)
				return g, wrapped(err)
			}
			a.getByID = func(ctx context.Context, id string) (oauth2.ClientInfo, error) {
				c, err := a.memory.GetByID(ctx, id)
				return c, wrapped(err)
			}
			a.putClient = func(ctx context.Context, c *storage.Client) error { return wrapped(a.memory.PutClient(ctx, c)) }
		},
		"fresh_copies": func(a *altered) {
			a.grant = func(ctx context.Context, id storage.ID) (*storage.Grant, error) {
				g, err := a.memory.Grant(ctx, id)
				if err != nil {
					return nil, err
				}
				return g.Clone(), nil
			}
		},
		"lists_everything_at_once": func(a *altered) {
			a.list = func(ctx context.Context, f storage.Filter) iter.Seq2[*storage.Grant, error] {
				return func(yield func(*storage.Grant, error) bool) {
					all, err := a.page(ctx, f.Matches, 1<<30)
					if err != nil {
						yield(nil, err)
					}
					for _, g := range all {
						if !yield(g, nil) {
							return
						}
					}
				}
			}
		},
		"no_clients": func(*altered) {},
		"no_secrets": func(*altered) {},
	}
	for name, how := range ways {
		t.Run(name, func(t *testing.T) {
			Run(t, func(*testing.T) func() storage.Store {
				d := newData()
				return func() storage.Store {
					switch s := alter(d, how); name {
					case "no_clients":
						return struct {
							storage.Store
							storage.Keys
						}{s, s}
					case "no_secrets":
						return struct {
							storage.Store
							storage.Clients
						}{s, s}
					default:
						return s
					}
				}
			})
		})
	}
}

func wrapped(err error) error {
	if err != nil {
		err = fmt.Errorf("engine: %w", err)
	}
	return err
}

// Every promise notices the stores that break it.
func TestBrokenStores(t *testing.T) {
	for _, b := range broken {
		if !slices.ContainsFunc(promises, func(p promise) bool { return p.name == b.promise }) {
			t.Errorf("there is no promise %s", b.promise)
		}
	}
	for _, p := range promises {
		t.Run(p.name, func(t *testing.T) {
			tried := false
			for _, b := range broken {
				if b.promise != p.name {
					continue
				}
				tried = true
				t.Run(strings.ReplaceAll(b.how, " ", "_"), func(t *testing.T) {
					synctest.Test(t, func(t *testing.T) {
						d := newData()
						err := p.hold(func() storage.Store { return alter(d, b.alter) })
						close(d.abandoned)
						if err == nil {
							t.Errorf("a store that breaks it goes unnoticed: %s", b.how)
						} else {
							t.Logf("%.400v", err)
						}
					})
				})
			}
			if !tried {
				t.Error("no store that breaks this promise shows that the test of it can fail")
			}
		})
	}
}

func TestStuckStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		free := make(chan struct{})
		p := promise{try: func(*probe) error { <-free; return nil }}
		err := p.hold(func() storage.Store { return &memory{data: newData()} })
		if err == nil || !strings.Contains(err.Error(), "stuck") || !strings.Contains(err.Error(), "TestStuckStore") {
			t.Errorf("got %v, want that it is stuck, and where", err)
		}
		if took := time.Since(began); took != patience {
			t.Errorf("noticed after %v, want %v", took, patience)
		}
		close(free)
	})
}

// untried are the words of the contract that no test can try from outside, each with the reason.
var untried = []string{
	// descriptions, and what follows from promises that are tried
	"What holds for all methods of all three:",
	"Store keeps grants: one record each, found by its ID and changed atomically.",
	"Clients keeps the registered clients.",
	"Keys keeps secrets of the server's own under names, such as a key that seals or signs, so that all instances on the same data agree on one value.",
	"What the package comment says of all methods holds for it too.",
	"A value is kept as it is, so whoever can read the data has it;",
	"which is oldest first",
	// what callers do
	"The grant may be shared with other callers: it is read only.",
	"The grants are read only.",
	"it assigns its results and never adds to them. It does not keep the grant, block, or call the store.",
	"A Store usually has it too; an application with a client table of its own hands in an [oauth2.ClientStore] instead.",
	"A [Store] may have it too; what needs it says so.",
	"it assigns its results and never adds to them. It does not block or call the store.",
	"the caller answers 503 and the same call may be repeated",
	// what takes a dying process, a failing disk or an engine of one's own
	"it survives the death of the process and, where the engine can do that, of the machine.",
	"Any error that this package does not name means that the store failed;",
	"Update returns only when what change has seen and what it left are durable,",
	"After any other error than those of change, ErrNotFound and the context's, the outcome is unknown: the change was stored in full or not at all.",
	"Secret returns only when what change has seen and what it left are durable,",
	"After any other error than those of change and the context's, the outcome is unknown: the value was stored in full or not at all.",
	"Stores run it by themselves.",
	"in small bites that let others write in between",
	// how a store is written
	"A store knows no field of a Grant but ID, User, Client, Created and Expires, which it may index, and keeps the rest as the Grant's own encodings ([Grant.MarshalBinary], JSON) give it.",
	"a store whose keys are narrower indexes a digest of them.",
	// what the caller does
	"whose ID is not zero",
	// descriptions of what a store may have besides, and what takes a failing disk or others at the data
	"Changes names the records that a store is about to alter, or that somebody else has altered.",
	"Watcher is a [Store] that tells of its changes, for those who keep copies of what it returned. It is optional: without it nothing is kept.",
	"From the first call to the second a reader may see the old record or the new one, and must keep neither; what it read before the first call is out of date from then on.",
	"Where the store does not know what a commit did, it says All until it does. Changes that others made to the same data are told as soon as they are known.",
	"Both functions are quick and do not call the store.",
}

func TestQuotes(t *testing.T) {
	contract := contract(t)
	rows := slices.Clone(promises)
	slices.SortFunc(rows, func(a, b promise) int { return len(b.quote) - len(a.quote) }) // some are part of others
	left := contract
	for _, p := range rows {
		if len(strings.Fields(p.quote)) < 3 || !strings.Contains(contract, p.quote) {
			t.Errorf("%s: the contract does not say %q", p.name, p.quote)
		}
		left = strings.ReplaceAll(left, p.quote, "\n")
	}
	for _, words := range untried {
		if !strings.Contains(contract, words) {
			t.Errorf("untried: the contract does not say %q", words)
		}
		left = strings.ReplaceAll(left, words, "\n")
	}
	for rest := range strings.SplitSeq(left, "\n") {
		if rest = strings.Trim(rest, " .,:;-"); rest != "" && rest != "and" {
			t.Errorf("the contract says %q, which no promise tries", rest)
		}
	}
}

// contract returns the doc comments of Store, Clients, Watcher and Keys, and the package's from where it
// speaks of all methods, without line breaks.
func contract(t *testing.T) string {
	var docs []string
	for _, path := range []string{"../store.go", "../watcher.go", "../keys.go"} {
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ParseComments)
		if err != nil {
			t.Fatal(err)
		}
		if file.Doc != nil {
			_, every, found := strings.Cut(file.Doc.Text(), "\nWhat holds")
			if !found {
				t.Fatal("the package comment does not say what holds for all methods")
			}
			docs = append(docs, "What holds"+every)
		}
		ast.Inspect(file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GenDecl:
				docs = append(docs, n.Doc.Text())
			case *ast.Field:
				docs = append(docs, n.Doc.Text())
			}
			return true
		})
	}
	return strings.Join(strings.Fields(strings.ReplaceAll(strings.Join(docs, " "), "\n  - ", "\n")), " ")
}

func TestSamples(t *testing.T) {
	a, b := reflect.ValueOf(fullGrant(1)), reflect.ValueOf(fullGrant(2))
	eachField("Grant", a, b, func(name string, a, b reflect.Value) {
		if a.IsZero() || b.IsZero() {
			t.Errorf("fullGrant leaves %s zero", name)
		}
		if a.Kind() != reflect.Bool && reflect.DeepEqual(a.Interface(), b.Interface()) {
			t.Errorf("fullGrant has the same %s for every seed", name)
		}
	})
	c := reflect.ValueOf(fullClient("id", 1))
	eachField("Client", c, c, func(name string, a, _ reflect.Value) {
		if a.IsZero() && name != "Client.Public" && name != "Client.Generation" {
			t.Errorf("fullClient leaves %s zero", name)
		}
	})
	for _, c := range []*storage.Client{fullClient("id", 1), plainClient("id")} {
		if err := c.Validate(); err != nil {
			t.Error(err)
		}
	}
}

// eachField calls f for the fields of the structs that a and b point to, and for those below them.
func eachField(name string, a, b reflect.Value, f func(name string, a, b reflect.Value)) {
	switch {
	case a.Kind() == reflect.Pointer && !a.IsNil():
		eachField(name, a.Elem(), b.Elem(), f)
	case a.Kind() == reflect.Struct && a.Type() != reflect.TypeFor[time.Time]():
		for i := range a.NumField() {
			eachField(name+"."+a.Type().Field(i).Name, a.Field(i), b.Field(i), f)
		}
	case a.Kind() == reflect.Slice && a.Type().Elem().Kind() == reflect.Struct:
		for i := range a.Len() {
			eachField(fmt.Sprintf("%s[%d]", name, i), a.Index(i), b.Index(i), f)
		}
	default:
		f(name, a, b)
	}
}

// A package that links storagetest links package testing.
func TestOnlyTestsImportIt(t *testing.T) {
	err := filepath.WalkDir("../..", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() || !strings.HasSuffix(path, ".go") || strings.HasSuffix(path, "_test.go") {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.ImportsOnly)
		if err != nil {
			return nil // somebody is writing it
		}
		for _, i := range file.Imports {
			if strings.HasSuffix(i.Path.Value, `/storage/storagetest"`) {
				t.Errorf("%s imports %s", path, i.Path.Value)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
