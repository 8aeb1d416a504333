package snapshot

import (
	"encoding/json"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// scanned reads an entry without encoding/json, if it is of the form for that.
func scanned(doc []byte) (Catalogue, bool) {
	var c Catalogue
	s := catalogueScan{rest: doc, words: make(wordbook)}
	s.catalogue(&c)
	return c, !s.other && len(s.rest) == 0
}

func drawCatalogue(t *rapid.T) Catalogue {
	word := rapid.StringMatching(`[ !#-%'-;=?-\[\]-~]{0,12}`) // what JSON does not escape
	size := rapid.OneOf(rapid.Just(0), rapid.IntRange(0, 1<<59))
	moment := rapid.Custom(func(t *rapid.T) time.Time {
		return time.Unix(rapid.Int64Range(0, 1<<35).Draw(t, "s"), rapid.SampledFrom([]int64{0, 5, 120_000_000}).Draw(t, "ns")).UTC()
	})
	some := func(what string) string { return word.Draw(t, what) }
	much := func(what string) int { return size.Draw(t, what) }
	c := Catalogue{Kind: some("kind"), Backup: some("backup"), Cluster: some("cluster"), HostID: some("host"), Node: some("node"), Mode: some("mode"),
		Started: moment.Draw(t, "started"), Finished: moment.Draw(t, "finished"), Tables: much("tables"), SSTables: much("sstables"), Files: much("files"),
		Unchanged: much("unchanged"), BytesSource: int64(much("source")), BytesNew: int64(much("new")), BytesStored: int64(much("stored")),
		Selected: rapid.Bool().Draw(t, "selected"), SelectionID: some("selection"), MissingTables: much("missing"), DamagedSSTables: much("damaged")}
	if rapid.Bool().Draw(t, "ring") {
		c.Members = Members{Normal: 1 + much("normal"), Others: much("others"), HostIDs: some("hosts"), Topology: some("topology")}
	}
	if all := rapid.MapOfN(word, word, 0, 3).Draw(t, "annotations"); len(all) > 0 {
		c.Annotations = all
	}
	return c
}

func TestEveryEntryThatBackupsWriteIsReadWithoutEncodingJSON(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := drawCatalogue(t)
		doc, err := encodeJSON(want)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := scanned(doc)
		if diff := cmp.Diff(want, got); !ok || diff != "" {
			t.Fatalf("%s is read: %v (-want +got):\n%s", doc, ok, diff)
		}
	})
}

// entryForms are entries in other forms than that in which backups write them, or in none.
func entryForms() map[string]string {
	const times = `"started":"2026-03-01T00:00:00Z","finished":"2026-03-01T00:01:00.5+01:00"`
	const head = `{"kind":"sstables","backup":"b","cluster":"c","host_id":"h","node":"n","mode":"full",` + times + `,"tables":1,"sstables":2,"files":3,`
	const tail = `"files_unchanged":4,"bytes_source":5,"bytes_new":6,"bytes_stored":7,"ring":{}}`
	return map[string]string{
		"nothing":                  ``,
		"an empty object":          `{}`,
		"null":                     `null`,
		"spaces":                   `{ "kind": "sstables" }`,
		"another order":            `{"backup":"b","kind":"k"}`,
		"an escape":                `{"kind":"sstables","backup":"a\u003cb"}`,
		"more than ASCII":          `{"kind":"sstables","backup":"Zürich"}`,
		"a field twice":            head + tail[:len(tail)-1] + `,"annotations":{"a":"1","a":"2"}}`,
		"a later format's field":   head + tail[:len(tail)-1] + `,"more":true}`,
		"a number with a sign":     head + `"files_unchanged":-4,"bytes_source":5,"bytes_new":6,"bytes_stored":7,"ring":{}}`,
		"a number with a zero":     head + `"files_unchanged":04,"bytes_source":5,"bytes_new":6,"bytes_stored":7,"ring":{}}`,
		"a fraction":               head + `"files_unchanged":4.0,"bytes_source":5,"bytes_new":6,"bytes_stored":7,"ring":{}}`,
		"a number too large":       head + `"files_unchanged":4,"bytes_source":99999999999999999999,"bytes_new":6,"bytes_stored":7,"ring":{}}`,
		"the largest number":       head + `"files_unchanged":4,"bytes_source":9223372036854775807,"bytes_new":6,"bytes_stored":7,"ring":{}}`,
		"no selection said aloud":  head + `"files_unchanged":4,"bytes_source":5,"bytes_new":6,"bytes_stored":7,"selected":false,"ring":{}}`,
		"no annotations aloud":     head + tail[:len(tail)-1] + `,"annotations":{}}`,
		"a ring of others only":    head + tail[:len(tail)-3] + `{"others":3}}`,
		"no time":                  `{"kind":"sstables","backup":"b","cluster":"c","host_id":"h","node":"n","mode":"full","started":"yesterday"}`,
		"cut short":                (head + tail)[:len(head)+20],
		"cut in a string":          head[:20],
		"followed by something":    head + tail + `{}`,
		"followed by a line's end": head + tail + "\n",
		"a raw line's end":         "{\"kind\":\"sst\nables\"}",
	}
}

