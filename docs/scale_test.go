package docs

import (
	"fmt"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/dustin/go-humanize"

	"cbk/pack"
	"cbk/repo"
)

func page(t *testing.T, name string) string {
	t.Helper()
	b, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// number is what a pattern's first group finds in a page.
func number(t *testing.T, name, pattern string) float64 {
	t.Helper()
	found := regexp.MustCompile(pattern).FindStringSubmatch(page(t, name))
	if found == nil {
		t.Fatalf("%s has no %s", name, pattern)
	}
	v, err := strconv.ParseFloat(strings.ReplaceAll(found[1], ",", ""), 64)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

// rows are the cells of a page's tables by the first cell.
func rows(t *testing.T, name string) map[string][]string {
	t.Helper()
	all := make(map[string][]string)
	for line := range strings.Lines(page(t, name)) {
		if !strings.HasPrefix(line, "| ") {
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		all[cells[0]] = cells[1:]
	}
	return all
}

const (
	scaleNodes = 1000
	scaleBytes = 10e12 // of files on a node
	hour       = 3600
)

// scale are the figures that the page begins with, from where it says that it has them.
type scale struct{ stored, plain, backup, blobs, restore, pack, shard, chunk, entry, named float64 }

func measured(t *testing.T) scale {
	t.Helper()
	recipe := func(column string) string { return `(?m)^\| docs \|` + column }
	s := scale{
		stored:  number(t, "performance.md", recipe(` [\d.]+ \| ([\d.]+)`)),
		plain:   number(t, "performance.md", `docs has ([\d.]+)\s+plain bytes`),
		backup:  number(t, "performance.md", recipe(` [\d.]+ \| [\d.]+ \| ([\d.]+)`)),
		restore: number(t, "performance.md", recipe(` [\d.]+ \| [\d.]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+)`)),
		pack:    repo.DefaultPackSize, shard: number(t, "format.md", `Writers close a shard after\s+(\d+) packs`),
		chunk: float64(pack.DataSizes.Min) + math.Exp2(float64(pack.DataSizes.Bits)),
		entry: 1 + 32 + 4 + 3 + 4 + 1, // type, id, offset, stored, plain, session; numbers of 7 bits a byte
		named: 32 + 4 + 5,
	}
	s.blobs = s.backup / number(t, "performance.md", recipe(` [\d.]+ \| [\d.]+ \| [\d.]+ \| ([\d.]+)`))
	return s
}

func count(v float64) string { return humanize.Comma(int64(math.Round(v))) }

func millions(v float64) string {
	if v >= 1e9 {
		return count(v/1e6) + " million"
	}
	return fmt.Sprintf("%.1f million", v/1e6)
}

func TestTheFiguresOfAThousandNodesAreThoseOfTheOtherPages(t *testing.T) {
	s, have := measured(t), rows(t, "scale.md")
	gc := number(t, "gc.md", `A blob takes (\d+) bytes of memory`)
	for what, want := range map[string]string{
		"stored a byte of a file":                                fmt.Sprint(s.stored),
		"plain bytes a byte of a file":                           fmt.Sprint(s.plain),
		"backup, MB/s of files":                                  fmt.Sprint(s.backup),
		"the same with `--recipe blobs`, which stores all bytes": count(s.blobs),
		"restore, MB/s of files":                                 fmt.Sprint(s.restore),
		"a pack":                                                 fmt.Sprintf("%.0f MiB", s.pack/(1<<20)),
		"packs a shard":                                          fmt.Sprint(s.shard),
		"a chunk, on average":                                    fmt.Sprintf("%.1f MiB", s.chunk/(1<<20)),
		"an entry of the index: id, type, session, place and lengths": fmt.Sprintf("%.0f bytes", s.entry),
		"a name, size and frame of a pack in the index":               fmt.Sprintf("%.0f bytes", s.named),
		"memory of gc: a blob, a pack or shard":                       fmt.Sprintf("%.0f, 100 bytes", gc),
	} {
		if len(have[what]) < 1 || have[what][0] != want {
			t.Errorf("%s: %q, it is %s", what, have[what], want)
		}
	}
}

func TestTheArithmeticOfAThousandNodesIsRight(t *testing.T) {
	s, have := measured(t), rows(t, "scale.md")
	stored := scaleBytes * s.stored
	packs := stored / s.pack
	shards := packs / s.shard
	puts := packs + shards + 4 // the last shard, pending, root, audit
	blobs := scaleBytes * s.plain / s.chunk
	index := blobs*s.entry + packs*s.named
	unchanged := number(t, "design.md", `(?m)in all: .* \| \*\*(\d+)\*\*`)
	fresh, took := 0.05*scaleBytes, func(bytes, rate float64) float64 { return bytes / (rate * 1e6) / hour }
	gc := blobs*24 + (packs+shards)*100
	for what, want := range map[string][2]string{
		"stored":                      {fmt.Sprintf("%.2f TB", stored/1e12), fmt.Sprintf("%.2f PB", scaleNodes*stored/1e15)},
		"packs":                       {count(packs), millions(scaleNodes * packs)},
		"shards":                      {count(shards), millions(scaleNodes * shards)},
		"blobs":                       {millions(blobs), millions(scaleNodes * blobs)},
		"index":                       {fmt.Sprintf("%.0f MB", index/1e6), fmt.Sprintf("%.0f GB", scaleNodes*index/1e9)},
		"PUTs":                        {count(puts), millions(scaleNodes * puts)},
		"money for PUTs":              {fmt.Sprintf("$%.2f", puts*5/1e6), "$" + count(scaleNodes*puts*5/1e6)},
		"money for a month":           {"$" + count(stored/1e12*21), "$" + count(scaleNodes*stored/1e12*21)},
		"hours":                       {count(took(scaleBytes, s.backup)), count(took(scaleBytes, s.backup))},
		"hours with `--recipe blobs`": {count(took(scaleBytes, s.blobs)), count(took(scaleBytes, s.blobs))},
		"hours with `--bandwidth 10GB` for all together": {"", count(took(scaleNodes*stored, 10e3))},
		"MB/s that the store takes, all side by side":    {count(s.backup * s.stored), count(scaleNodes * s.backup * s.stored)},
		"requests where nothing is new":                  {count(unchanged), count(scaleNodes * unchanged)},
		"hours where 5 % of the files are new":           {fmt.Sprintf("%.1f", took(fresh, s.backup)), fmt.Sprintf("%.1f", took(fresh, s.backup))},
		"stored where 5 % of the files are new":          {fmt.Sprintf("%.1f GB", fresh*s.stored/1e9), fmt.Sprintf("%.1f TB", scaleNodes*fresh*s.stored/1e12)},
		"memory of gc for a domain":                      {fmt.Sprintf("%.0f MB", gc/1e6), fmt.Sprintf("%.0f MB", gc/1e6)},
		"hours to fetch":                                 {count(took(scaleBytes, s.restore)), count(took(scaleBytes, s.restore))},
		"MB/s that the store gives, all side by side":    {count(s.restore * s.stored), count(scaleNodes * s.restore * s.stored)},
		"GETs, at the least":                             {count(packs), millions(scaleNodes * packs)},
	} {
		if got := have[what]; len(got) != 2 || [2]string(got) != want {
			t.Errorf("%s: %q, it is %q", what, got, want)
		}
	}
}

// The listing is measured elsewhere; the page says when a cluster of a thousand nodes is as large.
func TestAListingOfAThousandNodesIsTheMeasuredOne(t *testing.T) {
	roots := number(t, "performance.md", `400 each: ([\d,]+) roots`)
	text := strings.Join(strings.Fields(page(t, "scale.md")), " ")
	for _, want := range []string{
		count(roots) + " node snapshots",
		fmt.Sprintf("after %.0f nights", roots/scaleNodes),
		fmt.Sprintf("%.0f MiB with what it kept", number(t, "performance.md", `(?m)^\| warm \|.*\| (\d+) MiB`)),
		fmt.Sprintf("%.1f seconds without", number(t, "performance.md", `(?m)^\| cold[^|]*\| ([\d.]+)`)),
	} {
		if !strings.Contains(text, want) {
			t.Errorf("the page does not say %q", want)
		}
	}
}
