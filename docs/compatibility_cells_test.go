package docs

import "strings"

// How a cell is shown, from the most to the least.
const (
	onNode   = "node"   // on a real node of the release
	ofFiles  = "files"  // on SSTables that the release wrote
	byNames  = "names"  // on files under the names and in the layouts of the release, made of those of another
	byLayout = "layout" // on bytes that the test lays out as the sources of the release do
	refused  = "no"     // what cannot be done is told, and a test shows that
	untested = "–"
)

// version is a row: a release, as tested where it is, and a version of the SSTable format that it writes.
type version struct{ release, format string }

func (v version) key() string { return v.release + " " + v.format }

var versions = []version{
	{"2.0", "jb"}, {"2.1", "ka"}, {"2.2", "la"}, {"2.2", "lb"}, {"3.0", "ma"}, {"3.0", "mb"}, {"3.0", "mc"}, {"3.0", "md"},
	{"3.11.19", "me"}, {"4.0-rc1", "na"}, {"4.0.19", "nb"}, {"4.1.10", "nb"}, {"5.0.6", "nb"}, {"5.0.6", "oa"}, {"5.0.6", "da"},
	{"6.0-alpha2", "pa"}, {"6.0-alpha2", "ea"},
}

// Groups of rows, as keys in one text.
const (
	jb      = "2.0 jb"
	twos    = "2.1 ka, 2.2 la, 2.2 lb"
	threes  = "3.0 ma, 3.0 mb, 3.0 mc, 3.0 md"
	olds    = jb + ", " + twos + ", " + threes
	running = "3.11.19 me, 4.0.19 nb, 4.1.10 nb, 5.0.6 nb, 5.0.6 oa, 5.0.6 da"
	na      = "4.0-rc1 na"
	sixes   = "6.0-alpha2 pa, 6.0-alpha2 ea"
	others  = na + ", " + sixes
)

func keys(group string) []string { return strings.Split(group, ", ") }

// Features are the columns, in order, with what a reader wants to know of each.
var features = []struct{ name, meaning string }{
	{"nodetool", "`cbk backup`, the snapshot taken by nodetool"},
	{"offline", "`cbk backup --offline`: a stopped node, from its files"},
	{"schema", "the schema as CQL that makes it again: by DESCRIBE since 4.0 where it can be run, else of the rows of `system_schema`"},
	{"roles", "roles and grants as CQL"},
	{"ring", "members, states and tokens: of a running node by `nodetool status`, or `gossipinfo` where a later nodetool is used with 3.11, and `system.peers` or `peers_v2`; of a stopped one of its files, all members taken for NORMAL"},
	{"statistics", "tokens, times, level and rows of each SSTable, from Statistics.db"},
	{"digests", "each Data.db compared with Cassandra's own digest of it"},
	{"peeled", "Data.db under LZ4 stored without that compression (recipe `lz4`)"},
	{"rows", "partitions, rows and cells read: what `--offline` reads of the system tables"},
	{"files", "`cbk restore --to`: every file byte for byte"},
	{"in place", "`cbk restore --in-place`, then every row compared through CQL"},
}

// proof says that a test shows a feature for some rows. The test is a file and a function, and behind slashes what its
// subtests are called; its table must have the release, or the format, or both, as needs says.
type proof struct {
	feature string
	how     string
	says    string // beside how, in the cell
	test    string
	needs   need
	rows    string
}

// need is what of a row the table of a test must have.
type need int

const (
	nothing need = iota // the test is about this row alone
	theRelease
	theFormat
	theBoth
	theFixtures // it goes over cassandratest.Releases
)

const (
	everyRow     = "cmd/cbk/releases_test.go:TestRowsOfEveryReleaseComeBack"
	threeOthers  = "cmd/cbk/hostlist_test.go:TestAClusterComesBackInPlaceAndOnThreeOthersByAHostList"
	sharedNode   = "cmd/cbk/e2e_test.go:TestMondayComesBackRowByRowAfterCompactionAndTruncation"
	oldFiles     = "cmd/cbk/oldreleases_test.go:TestFilesOfReleasesThatDoNotRunHereComeBack"
	stoppedNode  = "cassandra/offline/real_test.go:TestAStoppedNodeSaysWhatItSaidWhileItRan"
	everyRelease = "cassandra/node/releases_test.go:TestEveryRelease"
	allFiles     = "restore/releases_test.go:TestSSTablesOfEveryReleaseComeBack"
)

