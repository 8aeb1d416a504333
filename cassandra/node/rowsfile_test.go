package node_test

import (
	"encoding/hex"
	"encoding/json"
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"
	"time"

	"cbk/cassandra/schema"
)

// writeRows is how the rows in cassandra/schema/testdata are made: go test ./cassandra/node -run TestEveryRelease
// -write-rows DIR.
var writeRows = flag.String("write-rows", "", "directory to write the rows of the rich schema of each release to")

// writeRowsFile writes rows as JSON in which what JSON has no type for is an object that names it.
func writeRowsFile(t *testing.T, version string, s *schema.System) {
	t.Helper()
	if *writeRows == "" {
		return
	}
	tables := make(map[string][]map[string]any)
	for v, i := reflect.ValueOf(*s), 0; i < v.NumField(); i++ {
		for _, row := range v.Field(i).Interface().([]schema.Row) {
			written := make(map[string]any)
			for column, value := range row {
				written[column] = writtenValue(value)
			}
			tables[v.Type().Field(i).Name] = append(tables[v.Type().Field(i).Name], written)
		}
	}
	text, err := json.MarshalIndent(tables, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(*writeRows, version+".json"), append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

func writtenValue(value any) any {
	switch v := value.(type) {
	case [16]byte:
		return map[string]any{"uuid": hex.EncodeToString(v[:])}
	case []byte:
		return map[string]any{"blob": hex.EncodeToString(v)}
	case time.Time:
		return map[string]any{"time": v}
	case int:
		return map[string]any{"int": v}
	case map[string]string:
		return map[string]any{"texts": v}
	case map[string][]byte:
		return map[string]any{"blobs": v}
	case []bool:
		return map[string]any{"booleans": v}
	}
	return value
}
