package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"cbk/cassandra/ring"
	"cbk/pack"
	"cbk/repo"
	"cbk/repo/roles"
	"cbk/repo/store"
	"cbk/snapshot"
)

// planted is a backup without a Cassandra: its catalogue entries, rings and descriptions are real, its only content is a
// schema.
type planted struct {
	cat         snapshot.Catalogue
	nodes, ring []string // letters
	stored      time.Time
}

func hostOf(letter string) string { return strings.Repeat(letter, 8) + "-0000-4000-8000-000000000001" }

// parsePlanted reads "NAME at=TIME nodes=a,b ring=a,b,c …". A time is RFC 3339, or days before now: -3.5d.
func parsePlanted(fields []string, now time.Time) (p planted, err error) {
	p = planted{cat: snapshot.Catalogue{Kind: snapshot.KindSSTables, Backup: fields[0], Cluster: "shop", Mode: snapshot.ModeDifferential, BytesStored: 1 << 20},
		nodes: []string{"a"}}
	at := now
	for _, f := range fields[1:] {
		key, value, _ := strings.Cut(f, "=")
		switch key {
		case "at":
			at, err = when(value, now)
		case "stored":
			p.stored, err = when(value, now)
		case "nodes":
			p.nodes = strings.Split(value, ",")
		case "ring":
			p.ring = strings.Split(value, ",")
		case "cluster":
			p.cat.Cluster = value
		case "tables":
			p.cat.Selected, p.cat.SelectionID = true, value
		case "missing":
			p.cat.MissingTables, err = strconv.Atoi(value)
		case "damaged":
			p.cat.DamagedSSTables, err = strconv.Atoi(value)
		default:
			err = fmt.Errorf("%q says nothing of a backup", f)
		}
		if err != nil {
			return p, err
		}
	}
	p.cat.Started, p.cat.Finished = at, at.Add(time.Minute)
	if p.stored.IsZero() {
		p.stored = p.cat.Finished
	}
	if p.ring == nil {
		p.ring = p.nodes
	}
	return p, nil
}

func when(s string, now time.Time) (time.Time, error) {
	if number, ok := strings.CutSuffix(s, "d"); ok {
		n, err := strconv.ParseFloat(number, 64)
		return now.Add(time.Duration(n * 24 * float64(time.Hour))), err
	}
	return time.Parse(time.RFC3339, s)
}

func (p *planted) catalogue(letter string) snapshot.Catalogue {
	cat := p.cat
	cat.HostID, cat.Node = hostOf(letter), "node-"+letter
	return cat
}

func (p *planted) members() (m []ring.Member) {
	for _, letter := range p.ring {
		m = append(m, ring.Member{HostID: hostOf(letter), Address: "node-" + letter, DC: "dc1", Rack: "r1", State: ring.Normal, Tokens: []string{"1"}})
	}
	return m
}

// backup is what a listing would say of it.
func (p *planted) backup() snapshot.Backup {
	b := snapshot.Backup{Name: p.cat.Backup, Cluster: p.cat.Cluster}
	have := make(map[string]bool)
	for _, letter := range p.nodes {
		have[hostOf(letter)] = true
		b.Nodes = append(b.Nodes, snapshot.Entry{Catalogue: p.catalogue(letter), Root: letter + "/" + p.cat.Backup, Stored: p.stored})
	}
	for _, m := range p.members() {
		if !have[m.HostID] {
			b.Missing = append(b.Missing, m)
		}
	}
	return b
}

// commit puts the backup of one node into a repository. In a directory its root is as old as the backup says.
func (p *planted) commit(ctx context.Context, dir, letter string) error {
	st, err := store.Open(ctx, dir, store.Options{})
	if err != nil {
		return err
	}
	r, err := repo.Open(ctx, st, roles.WithPassphrase([]byte("correct horse")), "")
	if err != nil {
		return err
	}
	defer r.Close()
	s, err := r.NewSession(ctx, "node-"+letter)
	if err != nil {
		return err
	}
	defer s.Close()
	put := func(typ pack.Type, content []byte) (id pack.ID) {
		if err == nil {
			var ref repo.Ref
			ref, _, err = s.Put(typ, content)
			id = ref.ID
		}
		return id
	}
	doc := func(v any) []byte {
		b, failed := json.Marshal(v)
		if failed != nil {
			err = failed
		}
		return b
	}
	text := put(pack.Data, []byte("-- of "+p.cat.Backup+"\n"))
	desc := put(pack.Description, doc(snapshot.Node{Schema: []snapshot.Text{{Name: "ks", Blobs: []snapshot.ID{snapshot.ID(text)}}}, Tables: []snapshot.Table{}}))
	refs := put(pack.Refs, repo.EncodeRefs([]pack.ID{text, desc}))
	seen := put(pack.Ring, doc(ring.Ring{Cluster: p.cat.Cluster, Members: p.members()}))
	cat := doc(p.catalogue(letter))
	if err != nil {
		return err
	}
	if err := s.Commit(p.cat.Backup, &repo.Root{Catalogue: cat, Ring: seen, Refs: []pack.ID{refs}, Descriptions: []pack.ID{desc}}); err != nil {
		return err
	}
	name, err := r.Find(ctx, "node-"+letter, p.cat.Backup)
	if err != nil || strings.Contains(dir, "://") {
		return err
	}
	return os.Chtimes(filepath.Join(dir, name), p.stored, p.stored)
}
