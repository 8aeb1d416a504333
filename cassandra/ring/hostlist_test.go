package ring

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/google/go-cmp/cmp"
)

func TestHostListIsReadAsMedusasUsersHaveIt(t *testing.T) {
	tests := []struct {
		what, text string
		want       HostList
	}{
		{"a line of each", "True,10.1.0.1,node1\nFalse,10.1.0.2,node2\n",
			HostList{{true, "10.1.0.1", "node1", 1}, {false, "10.1.0.2", "node2", 2}}},
		{"True and False in any case", "tRUE,x,a\nFALSE,y,b", HostList{{true, "x", "a", 1}, {false, "y", "b", 2}}},
		{"blank lines and comments say nothing but count", "# seeds\n\nTrue,x,a\n   \n # the rest, of them\nFalse,y,b\n",
			HostList{{true, "x", "a", 3}, {false, "y", "b", 6}}},
		{"fields are trimmed", " True , x\t,  a  \n", HostList{{true, "x", "a", 1}}},
		{"fields may be quoted", `"True"," x ","a"` + "\n", HostList{{true, "x", "a", 1}}},
		{"lines may end as on Windows, after a byte order mark", "\ufeffTrue,x,a\r\nFalse,y,b\r\n",
			HostList{{true, "x", "a", 1}, {false, "y", "b", 2}}},
		{"a node may take its own place", "True,x,x\n", HostList{{true, "x", "x", 1}}},
		{"addresses of version 6", "True,2001:db8::1,[2001:db8::2]\n", HostList{{true, "2001:db8::1", "[2001:db8::2]", 1}}},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			got, err := ReadHostList(strings.NewReader(tt.text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestAHostListThatCannotBeMeantIsRefused(t *testing.T) {
	var long strings.Builder
	for i := range maxHostListLines + 1 {
		fmt.Fprintf(&long, "False,x%d,a%d\n", i, i)
	}
	tests := []struct {
		what, text, want string
	}{
		{"no lines", "", "host list: it names no node"},
		{"comments only", "# True,x,a\n\n", "host list: it names no node"},
		{"a header", "is_seed,target,source\n", `line 1 of the host list: is_seed is "is_seed"`},
		{"a number for a truth", "1,x,a", `is_seed is "1"`},
		{"two fields", "True,x,a\nTrue,y", "line 2 of the host list: it has 2 fields"},
		{"four fields", "True,x,a,b", "it has 4 fields"},
		{"another separator", "True;x;a", "it has 1 fields"},
		{"no target", "True, ,a", "the target is empty"},
		{"no source", "True,x,", "the source is empty"},
		{"one target twice", "True,x,a\n\nFalse,X,b", "line 3 of the host list: target X stands on line 1 too"},
		{"one address in two forms", "True,2001:db8::1,a\nFalse,[2001:DB8:0::1],b", "line 2 of the host list: target [2001:DB8:0::1] stands on line 1 too"},
		{"one source twice", "True,x,a\nFalse,y,a", "source a stands on line 1 too"},
		{"an option for a name", "True,-oProxyCommand=x,a", `target "-oProxyCommand=x" begins with -`},
		{"white space within a name", "True,x y,a", `target "x y" is no name`},
		{"a name of two lines", "True,x,\"a\nb\"", `line 1 of the host list: the source "a\nb" is no name`},
		{"bytes that are no text", "True,x,a\xff", "is no name of a host"},
		{"a name too long", "True," + strings.Repeat("x", 254) + ",a", "the target has 254 bytes"},
		{"a quote that does not end", "True,x,a\nFalse,\"y,b", "line 2 of the host list: "},
		{"too many lines", long.String(), "10001 lines are more than 10000"},
		{"too many bytes", "#" + strings.Repeat("x", maxHostListBytes), "longer than 1048576 bytes"},
	}
	for _, tt := range tests {
		t.Run(tt.what, func(t *testing.T) {
			_, err := ReadHostList(strings.NewReader(tt.text))
			var list *ListError
			if !errors.As(err, &list) || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

func TestWhereAnErrorComesFromIsKept(t *testing.T) {
	if _, err := ReadHostList(strings.NewReader("True,x,\"a")); !errors.Is(err, csv.ErrQuote) {
		t.Errorf("error %v", err)
	}
	// A reader's own error is no fault of the list.
	_, err := ReadHostList(iotest.ErrReader(io.ErrClosedPipe))
	var list *ListError
	if !errors.Is(err, io.ErrClosedPipe) || errors.As(err, &list) {
		t.Errorf("error %v", err)
	}
}

// Whatever is read names every target and every source once, and is read again
// from its own text.
func FuzzHostList(f *testing.F) {
	for _, text := range []string{"True,10.1.0.1,node1\nFalse,10.1.0.2,node2\n", "# x\n\n \"True\" , \"x\",a\r\n", "\ufefftrue,::1,[::2]"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		list, err := ReadHostList(strings.NewReader(text))
		if err != nil {
			return
		}
		var again strings.Builder
		targets, sources := map[string]bool{}, map[string]bool{}
		for _, p := range list {
			if p.Target == "" || p.Source == "" || p.Line < 1 || targets[p.Target] || sources[p.Source] {
				t.Fatalf("%+v", list)
			}
			targets[p.Target], sources[p.Source] = true, true
			quote := func(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }
			fmt.Fprintf(&again, "%v,%s,%s\n", p.Seed, quote(p.Target), quote(p.Source))
		}
		back, err := ReadHostList(strings.NewReader(again.String()))
		for i := range back {
			back[i].Line = list[i].Line
		}
		if diff := cmp.Diff(list, back); err != nil || diff != "" {
			t.Fatalf("%v (-list +read again):\n%s", err, diff)
		}
	})
}
