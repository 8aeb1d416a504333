package sstable

import (
	"bufio"
	"bytes"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestSums(t *testing.T) {
	tests := []struct {
		what, file string
		size       int
		want       []uint32
		err        error
	}{
		{"two chunks", "\x00\x01\x00\x00" + "\x00\x00\x00\x05" + "\xff\xff\xff\xff", 65536, []uint32{5, 0xffffffff}, io.EOF},
		{"no chunk", "\x00\x00\x00\x01", 1, nil, io.EOF},
		{"a sum cut short", "\x00\x01\x00\x00" + "\x00\x00\x00\x05" + "\xff\xff\xff", 65536, []uint32{5}, io.ErrUnexpectedEOF},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			s, err := NewSums(bufio.NewReader(strings.NewReader(tt.file)))
			if err != nil || s.ChunkSize != tt.size {
				t.Fatalf("%+v, %v", s, err)
			}
			got, err := readSums(s)
			if diff := cmp.Diff(tt.want, got); diff != "" || !errors.Is(err, tt.err) {
				t.Errorf("%v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func readSums(s *Sums) (all []uint32, err error) {
	for {
		sum, err := s.Next()
		if err != nil {
			return all, err
		}
		all = append(all, sum)
	}
}

func TestSumsRefuseWhatIsNoChunkSize(t *testing.T) {
	for _, file := range []string{"", "\x00\x01\x00", "\x00\x00\x00\x00", "\xff\xff\xff\xff", "\x40\x00\x00\x01"} {
		if s, err := NewSums(bufio.NewReader(strings.NewReader(file))); err == nil {
			t.Errorf("%q gives chunks of %d", file, s.ChunkSize)
		}
	}
}

func FuzzSums(f *testing.F) {
	f.Add("\x00\x01\x00\x00\x00\x00\x00\x05")
	f.Fuzz(func(t *testing.T, file string) {
		s, err := NewSums(bufio.NewReader(strings.NewReader(file)))
		if err != nil {
			return
		}
		all, err := readSums(s)
		if len(all) != len(file)/4-1 || (err == io.EOF) != (len(file)%4 == 0) {
			t.Errorf("%d sums of %d bytes, %v", len(all), len(file), err)
		}
	})
}

func TestSumsWriterSumsEveryStretch(t *testing.T) {
	data := make([]byte, 300)
	for i := range data {
		data[i] = byte(i * i)
	}
	for _, n := range []int{0, 1, 99, 100, 101, 300} {
		want := binary.BigEndian.AppendUint32(nil, 100)
		for part := range slices.Chunk(data[:n], 100) {
			want = binary.BigEndian.AppendUint32(want, crc32.ChecksumIEEE(part))
		}
		var got bytes.Buffer
		s := NewSumsWriter(&got, 100)
		for part := range slices.Chunk(data[:n], 7) {
			if _, err := s.Write(part); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Close(); err != nil || !bytes.Equal(got.Bytes(), want) {
			t.Errorf("of %d bytes: %v, %x, want %x", n, err, got.Bytes(), want)
		}
	}
	var few bytes.Buffer
	s := NewSumsWriter(&few, 1)
	if _, err := s.Write(make([]byte, 5000)); err != nil || few.Len() == 0 {
		t.Errorf("nothing was written of 5000 sums: %v", err)
	}
	if _, err := NewSumsWriter(shortWriter{}, 1).Write(make([]byte, 5000)); !errors.Is(err, io.ErrShortWrite) {
		t.Errorf("a failing writer: %v", err)
	}
}

// shortWriter takes nothing.
type shortWriter struct{}

func (shortWriter) Write([]byte) (int, error) { return 0, io.ErrShortWrite }
