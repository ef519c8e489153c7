// Package interop is the module of the tests that need other people's code: go-oauth2's server and
// manager, OAuth clients, routers. Apart from the root module, so that none of it gets into the
// go.mod of those who import ostiary.
package interop
