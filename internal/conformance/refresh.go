package conformance

var refreshRows []row