func TestEntriesOfOtherFormsAreReadByEncodingJSON(t *testing.T) {
	for what, doc := range entryForms() {
		if what != "a field twice" {
			if c, ok := scanned([]byte(doc)); ok {
				t.Errorf("%s is taken for what backups write: %+v", what, c)
			}
		}
		var want, got Catalogue
		wantErr := json.Unmarshal([]byte(doc), &want)
		gotErr := got.decode([]byte(doc), make(wordbook))
		if diff := cmp.Diff(want, got); (wantErr == nil) != (gotErr == nil) || wantErr == nil && diff != "" {
			t.Errorf("%s: %v instead of %v (-want +got):\n%s", what, gotErr, wantErr, diff)
		}
	}
}

func TestEntriesShareTheirStrings(t *testing.T) {
	words := make(wordbook)
	var c Catalogue
	doc, err := encodeJSON(Catalogue{Kind: "sstables", Backup: "monday", Node: "node-1"})
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if err := c.decode(doc, words); err != nil || c.Backup != "monday" {
			t.Fatalf("%+v, %v", c, err)
		}
	}
	if len(words) != 4 { // with the empty one
		t.Errorf("words %v", words)
	}
}

// FuzzCatalogue compares what is read without encoding/json with what that reads.
func FuzzCatalogue(f *testing.F) {
	for _, doc := range entryForms() {
		f.Add([]byte(doc))
	}
	at := time.Date(2026, 3, 1, 0, 0, 0, 5, time.UTC)
	for _, c := range []Catalogue{{}, {Kind: KindSSTables, Backup: "b", Started: at, Finished: at, Tables: 12, Selected: true, SelectionID: "s", MissingTables: 3,
		Members: Members{Normal: 3, Others: 1, HostIDs: "ab", Topology: "cd"}, Annotations: map[string]string{"a": "1", "b": "2"}}} {
		doc, err := encodeJSON(c)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		got, ok := scanned(doc)
		if !ok {
			return
		}
		var want Catalogue
		if err := json.Unmarshal(doc, &want); err != nil {
			t.Fatalf("%q is read as %+v, and not by encoding/json: %v", doc, got, err)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("%q (-want +got):\n%s", doc, diff)
		}
	})
}

// BenchmarkCatalogue reads one entry, by itself and by encoding/json.
func BenchmarkCatalogue(b *testing.B) {
	at := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	doc, err := encodeJSON(Catalogue{Kind: KindSSTables, Backup: "2026-03-01T00-00-00Z", Cluster: "shop", HostID: hostA, Node: "10.0.0.1", Mode: ModeDifferential,
		Started: at, Finished: at, Tables: 500, SSTables: 10_000, Files: 80_000, Unchanged: 79_000, BytesSource: 1 << 40, BytesNew: 1 << 30, BytesStored: 1 << 29,
		Members: Members{Normal: 180, HostIDs: HostsDigest([]string{hostA}), Topology: HostsDigest(nil)}})
	if err != nil {
		b.Fatal(err)
	}
	words := make(wordbook)
	for name, decode := range map[string]func(*Catalogue) error{
		"here":          func(c *Catalogue) error { return c.decode(doc, words) },
		"encoding-json": func(c *Catalogue) error { return json.Unmarshal(doc, c) },
	} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				if err := decode(&Catalogue{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
