package main

import (
	"errors"
	"path/filepath"

	"github.com/prometheus/client_golang/prometheus"

	"cbk/snapshot"
)

// checkInfo marks a file of these metrics. It has another name than a backup's: one collector may read both.
const checkInfo = "cbk_check_info"

// writeCheckMetrics replaces the file as a whole, unless it holds something else.
func writeCheckMetrics(file, repository string, st *snapshot.CheckStatus) error {
	if filepath.Ext(file) != ".prom" {
		return errors.New("the name does not end in .prom: the collector would not read it")
	}
	families, err := parseMetrics(file)
	if err != nil {
		return err
	}
	if len(families) > 0 && families[checkInfo] == nil {
		return errors.New("it holds other metrics: choose another file")
	}
	r := prometheus.NewRegistry()
	m := gauges{prometheus.WrapRegistererWith(prometheus.Labels{"repository": repository}, r)}
	m.info(checkInfo, "The cbk that wrote this.", prometheus.Labels{"version": version()})
	m.set("cbk_check_status_timestamp_seconds", "When this was found out.", seconds(st.Now))
	m.set("cbk_check_packs", "Packs of the repository.", float64(st.Packs))
	m.set("cbk_check_pack_bytes", "Bytes of these packs.", float64(st.Bytes))
	kinds := map[string]*snapshot.Coverage{snapshot.Unaltered: &st.Unaltered, snapshot.Readable: &st.Readable}
	never, neverBytes := map[string]int64{}, map[string]int64{}
	for kind, c := range kinds {
		never[kind], neverBytes[kind] = c.NeverPacks, c.NeverBytes
	}
	m.vec("cbk_check_never_read_packs", "Packs that no check has read back.", "kind", never)
	m.vec("cbk_check_never_read_bytes", "Bytes that no check has read back.", "kind", neverBytes)
	oldest := prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "cbk_check_oldest_read_timestamp_seconds",
		Help: "When that was read back which was read longest ago."}, []string{"kind"})
	for kind, c := range kinds {
		if !c.Oldest.IsZero() {
			oldest.WithLabelValues(kind).Set(seconds(c.Oldest))
		}
	}
	m.r.MustRegister(oldest)
	if len(st.Runs) > 0 {
		m.set("cbk_check_last_run_timestamp_seconds", "When the last check began that left a record.", seconds(st.Runs[0].Started))
		m.set("cbk_check_last_run_damaged_objects", "Objects that it found damaged.", float64(st.Runs[0].DamageTotal))
	}
	return prometheus.WriteToTextfile(file, r)
}
