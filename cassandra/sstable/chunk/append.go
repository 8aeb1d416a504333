package chunk

import (
	"encoding/binary"
)

// AppendChunk appends the stored form of a chunk, without its checksum, to dst: what
// Cassandra's CompressedSequentialWriter writes. The format must be reproducible, and
// plain not longer than its chunk length.
//
// A chunk whose compressed form has max compressed length or more is stored raw. One
// that is shorter than that even so, as the last chunk may be, is filled up with zeros:
// its stored length has to tell that it is raw.
func (e *Encoder) AppendChunk(dst, plain []byte, f Format) []byte {
	if !f.exact || len(plain) > f.length {
		panic("chunk: AppendChunk of a format that is not reproducible, or of more than a chunk")
	}
	start := len(dst)
	if f.codec == noop {
		dst = append(dst, plain...)
	} else {
		dst = binary.LittleEndian.AppendUint32(dst, uint32(len(plain)))
		dst = e.AppendBlock(dst, plain)
	}
	if len(dst)-start < f.rawFrom {
		return dst
	}
	dst = append(dst[:start], plain...)
	if short := f.rawFrom - len(plain); short > 0 {
		dst = append(dst, make([]byte, short)...)
	}
	return dst
}
