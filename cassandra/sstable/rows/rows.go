package rows

import (
	"errors"
	"math"
)

// ErrFormat is wrapped by errors about bytes that are no rows of the table the
// HEADER describes. A caller keeps such a Data.db as bytes.
var ErrFormat = errors.New("not the rows of this header")

// ErrTooLarge is wrapped by errors about one row of more than [MaxUnfiltered] bytes.
var ErrTooLarge = errors.New("row larger than a reader holds")

// MaxUnfiltered is the most bytes one row or marker may take. A mutation is at most
// half a commit log segment, 16 MiB by default, but many of them may meet in a row;
// 96 MiB leaves a process with a budget of 300 MiB the room to double its window.
const MaxUnfiltered = 96 << 20

// Partition is what stands before the rows of a partition.
type Partition struct {
	// Key is the partition key as stored, of at most 65535 bytes.
	Key []byte
	// Position is the offset of the partition in the plain stream.
	Position int64
	// Deletion deletes the whole partition up to its time.
	Deletion DeletionTime
	// Raw is the partition's bytes before its first row. The bytes of a partition
	// are Raw, the Raw of each unfiltered and [EndOfPartition].
	Raw []byte
}

// EndOfPartition is the byte after the last row of a partition.
const EndOfPartition = 0x01

// DeletionTime says up to when something is deleted, and when that was asked for.
type DeletionTime struct {
	MarkedAt int64  // timestamp in microseconds; NoTimestamp if nothing is deleted
	Local    uint32 // seconds since 1970, by the clock of the node that took the deletion
}

// NoTimestamp stands for an absent timestamp: the liveness of a row that was only
// updated, the deletion of what is alive.
const NoTimestamp = math.MinInt64

// NoDeletion is the local deletion time of cells that do not expire. Releases before
// 5.0 wrote [LegacyNoDeletion] in the one place where it is stored, the deletion of a
// live complex column beside a deleted one; an nb file may hold either.
const (
	NoDeletion       = math.MaxUint32
	LegacyNoDeletion = math.MaxInt32
)

// Live is the deletion time of what is not deleted.
var Live = DeletionTime{MarkedAt: NoTimestamp, Local: NoDeletion}

// Live tells whether nothing is deleted.
func (d DeletionTime) Live() bool {
	return d.MarkedAt == NoTimestamp && (d.Local == NoDeletion || d.Local == LegacyNoDeletion)
}

// Kind is what an unfiltered is.
type Kind uint8

// The kinds of unfiltereds. A StaticRow stands first in every partition of a table
// with static columns, be it empty, and nowhere else.
const (
	Row Kind = iota
	StaticRow
	Marker
)

// BoundKind is where a range tombstone marker stands, with the numbers of
// ClusteringPrefix.Kind in Cassandra.
type BoundKind uint8

// The bounds. A boundary ends one range and starts another at the same place.
const (
	ExclEnd          BoundKind = 0
	InclStart        BoundKind = 1
	ExclEndInclStart BoundKind = 2
	InclEndExclStart BoundKind = 5
	InclEnd          BoundKind = 6
	ExclStart        BoundKind = 7
)

// Boundary tells whether a marker of this kind has two deletion times.
func (k BoundKind) Boundary() bool { return k == ExclEndInclStart || k == InclEndExclStart }

func (k BoundKind) valid() bool {
	return k <= ExclEndInclStart || k >= InclEndExclStart && k <= ExclStart
}

// Liveness is the life of the row as such, which an INSERT gives it.
type Liveness struct {
	Timestamp  int64  // microseconds; NoTimestamp if the row has none
	Expiring   bool   // whether the two below are set
	TTL        int32  // seconds
	Expiration uint32 // seconds since 1970
}

// Unfiltered is a row or a range tombstone marker.
type Unfiltered struct {
	Kind Kind
	// Position is the offset of the unfiltered in the plain stream.
	Position int64
	// Raw is all its bytes. A Writer does not look at them.
	Raw []byte
	// Clustering are the values of the clustering columns: nil for null, empty for
	// empty. A marker may have fewer values than there are columns.
	Clustering [][]byte

	// Liveness, Shadowable, ComplexDeletion and Columns belong to rows.
	Liveness Liveness
	// Shadowable marks a row deletion of materialized views that a newer liveness
	// undoes.
	Shadowable bool
	// ComplexDeletion tells that each complex column of the row bears a deletion.
	ComplexDeletion bool
	// Columns are the columns that are present, as ascending positions in the
	// header's Static or Regular.
	Columns []int

	// Deletion is that of a row, of the range that a bound opens or closes, or of the
	// range that a boundary closes.
	Deletion DeletionTime
	// Bound and Opens belong to markers; Opens is the range a boundary opens.
	Bound BoundKind
	Opens DeletionTime
}

// Column is one present column of a row.
type Column struct {
	Index   int  // position in the header's Static or Regular
	Complex bool // whether cells have a path
	// Deletion is that of a complex column in a row with ComplexDeletion.
	Deletion DeletionTime
	// Cells is how many cells follow: one, if the column is not complex.
	Cells int
}

// CellFlags are the flags of a cell as stored.
type CellFlags uint8

// The flags of cells. UseRowTimestamp and UseRowTTL say that times equal those of the
// row's liveness and are not written.
const (
	CellDeleted     CellFlags = 0x01
	CellExpiring    CellFlags = 0x02
	CellEmptyValue  CellFlags = 0x04
	UseRowTimestamp CellFlags = 0x08
	UseRowTTL       CellFlags = 0x10

	knownCellFlags = CellDeleted | CellExpiring | CellEmptyValue | UseRowTimestamp | UseRowTTL
)

// Cell is one value with its times.
type Cell struct {
	Flags     CellFlags
	Timestamp int64 // microseconds
	// Local is when a deleted cell was deleted or an expiring one expires, in seconds
	// since 1970; otherwise NoDeletion.
	Local uint32
	TTL   int32 // seconds; 0 if the cell does not expire
	// Path is the place in a complex column: the key of a map, the element of a set,
	// the time UUID of a list's entry, the position of a user type's field.
	Path []byte
	// Value is the value as stored; of a counter, its context of shards. It is nil
	// where Flags say so.
	Value []byte
}

// The flags before an unfiltered, and those of the byte behind them.
const (
	flagEnd             = EndOfPartition
	flagMarker          = 0x02
	flagTimestamp       = 0x04
	flagTTL             = 0x08
	flagDeletion        = 0x10
	flagAllColumns      = 0x20
	flagComplexDeletion = 0x40
	flagExtension       = 0x80

	extStatic     = 0x01
	extShadowable = 0x02
)
