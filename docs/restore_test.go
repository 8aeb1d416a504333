package docs

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"cbk/restore/fit"
)

// unlikeRisks compares the table of risks on a page with the program's: each has its row, in order, with its weights, its
// meaning, and something to do.
func unlikeRisks(page string, codes []fit.Code) (wrong []string) {
	_, table, _ := strings.Cut(page, "\n| risk | it | meaning | what to do |\n")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := strings.Split(table, "\n")[1:]
	for i, c := range codes {
		var weights []string
		for _, w := range c.Weights {
			weights = append(weights, string(w))
		}
		want := fmt.Sprintf("| `%s` | %s | %s | ", c.Code, strings.Join(weights, "; "), c.Means)
		if i >= len(rows) || !strings.HasPrefix(rows[i], want) || len(strings.TrimSuffix(rows[i], " |")) < len(want)+2 {
			wrong = append(wrong, want)
		}
	}
	if len(rows) > len(codes) {
		wrong = append(wrong, rows[len(codes):]...)
	}
	return wrong
}

func TestTheRunbookHasEveryRisk(t *testing.T) {
	page, err := os.ReadFile("restore.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range unlikeRisks(string(page), fit.Codes()) {
		t.Errorf("restore.md lacks a row, or has another: %s…", row)
	}
}

func TestARiskThatTheRunbookLacksIsFound(t *testing.T) {
	codes := []fit.Code{{Code: "a", Weights: []fit.Weight{fit.Warns, fit.Accept}, Means: "it may be so"}, {Code: "b", Weights: []fit.Weight{fit.Forbids}, Means: "no"}}
	a, b := "| `a` | warns; refuses unless accepted | it may be so | wait |\n", "| `b` | refuses for good | no | go |\n"
	for rows, wrong := range map[string]int{a + b: 0, a: 1, b + a: 2, a + b + a: 1, strings.Replace(a, "wait", "", 1) + b: 1, strings.Replace(a, "warns; ", "", 1) + b: 1, "": 2} {
		page := "text\n| risk | it | meaning | what to do |\n|---|---|---|---|\n" + rows + "\nmore\n"
		if got := unlikeRisks(page, codes); len(got) != wrong {
			t.Errorf("%s%d wrong: %q", rows, len(got), got)
		}
	}
}
