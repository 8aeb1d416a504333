package fit

import (
	"fmt"
	"strconv"
	"strings"
)

// spans are the versions of SSTables that a line of releases reads (BigVersion and BtiVersion: earliest_supported_version,
// current_version, isCompatible): from the first on, up to all that begin with the letter of the newest. nodetool import,
// refresh, a start and sstableloader all open SSTables by this rule. Since 5.0 the newest hangs on
// storage_compatibility_mode, and so does what can be read: a 5.0 in the mode CASSANDRA_4, its default, refuses oa.
type spans struct {
	line   string // "5.0"; "3" is all of 3.0 to 3.11
	first  string
	newest byte // letter of what it writes in the mode NONE
	bti    byte // letter of the newest of BTI, which begin at da; 0: none
	inMode map[string]byte
}

// oldestMode is the storage_compatibility_mode that reads the least.
const oldestMode = "CASSANDRA_4"

var readable = []spans{
	{line: "3", first: "jb", newest: 'm'},
	{line: "4", first: "ma", newest: 'n'},
	{line: "5.0", first: "ma", newest: 'o', bti: 'd', inMode: map[string]byte{"CASSANDRA_4": 'n', "UPGRADING": 'o', "NONE": 'o'}},
	{line: "6.0", first: "ma", newest: 'p', bti: 'e',
		inMode: map[string]byte{"CASSANDRA_4": 'n', "CASSANDRA_5": 'o', "UPGRADING": 'p', "NONE": 'p'}},
}

// Reading is whether a release reads SSTables of a version.
type Reading struct {
	Reads   bool
	Unsure  string // what is not known, where it depends on that; Reads is then true
	Older   bool   // it reads them, and writes newer ones
	Newest  string // "o": the letter of what it writes
	Unknown bool   // the release is not known here
}

// Reads tells whether a release of Cassandra, in a storage_compatibility_mode that may be empty where it is not known, reads
// SSTables of a version and format ("big", "bti").
func Reads(release, mode, version, format string) Reading {
	line := lineOf(release)
	for _, s := range readable {
		if s.line == line {
			return s.reads(strings.ToUpper(mode), version, format)
		}
	}
	return Reading{Unknown: true}
}

func lineOf(release string) string {
	major, rest, _ := strings.Cut(release, ".")
	if n, err := strconv.Atoi(major); err != nil || n < 5 {
		return major
	}
	minor, _, _ := strings.Cut(rest, ".")
	minor, _, _ = strings.Cut(minor, "-")
	return major + "." + minor
}

func (s spans) reads(mode, version, format string) Reading {
	if len(version) != 2 {
		return Reading{}
	}
	if format == "bti" {
		reads := version >= "da" && version[0] <= s.bti
		return Reading{Reads: reads, Older: reads && version[0] < s.bti, Newest: string(s.bti)}
	}
	least, most := s.newest, s.newest // of what the newest may be
	if letter, ok := s.inMode[mode]; ok {
		least, most = letter, letter
	} else if s.inMode != nil {
		least = s.inMode[oldestMode]
	}
	r := Reading{Reads: version >= s.first && version[0] <= most, Newest: string(most)}
	if r.Reads && version[0] > least {
		r.Unsure = "storage_compatibility_mode"
	}
	r.Older = r.Reads && version[0] < least
	return r
}

// judgeVersion tells of the SSTables of a version in a table.
func (in *Input) judgeVersion(version, format string, n int) *Risk {
	of := fmt.Sprintf("%s of version %s", count(n, "SSTable"), version)
	r := Reads(in.Release, in.Mode, version, format)
	switch {
	case r.Unknown:
		return &Risk{Code: Version, What: fmt.Sprintf("%s: whether Cassandra %q reads them is not known", of, in.Release), Refuses: true}
	case !r.Reads && Reads(in.Release, "NONE", version, format).Reads:
		return &Risk{Code: Version, What: fmt.Sprintf("%s: Cassandra %s does not read them in storage_compatibility_mode %s", of, in.Release, in.Mode), Refuses: true, Final: true}
	case !r.Reads:
		return &Risk{Code: Version, What: fmt.Sprintf("%s: Cassandra %s does not read them", of, in.Release), Refuses: true, Final: true}
	case r.Unsure != "":
		return &Risk{Code: Version, What: fmt.Sprintf("%s: Cassandra %s reads them only where its %s is newer, which is not known", of, in.Release, r.Unsure), Refuses: true}
	case r.Older:
		return &Risk{Code: Version, What: fmt.Sprintf("%s: Cassandra %s reads them and writes newer ones; rewrite them with nodetool upgradesstables", of, in.Release)}
	}
	return nil
}

// count is a number with its noun.
func count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return strconv.Itoa(n) + " " + noun + "s"
}