// proofs are looked at in order: the first that has a row fills the cell, the others are named below the table too.
var proofs = []proof{
	{"nodetool", onNode, "", everyRow, theBoth, "3.11.19 me, 4.0.19 nb, 4.1.10 nb, 5.0.6 oa, 5.0.6 da"},
	{"nodetool", onNode, "", sharedNode, nothing, "5.0.6 nb"},

	{"offline", onNode, "", stoppedNode, theBoth, running},
	{"offline", onNode, "", "cmd/cbk/ways_test.go:TestAStoppedNodeIsBackedUpFromItsFiles", nothing, "5.0.6 nb"},
	{"offline", byNames, "", oldFiles, theBoth, olds + ", " + others},

	{"schema", onNode, "rows", everyRelease + "/its rows become a schema that makes the same rows", theRelease, "3.11.19 me"},
	{"schema", onNode, "DESCRIBE, rows", everyRelease + "/its rows become a schema that makes the same rows", theRelease, "4.0.19 nb, 4.1.10 nb, 5.0.6 nb, 5.0.6 oa, 5.0.6 da"},
	{"schema", refused, "absent", oldFiles, theBoth, olds + ", " + others},

	{"roles", onNode, "", everyRelease + "/its roles become CQL that makes the same roles", theRelease, running},
	{"roles", refused, "absent", oldFiles, theBoth, olds + ", " + others},

	{"ring", onNode, "gossipinfo", everyRelease + "/tells who it is and what ring it is in", theRelease, "3.11.19 me"},
	{"ring", onNode, "status", everyRelease + "/tells who it is and what ring it is in", theRelease, "4.0.19 nb, 4.1.10 nb, 5.0.6 nb, 5.0.6 oa, 5.0.6 da"},
	{"ring", onNode, "", stoppedNode, theBoth, running},
	{"ring", refused, "absent", oldFiles, theBoth, olds + ", " + others},

	{"statistics", ofFiles, "", "cassandra/sstable/statistics_real_test.go:TestStatisticsAreWhatSSTableMetadataSays", theFixtures, running},
	{"statistics", byNames, "", oldFiles, theBoth, threes + ", " + others},
	{"statistics", byLayout, "", "cassandra/sstable/statistics_test.go:TestParseStatisticsOfEveryVersion", theFormat, threes + ", " + others},
	{"statistics", refused, "", "cassandra/sstable/statistics_test.go:TestParseStatisticsOf2xIsUnsupported", theFormat, jb + ", " + twos},

	{"digests", ofFiles, "", "cassandra/sstable/components_real_test.go:TestComponentsHoldTogether", theFixtures, running},
	{"digests", byNames, "", oldFiles, theBoth, twos + ", " + threes + ", " + others},
	{"digests", onNode, "", "cmd/cbk/ways_test.go:TestDamageAtTheSourceIsExit4AndTheBackupIsMarked", nothing, "5.0.6 nb"},
	{"digests", refused, "", oldFiles, theBoth, jb},

	{"peeled", ofFiles, "", allFiles, theFixtures, running},
	{"peeled", byNames, "", oldFiles, theBoth, twos + ", " + threes + ", " + others},
	{"peeled", refused, "", oldFiles, theBoth, jb},

	{"rows", ofFiles, "", "cassandra/sstable/rows/fixtures_test.go:TestRealRowsOfEveryRelease", theFixtures, running},
	{"rows", ofFiles, "", "cassandra/sstable/table/fixtures_test.go:TestMergingComesToWhatCompactionMade", theFixtures, running},
	{"rows", refused, "", "cassandra/sstable/rows/reader_test.go:TestVersionsAndTypesThatAreNotKnownAreTold", theFormat, jb + ", " + twos + ", " + sixes},

	{"files", ofFiles, "", allFiles, theFixtures, running},
	{"files", byNames, "", oldFiles, theBoth, olds + ", " + others},

	{"in place", onNode, "", everyRow, theBoth, "3.11.19 me, 4.0.19 nb, 4.1.10 nb, 5.0.6 oa, 5.0.6 da"},
	{"in place", onNode, "", sharedNode, nothing, "5.0.6 nb"},
}

