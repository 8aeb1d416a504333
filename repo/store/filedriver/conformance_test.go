package filedriver

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"gocloud.dev/blob/driver"
	"gocloud.dev/blob/drivertest"
)

// exceptions are the conformance tests of gocloud that this driver does not
// pass, with the reason. TestExceptionsAreExact fails when one of them passes
// or any other does not.
var exceptions = []struct{ name, why string }{
	{"TestAttributes", "content type and cache headers are not kept"},
	{"TestMetadata", "metadata is not kept"},
	{"TestWrite/ContentType_is_discovered_if_not_provided", "content type"},
	{"TestWrite/write_with_explicit_ContentType_overrides_discovery", "content type"},
	{"TestWrite/a_small_text_file_gets_a_ContentType", "content type"},
	{"TestWrite/a_large_jpg_file_gets_a_ContentType", "content type"},
	{"TestWrite/a_large_jpg_file_written_in_two_chunks_gets_a_ContentType", "content type"},
}

// notApplicable are the conformance tests that skip themselves.
var notApplicable = []struct{ name, why string }{
	{"TestNonexistentBucket", "a missing directory is refused by Open, see TestOpen"},
	{"TestSignedURL", "a directory has no URLs to sign"},
}

// runAll names the environment variable by which TestExceptionsAreExact asks
// its child process to run the exceptions too.
const runAll = "CBK_FILEDRIVER_RUN_ALL"

func TestMain(m *testing.M) {
	if n, ok := os.LookupEnv(racerEnv); ok {
		os.Exit(race(n))
	}
	flag.Parse()
	if os.Getenv(runAll) == "" {
		flag.Set("test.skip", exceptionPattern())
	}
	os.Exit(m.Run())
}

func exceptionPattern() string {
	var patterns []string
	for _, e := range exceptions {
		parts := strings.Split("TestConformance/"+e.name, "/")
		for i, p := range parts {
			parts[i] = "^" + regexp.QuoteMeta(p) + "$"
		}
		patterns = append(patterns, strings.Join(parts, "/"))
	}
	return strings.Join(patterns, "|")
}

type harness struct{ dir string }

func (h harness) MakeDriver(context.Context) (driver.Bucket, error) {
	return Open(h.dir, Options{})
}

func (harness) MakeDriverForNonexistentBucket(context.Context) (driver.Bucket, error) {
	return nil, nil
}
func (harness) HTTPClient() *http.Client         { return nil }
func (harness) SupportsCopy() bool               { return true }
func (harness) SupportsNonSlashDelimiters() bool { return true }
func (harness) Close()                           {}

func TestConformance(t *testing.T) {
	drivertest.RunConformanceTests(t, func(_ context.Context, t *testing.T) (drivertest.Harness, error) {
		return harness{t.TempDir()}, nil
	}, nil)
}

func TestExceptionsAreExact(t *testing.T) {
	if os.Getenv(runAll) != "" {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestConformance$", "-test.v=test2json")
	cmd.Env = append(os.Environ(), runAll+"=1")
	raw, _ := cmd.Output() // fails: the exceptions do
	test2json := exec.Command("go", "tool", "test2json")
	test2json.Stdin = bytes.NewReader(raw)
	events, err := test2json.Output()
	if err != nil {
		t.Fatal(err)
	}
	results := leaves(t, events)
	if n := len(results["pass"]); n < 60 {
		t.Errorf("%d conformance tests passed: the child did not run them", n)
	}
	var fail, skip []string
	for _, e := range exceptions {
		fail = append(fail, e.name)
	}
	for _, e := range notApplicable {
		skip = append(skip, e.name)
	}
	if diff := cmp.Diff(sorted(fail), collapse(results["fail"], fail)); diff != "" {
		t.Errorf("failing conformance tests (-listed +found):\n%s", diff)
	}
	if diff := cmp.Diff(sorted(skip), sorted(results["skip"])); diff != "" {
		t.Errorf("skipped conformance tests (-listed +found):\n%s", diff)
	}
}

// leaves returns the names of the innermost tests by result.
func leaves(t *testing.T, events []byte) map[string][]string {
	t.Helper()
	results := map[string]string{}
	for sc := bufio.NewScanner(bytes.NewReader(events)); sc.Scan(); {
		var e struct{ Action, Test string }
		if err := json.Unmarshal(sc.Bytes(), &e); err != nil {
			t.Fatal(err)
		}
		name, ok := strings.CutPrefix(e.Test, "TestConformance/")
		if ok && slices.Contains([]string{"pass", "fail", "skip"}, e.Action) {
			results[name] = e.Action
		}
	}
	byResult := map[string][]string{}
	for name, result := range results {
		if !hasChild(results, name) {
			byResult[result] = append(byResult[result], name)
		}
	}
	return byResult
}

func hasChild(results map[string]string, name string) bool {
	for other := range results {
		if strings.HasPrefix(other, name+"/") {
			return true
		}
	}
	return false
}

// collapse folds the children of listed names into those names.
func collapse(names, listed []string) []string {
	var out []string
	for _, n := range names {
		for _, l := range listed {
			if strings.HasPrefix(n, l+"/") {
				n = l
			}
		}
		out = append(out, n)
	}
	return slices.Compact(sorted(out))
}

func sorted(names []string) []string {
	names = slices.Clone(names)
	slices.Sort(names)
	return names
}
