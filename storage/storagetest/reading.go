package storagetest

import (
	"errors"

	"github.com/ostiary-go/ostiary/storage"
)

var reading = []promise{
	{"Grant/of_that_id", "Grant returns the grant of that ID, or ErrNotFound.", grantOfThatID},
}

func grantOfThatID(p *probe) error {
	middle := storage.ID{0x7f, 0x80, 0, 0xff, 0x2f, 0x5c, 0x25, 0x5f, 0x7f, 0x80, 0, 0xff, 0x2f, 0x5c, 0x25, 0x5f}
	var there, missing []*storage.Grant
	for i := range middle {
		for bit, list := range []*[]*storage.Grant{&there, &missing} {
			g := plainGrant("alice", "app")
			g.ID = middle
			g.ID[i] ^= 1 << bit
			*list = append(*list, g)
		}
	}
	if err := p.insert(there...); err != nil {
		return err
	}
	err := p.stands(there...)
	for _, g := range missing {
		err = errors.Join(err, p.absent(g.ID))
	}
	return err
}
