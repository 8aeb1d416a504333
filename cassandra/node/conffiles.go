package node

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
)

// maxConfigFile is far above what an operator writes by hand; the largest file
// that ships, cassandra.yaml, has 130 KiB.
const maxConfigFile = 1 << 20

// leftOut stands in for the text of a file that is too large to be taken.
const leftOut = "# cbk left this file out: it is larger than 1 MiB\n"

// configNames are the files that belong to a node's configuration beside its
// cassandra.yaml, as patterns of base names.
var configNames = []string{
	"cassandra-rackdc.properties", "cassandra-topology.properties", "cassandra-env.sh",
	"jvm*.options", "commitlog_archiving.properties", "logback.xml",
}

// ConfigFiles reads a node's cassandra.yaml and the files of its configuration
// that lie in the same directory, and masks what is known to be a secret; all
// other bytes stay as they are. A file that is absent is not in the list, one
// above 1 MiB is, with a line that says so for its text. Where a file cannot be
// read, the error names it and the others come all the same.
func ConfigFiles(yaml string) ([]ConfigFile, error) {
	dir, names := filepath.Dir(yaml), []string{filepath.Base(yaml)}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("list the node's configuration: %w", err)
	}
	for _, pattern := range configNames {
		for _, e := range entries {
			if match, _ := filepath.Match(pattern, e.Name()); match && !slices.Contains(names, e.Name()) {
				names = append(names, e.Name())
			}
		}
	}
	var files []ConfigFile
	var failed []error
	for i, name := range names {
		text, err := readConfigFile(filepath.Join(dir, name))
		if err != nil {
			failed = append(failed, fmt.Errorf("read the node's configuration: %w", err))
			continue
		}
		masked, count := mask(text, rulesOf(name, i == 0))
		files = append(files, ConfigFile{Name: name, Text: masked, Masked: count})
	}
	return files, errors.Join(failed...)
}

// ConfigFiles reads the files of the node's configuration, as the function of
// this name does.
func (n *Node) ConfigFiles() ([]ConfigFile, error) { return ConfigFiles(n.cfg.YAML) }

func readConfigFile(path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, &fs.PathError{Op: "read", Path: path, Err: errors.New("not a regular file")}
	}
	if info.Size() > maxConfigFile {
		return []byte(leftOut), nil
	}
	return ReadBounded(path, maxConfigFile)
}

// rulesOf chooses how secrets are looked for in a file.
func rulesOf(name string, yaml bool) func([]byte) []span {
	switch filepath.Ext(name) {
	case ".properties", ".options":
		return wholeLines
	}
	if yaml {
		return yamlSecrets
	}
	return words
}
