package sstable

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestHeaderIsReadAndWrittenBack(t *testing.T) {
	const raw = "\xc0\x40\x00" + "\x00" + "\x05" + "\x01K" + "\x02\x01A\x01B" + "\x01\x02st\x03Int" + "\x02\x01v\x04Text\x00\x05Bytes"
	want := Header{
		MinTimestamp: 1442880000_016384, MinLocalDeletionTime: 1442880000, MinTTL: 5,
		KeyType: "K", ClusteringTypes: []string{"A", "B"},
		Static:  []Column{{[]byte("st"), "Int"}},
		Regular: []Column{{[]byte("v"), "Text"}, {[]byte{}, "Bytes"}},
	}
	c := cursor{b: []byte(raw)}
	got := parseHeader(&c, "nb")
	if diff := cmp.Diff(want, got); c.err != nil || len(c.b) != 0 || diff != "" {
		t.Errorf("%v, %d bytes left (-want +got):\n%s", c.err, len(c.b), diff)
	}
	if back := AppendHeader(nil, got); string(back) != raw {
		t.Errorf("written back it is %q", back)
	}
	for n := range len(raw) {
		c := cursor{b: []byte(raw[:n])}
		if parseHeader(&c, "nb"); c.err == nil {
			t.Errorf("no error where it is cut after %d bytes", n)
		}
	}
}

func TestDeletionTimesOfTheHeaderWrap(t *testing.T) {
	tests := []struct {
		what   string
		layout string
		time   int64
	}{
		{"the day the format counts from", "nb", 1442880000},
		{"a day before it", "nb", 1442793600},
		{"the last second of 32 bits", "me", 1<<31 - 1},
		{"a time below zero, as a wrapped expiry left behind", "nb", -5},
		{"a second before 1970 that oa cannot tell", "oa", 1<<32 - 5},
		{"the year 2040", "oa", 2208988800},
		{"the year 2100", "oa", 4102444800},
		{"1970", "oa", 0},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			b := AppendHeader(nil, Header{MinLocalDeletionTime: tt.time})
			c := cursor{b: b}
			if got := parseHeader(&c, tt.layout); got.MinLocalDeletionTime != tt.time || c.err != nil {
				t.Errorf("%d, %v", got.MinLocalDeletionTime, c.err)
			}
		})
	}
}

func FuzzHeader(f *testing.F) {
	f.Add(true, AppendHeader(nil, Header{KeyType: "K", ClusteringTypes: []string{"A"}, Regular: []Column{{[]byte("v"), "T"}}}))
	f.Fuzz(func(t *testing.T, unsigned bool, b []byte) {
		layout := "nb"
		if unsigned {
			layout = "oa"
		}
		c := cursor{b: b}
		h := parseHeader(&c, layout)
		if c.err != nil {
			return
		}
		again := cursor{b: AppendHeader(nil, h)}
		if diff := cmp.Diff(h, parseHeader(&again, layout)); diff != "" || again.err != nil || len(again.b) != 0 {
			t.Errorf("%v (-want +got):\n%s", again.err, diff)
		}
	})
}
