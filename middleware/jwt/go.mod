module github.com/ostiary-go/ostiary/middleware/jwt

go 1.26.0

require (
	github.com/go-oauth2/oauth2/v4 v4.5.4
	github.com/golang-jwt/jwt/v5 v5.3.1
	github.com/ostiary-go/ostiary v0.0.0
)

replace github.com/ostiary-go/ostiary => ../../
