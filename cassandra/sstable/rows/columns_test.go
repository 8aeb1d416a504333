package rows

import (
	"slices"
	"testing"
)

// every returns all of n positions but those for which leave says so.
func every(n int, leave func(int) bool) (present []int) {
	for i := range n {
		if !leave(i) {
			present = append(present, i)
		}
	}
	return present
}

func readSet(b []byte, n int) (present []int, c *cursor) {
	r := &Reader{layout: &layout{}, present: make([]int, n)}
	r.layout.regular.columns = make([]column, n)
	r.layout.regular.all = every(n, func(int) bool { return false })
	c = &cursor{b: b}
	r.readColumns(c, 0)
	return r.unfiltered.Columns, c
}

func TestSetsOfColumnsComeBack(t *testing.T) {
	for _, n := range []int{1, 2, 7, 62, 63, 64, 65, 100, 300} {
		for name, leave := range map[string]func(int) bool{
			"none but the first": func(i int) bool { return i != 0 },
			"all but the first":  func(i int) bool { return i == 0 },
			"all but the last":   func(i int) bool { return i == n-1 },
			"none":               func(int) bool { return true },
			"every third":        func(i int) bool { return i%3 != 0 },
			"two of three":       func(i int) bool { return i%3 == 0 },
			"half":               func(i int) bool { return i < n/2 },
		} {
			want := every(n, leave)
			if len(want) == n {
				continue
			}
			b := appendColumns(nil, want, n)
			got, c := readSet(b, n)
			if !slices.Equal(got, want) || c.failed() || c.i != len(b) || c.loose {
				t.Errorf("%s of %d: got %v, failure %q, loose %v", name, n, got, c.bad, c.loose)
			}
		}
	}
}

func TestSetsOfColumnsHaveTheBytesCassandraWrites(t *testing.T) {
	for _, c := range []struct {
		name    string
		n       int
		present []int
		want    []byte
	}{
		{"a bit for each that is missing", 4, []int{0, 2}, []byte{0b1010}},
		{"few of many by their positions", 64, []int{3, 63}, []byte{62, 3, 63}},
		{"many of many by the missing ones", 64, every(64, func(i int) bool { return i == 5 || i == 63 }), []byte{2, 5, 63}},
		{"exactly half by the missing ones", 64, every(64, func(i int) bool { return i >= 32 }), append([]byte{32}, byteRange(32, 64)...)},
	} {
		if got := appendColumns(nil, c.present, c.n); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %x, want %x", c.name, got, c.want)
		}
	}
}

func byteRange(from, to byte) (b []byte) {
	for ; from < to; from++ {
		b = append(b, from)
	}
	return b
}

func TestSetsThatNoRowHasAreRefused(t *testing.T) {
	for name, c := range map[string]struct {
		b []byte
		n int
	}{
		"a bit behind the last column":   {[]byte{0b10000}, 4},
		"more missing than there are":    {[]byte{65}, 64},
		"a position behind the last one": {[]byte{63, 64}, 64},
		"a position twice":               {[]byte{62, 3, 3}, 64},
		"missing ones out of order":      {[]byte{2, 5, 4}, 64},
	} {
		if got, cur := readSet(c.b, c.n); cur.bad == "" {
			t.Errorf("%s is read as %v", name, got)
		}
	}
}

func TestASetOfAllColumnsWithoutTheFlagIsNotCanonical(t *testing.T) {
	if got, c := readSet([]byte{0}, 3); len(got) != 3 || !c.loose {
		t.Errorf("got %v, loose %v", got, c.loose)
	}
}
