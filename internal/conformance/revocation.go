package conformance

var revocationRows []row
