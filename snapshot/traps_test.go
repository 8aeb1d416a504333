package snapshot

import (
	"bytes"
	"fmt"
	"io"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// site is a node with table t of one SSTable, nb-1-big, and the backups that are taken of it.
type site struct {
	*rig
	n     *fakeNode
	dir   string              // of the table
	taken []string            // names of the backups
	lay   []map[string]string // what lay on the node at each
}

func newSite(t *testing.T) *site {
	t.Helper()
	s := &site{rig: newRig(t), n: newNode(t, hostA, 1)}
	s.dir = filepath.Join(s.n.Layout().DataDirs[0], s.n.table(0, "t", 1))
	s.n.sstable(s.rel(), "nb-1-big-", 1, 100_000)
	s.n.put(s.rel()+"/nb-1-big-Summary.db", noise(104, 300))
	return s
}

func (s *site) rel() string                  { return "ks/" + filepath.Base(s.dir) }
func (s *site) path(component string) string { return filepath.Join(s.dir, "nb-1-big-"+component) }

// backup takes one. It and all before it must hold what lay there then.
func (s *site) backup() {
	s.t.Helper()
	name := fmt.Sprint(len(s.taken))
	s.take(s.n, name)
	s.held(name, s.live())
}

// held notes what a backup must hold and looks at all.
func (s *site) held(name string, want map[string]string) {
	s.t.Helper()
	s.taken, s.lay = append(s.taken, name), append(s.lay, want)
	for i, name := range s.taken {
		s.mustHold(name, s.lay[i])
	}
}

// ofTag backs up an operator's snapshot, taken when the files were those of a backup.
func (s *site) ofTag(tag string, backup int) {
	s.t.Helper()
	s.opened = nil
	opt := s.options(tag)
	opt.Way, opt.Tag = WayExisting, tag
	if _, err := Take(s.t.Context(), s.repo, s.n, opt); err != nil {
		s.t.Fatal(err)
	}
	s.held(tag, s.lay[backup])
}

// live returns the files of the node but for those in snapshots.
func (s *site) live() map[string]string {
	files := s.n.live()
	maps.DeleteFunc(files, func(name, _ string) bool { return strings.Contains(name, "/snapshots/") })
	return files
}

// overwrite writes a file anew as Cassandra does: through the same inode, with the mtime of a time after the last backup.
func (s *site) overwrite(component, content string) {
	s.t.Helper()
	writeFile(s.t, s.path(component), content)
	s.n.age(s.path(component), s.clock.Add(time.Minute))
}

// reuse gives the SSTable's name to another of the same sizes. With unseen, inodes and mtimes stay as they were.
func (s *site) reuse(seed byte, unseen bool) {
	s.t.Helper()
	old := s.live()
	if !unseen {
		s.clear()
	}
	for name, was := range old {
		component := strings.TrimPrefix(filepath.Base(name), "nb-1-big-")
		content := noise(seed+byte(len(component)), len(was))
		switch component {
		case "TOC.txt":
			content = was
		case "Digest.crc32":
			content = digest(seed)[:len(was)]
		}
		if unseen {
			s.n.rewrite(s.path(component), content)
		} else {
			s.overwrite(component, content)
		}
	}
}

// clear removes the SSTable, as TRUNCATE and compaction do.
func (s *site) clear() {
	s.t.Helper()
	for _, f := range s.files() {
		if err := os.Remove(f); err != nil {
			s.t.Fatal(err)
		}
	}
}

func (s *site) files() []string {
	s.t.Helper()
	files, err := filepath.Glob(s.path("*"))
	if err != nil || len(files) == 0 {
		s.t.Fatal(files, err)
	}
	return files
}

// putBack makes the files what they were at a backup: new inodes, the mtimes of before, as restores and copies do.
func (s *site) putBack(backup int) {
	s.t.Helper()
	for name, content := range s.lay[backup] {
		s.n.replace(filepath.Join(s.dir, filepath.Base(name)), content)
	}
}

// during has a file changed when it is opened for the first time, its snapshot link with it. With written, something of it
// has been read by then.
func (s *site) during(component string, change func(path string)) {
	opened := 0
	s.open = func(path string) (io.ReadCloser, error) {
		f, err := OpenFile(path)
		if err != nil || !strings.HasSuffix(path, component) {
			return f, err
		}
		if opened++; opened > 1 {
			return f, nil
		}
		head := make([]byte, 10)
		n, err := io.ReadFull(f, head)
		if err != nil {
			return nil, err
		}
		change(path)
		return struct {
			io.Reader
			io.Closer
		}{io.MultiReader(bytes.NewReader(head[:n]), f), f}, nil
	}
}

// relabel changes the layout byte of what is remembered of the SSTable.
func (s *site) relabel(layout byte) {
	s.t.Helper()
	s.facts(hostA, func(f *facts) {
		for _, key := range s.n.factKeys(f) {
			b, err := f.s.Facts().Fact(key)
			if err != nil {
				s.t.Fatal(err)
			}
			b = slices.Clone(b)
			b[8] = layout
			if err := f.s.Facts().PutFact(key, b); err != nil {
				s.t.Fatal(err)
			}
		}
	})
}

// cache is where what is remembered of a node lies.
func (s *site) cache(host string) string { return filepath.Join(s.state, "cache", s.repo.ID(), host) }

func (s *site) copyCache(from, to string) {
	s.t.Helper()
	if err := os.RemoveAll(to); err != nil {
		s.t.Fatal(err)
	}
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.t.Fatal(err)
	}
}

