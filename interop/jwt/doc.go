// Package jwt holds JWT access tokens (RFC 9068) against other people's code: theirs takes ours, ours takes
// theirs, and what each of them costs.
package jwt
