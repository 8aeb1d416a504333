// Package docs holds the manuals, and a test of the description of the format: a second reader, written from format.md
// alone, that reads what cbk writes. Another test looks up the tests that lessons.md names.
package docs
