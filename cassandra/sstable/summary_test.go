package sstable

import (
	"bytes"
	"encoding/binary"
	"strings"
	"testing"
)

// summary lays out a Summary.db with so many bytes of samples.
func summary(samples int, first, last string) []byte {
	b := []byte("\x00\x00\x00\x80" + "\x00\x00\x00\x01")
	b = binary.BigEndian.AppendUint64(b, uint64(samples))
	b = append(b, "\x00\x00\x00\x80"+"\x00\x00\x00\x01"...)
	b = append(b, make([]byte, samples)...)
	for _, key := range []string{first, last} {
		b = append(binary.BigEndian.AppendUint32(b, uint32(len(key))), key...)
	}
	return b
}

func TestReadSummaryKeys(t *testing.T) {
	long := strings.Repeat("k", 65535)
	for _, tt := range [][2]string{{"first", "last"}, {"k", "k"}, {"", ""}, {long, long}, {"", "\x00"}} {
		for _, samples := range []int{0, 20, 300000} {
			b := summary(samples, tt[0], tt[1])
			first, last, err := ReadSummaryKeys(bytes.NewReader(b), int64(len(b)))
			if err != nil || string(first) != tt[0] || string(last) != tt[1] {
				t.Errorf("behind %d bytes: %q and %q, %v", samples, first, last, err)
			}
		}
	}
}

func TestReadSummaryKeysRefusesWhatDoesNotHoldTogether(t *testing.T) {
	good := string(summary(20, "first", "last"))
	for n := range len(good) {
		if first, last, err := ReadSummaryKeys(strings.NewReader(good[:n]), int64(n)); err == nil {
			t.Errorf("cut after %d bytes it gives %q and %q", n, first, last)
		}
	}
	for what, file := range map[string]string{
		"samples below zero":       good[:8] + "\xff" + good[9:],
		"samples behind the file":  good[:15] + "\xff" + good[16:],
		"fewer samples than there": good[:15] + "\x13" + good[16:],
		"bytes behind the keys":    good + "x",
		"a key longer than 64 KiB": string(summary(20, strings.Repeat("k", 70000), strings.Repeat("k", 70000))),
	} {
		if first, last, err := ReadSummaryKeys(strings.NewReader(file), int64(len(file))); err == nil {
			t.Errorf("%s: it gives %q and %q", what, first, last)
		}
	}
	if _, _, err := ReadSummaryKeys(strings.NewReader(good), int64(len(good))+1); err == nil {
		t.Error("no error where the file is shorter than told")
	}
}

func FuzzSummary(f *testing.F) {
	f.Add(summary(20, "first", "last"))
	f.Fuzz(func(t *testing.T, b []byte) {
		first, last, err := ReadSummaryKeys(bytes.NewReader(b), int64(len(b)))
		if err != nil {
			return
		}
		tail := summary(0, string(first), string(last))[summaryHead:]
		if !bytes.HasSuffix(b, tail) {
			t.Errorf("%q and %q of %x", first, last, b)
		}
	})
}
