// Package storefault makes a store fail at chosen operations.
//
// A test first runs its scenario over a Store without faults and reads how
// many operations that takes; then it runs the scenario once for each
// operation and mode, with one Fault at that operation:
//
//	for at := range n {
//		for _, mode := range storefault.Modes {
//			o.Wrap = func(s store.Store) store.Store {
//				return storefault.New(s, storefault.Fault{At: at, Mode: mode})
//			}
//			…
//		}
//	}
//
// Put beneath store.Retry by store.Options.Wrap, the repetitions are operations
// of their own. Errors injected by Error and ErrorAfter are permanent for Retry,
// so that the caller sees them; those of Twice are transient, so that it does
// not. After Crash and CrashAfter nothing works any more, as for a process that
// was killed.
package storefault
