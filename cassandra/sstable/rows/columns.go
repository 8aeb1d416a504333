package rows

import "math/bits"

// smallSet is the number of columns from which on a set of them no longer fits the
// bits of a vint that has a use for "none missing" as well.
const smallSet = 64

// readColumns finds out which columns of the header a row has. Without the flag for
// all of them, a vint tells, and more of them behind it if the header has many:
//
//	up to 63 columns    bit i is set if column i is missing
//	64 and more         how many are missing, then the positions of the present ones if
//	                    they are less than half, otherwise of the missing ones
func (r *Reader) readColumns(c *cursor, flags byte) {
	set := r.layout.columnsOf(r.unfiltered.Kind)
	r.columns = set.columns
	r.unfiltered.Columns = set.all
	if flags&flagAllColumns != 0 {
		return
	}
	missing, n := c.vint(), len(set.all)
	switch {
	case c.failed():
	case missing == 0:
		// Cassandra sets the flag instead.
		c.loose = true
	case n < smallSet:
		if missing>>n != 0 {
			c.fail("missing column unknown")
		}
		r.unfiltered.Columns = presentBits(r.present, ^missing&(1<<n-1))
	case missing > uint64(n):
		c.fail("more columns missing than there are")
	case n-int(missing) < n/2:
		r.unfiltered.Columns = c.positions(r.present[:n-int(missing)], n)
	default:
		r.unfiltered.Columns = c.absent(r.present, int(missing), n)
	}
}

// presentBits puts the positions of the ones in set into buf.
func presentBits(buf []int, set uint64) []int {
	n := 0
	for ; set != 0; set &= set - 1 {
		buf[n] = bits.TrailingZeros64(set)
		n++
	}
	return buf[:n]
}

// positions reads len(buf) ascending positions below limit.
func (c *cursor) positions(buf []int, limit int) []int {
	last := -1
	for i := range buf {
		if last = c.position(last, limit); c.failed() {
			return nil
		}
		buf[i] = last
	}
	return buf
}

func (c *cursor) position(last, limit int) int {
	v := c.vint()
	if v >= uint64(limit) || int(v) <= last {
		c.fail("column positions out of order")
		return last
	}
	return int(v)
}

// absent reads ascending positions of missing columns and returns all others below
// limit.
func (c *cursor) absent(buf []int, missing, limit int) []int {
	n, last := 0, -1
	for range missing {
		at := c.position(last, limit)
		if c.failed() {
			return nil
		}
		for last++; last < at; last++ {
			buf[n] = last
			n++
		}
	}
	for last++; last < limit; last++ {
		buf[n] = last
		n++
	}
	return buf[:n]
}

// appendColumns is the inverse of readColumns for a row without the flag for all.
func appendColumns(b []byte, present []int, n int) []byte {
	if n < smallSet {
		set := uint64(1)<<n - 1
		for _, i := range present {
			set &^= 1 << i
		}
		return appendVint(b, set)
	}
	b = appendVint(b, uint64(n-len(present)))
	if len(present) < n/2 {
		for _, i := range present {
			b = appendVint(b, uint64(i))
		}
		return b
	}
	at := 0
	for _, i := range append(present[:len(present):len(present)], n) {
		for ; at < i; at++ {
			b = appendVint(b, uint64(at))
		}
		at++
	}
	return b
}
