// Package server brings real object store servers for tests: MinIO, fake-gcs-server
// and Azurite.
//
// Programs are built or installed once, by the ordinary clients of the Go and
// npm registries, into $CBK_CACHE or the user's cache directory, under a lock,
// in throw-away modules of their own: the project's go.mod stays free of them.
// A test that cannot get its server fails; it never skips.
//
// Every server listens on 127.0.0.1 only, keeps its data in a directory of the
// test and ends with the test, also when the test is killed.
package server
