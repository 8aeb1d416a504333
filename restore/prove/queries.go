package prove

import (
	"errors"
	"fmt"
	"io"

	"go.yaml.in/yaml/v3"
)

// Bounds of a file of queries. People write it.
const (
	maxQueries     = 1000
	maxQueriesFile = 1 << 20
)

// Query is a query with its answer: how many rows it has, or the rows themselves, in their order. Without either it must be
// answered at all.
type Query struct {
	Query  string `yaml:"query"`
	Rows   *int   `yaml:"rows"`
	Result []Row  `yaml:"result"`
}

// compares tells whether there is anything to compare the answer with.
func (q *Query) compares() bool { return q.Rows != nil || q.Result != nil }

// Row has the values of a row as [node.Node.Select] has them. In YAML a value is any scalar as it is written there; null is
// null.
type Row []string

// UnmarshalYAML implements yaml.Unmarshaler.
func (r *Row) UnmarshalYAML(n *yaml.Node) error {
	if n.Kind != yaml.SequenceNode {
		return fmt.Errorf("line %d: a row is a list of values", n.Line)
	}
	for _, v := range n.Content {
		switch {
		case v.Kind != yaml.ScalarNode:
			return fmt.Errorf("line %d: a value is written as text, in quotes where it has brackets", v.Line)
		case v.Tag == "!!null":
			*r = append(*r, "null")
		default:
			*r = append(*r, v.Value)
		}
	}
	return nil
}

// ReadQueries reads a list of queries in YAML:
//
//   - query: SELECT name, code FROM shop.customers WHERE id = 7
//     result: [[amber, 12]]
//   - query: SELECT * FROM shop.files WHERE name = 'file-000001'
//     rows: 4
func ReadQueries(r io.Reader) ([]Query, error) {
	in := &io.LimitedReader{R: r, N: maxQueriesFile + 1}
	d := yaml.NewDecoder(in)
	d.KnownFields(true)
	var all []Query
	err := d.Decode(&all)
	switch {
	case in.N == 0:
		err = fmt.Errorf("more than %d bytes", maxQueriesFile)
	case errors.Is(err, io.EOF):
		err = errors.New("it has none")
	case err == nil && len(all) > maxQueries:
		err = fmt.Errorf("%d queries, more than %d", len(all), maxQueries)
	case err == nil && !errors.Is(d.Decode(&yaml.Node{}), io.EOF):
		err = errors.New("it has a second document")
	}
	for i := 0; err == nil && i < len(all); i++ {
		if err = all[i].check(); err != nil {
			err = fmt.Errorf("query %d: %w", i+1, err)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("read queries: %w", err)
	}
	return all, nil
}

func (q *Query) check() error {
	switch {
	case q.Query == "":
		return errors.New("no query")
	case q.Rows != nil && (*q.Rows < 0 || *q.Rows > maxRows):
		return fmt.Errorf("%d rows, not 0 to %d", *q.Rows, maxRows)
	case len(q.Result) > maxRows:
		return fmt.Errorf("a result of %d rows, more than %d", len(q.Result), maxRows)
	case q.Rows != nil && q.Result != nil && *q.Rows != len(q.Result):
		return fmt.Errorf("%d rows, and a result of %d", *q.Rows, len(q.Result))
	}
	return nil
}
