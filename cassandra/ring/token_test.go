package ring

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

const (
	randomMax   = "170141183460469231731687303715884105728" // 2^127
	murmur3Min  = "-9223372036854775808"
	murmur3Max  = "9223372036854775807"
	murmur3     = "org.apache.cassandra.dht.Murmur3Partitioner"
	random      = "org.apache.cassandra.dht.RandomPartitioner"
	byteOrdered = "org.apache.cassandra.dht.ByteOrderedPartitioner"
)

func TestTokensGoInTheOrderOfTheirPartitioner(t *testing.T) {
	tests := []struct{ partitioner, tokens string }{
		{murmur3, murmur3Min + " -10 -9 0 9 10 " + murmur3Max},
		{random, "0 9 10 18446744073709551615 18446744073709551616 " + randomMax},
		{byteOrdered, "00 0000 0001 09 0a 0a00 10 ff ff00 ffff"},
	}
	for _, tt := range tests {
		p, err := newPartitioner(tt.partitioner)
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Fields(tt.tokens)
		var tokens []token
		for _, text := range want {
			tok, err := p.parse(text)
			if err != nil {
				t.Fatal(err)
			}
			tokens = append(tokens, tok)
		}
		slices.Reverse(tokens)
		slices.SortFunc(tokens, token.compare)
		var got []string
		for _, tok := range tokens {
			got = append(got, tok.text)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.partitioner, diff)
		}
	}
}

func TestTokensHaveOneForm(t *testing.T) {
	tests := []struct{ partitioner, give, want string }{
		{murmur3, "+007", "7"},
		{murmur3, "-0", "0"},
		{random, "007", "7"},
		{byteOrdered, "ABC", "0abc"},
	}
	for _, tt := range tests {
		p, err := newPartitioner(tt.partitioner)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := p.parse(tt.give); err != nil || tok.text != tt.want {
			t.Errorf("%s: %q is %q, %v; want %q", tt.partitioner, tt.give, tok.text, err, tt.want)
		}
	}
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	tests := []struct{ partitioner, token string }{
		{murmur3, ""}, {murmur3, "x"}, {murmur3, "1.5"}, {murmur3, "9223372036854775808"}, {murmur3, "-9223372036854775809"},
		{random, ""}, {random, "-1"}, {random, "0x10"}, {random, "170141183460469231731687303715884105729"},
		{random, strings.Repeat("0", 50) + "1"},
		{byteOrdered, ""}, {byteOrdered, "0g"}, {byteOrdered, strings.Repeat("00", 65536)},
	}
	for _, tt := range tests {
		p, err := newPartitioner(tt.partitioner)
		if err != nil {
			t.Fatal(err)
		}
		if tok, err := p.parse(tt.token); err == nil {
			t.Errorf("%s takes %.50q as %.50q", tt.partitioner, tt.token, tok.text)
		}
	}
}

func TestLengthsOfRangesMakeTheWholeRing(t *testing.T) {
	tests := []struct {
		partitioner, start, end string
		want                    uint128
	}{
		{murmur3, "-1", "1", uint128{0, 2}},
		{murmur3, murmur3Max, murmur3Min, uint128{}},
		{murmur3, murmur3Min, murmur3Max, uint128{0, 1<<64 - 1}},
		{murmur3, "9223372036854775806", "-9223372036854775807", uint128{0, 2}},
		{murmur3, "5", "5", uint128{0, 1<<64 - 1}},
		{random, "0", "18446744073709551616", uint128{1, 0}},
		{random, randomMax, "0", uint128{0, 1}},
		{random, "0", randomMax, uint128{1 << 63, 0}},
		{random, "7", "7", uint128{1 << 63, 1}},
		{byteOrdered, "00", "ff", uint128{}},
	}
	for _, tt := range tests {
		p, err := newPartitioner(tt.partitioner)
		if err != nil {
			t.Fatal(err)
		}
		start, _ := p.parse(tt.start)
		end, _ := p.parse(tt.end)
		if got := p.length(start, end); got != tt.want {
			t.Errorf("%s (%s,%s] has %v tokens, want %v", tt.partitioner, tt.start, tt.end, got, tt.want)
		}
	}
}

func TestRangesAreWrittenAsUsersDo(t *testing.T) {
	for want, r := range map[string]Range{"(5,9]": {"5", "9"}, "(9,-3]": {"9", "-3"}, "the whole ring": {"9", "9"}} {
		if r.String() != want {
			t.Errorf("%q, want %q", r, want)
		}
	}
}
