module github.com/ostiary-go/ostiary/examples

go 1.26.0

require (
	github.com/go-oauth2/oauth2/v4 v4.5.4
	github.com/ostiary-go/ostiary v0.0.0
	golang.org/x/oauth2 v0.37.0
)

require (
	go.etcd.io/bbolt v1.5.0 // indirect
	golang.org/x/sys v0.45.0 // indirect
)

replace github.com/ostiary-go/ostiary => ../
