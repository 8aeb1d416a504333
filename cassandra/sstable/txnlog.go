package sstable

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"regexp"
	"strconv"
	"strings"
)

// MaxLog is the most bytes a reader need take from a transaction log. A record has
// a path and some fifty bytes, and there is one for every SSTable read or written:
// this leaves room for 100,000 of them.
const MaxLog = 32 << 20

// ErrDamagedLog says that a transaction log contradicts itself, its copies or the
// files there are. Cassandra does not start on such a log.
var ErrDamagedLog = errors.New("damaged transaction log")

// LogType is what a record of a transaction log says.
type LogType string

// The types of records. A log ends with at most one of the last two.
const (
	LogAdd    LogType = "ADD"    // files being written, which go unless the transaction commits
	LogRemove LogType = "REMOVE" // files read, which go when it commits
	LogCommit LogType = "COMMIT"
	LogAbort  LogType = "ABORT"
)

func (t LogType) final() bool { return t == LogCommit || t == LogAbort }

// LogRecord is one line of a transaction log.
type LogRecord struct {
	Type       LogType
	Path       string // of the SSTable's files up to the component; up to 3.11 without the dash before it
	UpdateTime int64  // of a removal: when the newest of its files was modified, in milliseconds
	Files      int    // of an addition or removal: how many there were
}

// Operations have letters and dashes in 3.11 to 6.0; identifiers are UUIDs. Names
// of formats other than big begin with the format.
var (
	logName   = regexp.MustCompile(`^((?:[a-z]+-)?.{2}_)?txn_(.*)_(.*)\.log$`)
	logRecord = regexp.MustCompile(`(?i)^(add|remove|commit|abort):\[([^,]*),?([^,]*),?([^,]*)\]\[(\d*)\]$`)
)

// IsLog tells whether the base name of a file is a transaction log's, as
// "nb_txn_compaction_<uuid>.log" and "bti-da_txn_flush_<uuid>.log" are.
func IsLog(base string) bool { return len(base) <= maxName && logName.MatchString(base) }

// ParseLogRecord reads one line without its end, and verifies its checksum.
func ParseLogRecord(line string) (LogRecord, error) {
	m := logRecord.FindStringSubmatch(line)
	if m == nil {
		return LogRecord{}, fmt.Errorf("%q is no record", line)
	}
	r := LogRecord{Type: LogType(strings.ToUpper(m[1]))}
	update, err1 := strconv.ParseInt(m[3], 10, 64)
	files, err2 := strconv.ParseInt(m[4], 10, 32)
	sum, err3 := strconv.ParseInt(m[5], 10, 64)
	if err := errors.Join(err1, err2, err3); err != nil {
		return LogRecord{}, fmt.Errorf("%q is no record", line)
	}
	if r.Type == LogRemove {
		r.UpdateTime = update
	}
	if !r.Type.final() {
		r.Path, r.Files = m[2], int(files)
	}
	if want := int64(r.checksum()); sum != want {
		return LogRecord{}, fmt.Errorf("record %q has checksum %d, not %d", line, want, sum)
	}
	return r, nil
}

// String is the line as Cassandra writes it:
//
//	TYPE:[path,update time,files][checksum]
func (r LogRecord) String() string {
	return fmt.Sprintf("%s:[%s,%d,%d][%d]", r.Type, r.Path, r.UpdateTime, r.Files, r.checksum())
}

// checksum is the CRC32 of path, type, both halves of the time, the lower first,
// and the number of files.
func (r LogRecord) checksum() uint32 {
	b := []byte(r.Path + string(r.Type))
	b = binary.BigEndian.AppendUint32(b, uint32(r.UpdateTime))
	b = binary.BigEndian.AppendUint32(b, uint32(r.UpdateTime>>32))
	b = binary.BigEndian.AppendUint32(b, uint32(r.Files))
	return crc32.ChecksumIEEE(b)
}

// split returns the directory of the record's files and the prefix of their names.
func (r LogRecord) split() (dir, prefix string) {
	at := strings.LastIndexByte(r.Path, '/')
	return r.Path[:max(at, 0)], strings.TrimSuffix(r.Path[at+1:], "-") + "-"
}

// txnLog is a transaction log read from all its copies.
type txnLog struct {
	records []LogRecord
	damaged bool // the last line is not whole everywhere, or is no record
}

// committed tells whether the last record says so, be it in one copy only.
func (l txnLog) committed() bool {
	return len(l.records) > 0 && l.records[len(l.records)-1].Type == LogCommit
}

func (l txnLog) completed() bool {
	return len(l.records) > 0 && l.records[len(l.records)-1].Type.final()
}

// parseLog reads the copies of one log. They hold the same lines, but that each
// may end early, and may end with a part of its last line.
func parseLog(copies [][]byte) (txnLog, error) {
	lines := make([][]string, len(copies))
	most := 0
	for i, b := range copies {
		if len(b) > MaxLog {
			return txnLog{}, fmt.Errorf("%d bytes, more than %d", len(b), MaxLog)
		}
		lines[i] = splitLines(string(b))
		most = max(most, len(lines[i]))
	}
	var l txnLog
	seen := make(map[LogRecord]bool)
	for n := range most {
		line, same, err := mergeLines(lines, n)
		if err != nil {
			return txnLog{}, err
		}
		last := n == most-1
		if !same && !last {
			return txnLog{}, fmt.Errorf("line %q is not whole in every copy", line)
		}
		l.damaged = !same
		r, err := ParseLogRecord(line)
		switch {
		case err != nil && !last:
			return txnLog{}, err
		case err != nil:
			l.damaged = true
			return l, nil
		case r.Type.final() && !last:
			return txnLog{}, fmt.Errorf("lines behind %q", line)
		case seen[r]:
			return txnLog{}, fmt.Errorf("line %q twice", line)
		}
		seen[r] = true
		l.records = append(l.records, r)
	}
	return l, nil
}

func splitLines(text string) []string {
	if text == "" {
		return nil
	}
	all := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := range all {
		all[i] = strings.TrimSuffix(all[i], "\r")
	}
	return all
}

// mergeLines returns line n, the longest of the copies, and whether all that have
// it have it whole.
func mergeLines(copies [][]string, n int) (line string, same bool, err error) {
	for _, lines := range copies {
		if n < len(lines) && len(lines[n]) > len(line) {
			line = lines[n]
		}
	}
	same = true
	for _, lines := range copies {
		if n >= len(lines) || lines[n] == line {
			continue
		}
		if !strings.HasPrefix(line, lines[n]) {
			return "", false, fmt.Errorf("line %q in one copy is %q in another", line, lines[n])
		}
		same = false
	}
	return line, same, nil
}
