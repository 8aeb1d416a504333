package node

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// maxYAML is far above any cassandra.yaml; the one that ships has 130 KiB.
const maxYAML = 4 << 20

// Layout is what cassandra.yaml says of a node's directories. All paths are
// absolute. Apart from DataDirs a path is empty where the file does not give it:
// Cassandra's defaults hang on the environment of its process.
type Layout struct {
	// DataDirs are data_file_directories in their order, then
	// local_system_data_file_directory where that is another one.
	DataDirs []string
	// UserDirs is how many of DataDirs, from the first, may hold tables of users.
	UserDirs int
	// SystemDir is local_system_data_file_directory, one of DataDirs; empty where
	// it is not given.
	SystemDir   string
	CommitLog   string
	Hints       string
	SavedCaches string
	CDCRaw      string
	ClusterName string
	// StorageMode is storage_compatibility_mode, since 5.0: empty where it is not
	// given, which means CASSANDRA_4.
	StorageMode string
	// NumTokens is num_tokens: 1 where the file does not give it, 0 where what it
	// gives is no number.
	NumTokens int
	// NoCQL is start_native_transport: false.
	NoCQL bool
}

type cassandraYAML struct {
	ClusterName string   `yaml:"cluster_name"`
	Data        []string `yaml:"data_file_directories"`
	LocalSystem string   `yaml:"local_system_data_file_directory"` // since 4.0
	CommitLog   string   `yaml:"commitlog_directory"`
	Hints       string   `yaml:"hints_directory"`
	SavedCaches string   `yaml:"saved_caches_directory"`
	CDCRaw      string   `yaml:"cdc_raw_directory"`
	StorageMode string   `yaml:"storage_compatibility_mode"`
	NumTokens   string   `yaml:"num_tokens"`
	CQL         *bool    `yaml:"start_native_transport"`
}

func readLayout(path string) (Layout, error) {
	b, err := ReadBounded(path, maxYAML)
	if err != nil {
		return Layout{}, fmt.Errorf("read cassandra.yaml: %w; check cassandra.config in the config", err)
	}
	var y cassandraYAML
	if err := yaml.Unmarshal(b, &y); err != nil {
		return Layout{}, fmt.Errorf("parse %s: %s", path, oneLine(err.Error()))
	}
	if len(y.Data) == 0 {
		return Layout{}, fmt.Errorf("%s has no data_file_directories; name the data directories there, as Cassandra uses them", path)
	}
	l := y.layout()
	if err := l.check(); err != nil {
		return Layout{}, fmt.Errorf("%s: %w", path, err)
	}
	return l, nil
}

func (y cassandraYAML) layout() Layout {
	l := Layout{
		CommitLog:   y.CommitLog,
		Hints:       y.Hints,
		SavedCaches: y.SavedCaches,
		CDCRaw:      y.CDCRaw,
		ClusterName: y.ClusterName,
		StorageMode: y.StorageMode,
		NumTokens:   1,
		NoCQL:       y.CQL != nil && !*y.CQL,
	}
	if y.NumTokens != "" {
		l.NumTokens, _ = strconv.Atoi(y.NumTokens)
	}
	for _, dir := range y.Data {
		l.add(dir)
	}
	l.UserDirs = len(l.DataDirs)
	if y.LocalSystem != "" {
		l.SystemDir = filepath.Clean(y.LocalSystem)
		l.add(l.SystemDir)
	}
	return l
}

func (l *Layout) add(dir string) {
	if clean := filepath.Clean(dir); dir != "" && !slices.Contains(l.DataDirs, clean) {
		l.DataDirs = append(l.DataDirs, clean)
	}
}

// systemEverywhere are the tables of keyspace system that lie in the directories
// of users' tables all the same: they may become large. The names are those of
// SystemKeyspace.TABLES_SPLIT_ACROSS_MULTIPLE_DISKS in Cassandra 4.0 to 5.0.
var systemEverywhere = []string{"batches", "paxos", "compaction_history", "prepared_statements", "repairs"}

// InSystemDir tells whether Cassandra keeps a table in SystemDir, where there is
// one.
func InSystemDir(keyspace, table string) bool {
	switch keyspace {
	case "system", "system_schema":
		return !slices.Contains(systemEverywhere, table)
	}
	return false
}

// check refuses relative paths: Cassandra resolves them against its own working
// directory, which is not ours.
func (l Layout) check() error {
	if len(l.DataDirs) == 0 {
		return errors.New("data_file_directories holds only empty names")
	}
	for _, dir := range append(slices.Clone(l.DataDirs), l.CommitLog, l.Hints, l.SavedCaches, l.CDCRaw) {
		if dir != "" && !filepath.IsAbs(dir) {
			return fmt.Errorf("directory %q is not an absolute path", dir)
		}
	}
	return nil
}

// ReadBounded reads a whole file of at most limit bytes.
func ReadBounded(path string, limit int64) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s is larger than %d bytes", path, limit)
	}
	return b, err
}