// asHostB backs the same directories up as another node, whose backups are not among the site's.
func (s *site) asHostB() {
	s.t.Helper()
	other := *s.n
	other.id.HostID = hostB
	s.take(&other, fmt.Sprintf("b%d", len(s.taken)))
}

// Every way in which a file can be another than the one that is remembered, though much of it looks the same, and every way
// in which the memory can be wrong. Whatever happens, each backup holds what lay on the node when it was taken, and so do all
// before it. Where opened is given, no more is read than that.
func TestNoTrapOfTheFastPathMakesABackupWrong(t *testing.T) {
	all := append(slices.Clone(everyone), "t/nb-1-big-Summary.db")
	with := func(more ...string) []string { return append(slices.Clone(always), more...) }
	for _, c := range []struct {
		name   string
		before func(s *site)   // the first backup
		then   []func(s *site) // between each backup and the next
		opened []string        // by the last one
	}{
		// Components that Cassandra writes anew.
		{"Filter.db is rebuilt in place with the same size", nil,
			[]func(*site){func(s *site) { s.overwrite("Filter.db", noise(9, 200)) }}, with("t/nb-1-big-Filter.db")},
		{"Filter.db is rebuilt in place with another size, and back", nil, []func(*site){
			func(s *site) { s.overwrite("Filter.db", noise(9, 400)) },
			func(s *site) { s.overwrite("Filter.db", noise(102+1, 200)) },
		}, with("t/nb-1-big-Filter.db")},
		{"Filter.db grows in place and has the mtime of before", nil, []func(*site){func(s *site) {
			s.overwrite("Filter.db", noise(9, 201))
			s.n.age(s.path("Filter.db"), written)
		}}, with("t/nb-1-big-Filter.db")},
		{"Filter.db is rebuilt twice within one tick of the clock, with a backup between", nil, []func(*site){
			func(s *site) {
				s.overwrite("Filter.db", noise(9, 200))
				s.n.age(s.path("Filter.db"), s.clock.Add(time.Hour))
			},
			func(s *site) { s.n.rewrite(s.path("Filter.db"), noise(10, 200)) },
		}, with("t/nb-1-big-Filter.db")},
		{"Filter.db is rebuilt twice under a clock that runs ahead", nil, []func(*site){
			func(s *site) {
				s.overwrite("Filter.db", noise(9, 200))
				s.n.age(s.path("Filter.db"), s.clock.Add(72*time.Hour))
			},
			func(s *site) { s.n.rewrite(s.path("Filter.db"), noise(10, 200)) },
		}, with("t/nb-1-big-Filter.db")},
		{"Filter.db is rebuilt in place while it is read", nil, []func(*site){func(s *site) {
			s.overwrite("Filter.db", noise(9, 200))
			s.during("Filter.db", func(string) {
				s.overwrite("Filter.db", noise(10, 300))
			})
		}}, append(with("t/nb-1-big-Filter.db"), "t/nb-1-big-Filter.db")},
		{"Filter.db is rebuilt in place with the same size while it is read", nil, []func(*site){func(s *site) {
			s.overwrite("Filter.db", noise(9, 200))
			s.during("Filter.db", func(string) {
				s.overwrite("Filter.db", noise(10, 200))
				s.n.age(s.path("Filter.db"), s.clock.Add(time.Hour))
			})
		}}, append(with("t/nb-1-big-Filter.db"), "t/nb-1-big-Filter.db")},
		{"TOC.txt is rewritten on the same inode", nil,
			[]func(*site){func(s *site) { s.overwrite("TOC.txt", "Data.db\nTOC.txt\nSI_x.db\n") }}, always},
		{"TOC.txt is rewritten with the same size and mtime", nil,
			[]func(*site){func(s *site) { s.n.rewrite(s.path("TOC.txt"), "TOC.txt\nData.db\n") }}, always},
		{"TOC.txt of many components is rewritten with the same size and mtime",
			func(s *site) { s.overwrite("TOC.txt", strings.Repeat("Data.db\nTOC.txt\n", 20)) },
			[]func(*site){func(s *site) { s.n.rewrite(s.path("TOC.txt"), strings.Repeat("TOC.txt\nData.db\n", 20)) }}, always},
		{"TOC.txt is appended to while it is read", nil, []func(*site){func(s *site) {
			s.during("TOC.txt", func(string) { s.overwrite("TOC.txt", "Data.db\nTOC.txt\nSI_x.db\n") })
		}}, append(with(), "t/nb-1-big-TOC.txt")},
		{"TOC.txt becomes shorter while it is read", nil, []func(*site){func(s *site) {
			s.overwrite("TOC.txt", "Data.db\nData.db\nTOC.txt\n")
			s.during("TOC.txt", func(string) { s.overwrite("TOC.txt", "Data.db\nTOC.txt\n") })
		}}, append(with(), "t/nb-1-big-TOC.txt")},
		{"Statistics.db is replaced by one of the same size and mtime", nil,
			[]func(*site){func(s *site) { s.n.replace(s.path("Statistics.db"), noise(9, 500)) }}, always},
		{"Statistics.db is replaced by one of another size", nil,
			[]func(*site){func(s *site) { s.n.replace(s.path("Statistics.db"), noise(9, 600)) }}, always},
		{"Statistics.db is written anew in place with the same mtime", nil,
			[]func(*site){func(s *site) { s.n.rewrite(s.path("Statistics.db"), noise(9, 500)) }}, always},
		{"Summary.db is removed and made anew with the same size and mtime", nil,
			[]func(*site){func(s *site) { s.n.replace(s.path("Summary.db"), noise(9, 300)) }}, with("t/nb-1-big-Summary.db")},
		{"Summary.db is removed and made anew on its old inode", nil,
			[]func(*site){func(s *site) { s.overwrite("Summary.db", noise(9, 300)) }}, with("t/nb-1-big-Summary.db")},
		{"Summary.db is made anew with another size", nil,
			[]func(*site){func(s *site) { s.n.replace(s.path("Summary.db"), noise(9, 600)) }}, with("t/nb-1-big-Summary.db")},

		// The name stands for another SSTable.
		{"the name is reused after a truncation and a restart", nil,
			[]func(*site){func(s *site) { s.reuse(9, false) }}, all},
		{"the name is reused with the sizes, inodes and mtimes of before", nil,
			[]func(*site){func(s *site) { s.reuse(9, true) }}, all},
		{"the name is reused and goes back to the first SSTable", nil,
			[]func(*site){func(s *site) { s.reuse(9, true) }, func(s *site) { s.putBack(0) }}, all},
		{"the node is restored to before its name was reused", nil,
			[]func(*site){func(s *site) { s.reuse(9, false) }, func(s *site) { s.putBack(0) }, func(s *site) { s.putBack(1) }}, all},
		{"the node is replaced and its files have the mtimes of before", nil,
			[]func(*site){func(s *site) { s.putBack(0) }}, all},
		{"the name is reused by an SSTable without a digest, with all else as it was", func(s *site) { drop(s, "Digest.crc32") },
			[]func(*site){func(s *site) { s.reuse(9, true) }}, slices.DeleteFunc(slices.Clone(all), isDigestPath)},
		{"the name is reused and both digests are empty files", func(s *site) { s.n.put(s.rel()+"/nb-1-big-Digest.crc32", "") },
			[]func(*site){func(s *site) { s.reuse(9, true) }}, all},
		{"the name is reused and both digests are no numbers", func(s *site) { s.n.put(s.rel()+"/nb-1-big-Digest.crc32", "no digit") },
			[]func(*site){func(s *site) { s.reuse(9, true); s.n.rewrite(s.path("Digest.crc32"), "no digit") }}, all},
		{"the name is reused and the digest went away", nil,
			[]func(*site){func(s *site) { s.reuse(9, true); drop(s, "Digest.crc32") }}, slices.DeleteFunc(slices.Clone(all), isDigestPath)},
		{"an operator's snapshot of before the name was reused is backed up in between", func(s *site) {
			if err := s.n.Snapshot(s.t.Context(), "before"); err != nil {
				s.t.Fatal(err)
			}
		}, []func(*site){func(s *site) { s.reuse(9, false) }, func(s *site) { s.ofTag("before", 0) }}, all},
		{"the SSTable goes and another comes", nil, []func(*site){func(s *site) {
			s.clear()
			s.n.sstable(s.rel(), "nb-2-big-", 9, 100_000)
		}}, nil},
		{"the same content comes under another generation", nil, []func(*site){func(s *site) {
			for _, f := range s.files() {
				if err := os.Rename(f, strings.Replace(f, "nb-1-", "nb-2-", 1)); err != nil {
					s.t.Fatal(err)
				}
			}
		}}, nil},
		{"the table is dropped and made again under its name", nil, []func(*site){func(s *site) {
			if err := os.RemoveAll(s.dir); err != nil {
				s.t.Fatal(err)
			}
			s.n.sstable(s.n.table(0, "t", 2), "nb-1-big-", 9, 100_000)
		}}, everyone},
		{"the table is truncated and stays empty", nil, []func(*site){func(s *site) { s.clear() }}, nil},

		// What does not concern the content.
		{"other hard links come and go", nil, []func(*site){
			func(s *site) {
				if err := s.n.Snapshot(s.t.Context(), "another"); err != nil {
					s.t.Fatal(err)
				}
			},
			func(s *site) {
				if err := s.n.ClearSnapshot(s.t.Context(), "another"); err != nil {
					s.t.Fatal(err)
				}
			},
		}, with()},
		{"a file is read and its mode is changed", nil, []func(*site){func(s *site) {
			readFile(s.t, s.path("Data.db"))
			if err := os.Chmod(s.path("Data.db"), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}}, with()},

		// The memory is another's, of another time, or gone.
		{"the cache was written in an older layout", nil, []func(*site){func(s *site) { s.relabel(factLayout - 1) }}, all},
		{"the cache was written in a newer layout", nil, []func(*site){func(s *site) { s.relabel(factLayout + 1) }}, all},
		{"the cache was lost and the name is reused", nil, []func(*site){func(s *site) {
			if err := os.RemoveAll(s.state); err != nil {
				s.t.Fatal(err)
			}
			s.reuse(9, true)
		}}, all},
		{"the cache is of before the name was reused", nil, []func(*site){
			func(s *site) { s.copyCache(s.cache(hostA), s.state+".old"); s.reuse(9, true) },
			func(s *site) { s.copyCache(s.state+".old", s.cache(hostA)) },
		}, all},
		{"the cache is of after the node was set back", nil, []func(*site){
			func(s *site) { s.reuse(9, true) },
			func(s *site) { s.reuse(1, true) },
		}, all},
		{"the cache is that of another node with these very files", nil,
			[]func(*site){func(s *site) { s.asHostB(); s.copyCache(s.cache(hostB), s.cache(hostA)) }}, nil},
		{"the cache is that of another node, which has these names, sizes, inodes and mtimes", nil, []func(*site){
			func(s *site) { s.asHostB(); s.reuse(9, true); s.copyCache(s.cache(hostB), s.cache(hostA)) }}, all},
		{"the first backup of a node finds the cache of the node it was copied from",
			func(s *site) { s.asHostB(); s.copyCache(s.cache(hostB), s.cache(hostA)) }, nil, nil},

		// The clock.
		{"the clock steps back and a file is written", nil, []func(*site){func(s *site) {
			s.clock = written.Add(-48 * time.Hour)
			s.overwrite("Filter.db", noise(9, 200))
		}}, with("t/nb-1-big-Filter.db")},
		{"the clock steps back to before the files, which are written anew with the same mtime", func(s *site) { s.clock = written.Add(-48 * time.Hour) },
			[]func(*site){func(s *site) { s.n.rewrite(s.path("Filter.db"), noise(9, 200)) }}, all},
		{"the clock stands still", nil, []func(*site){func(s *site) {
			s.clock = s.clock.Add(-time.Hour)
			s.overwrite("Filter.db", noise(9, 200))
		}, func(s *site) { s.clock = s.clock.Add(-time.Hour) }}, with()},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t)
			if c.before != nil {
				c.before(s)
			}
			s.backup()
			for _, change := range c.then {
				change(s)
				s.backup()
			}
			if c.opened != nil {
				s.mustOpen(slices.Clone(c.opened)...)
			}
		})
	}
}

func drop(s *site, component string) {
	s.t.Helper()
	if err := os.Remove(s.path(component)); err != nil {
		s.t.Fatal(err)
	}
}

func isDigestPath(path string) bool { return strings.HasSuffix(path, ".crc32") }
