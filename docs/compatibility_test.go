package docs

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"cbk/cassandra/cassandratest"
)

var update = flag.Bool("update", false, "write compatibility.md anew")

// The page is what the table of proofs comes to, and every test that it names is there, with the release and format that
// it is named for.
func TestThePageOfCompatibilityIsWhatTestsShow(t *testing.T) {
	page := renderPage(t)
	const file = "compatibility.md"
	if *update {
		if err := os.WriteFile(file, []byte(page), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	have, err := os.ReadFile(file)
	if diff := cmp.Diff(string(have), page); err != nil || diff != "" {
		t.Errorf("%s is not what the tests say: make compatibility (-page +tests): %v\n%s", file, err, diff)
	}
}

func TestEveryTestThatThePageNamesIsThere(t *testing.T) {
	tree := source{}
	for _, p := range proofs {
		for _, key := range keys(p.rows) {
			at := slices.IndexFunc(versions, func(v version) bool { return v.key() == key })
			if at < 0 {
				t.Fatalf("%s of %s: there is no such row", p.feature, key)
			}
			if err := tree.shows(p, versions[at]); err != nil {
				t.Errorf("%s of %s: %v", p.feature, key, err)
			}
		}
	}
	for _, a := range also {
		if a.test == "" {
			continue
		}
		if _, err := tree.test(a.test); err != nil {
			t.Errorf("%s: %v", a.what, err)
			continue
		}
		path, _, _ := strings.Cut(a.test, ":")
		if f, err := tree.file(path); err != nil || !strings.Contains(f.text, a.word) {
			t.Errorf("%s: %s does not say %q, %v", a.what, path, a.word, err)
		}
	}
}

// What the tests have real SSTables of is a row of the page, and all that is said of rows is said of columns that there are.
func TestThePageHasARowForEveryReleaseAndAColumnForEveryProof(t *testing.T) {
	for _, r := range cassandratest.Releases() {
		if !slices.Contains(versions, version{r.Release, r.Format}) {
			t.Errorf("%v is tested, and is no row", r)
		}
	}
	for _, p := range proofs {
		if column(p.feature) < 0 {
			t.Errorf("%s is no column", p.feature)
		}
	}
}

// A proof of something that no test does is told from one that holds.
func TestAProofThatDoesNotHoldIsFound(t *testing.T) {
	me := version{"3.11.19", "me"}
	tree := source{}
	for what, p := range map[string]proof{
		"no such file":          {test: "cmd/cbk/none_test.go:TestX"},
		"no such test":          {test: "cmd/cbk/releases_test.go:TestX"},
		"no such subtest":       {test: everyRelease + "/sings"},
		"another release":       {test: "cmd/cbk/doctor_test.go:TestX", needs: theRelease},
		"not over all releases": {test: sharedNode, needs: theFixtures},
		"a table without it":    {test: oldFiles, needs: theBoth},
	} {
		if err := tree.shows(p, me); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	for what, v := range map[string]version{"another format": {"3.11.19", "nb"}, "the format of another": {"4.0.19", "me"}} {
		if err := tree.shows(proof{test: everyRow, needs: theBoth}, v); err == nil {
			t.Errorf("%s: taken", what)
		}
	}
	if err := tree.shows(proof{test: everyRow, needs: theBoth}, me); err != nil {
		t.Error(err)
	}
}

// source is files of the tree that were parsed, by their paths from its root.
type source map[string]*sourceFile

type sourceFile struct {
	text string
	tree *ast.File
}

func (s source) file(path string) (*sourceFile, error) {
	if s[path] != nil {
		return s[path], nil
	}
	text, err := os.ReadFile("../" + path)
	if err != nil {
		return nil, err
	}
	tree, err := parser.ParseFile(token.NewFileSet(), path, text, parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	s[path] = &sourceFile{string(text), tree}
	return s[path], nil
}

// shows says why a test does not show something for a row.
func (s source) shows(p proof, v version) error {
	table, err := s.test(p.test)
	if err != nil {
		return err
	}
	switch p.needs {
	case nothing:
		if v.release != cassandratest.Version {
			return fmt.Errorf("%s runs on %s", p.test, cassandratest.Version)
		}
	case theRelease:
		return table.has(v.release)
	case theFormat:
		return table.has(v.format)
	case theBoth:
		return table.has(v.release, v.format)
	case theFixtures:
		if !table.uses("Releases") || !slices.Contains(cassandratest.Releases(), cassandratest.Release{Release: v.release, Format: v.format}) {
			return fmt.Errorf("%s does not go over its SSTables", p.test)
		}
	}
	return nil
}

// test finds a test, and with it the variables of its file that it uses, which may be its table. What the name has behind
// a slash must be what it calls a subtest.
func (s source) test(ref string) (table nodes, err error) {
	path, name, _ := strings.Cut(ref, ":")
	name, sub, _ := strings.Cut(name, "/")
	f, err := s.file(path)
	if err != nil {
		return nil, err
	}
	for _, d := range f.tree.Decls {
		if fn, ok := d.(*ast.FuncDecl); ok && fn.Recv == nil && fn.Name.Name == name {
			table = nodes{fn.Body}
		}
	}
	if table == nil || !strings.HasPrefix(name, "Test") {
		return nil, fmt.Errorf("%s has no %s", path, name)
	}
	if sub != "" && !slices.ContainsFunc(table.calls("Run"), func(args []string) bool { return len(args) > 0 && args[0] == sub }) {
		return nil, fmt.Errorf("%s in %s calls no subtest %q", name, path, sub)
	}
	return append(table, f.variables(table)...), nil
}

// variables are the values of the file's variables that some nodes use.
func (f *sourceFile) variables(used nodes) (values nodes) {
	for _, d := range f.tree.Decls {
		list, ok := d.(*ast.GenDecl)
		if !ok || list.Tok != token.VAR {
			continue
		}
		for _, spec := range list.Specs {
			if v := spec.(*ast.ValueSpec); used.uses(v.Names[0].Name) {
				values = append(values, v)
			}
		}
	}
	return values
}

// nodes are parts of a file.
type nodes []ast.Node

func (n nodes) each(visit func(ast.Node)) {
	for _, one := range n {
		ast.Inspect(one, func(at ast.Node) bool {
			visit(at)
			return true
		})
	}
}

func (n nodes) uses(name string) (found bool) {
	n.each(func(at ast.Node) {
		id, ok := at.(*ast.Ident)
		found = found || ok && id.Name == name
	})
	return found
}

// calls are the texts that the calls of a method have for arguments.
func (n nodes) calls(method string) (all [][]string) {
	n.each(func(at ast.Node) {
		if call, ok := at.(*ast.CallExpr); ok {
			if to, ok := call.Fun.(*ast.SelectorExpr); ok && to.Sel.Name == method {
				all = append(all, texts(call.Args))
			}
		}
	})
	return all
}

// has demands a literal of a table with all of some texts in it.
func (n nodes) has(want ...string) error {
	found := false
	n.each(func(at ast.Node) {
		if entry, ok := at.(*ast.CompositeLit); ok {
			have := texts(entry.Elts)
			found = found || !slices.ContainsFunc(want, func(w string) bool { return !slices.Contains(have, w) })
		}
	})
	if !found {
		return fmt.Errorf("the test has no entry with %q", want)
	}
	return nil
}

// texts are those of the expressions that are texts, keys and values among them.
func texts(all []ast.Expr) (found []string) {
	for _, e := range all {
		if pair, ok := e.(*ast.KeyValueExpr); ok {
			found = append(found, texts([]ast.Expr{pair.Key, pair.Value})...)
		}
		if lit, ok := e.(*ast.BasicLit); ok && lit.Kind == token.STRING {
			if text, err := strconv.Unquote(lit.Value); err == nil {
				found = append(found, text)
			}
		}
	}
	return found
}
