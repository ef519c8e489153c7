package conformance

var attackRows []row
