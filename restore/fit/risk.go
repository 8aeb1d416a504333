package fit

import (
	"fmt"
	"slices"
	"strings"
)

// Risk is one thing that a restore may lose or bring back wrong.
type Risk struct {
	Code     string `json:"code"` // one of Codes
	Keyspace string `json:"keyspace,omitempty"`
	Table    string `json:"table,omitempty"`
	What     string `json:"what"`    // in a short sentence
	Refuses  bool   `json:"refuses"` // the restore, unless it is accepted
	Final    bool   `json:"final"`   // it refuses, and cannot be accepted
}

// String is the risk for people: what it is of, and what it is.
func (r Risk) String() string {
	of := ""
	switch {
	case r.Table != "":
		of = r.Keyspace + "." + r.Table + ": "
	case r.Keyspace != "":
		of = r.Keyspace + ": "
	}
	return r.Code + ": " + of + r.What
}

// The codes of risks.
const (
	Ranges            = "ranges"
	Replicas          = "replicas"
	Columns           = "columns"
	Version           = "version"
	ReplicationFactor = "replication-factor"
	Space             = "space"
	Damaged           = "damaged"
	Tombstones        = "tombstones"
	Expired           = "expired"
	Counters          = "counters"
	Views             = "views"
	CommitLog         = "commitlog"
	Indexes           = "indexes"
	Identity          = "identity"
	Roles             = "roles"
	Clock             = "clock"
	Paxos             = "paxos"
	Transient         = "transient"
	Accord            = "accord"
)

// Weight is what a risk of a code does to a restore.
type Weight string

// Weights of risks. One code may have several, as different things are told under it.
const (
	Warns   Weight = "warns"
	Accept  Weight = "refuses unless accepted"
	Forbids Weight = "refuses for good"
)

// Code is a kind of risk.
type Code struct {
	Code    string   `json:"code"`
	Weights []Weight `json:"weights"`
	Means   string   `json:"means"`
}

// Codes are all kinds of risk, in the order in which they are told. Not all of them are judged here: who knows the ring
// tells of ranges and replicas, who knows the disks of space.
func Codes() []Code {
	return []Code{
		{Ranges, []Weight{Accept}, "token ranges have fewer replicas in the backup than the level asked for: rows of these ranges are missing or old"},
		{Replicas, []Weight{Accept}, "token ranges would have other replicas than in the backup: rows would lie where no read looks"},
		{ReplicationFactor, []Weight{Accept}, "a keyspace is to have more replicas on the target than the backup has copies"},
		{Identity, []Weight{Accept}, "the target is not the node or cluster of the backup"},
		{Roles, []Weight{Warns}, "nobody can log in to the restored cluster before something else is done"},
		{Space, []Weight{Forbids}, "a disk of the target has less room than the restore needs"},
		{Version, []Weight{Warns, Accept, Forbids}, "SSTables are of a version that the target cannot read, or only perhaps, or that it reads and should rewrite"},
		{Columns, []Weight{Warns, Accept, Forbids}, "SSTables have columns that the target's schema lacks or has with another type, which makes every read of them fail, or that it has dropped, which hides their data"},
		{Damaged, []Weight{Accept}, "SSTables were damaged on the node already when they were backed up, and come back as they were"},
		{Tombstones, []Weight{Accept}, "the backup is older than gc_grace_seconds and other replicas or rows stay: what was deleted meanwhile may come back"},
		{Expired, []Weight{Warns}, "data had a time to live that has ended since the backup: it does not come back"},
		{Counters, []Weight{Warns, Accept}, "counters of one replica alone are older than what the others know of them: counts may be lost"},
		{Views, []Weight{Accept}, "a materialized view and its base table would not be of the same moment"},
		{Indexes, []Weight{Warns}, "an index of the target has no files in the backup and must be built anew"},
		{CommitLog, []Weight{Accept}, "writes of the commit log are not in the backup, or would be replayed over it"},
		{Clock, []Weight{Warns, Accept}, "writes carry times that lie in the future and outrank what is written until then, or the clock is wrong"},
		{Paxos, []Weight{Warns}, "lightweight transactions that were under way come back as they stood, and those since are forgotten"},
		{Transient, []Weight{Forbids}, "the keyspace has transient replicas, which this program does not restore"},
		{Accord, []Weight{Forbids}, "the table takes part in Accord transactions, which this program does not restore"},
	}
}

// RefusedError says that risks forbid a restore.
type RefusedError struct {
	Risks []Risk // those that refuse and were not accepted
}

// Error names the first of the risks and how they can be accepted.
func (e *RefusedError) Error() string {
	var b strings.Builder
	fmt.Fprintf(&b, "refused: %s", e.Risks[0])
	if n := len(e.Risks) - 1; n > 0 {
		fmt.Fprintf(&b, ", and %d more", n)
	}
	if final := slices.IndexFunc(e.Risks, func(r Risk) bool { return r.Final }); final >= 0 {
		fmt.Fprintf(&b, "; %s cannot be accepted", e.Risks[final].Code)
		return b.String()
	}
	var codes []string
	for _, r := range e.Risks {
		if !slices.Contains(codes, r.Code) {
			codes = append(codes, r.Code)
		}
	}
	fmt.Fprintf(&b, "; to do it all the same: --accept %s", strings.Join(codes, " --accept "))
	return b.String()
}

// UnknownRiskError is an error of usage: a word that is no risk's.
type UnknownRiskError struct{ Word string }

// Error names the words that there are.
func (e *UnknownRiskError) Error() string {
	var words []string
	for _, c := range Codes() {
		words = append(words, c.Code)
	}
	return fmt.Sprintf("no risk is called %q: %s", e.Word, strings.Join(words, ", "))
}

// Judge weighs risks against the codes that were accepted. A *RefusedError names those that forbid the restore, an
// *UnknownRiskError the first word that is none. idle are the codes that were accepted and refuse nothing here: whoever
// gave them expected otherwise.
func Judge(risks []Risk, accepted []string) (idle []string, err error) {
	for _, word := range accepted {
		if !slices.ContainsFunc(Codes(), func(c Code) bool { return c.Code == word }) {
			return nil, &UnknownRiskError{word}
		}
	}
	used := make(map[string]bool)
	var left []Risk
	for _, r := range risks {
		if !r.Refuses && !r.Final {
			continue
		}
		if !r.Final && slices.Contains(accepted, r.Code) {
			used[r.Code] = true
			continue
		}
		left = append(left, r)
	}
	for _, word := range accepted {
		if !used[word] && !slices.Contains(idle, word) {
			idle = append(idle, word)
		}
	}
	if len(left) > 0 {
		return idle, &RefusedError{left}
	}
	return idle, nil
}
