package lookup

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/bits"
	"math/rand/v2"

	"cbk/cassandra/sstable"
)

// trie is the index of the bti format. The path to a leaf is a beginning of 0x40 · token, 8 bytes, its sign turned · 0x40 ·
// key · 0x38. The length of a path is bounded by that of a key; all that a walk takes from the file goes to lower positions.
type trie struct {
	file   io.ReaderAt
	footer sstable.PartitionsFooter
	rows   *io.SectionReader // Rows.db
	data   *plain
}

// maxNode is the most bytes of one node: a dense one of 256 children of 8 bytes, and its payload.
const maxNode = 3 + 256*8 + 9

// node is one node, its bytes in full or more.
type node struct {
	at int64
	b  []byte
}

// kind is how a node is written (TrieNode). The first byte has the kind's number in its upper half; in the lower are the
// flags of a payload or, where there can be none, the upper bits of a distance. Distances are to lower positions.
type kind struct {
	shape byte
	width int // bits of a distance
}

// Shapes of nodes:
//
//	leaf     byte kind and flags · payload
//	single   byte kind and flags · byte transition · distance · payload
//	half     half a byte kind · distance of 4 or 12 bits · byte transition
//	sparse   byte kind and flags · byte n · n × byte transition · n × distance · payload
//	dense    byte kind and flags · byte first transition · byte n-1 · n × distance, 0 for none · payload
const (
	leaf = iota
	single
	half
	sparse
	dense
)

var kinds = [16]kind{
	{leaf, 0}, {half, 4}, {single, 8}, {half, 12}, {single, 16},
	{sparse, 8}, {sparse, 12}, {sparse, 16}, {sparse, 24}, {sparse, 40},
	{dense, 12}, {dense, 16}, {dense, 24}, {dense, 32}, {dense, 40}, {dense, 64},
}

func (t *trie) node(at int64) (node, error) {
	b := make([]byte, maxNode)
	n, err := t.file.ReadAt(b, at)
	if n == 0 {
		return node{}, fmt.Errorf("node at %d of the partition index: %w", at, errors.Join(io.ErrUnexpectedEOF, err))
	}
	// What lies behind the end of the file reads as zeros: no distance is zero.
	return node{at, b}, nil
}

func (n node) kind() kind { return kinds[n.b[0]>>4] }

// distances tells where they begin, and how many there are.
func (n node) distances() (from, count int) {
	switch n.kind().shape {
	case single:
		return 2, 1
	case half:
		return 0, 1
	case sparse:
		return 2 + int(n.b[1]), int(n.b[1])
	case dense:
		return 3, 1 + int(n.b[2])
	}
	return 1, 0
}

// none is no position: the first leaf stands at 0.
const none = -1

// child is the position of the i-th child, or none.
func (n node) child(i int) int64 {
	from, count := n.distances()
	if i < 0 || i >= count {
		return none
	}
	var distance uint64
	switch k := n.kind(); {
	case k.shape == half && k.width == 4:
		distance = uint64(n.b[0] & 0x0f)
	case k.shape == half:
		distance = uint64(binary.BigEndian.Uint16(n.b) & 0x0fff)
	case k.width == 12:
		distance = uint64(binary.BigEndian.Uint16(n.b[from+i*3/2:]))
		if i%2 == 0 {
			distance >>= 4
		}
		distance &= 0x0fff
	default:
		distance = unsigned(n.b[from+i*k.width/8:][:k.width/8])
	}
	if distance == 0 || distance > uint64(n.at) {
		return none
	}
	return n.at - int64(distance)
}

func unsigned(b []byte) (v uint64) {
	for _, c := range b {
		v = v<<8 | uint64(c)
	}
	return v
}

// step is the child behind a transition, or none.
func (n node) step(transition byte) int64 {
	switch n.kind().shape {
	case single:
		if n.b[1] == transition {
			return n.child(0)
		}
	case half:
		if n.b[1+n.kind().width/8] == transition {
			return n.child(0)
		}
	case sparse:
		return n.child(bytes.IndexByte(n.b[2:2+int(n.b[1])], transition))
	case dense:
		return n.child(int(transition) - int(n.b[1]))
	}
	return none
}

