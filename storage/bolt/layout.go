package bolt

import (
	"errors"
	"fmt"
	"slices"

	"go.etcd.io/bbolt"
)

// bucket is one of the store's buckets.
type bucket int

const (
	metaBucket    bucket = iota // schema
	grantsBucket                // ID -> grant
	expiresBucket               // expiry, ID -> nothing
	usersBucket                 // digest of the user, ID -> nothing
	clientsBucket               // client ID -> JSON
	keysBucket                  // name -> secret
	buckets
)

var bucketWords = [buckets]string{"meta", "grants", "expires", "users", "clients", "keys"}

// layout is where the buckets of a store are: under names that begin alike, so that a file can be shared
// with other stores and with an application's own buckets.
type layout [buckets][]byte

func newLayout(namespace string) *layout {
	l := new(layout)
	for b, word := range bucketWords {
		l[b] = []byte("ostiary." + word)
		if namespace != "" {
			l[b] = []byte("ostiary/" + namespace + "." + word)
		}
	}
	return l
}

// Keys that come in ascending order leave full pages behind them.
const orderedFill = 0.95

func (l *layout) in(tx *bbolt.Tx, b bucket) *bbolt.Bucket {
	in := tx.Bucket(l[b])
	if b == grantsBucket || b == expiresBucket {
		in.FillPercent = orderedFill
	}
	return in
}

var schemaKey = []byte("schema")

// The versions of the layout. In the first one records had no checksum; those that have not been written
// since still have none. In the first two there were no keys, which takes a version of its own: a file
// that has lost them is told from one that never had any, lest new ones be made without a word.
const (
	firstSchema  = "1"
	schemaNow    = "3"
	unknownOwner = "is a bbolt file, but not of ostiary's making"
)

// check tells whether the buckets are there, and of which version they are. Where they are not, there has
// to be a neighbour, or nothing at all.
func (l *layout) check(tx *bbolt.Tx, neighbour func(bucket string) bool) (schema string, err error) {
	meta := tx.Bucket(l[metaBucket])
	if meta == nil {
		cursor := tx.Cursor()
		name, _ := cursor.First()
		strange := name != nil
		for ; name != nil && strange; name, _ = cursor.Next() {
			strange = !neighbour(string(name))
		}
		if strange {
			return "", errors.New(unknownOwner)
		}
		return "", nil
	}
	schema = string(meta.Get(schemaKey))
	if !known(schema) {
		return "", fmt.Errorf("has schema version %q, and this version of ostiary knows %q at most", schema, schemaNow)
	}
	for b, name := range l {
		if tx.Bucket(name) == nil && since(schema, bucket(b)) {
			return "", fmt.Errorf("lacks the bucket %s", bucketWords[b])
		}
	}
	return schema, nil
}

var schemas = []string{firstSchema, "2", schemaNow}

func known(schema string) bool { return slices.Contains(schemas, schema) }

// since tells whether files of that schema have the bucket.
func since(schema string, b bucket) bool { return b != keysBucket || schema == schemaNow }

// lay makes the buckets that are not there, and notes the version.
func (l *layout) lay(tx *bbolt.Tx) error {
	if err := l.makeBuckets(tx); err != nil {
		return err
	}
	return tx.Bucket(l[metaBucket]).Put(schemaKey, []byte(schemaNow))
}

func (l *layout) makeBuckets(tx *bbolt.Tx) error {
	for _, name := range l {
		if _, err := tx.CreateBucketIfNotExists(name); err != nil {
			return err
		}
	}
	return nil
}
