package conformance

var codeRows []row
