package repo

import (
	"fmt"
	"regexp"
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
)

const (
	configName   = "config"
	slotPrefix   = "keys/"
	packPrefix   = "packs/"
	indexPrefix  = "index/"
	rootPrefix   = "snapshots/"
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
	case len(parts) == 3 && parts[0] == "snapshots" && CheckDomain(parts[1]) == nil && isID(last):
		return KindRoot
	case len(parts) == 3 && parts[0] == "index" && CheckDomain(parts[1]) == nil:
		if _, _, ok := index.ParseShardName(last); ok {
			return KindShard
		}
	}
	return Stranger
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

// domainOf returns the domain in the name of a root or shard.
func domainOf(name string) string { return strings.Split(name, "/")[1] }