// also is what is tested beside releases and formats: what, how, and where. word must stand in the file of the test.
var also = []struct{ what, how, test, word string }{
	{"JDK 11 (3.11, 4.0, 4.1) and 17 (5.0)", "real nodes; 8, 21 and others: not tested", "cassandra/cassandratest/platform_test.go:TestANodeOfEachRelease", "3.11.19"},
	{"nodetool", "that of the release; with 3.11 that of 4.0.19, for its own needs a JDK 8", "cassandra/cassandratest/platform_test.go:TestANodeOfEachRelease", "nodetool"},
	{"4 vnodes", "real nodes", everyRow, ""},
	{"16 vnodes", "real nodes", everyRow, ""},
	{"a single token", "three real nodes, rows compared", threeOthers, "Vnodes: 1"},
	{"racks", "three real nodes in two, restored in place and onto three others, rows compared", threeOthers, "Racks: racks"},
	{"Murmur3Partitioner", "real nodes", stoppedNode, ""},
	{"RandomPartitioner", "tokens of keys alone", "cassandra/sstable/murmur3_test.go:TestTokensAreCassandras", "RandomToken"},
	{"other partitioners", "not tested; files do not depend on it, tokens of SSTables are left out", "", ""},
	{"several data directories", "real nodes", everyRow, "DataDirs"},
	{"UUID identifiers", "real nodes of 4.1 and 5.0", everyRow, "uuid_sstable_identifiers_enabled: true"},
	{"2i", "real nodes, restored in place and queried", sharedNode, "SELECT id FROM shop.customers WHERE email = ?"},
	{"SAI, SASI, materialized views", "real node of 5.0, restored in place and queried", "cmd/cbk/everything_test.go:TestEverythingInTheDataDirectoriesIsBackedUpAndComesBack", ""},
	{"a directory for the node's own system keyspaces; quoted names; `nb` beside `da`; Snappy, Deflate, Zstd, none", "real node of 5.0, restored in place", "cmd/cbk/everything_test.go:TestEverythingInTheDataDirectoriesIsBackedUpAndComesBack", ""},
	{"SSTables that came by flush, compaction, import, refresh, sstableloader, upgradesstables, scrub, bootstrap, cleanup, repair", "real nodes of 5.0, every backup compared with its snapshot", "cmd/cbk/routes_test.go:TestSSTablesThatCameByAnyRouteAreBackedUp", ""},
	{"counters, UDTs, collections, static and dropped columns, deletions, TTLs, a 2i, a view, a wide partition", "real nodes of every release, restored in place, rows compared", everyRow, "r.corners"},
	{"counters, UDTs, collections, COMPACT STORAGE, static and dropped columns, range tombstones, TTLs", "SSTables of every release, byte for byte", allFiles, ""},
	{"LZ4, LZ4 high, Snappy, Deflate, no compression; Zstd and Noop since 4.0", "SSTables of every release, byte for byte", allFiles, ""},
	{"Zstd, Noop, LZ4 of two lengths, none", "three real nodes, rows compared", "cmd/cbk/threenodes_test.go:TestThreeNodesOfSeveralCompressionsComeBackRowByRow", "ZstdCompressor 16384"},
	{"transaction logs of unfinished compactions", "real node, against sstableutil", "cassandra/sstable/live_real_test.go:TestLiveAgreesWithSSTableUtil", ""},
	{"full backups on directory, MinIO, fake-gcs-server, Azurite", "real servers", "cmd/cbk/fullstores_test.go:TestAFullBackupStandsAloneInEveryStore", "Azurite"},
}
