module github.com/ostiary-go/ostiary

go 1.26.0

require (
	github.com/go-oauth2/oauth2/v4 v4.5.4
	go.etcd.io/bbolt v1.5.0
)

require golang.org/x/sys v0.45.0 // indirect
