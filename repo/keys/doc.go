// Package keys holds the secrets of a repository and the slots that give them out.
//
// Words. The secrets are three random 32-byte values made by init: id, index and data. A slot is an object keys/<sha256>
// that wraps the secrets under a passphrase. A domain's keys are derived from the secrets, so that writers of different
// domains cannot test content of, or forge shards for, one another. A session key seals the blobs of one backup and is
// itself stored only in sealed form.
//
// Invariants. The cost of a key derivation read from the repository is bounded before it is run. Each slot carries a
// commitment to its key, compared in constant time before anything is opened, because the cipher alone would let one
// slot open under two passphrases. Secrets never appear in an error or a log line.
//
// Ways in: New and Slot for init, OpenSlot to open, Secrets.Domain, Secrets.NewSession and Secrets.OpenSession.
//
// This is the small form: one role that can do everything. Writers that cannot read, keepers and rotation build on the
// same seams: Domain for what a writer holds, OpenSession for what only a reader can do.
package keys
