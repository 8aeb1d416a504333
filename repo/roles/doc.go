// Package roles says who may do what with a repository, and gives each holder of a key exactly what its role needs.
//
// # Words
//
// The trust log is the list of objects trust/<n>: statements signed by the owner, each naming the hash of the one
// before. Folded (Trust) it says which principals there are, which are revoked, which seal keys sessions are sealed to,
// which generation each domain is in, and the settings. A principal is one holder of keys, with a role, a signing key
// and an HPKE key pair. Its two private keys are all it holds: wrapped in a slot (passphrase, KMS, recovery secret) or
// in a key file. What it may know reaches it as grants, sealed to its public key and signed by the owner, so rotation
// and revocation need no passphrase and no new files. Slots and grants are objects keys/<sha256 of their bytes>.
//
// Two secrets, id and index, are drawn once. For each domain and generation they give four keys: id and chunker from
// the id secret, index and names from the index secret. Data is sealed under session keys, which are sealed to a seal
// key; only owners and readers hold its private half.
//
//	role     its grant carries                                    so it can
//	owner    owner's signing key, both secrets, seal keys         do everything
//	reader   both secrets, seal keys                              read everything back
//	keeper   index secret                                         see structure, no content, no id key
//	writer   the four keys of its domains, in each generation     write its domains, open no session
//
// A borrower is none of them: it holds a loan, made by an owner or reader for one restore and never stored, with the
// index keys of some domains and the data keys of some sessions. It reads what these open, and signs nothing.
//
// # Invariants
//
// Nothing is believed unsigned: a statement, grant or slot counts only with the owner's signature over the repository's
// id, checked before its content is looked at. A log once seen cannot be shortened or exchanged unnoticed
// (Trust.Covers). Grants are written before the statements they belong to, and count only once these are in the log:
// nothing is ever sealed to a key that nobody was given. Whatever is read is bounded first, key derivation costs
// included. Secrets never appear in an error, and what holds them prints as a short description.
//
// # Ways in
//
// Create founds a repository and returns its Owner, whose acts return objects to write. Open turns a passphrase, KMS,
// recovery secret, key file or loan into a Keyring; Keyring.Domain, NewSession, OpenSession and Sign are what the rest of
// cbk does with it, Keyring.Lend makes loans, and Trust.Verify judges what others signed.
package roles
