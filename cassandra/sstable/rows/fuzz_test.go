package rows

import (
	"bytes"
	"strings"
	"testing"

	"cbk/cassandra/sstable"
)

// splitClasses turns "A;B" into columns; nothing into none.
func splitClasses(s string) []string {
	if s == "" {
		return nil
	}
	return strings.Split(s, ";")
}

func FuzzReader(f *testing.F) {
	add := func(b []byte, version string, h sstable.Header) {
		classes := func(cs []sstable.Column) (s []string) {
			for _, c := range cs {
				s = append(s, c.Type)
			}
			return s
		}
		f.Add(b, version, strings.Join(h.ClusteringTypes, ";"), strings.Join(classes(h.Static), ";"),
			strings.Join(classes(h.Regular), ";"), h.MinTimestamp, h.MinLocalDeletionTime, h.MinTTL)
	}
	for _, v := range versions {
		add(goldenBytes(v), v, golden)
	}
	add(stream(f, "20 00 01 61 02 04 0c 01"), "oa", one)
	add(stream(f, "20 0a 04 01 01 00 00 01"), "da", oneSet)
	f.Fuzz(func(t *testing.T, data []byte, version, clustering, static, regular string, ts, local, ttl int64) {
		h := sstable.Header{
			MinTimestamp: ts, MinLocalDeletionTime: local, MinTTL: ttl, ClusteringTypes: splitClasses(clustering),
			Static: columns(splitClasses(static)...), Regular: columns(splitClasses(regular)...),
		}
		r, err := NewReader(bytes.NewReader(data), version, h)
		if err != nil {
			return
		}
		var out bytes.Buffer
		w, err := NewWriter(&out, version, h)
		if err != nil {
			t.Fatal(err)
		}
		err = Copy(w, r)
		if len(r.window.buf) > max(windowSize, 4*len(data)) {
			t.Fatalf("window of %d bytes for %d", len(r.window.buf), len(data))
		}
		switch {
		case r.Err() != nil:
			return
		case err != nil && r.Canonical():
			t.Fatalf("canonical rows cannot be written: %v", err)
		case err == nil && r.Canonical() != bytes.Equal(out.Bytes(), data):
			t.Fatalf("canonical %v, but %x is written as %x", r.Canonical(), data, out.Bytes())
		}
	})
}
