package main

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/urfave/cli/v2"

	"cbk/restore"
	"cbk/restore/fit"
	"cbk/snapshot"
)

func TestEveryRiskThatRefusesIsPrinted(t *testing.T) {
	risks := []fit.Risk{{Code: fit.Ranges, Keyspace: "shop", What: "too few", Refuses: true}, {Code: fit.Version, What: "unread", Refuses: true, Final: true}}
	var b bytes.Buffer
	refused := &fit.RefusedError{Risks: risks}
	if err := tellRisks(&b, refused); err != error(refused) {
		t.Error(err)
	}
	if diff := cmp.Diff("  !  ranges: shop: too few\n  x  version: unread\n", b.String()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	b.Reset()
	if err := tellRisks(&b, io.EOF); err != io.EOF || b.Len() > 0 {
		t.Errorf("%v: %s", err, &b)
	}
}

// What a refused import needs is not what a restore onto another node needs.
func TestARefusalNamesItsOwnNextStep(t *testing.T) {
	var b bytes.Buffer
	code := report(&b, &restore.RefusedError{Reason: "shop.by_v is a view of shop.orders: choose it too"})
	if diff := cmp.Diff("cbk: refused: refused: shop.by_v is a view of shop.orders: choose it too\n", b.String()); diff != "" || code != exitRefused {
		t.Errorf("exit %d (-want +got):\n%s", code, diff)
	}
}

func TestOnlyFilesAreRestoredWithoutWhatIsLost(t *testing.T) {
	e := &snapshot.Entry{Losses: []snapshot.Loss{{LostNode: snapshot.LostNode{Tables: []snapshot.LostTable{{Keyspace: "shop", Table: "files"}}}}}}
	for _, c := range []struct {
		args string
		exit int
		says string
	}{
		{"--to x", exitRefused, "--accept-lost restores the rest"},
		{"--to x --accept-lost", exitOK, ""},
		{"--in-place", exitRefused, "choose other tables"},
		{"--import", exitRefused, "choose other tables"},
		{"--in-place --accept-lost", exitUsage, "goes with --to"},
		{"--import --accept-lost", exitUsage, "goes with --to"},
	} {
		var err error
		app := &cli.App{Commands: []*cli.Command{restoreCommand()}, ExitErrHandler: func(*cli.Context, error) {}}
		app.Commands[0].Action = func(c *cli.Context) error {
			err = refuseLost(c, e, &snapshot.Selection{})
			return nil
		}
		if failed := app.Run(append([]string{"cbk", "restore"}, strings.Fields(c.args)...)); failed != nil {
			t.Fatal(failed)
		}
		if exitCode(err) != c.exit || err != nil && !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.args, err)
		}
		if errors.As(err, new(*lostError)) && !strings.Contains(err.Error(), "shop.files") {
			t.Errorf("%s: %v", c.args, err)
		}
	}
}

func TestANodeWhoseRingIsUnknownGetsItsOrder(t *testing.T) {
	r := stoppedRig(t, realFiles(t, "flush", "lz4_16"))
	r.ok("init")
	r.offline("monday")
	stderr := r.fails(exitRefused, []string{"risk", "the backup has no ring"}, "node", "orders", "monday", "--in-place")
	if !strings.Contains(stderr, "  !  ranges: ") || !strings.Contains(stderr, "  !  replicas: ") {
		t.Errorf("the risks are not all told:\n%s", stderr)
	}
	got := doc[nodeOrderJSON](r, "node", "orders", "monday", "--in-place", "--accept", "ranges", "--accept", "replicas")
	if got.Order.HostID != hostID || got.Files == 0 || len(got.Loan) == 0 || got.Order.WholeCluster {
		t.Errorf("%+v", got.NodeOrder)
	}
	r.fails(exitRefused, []string{"refused", "nobody knows which tokens"}, "node", "orders", "monday", "--map", "auto")
}
