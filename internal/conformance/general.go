package conformance

var generalRows []row
