package conformance

var clientCredentialsRows []row
