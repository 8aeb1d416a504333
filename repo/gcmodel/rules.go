package gcmodel

// Reading says how the objects under gc/ are to be read, which decides what may be removed.
type Reading uint8

const (
	// Floored: an epoch carries the number at or below which every epoch is finished: its packs gone, no listed shard
	// naming them. What stands at or below the newest epoch's floor counts for nothing and may be removed.
	Floored Reading = iota
	// Bare: an epoch is removed when a newer one exists, its packs are gone and no listed shard names them; a missing
	// number is the only sign of it.
	Bare
	// Cumulative: an epoch names every pack ever condemned; only the newest counts and all others may be removed.
	Cumulative
)

// Rules are the protocol with some of its rules turned off. The zero value is the protocol with every rule on.
type Rules struct {
	Epochs Reading

	TrustOld         bool // W1 trusts packs condemned at or before E0
	NoW5             bool // the writer commits without reading gc/ again
	LatePending      bool // W5 comes before the pending
	NoK2             bool // the keeper that made an epoch sweeps on the strength of its plan
	BareK3           bool // a second keeper sweeps what it finds condemned, without a K2
	LateEpochs       bool // K2 lists gc/ after pending and roots
	FreshK3          bool // K3 also sweeps what was condemned after its K2
	NoRecord         bool // a root is removed without a deletion record
	Uncondemn        bool // K2 takes an epoch back instead of copying what lives in it
	DropAtOnce       bool // an epoch is removed as soon as its packs are, though it is the newest
	RootsFirst       bool // K2 lists roots, then pending
	ForgetPending    bool // an old pending is removed without an abort record
	WriterCompacts   bool // a writer rewrites the shards it has loaded
	NoGapRule        bool // the cache counts although epochs after its sync are gone
	KeepUnlisted     bool // the cache keeps entries of shards no longer listed
	NoStamp          bool // shards from before a removed epoch count without a look at the store
	LateAdoption     bool // gc/ is listed after the packs that no shard names
	NoRelist         bool // K3 deletes packs by its first LIST of shards
	DropBeforeShards bool // K3 deletes packs before the shards that name them are rewritten
	RewriteLess      bool // K3 leaves out what any other shard names, one that goes too
	KeepOne          bool // a keeper that cannot copy keeps one holder of each blob

	// MayBeFull is no rule but something that happens: the store may have no room for what K2 copies, and for the shards of
	// K3. What was condemned goes nevertheless, but for every holder of what could not be copied.
	MayBeFull bool

	// RetriedPack is no rule but an assumption turned off: an upload of a pack whose answer was lost may be repeated
	// and land after that pack was deleted.
	RetriedPack bool
}
