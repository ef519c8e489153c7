package conformance

var clientRows []row
