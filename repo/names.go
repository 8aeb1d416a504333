package repo

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"cbk/index"
	"cbk/pack"
)

// Kind is the class of an object by its name.
type Kind int

// The kinds of names in a repository. Stranger is anything else: temporary files, other people's objects. Strangers are
// counted, never read, never fatal.
const (
	Stranger Kind = iota
	KindConfig
	KindSlot
	KindPack
	KindShard
	KindRoot
	KindPending
	KindEpoch
	KindDeleted
)

const (
	configName   = "config"
	slotPrefix   = "keys/"
	packPrefix   = "packs/"
	indexPrefix  = "index/"
	rootPrefix   = "snapshots/"
	pendPrefix   = "pending/"
	epochPrefix  = "gc/"
	deadPrefix   = "deleted/"
	maxDomain    = 64
	domainLetter = `[a-z0-9][a-z0-9.-]{0,63}`
)

var domainPattern = regexp.MustCompile(`^` + domainLetter + `$`)

// CheckDomain refuses labels that cannot stand in an object name.
func CheckDomain(label string) error {
	if len(label) > maxDomain || !domainPattern.MatchString(label) || strings.Contains(label, "..") {
		return fmt.Errorf("node label %q: use lower-case letters, digits, '-' and '.', at most %d", label, maxDomain)
	}
	return nil
}

// Classify matches a name against the grammar of the repository.
func Classify(name string) Kind {
	parts := strings.Split(name, "/")
	last := parts[len(parts)-1]
	switch {
	case name == configName:
		return KindConfig
	case len(parts) == 2 && parts[0] == "keys" && isID(last):
		return KindSlot
	case len(parts) == 3 && parts[0] == "packs" && isID(last) && parts[1] == last[:2]:
		return KindPack
	case len(parts) == 3 && CheckDomain(parts[1]) == nil && isID(last) && byID[parts[0]] != Stranger:
		return byID[parts[0]]
	case len(parts) == 3 && parts[0] == "gc" && CheckDomain(parts[1]) == nil && isEpoch(last):
		return KindEpoch
	case len(parts) == 3 && parts[0] == "index" && CheckDomain(parts[1]) == nil:
		if _, _, ok := index.ParseShardName(last); ok {
			return KindShard
		}
	}
	return Stranger
}

// byID are the folders whose objects lie below a domain and are named by a snapshot id.
var byID = map[string]Kind{"snapshots": KindRoot, "pending": KindPending, "deleted": KindDeleted}

// isEpoch accepts decimal numbers from 1 on, without leading zeros.
func isEpoch(s string) bool {
	n, err := strconv.ParseUint(s, 10, 63)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

func isID(s string) bool {
	_, err := pack.ParseID(s)
	return err == nil
}

// PackName returns the object name of a pack; two digits of fan-out keep directories small on file systems.
func PackName(id pack.ID) string {
	s := id.String()
	return packPrefix + s[:2] + "/" + s
}

// RootName returns the object name of a root.
func RootName(domain string, id pack.ID) string { return rootPrefix + domain + "/" + id.String() }

// sibling returns the name that stands for the same snapshot id in another folder: the pending root or deletion record
// of a root.
func sibling(prefix, name string) string { return prefix + strings.SplitN(name, "/", 2)[1] }

// epochName returns the object name of a tombstone.
func epochName(domain string, epoch uint64) string {
	return epochPrefix + domain + "/" + strconv.FormatUint(epoch, 10)
}

// domainOf returns the domain in the name of an object that lies below one.
func domainOf(name string) string { return strings.Split(name, "/")[1] }
