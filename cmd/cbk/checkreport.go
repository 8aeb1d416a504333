package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"cbk/snapshot"
)

// reportJSON is cbk.check-report/1: the evidence of one check.
type reportJSON struct {
	Schema     string             `json:"schema"`
	Version    string             `json:"cbk_version"`
	Repository string             `json:"repository"`
	Started    string             `json:"started"`
	Finished   string             `json:"finished"`
	Key        string             `json:"key"`
	Role       string             `json:"role"`
	TrustHead  headJSON           `json:"trust_log"`
	Record     recordJSON         `json:"record"`
	Roots      snapshot.RootsSeen `json:"roots"`
	Check      checkJSON          `json:"check"`
}

type headJSON struct {
	Statements uint64 `json:"statements"`
	SHA256     string `json:"sha256"`
}

type recordJSON struct {
	Name   string `json:"name"`
	SHA256 string `json:"sha256"`
}

func reportDocument(r *checked) reportJSON {
	doc := reportJSON{Schema: "cbk.check-report/1", Version: version(), Repository: r.repository, Started: clock(r.Started), Finished: clock(r.Finished),
		Key: r.key, Role: r.role, TrustHead: headJSON{r.head, r.headHash}, Roots: r.Roots, Check: checkDocument(r)}
	if doc.Roots.Roots == nil {
		doc.Roots.Roots = []string{}
	}
	if r.record.Name != "" {
		doc.Record = recordJSON{r.record.Name, r.record.ID.String()}
	}
	return doc
}

// writeReport writes the evidence as a whole or not at all.
func writeReport(file string, r *checked) error {
	var text bytes.Buffer
	if err := printJSON(&text, reportDocument(r)); err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(file), ".cbk-report-")
	if err != nil {
		return fmt.Errorf("report: %w", err)
	}
	_, err = f.Write(text.Bytes())
	if err = errors.Join(err, f.Chmod(0o644), f.Sync(), f.Close()); err == nil {
		err = os.Rename(f.Name(), file)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("report: %w", err), os.Remove(f.Name()))
	}
	return nil
}
