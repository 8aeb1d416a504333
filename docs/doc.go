// Package docs holds the manuals, and a test of the description of the format: a second reader, written from format.md
// alone, that reads what cbk writes. Other tests look up the tests that lessons.md names, and the risks in restore.md, whose commands
// cmd/cbk runs, and work out the numbers of scale.md.
package docs
