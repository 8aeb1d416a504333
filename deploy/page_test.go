package deploy

import (
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const page = "../docs/schedule.md"

// pageLines are the calls of cbk on the page, in its blocks and in its text, without what starts them elsewhere.
func pageLines(text string) (lines []string) {
	for _, m := range regexp.MustCompile("(?m)(?:^\\$ .*?|`)\\b(cbk [a-z][^'`\n]*)").FindAllStringSubmatch(text, -1) {
		lines = append(lines, m[1])
	}
	return lines
}

func TestCbkUnderstandsTheLinesOfThePage(t *testing.T) {
	lines := pageLines(read(t, page))
	if len(lines) < 8 {
		t.Errorf("%d lines: %q", len(lines), lines)
	}
	for _, line := range lines {
		if calls := called(t, line); len(calls) != 1 || !strings.HasPrefix(calls[0], "0 ") {
			t.Errorf("%s: %q", line, calls)
		}
	}
}

func TestLinesOfAPageAreFound(t *testing.T) {
	text := "`cbk last` and `cbk: audit:` are `cbk gc --dry-run`\n```console\n$ pssh sudo A=/x/cbk-b cbk backup --name a\n$ cstar --command 'cbk list'\n$ cp cbk-b.* /etc\n```\n"
	want := []string{"cbk last", "cbk gc --dry-run", "cbk backup --name a", "cbk list"}
	if got := pageLines(text); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}

// The page shows no file in a block, where it could differ from the file: it links to each of them.
func TestThePageLinksToEveryFile(t *testing.T) {
	text := read(t, page)
	for _, m := range regexp.MustCompile("(?m)^```(\\w+)").FindAllStringSubmatch(text, -1) {
		if m[1] != "console" {
			t.Errorf("a block of %s: link to a file instead", m[1])
		}
	}
	var linked []string
	for _, m := range regexp.MustCompile(`\]\(\.\./deploy/([^)]+)\)`).FindAllStringSubmatch(text, -1) {
		if _, err := os.Stat(m[1]); err != nil {
			t.Error(err)
		}
		linked = append(linked, m[1])
	}
	for _, dir := range []string{"systemd", "cron.d", "kubernetes"} {
		for _, name := range files(t, dir) {
			if !slices.Contains(linked, name) {
				t.Errorf("the page does not link to %s", name)
			}
		}
	}
}

func TestThePageHasEveryExitCode(t *testing.T) {
	_, table, _ := strings.Cut(read(t, page), "\n## Exit codes\n")
	table, _, _ = strings.Cut(table, "\n## ")
	var codes []string
	for _, m := range regexp.MustCompile(`(?m)^\| ([\d, ]+) \|`).FindAllStringSubmatch(table, -1) {
		codes = append(codes, strings.Split(m[1], ", ")...)
	}
	if want := exitCodes(t); !slices.Equal(codes, want) {
		t.Errorf("codes %q, cli.md has %q", codes, want)
	}
}
