package main

import (
	"context"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/rogpeppe/go-internal/testscript"
	"golang.org/x/sync/errgroup"

	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/repo/store/storetest/server"
	"cbk/snapshot"
)

// stories are the commands of scripts that need a node or a bucket. Beside those of TestRetentionScripts: "node" makes a
// stopped node without files and a configuration; "sstables NAME" gives it what a real Cassandra wrote; "bucket PATH [QUERY]"
// makes a path on MinIO the repository; "class NAME PATH" demands that all objects there are of a storage class; "holds N
// BACKUP" holds a backup as often.
type stories struct {
	sstables map[string]content
	minio    server.Store
	port     int
}

// TestStories runs what an operator lives through, on a node of files, on planted backups and on MinIO.
func TestStories(t *testing.T) {
	s := &stories{minio: server.MinIO(t, ""), port: unusedPort(t), sstables: map[string]content{
		"monday": realFiles(t, "flush", "lz4_16"), "tuesday": realFiles(t, "compaction", "lz4_16"), "more": realFiles(t, "flush", "snappy_64")}}
	testscript.Run(t, testscript.Params{Dir: "testdata/stories", RequireExplicitExec: true, RequireUniqueNames: true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){"plant": plant, "repository": repository, "node": s.node,
			"sstables": s.place, "bucket": s.bucket, "class": s.class, "holds": holdOften},
		Setup: func(e *testscript.Env) error {
			e.Setenv("CBK_STATE_DIR", e.WorkDir+"/state")
			e.Setenv("CBK_REPO", e.WorkDir+"/repo")
			e.Setenv("CBK_PASSPHRASE_FILE", e.WorkDir+"/pass")
			e.Setenv("HOST", hostID)
			return os.WriteFile(e.WorkDir+"/pass", []byte("correct horse\n"), 0o600)
		}})
}

func (s *stories) node(ts *testscript.TestScript, _ bool, _ []string) {
	for _, dir := range []string{"data", "commitlog"} {
		ts.Check(os.Mkdir(ts.MkAbs(dir), 0o755))
	}
	yaml := fmt.Sprintf("cluster_name: Old Shop\ndata_file_directories: [%s]\ncommitlog_directory: %s\nlisten_address: 127.0.0.1\n"+
		"rpc_address: 127.0.0.1\nstorage_port: %d\nnative_transport_port: %[3]d\n", ts.MkAbs("data"), ts.MkAbs("commitlog"), s.port)
	ts.Check(os.WriteFile(ts.MkAbs("cassandra.yaml"), []byte(yaml), 0o600))
	cfg := fmt.Sprintf("cassandra: {config: %s, nodetool: [%s], stop: ['true']}\n", ts.MkAbs("cassandra.yaml"), ts.MkAbs("none"))
	ts.Check(os.WriteFile(ts.MkAbs("cbk.yaml"), []byte(cfg), 0o600))
	ts.Setenv("CBK_CONFIG", ts.MkAbs("cbk.yaml"))
}

// place writes SSTables as old as a backup wants files to be that it trusts.
func (s *stories) place(ts *testscript.TestScript, _ bool, args []string) {
	hourAgo := time.Now().Add(-time.Hour)
	for _, name := range args {
		files := maps.Clone(s.sstables[name])
		if len(files) == 0 {
			ts.Fatalf("no SSTables %q", name)
		}
		for at, text := range files {
			to := filepath.Join(ts.MkAbs("data"), at)
			ts.Check(os.MkdirAll(filepath.Dir(to), 0o755))
			ts.Check(os.WriteFile(to, []byte(text), 0o644))
			ts.Check(os.Chtimes(to, hourAgo, hourAgo))
		}
	}
}

func (s *stories) bucket(ts *testscript.TestScript, _ bool, args []string) {
	for _, e := range s.minio.Env {
		name, value, _ := strings.Cut(e, "=")
		ts.Setenv(name, value)
	}
	ts.Setenv("CBK_REPO", s.minio.Path(args[0])+strings.Join(args[1:], ""))
}

// class lists what S3 says of each object. One of the standard class has none in HEAD, and one in a listing.
func (s *stories) class(ts *testscript.TestScript, _ bool, args []string) {
	out, err := s.minio.S3.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: aws.String("cbk"), Prefix: aws.String(args[1] + "/")})
	ts.Check(err)
	packs := 0
	for _, o := range out.Contents {
		if string(o.StorageClass) != args[0] {
			ts.Fatalf("%s is of class %q", *o.Key, o.StorageClass)
		}
		if strings.Contains(*o.Key, "/packs/") {
			packs++
		}
	}
	if packs == 0 {
		ts.Fatalf("no packs among %d objects", len(out.Contents))
	}
}

// holdOften adds holds to a backup of the repository in a bucket.
func holdOften(ts *testscript.TestScript, _ bool, args []string) {
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	ts.Check(os.Setenv("AWS_ACCESS_KEY_ID", ts.Getenv("AWS_ACCESS_KEY_ID")))
	ts.Check(os.Setenv("AWS_SECRET_ACCESS_KEY", ts.Getenv("AWS_SECRET_ACCESS_KEY")))
	st, err := store.Open(context.Background(), ts.Getenv("CBK_REPO"), store.Options{})
	ts.Check(err)
	defer st.Close()
	r, err := repo.Open(context.Background(), st, roles.WithPassphrase([]byte("correct horse")), "")
	ts.Check(err)
	g, ctx := errgroup.WithContext(context.Background())
	g.SetLimit(16)
	for i := range n {
		g.Go(func() error {
			_, err := snapshot.AddHold(ctx, r, snapshot.Hold{Kind: snapshot.HoldLegal, Backup: args[1], Cluster: "Old Shop",
				Reason: fmt.Sprint("case ", i), By: "counsel", Added: time.Now()})
			return err
		})
	}
	ts.Check(g.Wait())
}
