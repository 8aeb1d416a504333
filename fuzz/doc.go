// Package fuzz holds the fuzz targets: everything that parses bytes which a store, and so an attacker, may choose.
//
// Each target has two doors. One takes the object's bytes as they would come from the store; authentication stops nearly
// all of them, and none but the genuine may pass. The other takes the plaintext, sealed by the target itself, so that
// the parser behind the seal is reached: that is what a writer with stolen keys, or a defect in our own encoder, can
// present. What a parser accepts must lie within the bounds that its callers rely on, and encode to what it was read
// from.
//
// The seeds are real objects. "go test ./fuzz" runs them; "go test ./fuzz -fuzz FuzzTail" searches on.
package fuzz
