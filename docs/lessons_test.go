package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// rowsWithoutTests returns what is wrong with the tables of a page: rows that name no test, and tests, named as
// package.TestName, that no test file below root has.
func rowsWithoutTests(page, root string) (rows int, wrong []string) {
	name := regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`")
	for line := range strings.Lines(page) {
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		if !strings.HasPrefix(line, "| ") || strings.TrimSpace(cells[0]) == "what goes wrong elsewhere" {
			continue
		}
		rows++
		tests := name.FindAllStringSubmatch(cells[len(cells)-1], -1)
		if len(cells) != 3 || len(tests) == 0 {
			wrong = append(wrong, "no test: "+strings.TrimSpace(cells[0]))
		}
		for _, t := range tests {
			if !hasTest(filepath.Join(root, t[1]), t[2]) {
				wrong = append(wrong, fmt.Sprintf("%s has no %s", t[1], t[2]))
			}
		}
	}
	return rows, wrong
}

func hasTest(dir, name string) bool {
	files, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	return err == nil && slices.ContainsFunc(files, func(file string) bool {
		b, err := os.ReadFile(file)
		return err == nil && strings.Contains(string(b), "\nfunc "+name+"(t *testing.T) {")
	})
}

func TestEveryLessonHasItsTests(t *testing.T) {
	page, err := os.ReadFile("lessons.md")
	if err != nil {
		t.Fatal(err)
	}
	rows, wrong := rowsWithoutTests(string(page), "..")
	for _, w := range wrong {
		t.Error(w)
	}
	if rows < 10 {
		t.Errorf("%d rows were found", rows)
	}
}

func TestALessonWithoutItsTestIsFound(t *testing.T) {
	page := "| what goes wrong elsewhere | what cbk does | tests |\n|---|---|---|\n" +
		"| a | b | `docs.TestALessonWithoutItsTestIsFound` `docs.TestThatIsNot` |\n| c | d | |\n| e | f | `nowhere.TestX` |\n"
	rows, wrong := rowsWithoutTests(page, "..")
	if diff := cmp.Diff([]string{"docs has no TestThatIsNot", "no test: c", "nowhere has no TestX"}, wrong); diff != "" || rows != 3 {
		t.Errorf("%d rows (-want +got):\n%s", rows, diff)
	}
}
