package sstable

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestParseDigest(t *testing.T) {
	tests := []struct {
		text string
		want uint32
	}{
		{"0", 0}, {"4294967295", 4294967295}, {"3141592653", 3141592653}, {"17\n", 17}, {"17\r\n", 17},
	}
	for _, tt := range tests {
		if got, err := ParseDigest([]byte(tt.text)); err != nil || got != tt.want {
			t.Errorf("%q gives %d, %v", tt.text, got, err)
		}
	}
}

func TestParseDigestRefusesWhatIsNo32BitNumber(t *testing.T) {
	for _, text := range []string{"", "\n", "4294967296", "-1", "+1", "1 2", " 1", "0x10", "1_0", "deadbeef", strings.Repeat("0", MaxDigest+1)} {
		if got, err := ParseDigest([]byte(text)); err == nil {
			t.Errorf("%q gives %d", text, got)
		}
	}
}

func TestParseTOC(t *testing.T) {
	tests := []struct {
		what string
		text string
		want []string
	}{
		{"keeps the order of the file", "TOC.txt\nData.db\nIndex.db\n", []string{TOC, Data, Index}},
		{"drops lines appended twice", "Data.db\nTOC.txt\nData.db\n", []string{Data, TOC}},
		{"takes other line ends and blank lines", "Data.db\r\n\r\n\nTOC.txt", []string{Data, TOC}},
		{"takes components of indexes", "SAI+aa+by_name+Meta.db\n", []string{"SAI+aa+by_name+Meta.db"}},
		{"takes an empty file", "", nil},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ParseTOC([]byte(tt.text))
			if diff := cmp.Diff(tt.want, got); err != nil || diff != "" {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}

func TestParseTOCRefusesWhatIsNoList(t *testing.T) {
	for what, text := range map[string]string{
		"a path":          "Data.db\n../../etc/passwd\n",
		"binary":          "Data.db\n\xff\xfe\n",
		"a control sign":  "Data\x00.db\n",
		"a long line":     strings.Repeat("x", maxName+1),
		"too many bytes":  strings.Repeat("x\n", MaxTOC),
		"an escape (DEL)": "a\x7fb",
	} {
		if got, err := ParseTOC([]byte(text)); err == nil {
			t.Errorf("%s gives %d names", what, len(got))
		}
	}
}
