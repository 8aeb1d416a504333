// Package fit tells whether the SSTables of a backup fit where a restore would put them, and which risks that carries.
//
// Words. The target is the schema and the release that will read the SSTables. A risk is one thing that may lose data or
// bring wrong data back; its code is a word that an operator can give to --accept. A risk either refuses the restore until
// it is accepted, refuses it for good, or only warns: see [Codes]. A header is the HEADER part of an SSTable's
// Statistics.db, which names the columns that its rows were written with.
//
// Invariants. Nothing is touched and nobody is asked: what is judged is values. A type that the package does not know is
// refused rather than guessed at; where something is not known, as the storage compatibility mode of the target, the risk
// says so. A schema that is equal to the headers never gives a risk of columns. Memory does not grow with the number of
// SSTables but by 32 bytes for each different header.
//
// Ways in: [Read] judges what a backup holds; or [New], then [Fit.Table] and [Fit.SSTable] for each, then [Fit.Result].
// [Judge] weighs the risks against those that were accepted.
package fit
