package pack

import "math/bits"

// Padme returns the size to which size bytes are padded (PADMÉ, "Reducing Metadata Leakage from Encrypted Files and
// Communication with PURBs", 2019): only O(log log n) bits of the true size stay visible, for at most 12 % and, at
// 64 MiB, at most 3.1 % more bytes.
func Padme(size uint64) uint64 {
	if size < 2 {
		return size
	}
	e := uint64(bits.Len64(size) - 1)
	s := uint64(bits.Len64(e))
	mask := uint64(1)<<(e-s) - 1
	return (size + mask) &^ mask
}
