package main

import (
	"cmp"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/urfave/cli/v2"
)

// maxMetricsFile bounds the earlier file that is read: what cbk writes has some 4 KiB.
const maxMetricsFile = 1 << 20

const lastSuccess = "cbk_backup_last_success_timestamp_seconds"

// metricsFlag names the file for Prometheus.
func metricsFlag() cli.Flag {
	return &cli.StringFlag{Name: "metrics-file", Usage: "write what came of the backup to `FILE`, for the textfile collector of Prometheus's node exporter; it must end in .prom"}
}

// backupRun is what a backup tells a monitoring system, in plain numbers.
type backupRun struct {
	Cluster, Node     string // empty if the run ended before it knew them
	Started, Finished time.Time
	Exit              int
	Requests          requestsJSON
	// Recorded says that there is a backup. Only then the numbers below are told: a zero would read as an empty backup.
	Recorded                                             bool
	BytesSource, BytesNew, BytesStored, BytesCopied      int64
	Tables, SSTables, Files, Unchanged, Damaged, Missing int
}

// measured runs a backup and writes what came of it, whatever its end, to the metrics file if there is one. A file that
// cannot be written is a warning: it changes nothing about the backup.
func measured(c *cli.Context, backup func(*backupRun) error) error {
	file := c.String("metrics-file")
	if cfg, err := loadConfig(c); err == nil { // else the backup fails by it, and says so
		file = cmp.Or(file, cfg.MetricsFile)
	}
	run := backupRun{Started: time.Now()}
	err := backup(&run)
	if file == "" {
		return err
	}
	run.Finished, run.Exit = time.Now(), exitCode(err)
	if failed := writeMetrics(file, run); failed != nil {
		if log, logErr := logger(c); logErr == nil {
			log.Warn("metrics not written", "file", file, "error", failed)
		}
	}
	return err
}

// writeMetrics replaces the file as a whole. What a run does not know it keeps from the file it replaces: the time of
// the last success, and whose metrics these are.
func writeMetrics(file string, run backupRun) error {
	success, err := readMetrics(file, &run)
	if err != nil {
		return err
	}
	if run.Exit == exitOK {
		success = seconds(run.Finished)
	}
	r := prometheus.NewRegistry()
	m := gauges{prometheus.WrapRegistererWith(prometheus.Labels{"cluster": run.Cluster, "node": run.Node}, r)}
	m.info("cbk_build_info", "The cbk that ran last.", prometheus.Labels{"version": version(), "goversion": runtime.Version()})
	m.set("cbk_backup_last_run_timestamp_seconds", "When the last backup ended, however it ended.", seconds(run.Finished))
	if success > 0 {
		m.set(lastSuccess, "When the last backup that ended with exit code 0 ended.", success)
	}
	m.set("cbk_backup_exit_code", "Exit code of the last backup.", float64(run.Exit))
	m.set("cbk_backup_duration_seconds", "How long the last backup took.", run.Finished.Sub(run.Started).Seconds())
	q := run.Requests
	m.vec("cbk_backup_requests", "Requests of the last backup to the store.", "op",
		map[string]int64{"put": q.Put, "get": q.Get, "head": q.Head, "list": q.List, "copy": q.Copy})
	if run.Recorded {
		m.content(&run)
	}
	return prometheus.WriteToTextfile(file, r)
}

// gauges registers gauges with their values. Names and labels are constants of this file: none can be refused.
type gauges struct{ r prometheus.Registerer }

func (g gauges) set(name, help string, value float64) {
	v := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	v.Set(value)
	g.r.MustRegister(v)
}

func (g gauges) info(name, help string, labels prometheus.Labels) {
	v := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help, ConstLabels: labels})
	v.Set(1)
	g.r.MustRegister(v)
}

func (g gauges) vec(name, help, label string, values map[string]int64) {
	v := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: name, Help: help}, []string{label})
	for of, value := range values {
		v.WithLabelValues(of).Set(float64(value))
	}
	g.r.MustRegister(v)
}

func (g gauges) content(run *backupRun) {
	g.vec("cbk_backup_bytes", "Bytes of the last backup: of its files on the node, new to the repository, stored for it, copied by the store.", "kind",
		map[string]int64{"source": run.BytesSource, "new": run.BytesNew, "stored": run.BytesStored, "copied": run.BytesCopied})
	for _, m := range []struct {
		name, help string
		value      int
	}{
		{"cbk_backup_tables", "Tables in the last backup.", run.Tables},
		{"cbk_backup_sstables", "SSTables in the last backup.", run.SSTables},
		{"cbk_backup_files", "Files in the last backup.", run.Files},
		{"cbk_backup_files_unchanged", "Files in the last backup that were as at an earlier one.", run.Unchanged},
		{"cbk_backup_damaged_sstables", "SSTables in the last backup that were damaged on the node.", run.Damaged},
		{"cbk_backup_missing_tables", "Tables that the last backup lacks.", run.Missing},
	} {
		g.set(m.name, m.help, float64(m.value))
	}
}

func seconds(t time.Time) float64 { return float64(t.UnixMilli()) / 1000 }

// readMetrics returns the time of the last success in an earlier file, 0 if it has none, and gives the run the cluster
// and node that it does not know. Another program's file is an error; one that a crash has left unreadable is as none.
func readMetrics(file string, run *backupRun) (success float64, err error) {
	if filepath.Ext(file) != ".prom" {
		return 0, errors.New("the name does not end in .prom: the collector would not read it")
	}
	families, err := parseMetrics(file)
	if err != nil {
		return 0, err
	}
	if len(families) == 0 {
		return 0, nil
	}
	build := families["cbk_build_info"].GetMetric()
	if len(build) == 0 {
		return 0, errors.New("it holds the metrics of another program")
	}
	labels := map[string]string{}
	for _, l := range build[0].GetLabel() {
		labels[l.GetName()] = l.GetValue()
	}
	if run.Cluster == "" && run.Node == "" {
		run.Cluster, run.Node = labels["cluster"], labels["node"]
	}
	if m := families[lastSuccess].GetMetric(); len(m) > 0 && run.Cluster == labels["cluster"] && run.Node == labels["node"] {
		success = m[0].GetGauge().GetValue()
	}
	return success, nil
}

// parseMetrics returns nothing of a file that is not there or cannot be parsed.
func parseMetrics(file string) (map[string]*dto.MetricFamily, error) {
	info, err := os.Stat(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	if !info.Mode().IsRegular() {
		return nil, errors.New("it is no file") // a fifo would be waited for
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(io.LimitReader(f, maxMetricsFile))
	if err != nil {
		return nil, nil
	}
	return families, nil
}