// payload returns what a leaf has: below zero the complement of a position in Data.db, else a position in Rows.db.
//
//	flags 8 to 15: byte of the key's hash · flags-7 bytes signed number
func (n node) payload() (int64, bool) {
	flags := int(n.b[0] & 0x0f)
	if n.kind().shape != leaf || flags < 8 {
		return 0, false
	}
	size := flags - 7
	v := unsigned(n.b[2 : 2+size])
	shift := 64 - 8*size
	return int64(v<<shift) >> shift, true
}

// find walks down as far as the path to the key goes. What it comes to is the only key it can be.
func (t *trie) find(key []byte) (int64, bool, error) {
	path := append([]byte{0x40}, binary.BigEndian.AppendUint64(nil, uint64(sstable.Token(key))^1<<63)...)
	n, err := t.node(t.footer.Root)
	for _, transition := range path {
		if err != nil {
			return 0, false, err
		}
		if n.kind().shape == leaf {
			break
		}
		at := n.step(transition)
		if at == none {
			return 0, false, nil
		}
		n, err = t.node(at)
	}
	if err != nil {
		return 0, false, err
	}
	if n.kind().shape != leaf {
		return 0, false, fmt.Errorf("%w: two keys with one token", ErrUnindexed)
	}
	at, position, err := t.entry(n)
	return position, err == nil && bytes.Equal(at, key), err
}

// entry returns the key a leaf is for, and its position in Data.db. Before it Rows.db has uint16 length · key · vint position.
func (t *trie) entry(n node) ([]byte, int64, error) {
	v, ok := n.payload()
	if !ok {
		return nil, 0, fmt.Errorf("leaf at %d of the partition index without a position", n.at)
	}
	if v < 0 {
		key, err := readKey(t.data.from(^v))
		return key, ^v, err
	}
	in := bufio.NewReaderSize(io.NewSectionReader(t.rows, v, max(0, t.rows.Size()-v)), 256)
	key, err := readKey(in)
	if err != nil {
		return nil, 0, fmt.Errorf("row index at %d: %w", v, err)
	}
	position, err := readVint(in)
	if err != nil {
		return nil, 0, fmt.Errorf("row index at %d: %w", v, err)
	}
	return key, position, nil
}

// readVint reads an unsigned vint: as many bytes follow the first as it has leading ones.
func readVint(r io.ByteReader) (int64, error) {
	first, err := r.ReadByte()
	if err != nil {
		return 0, err
	}
	more := bits.LeadingZeros8(^first)
	v := uint64(0)
	if more < 7 {
		v = uint64(first & (0x7f >> more))
	}
	for range more {
		b, err := r.ReadByte()
		if err != nil {
			return 0, err
		}
		v = v<<8 | uint64(b)
	}
	return int64(v), nil
}

// random goes down by any child. Tokens are spread evenly, and so are the leaves over the children.
func (t *trie) random(r *rand.Rand) ([]byte, error) {
	if t.footer.KeyCount == 0 {
		return nil, nil
	}
	n, err := t.node(t.footer.Root)
	for err == nil && n.kind().shape != leaf {
		_, count := n.distances()
		at := int64(none)
		// A dense node lacks some, and no first or last one.
		for i, tries := r.IntN(max(count, 1)), 0; at == none && tries < count; tries++ {
			at = n.child((i + tries) % count)
		}
		if at == none {
			return nil, fmt.Errorf("node at %d of the partition index without a child", n.at)
		}
		n, err = t.node(at)
	}
	if err != nil {
		return nil, err
	}
	key, _, err := t.entry(n)
	return key, err
}

func (t *trie) ends() (first, last []byte, err error) {
	return t.footer.FirstKey, t.footer.LastKey, nil
}
