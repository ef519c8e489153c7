package conformance

var bearerRows []row
