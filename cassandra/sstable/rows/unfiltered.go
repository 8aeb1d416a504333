package rows

import (
	"fmt"
	"math"
)

// NextUnfiltered goes to the next row or marker of the partition, over what is left of
// the present one. The static row comes first.
//
// An unfiltered is, with what rows and markers have in common in brackets:
//
//	row      flags 1, extended flags 0..1, clustering, [size, previous size,] liveness,
//	         deletion, missing columns, columns
//	marker   flags 1, bound 1, values 2, clustering, [size, previous size,] deletion,
//	         deletion of the range that opens 0..1
//
// The size counts all after itself. The previous size is the distance from where the
// unfiltered before began; a static row has 0, and the first one behind it, or behind
// the partition's head, counts from the start of the partition.
func (r *Reader) NextUnfiltered() bool {
	if !r.inside {
		return false
	}
	r.window.pass(r.size)
	r.size = 0
	for {
		c := cursor{b: r.window.unread()}
		need, end := r.readUnfiltered(&c)
		switch {
		case c.bad != "":
			return r.fail("row", fmt.Errorf("%w: %s", ErrFormat, c.bad))
		case end:
			r.window.pass(c.i)
			r.inside = false
			return false
		case need <= len(r.window.unread()):
			return true
		}
		if err := r.more(need); err != nil {
			return r.fail("row", err)
		}
	}
}

// readUnfiltered reads the unfiltered c stands at, if all of it is there. If not, it
// returns how many bytes it needs to try again.
func (r *Reader) readUnfiltered(c *cursor) (need int, end bool) {
	again := len(c.b) + 1
	flags := c.uint8()
	u := &r.unfiltered
	*u = Unfiltered{Position: r.window.position, Deletion: Live, Opens: Live}
	switch {
	case c.short:
		return again, false
	case flags&flagEnd != 0:
		if flags != flagEnd || r.atStatic {
			c.fail("unexpected end of partition")
		}
		return 0, true
	case flags&flagMarker != 0:
		r.readBound(c, flags)
	default:
		r.readRowStart(c, flags)
	}
	size := c.vint()
	if c.short {
		return again, false
	}
	total := c.i + int(min(size, uint64(r.limit)+1))
	switch {
	case c.bad != "":
		return 0, false
	case total > r.limit:
		return math.MaxInt, false
	case total > len(c.b):
		return total, false
	}
	r.readRest(c, flags, total)
	return total, false
}

func (r *Reader) readBound(c *cursor, flags byte) {
	u := &r.unfiltered
	u.Kind = Marker
	u.Bound = BoundKind(c.uint8())
	n := c.uint16()
	if flags != flagMarker || r.atStatic || !u.Bound.valid() || n > len(r.clustering) {
		c.fail("malformed range tombstone marker")
		return
	}
	r.readClustering(c, n)
}

func (r *Reader) readRowStart(c *cursor, flags byte) {
	var ext byte
	if flags&flagExtension != 0 {
		ext = c.uint8()
		c.loose = c.loose || ext == 0
	}
	static := ext&extStatic != 0
	switch {
	case ext&^(extStatic|extShadowable) != 0, static != r.atStatic,
		flags&(flagTimestamp|flagTTL) == flagTTL,
		ext&extShadowable != 0 && flags&flagDeletion == 0:
		c.fail("malformed row flags")
		return
	}
	r.unfiltered.Shadowable = ext&extShadowable != 0
	r.unfiltered.ComplexDeletion = flags&flagComplexDeletion != 0
	if static {
		r.unfiltered.Kind = StaticRow
		return
	}
	r.readClustering(c, len(r.clustering))
}

// headerValues is how many clustering values share one vint of two bits each: 01 for
// an empty value, 10 for null.
const headerValues = 32

func (r *Reader) readClustering(c *cursor, n int) {
	var header uint64
	for i := range n {
		if i%headerValues == 0 {
			header = c.vint()
			if used := 2 * min(headerValues, n-i); header>>used != 0 {
				c.loose = true
			}
		}
		r.clustering[i] = r.clusteringValue(c, header&3, r.layout.clustering[i])
		header >>= 2
	}
	r.unfiltered.Clustering = r.clustering[:n]
}

func (r *Reader) clusteringValue(c *cursor, state uint64, length int) []byte {
	switch {
	case state == 0:
		return c.value(length)
	case state == 1:
		return []byte{}
	case state == 3:
		c.loose = true
	}
	return nil
}

// value reads a value of a length, or with its length before it.
func (c *cursor) value(length int) []byte {
	if length == Variable {
		return c.sized()
	}
	return c.bytes(length)
}

// readRest reads what the size field counts, up to the columns of a row.
func (r *Reader) readRest(c *cursor, flags byte, total int) {
	u := &r.unfiltered
	u.Raw = c.b[:total:total]
	c.b = u.Raw
	r.checkPrevious(c)
	if u.Kind == Marker {
		r.readMarkerTimes(c)
	} else {
		r.readRowTimes(c, flags)
		r.readColumns(c, flags)
	}
	if c.short {
		c.bad = "row longer than its size"
	}
	r.atStatic = false
	r.loose = r.loose || r.body.loose
	r.body, r.next, r.cellsLeft, r.size = *c, 0, 0, total
}

func (r *Reader) checkPrevious(c *cursor) {
	at := r.window.position - r.partition.Position
	want := at - r.previous
	if r.unfiltered.Kind == StaticRow {
		want = 0
	} else {
		r.previous = at
	}
	if c.vint() != uint64(want) {
		c.loose = true
	}
}

func (r *Reader) readMarkerTimes(c *cursor) {
	u := &r.unfiltered
	u.Deletion = r.layout.readDeletion(c)
	if u.Bound.Boundary() {
		u.Opens = r.layout.readDeletion(c)
	}
	if !c.failed() && c.i != len(c.b) {
		c.fail("marker shorter than its size")
	}
}

func (r *Reader) readRowTimes(c *cursor, flags byte) {
	u := &r.unfiltered
	u.Liveness = Liveness{Timestamp: NoTimestamp, Expiration: NoDeletion}
	if flags&flagTimestamp != 0 {
		u.Liveness.Timestamp = r.layout.readTimestamp(c)
		c.loose = c.loose || u.Liveness.Timestamp == NoTimestamp
	}
	if flags&flagTTL != 0 {
		u.Liveness.Expiring = true
		u.Liveness.TTL = r.layout.readTTL(c)
		u.Liveness.Expiration = r.layout.readLocal(c)
	}
	if flags&flagDeletion != 0 {
		u.Deletion = r.layout.readDeletion(c)
		c.loose = c.loose || u.Deletion.Live()
	}
}
