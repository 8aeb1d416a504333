// Package storetest holds every store to the contract of store.Store.
//
// Run is the conformance suite: one list of sentences, each a test that uses
// nothing but the interface. It runs on memory, on a directory and on real
// servers of each protocol (see the tests of package store), and a provider's
// adapter is done when Run passes on it.
package storetest
