package repo

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// Kind is the class of an object by its name.
type Kind int

// The kinds of names in a repository. Stranger is anything else: temporary files, other people's objects. Strangers are
// counted, never read, never fatal.
const (
	Stranger Kind = iota
	KindConfig
	KindKey   // a slot or grant
	KindTrust // a statement of the trust log
	KindPack
	KindShard
	KindRoot
	KindPending // a root announced
	KindEpoch   // a tombstone
	KindDeleted // a deletion record
	KindSession // a session key, sealed anew
	KindRecord  // a hold, the result of a check, a loss
	KindWanted  // packs and blobs that a check could not read
	KindAudit   // a record of what was done, in the chain of who did it
	KindFull    // a part of a self-contained copy, see SplitFull
)

const (
	configName    = "config"
	keyPrefix     = "keys/"
	trustPrefix   = "trust/"
	packPrefix    = "packs/"
	indexPrefix   = "index/"
	rootPrefix    = "snapshots/"
	pendPrefix    = "pending/"
	epochPrefix   = "gc/"
	deadPrefix    = "deleted/"
	sessionPrefix = "sessions/"
	fullPrefix    = "full/"
	auditPrefix   = "audit/"
	wantedPrefix  = "wanted/"
	maxDomain     = 64
	domainLetters = "abcdefghijklmnopqrstuvwxyz0123456789-."
)

// CheckDomain refuses labels that cannot stand in an object name.
func CheckDomain(label string) error {
	if label == "" || len(label) > maxDomain || strings.Trim(label, domainLetters) != "" ||
		label[0] == '-' || label[0] == '.' || strings.Contains(label, "..") {
		return fmt.Errorf("node label %q: use lower-case letters, digits, '-' and '.', at most %d", label, maxDomain)
	}
	return nil
}

// Classify matches a name against the grammar of the repository.
func Classify(name string) Kind {
	if _, inner, ok := SplitFull(name); ok {
		if k := Classify(inner); k == KindPack || k == KindShard || k == KindRoot || k == KindSession {
			return KindFull
		}
		return Stranger
	}
	parts := strings.Split(name, "/")
	folder, last := parts[0], parts[len(parts)-1]
	switch {
	case name == configName:
		return KindConfig
	case len(parts) == 2:
		return classifyTop(folder, last)
	case len(parts) != 3:
		return Stranger
	case folder == "packs" && isID(last) && parts[1] == last[:2]:
		return KindPack
	case folder == "sessions" && isHex(parts[1], 32) && isHex(last, 16):
		return KindSession
	case folder == "audit":
		return only(isHex(parts[1], 16) && isNumber(last), KindAudit)
	case CheckDomain(parts[1]) == nil:
		return classifyInDomain(folder, last)
	}
	return Stranger
}

func classifyTop(folder, last string) Kind {
	switch {
	case folder == "keys" && isID(last):
		return KindKey
	case folder == "trust" && isNumber(last):
		return KindTrust
	case slices.Contains(recordKinds, RecordKind(folder)) && isID(last):
		return KindRecord
	}
	return Stranger
}

// only is a kind where the rest of the name fits it.
func only(fits bool, k Kind) Kind {
	if fits {
		return k
	}
	return Stranger
}

func classifyInDomain(folder, last string) Kind {
	switch folder {
	case "gc":
		if isNumber(last) {
			return KindEpoch
		}
	case "index":
		if _, _, ok := index.ParseShardName(last); ok {
			return KindShard
		}
	default:
		if isID(last) {
			return byID[folder]
		}
	}
	return Stranger
}

// byID are the folders whose objects lie below a domain and are named by a snapshot id; those of what is wanted by the hash
// of their bytes.
var byID = map[string]Kind{"snapshots": KindRoot, "pending": KindPending, "deleted": KindDeleted, "wanted": KindWanted}

// SplitFull takes the name of an object in a self-contained copy, full/<snapshot id>/<inner>, apart.
func SplitFull(name string) (id pack.ID, inner string, ok bool) {
	rest, ok := strings.CutPrefix(name, fullPrefix)
	if !ok || len(rest) < 66 || rest[64] != '/' {
		return id, "", false
	}
	id, err := pack.ParseID(rest[:64])
	return id, rest[65:], err == nil && !strings.HasPrefix(rest[65:], fullPrefix)
}

// isNumber accepts decimal numbers from 1 on, without leading zeros.
func isNumber(s string) bool {
	n, err := strconv.ParseUint(s, 10, 63)
	return err == nil && n > 0 && strconv.FormatUint(n, 10) == s
}

func isHex(s string, n int) bool { return len(s) == n && strings.Trim(s, "0123456789abcdef") == "" }

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

// sessionName returns the object name of a session key sealed anew to a seal key.
func sessionName(id pack.SessionID, to roles.SealKeyID) string {
	return fmt.Sprintf("%s%x/%s", sessionPrefix, id[:], to)
}

// domainOf returns the domain in the name of an object that lies below one.
func domainOf(name string) string {
	_, below, _ := strings.Cut(logical(name), "/")
	domain, _, _ := strings.Cut(below, "/")
	return domain
}

// IsPack reports whether an object is a pack by its name, in a copy or not.
func IsPack(name string) bool { return Classify(logical(name)) == KindPack }
