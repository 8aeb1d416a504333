package main

import (
	"fmt"
	"io"
	"strings"

	"github.com/urfave/cli/v2"

	"cbk/repo/roles"
	"cbk/snapshot"
)

func keyListCommand() *cli.Command {
	return &cli.Command{
		Name: "list", Usage: "list the keys, with what they may do", Flags: commonFlags(),
		Action: func(c *cli.Context) (err error) {
			if err := none(c); err != nil {
				return err
			}
			s, err := open(c, true)
			if err != nil {
				return err
			}
			defer s.close(&err)
			slots, err := s.repo.Slots(c.Context)
			if err != nil {
				return err
			}
			doc := keyDocument(s.repo.Key().Trust(), slots)
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return printKeys(c.App.Writer, doc)
		},
	}
}

// keysJSON is cbk.keys/1.
type keysJSON struct {
	Schema     string        `json:"schema"`
	Statements uint64        `json:"statements"`
	Keys       []keyJSON     `json:"keys"`
	SealKeys   []sealKeyJSON `json:"seal_keys"`
}

type keyJSON struct {
	Key     string   `json:"key"`
	Role    string   `json:"role"`
	Nodes   []string `json:"nodes"`
	Opens   []string `json:"opens_with"`
	Created string   `json:"created"`
	Revoked bool     `json:"revoked"`
}

type sealKeyJSON struct {
	Key     string `json:"key"`
	Node    string `json:"node"`
	Retired bool   `json:"retired"`
}

func keyDocument(t *roles.Trust, slots map[roles.KeyID][]roles.Slot) keysJSON {
	n, _ := t.Head()
	doc := keysJSON{Schema: "cbk.keys/1", Statements: n, Keys: []keyJSON{}, SealKeys: []sealKeyJSON{}}
	for p := range t.Principals() {
		_, dead := t.Revoked(p.ID)
		k := keyJSON{Key: p.ID.String(), Role: string(p.Role), Nodes: append([]string{}, p.Domains...), Opens: []string{},
			Created: clock(p.Created), Revoked: dead}
		for _, s := range slots[p.ID] {
			k.Opens = append(k.Opens, s.Kind)
		}
		if len(k.Opens) == 0 && !dead {
			k.Opens = append(k.Opens, "key file")
		}
		doc.Keys = append(doc.Keys, k)
	}
	for _, s := range t.SealKeys() {
		doc.SealKeys = append(doc.SealKeys, sealKeyJSON{s.ID.String(), s.Domain, s.Retired})
	}
	return doc
}

func printKeys(w io.Writer, doc keysJSON) error {
	t := newTable(w, 7, "key", "role", "nodes", "opens with", "created", "state")
	for _, k := range doc.Keys {
		state := ""
		if k.Revoked {
			state = "revoked"
		}
		t.AppendRow([]any{k.Key, k.Role, strings.Join(k.Nodes, " "), strings.Join(k.Opens, " "), k.Created, state})
	}
	t.Render()
	live := 0
	for _, s := range doc.SealKeys {
		if !s.Retired {
			live++
		}
	}
	_, err := fmt.Fprintf(w, "%s, %d of them in use\n", plural(len(doc.SealKeys), "seal key"), live)
	return err
}

func forWhom(p *roles.Principal) string {
	if len(p.Domains) == 0 {
		return "all nodes"
	}
	return strings.Join(p.Domains, ", ")
}

// lastRoots returns the last backups of a key that are to count, and how many of its others will count no more: those
// after --last, and those of a chain that forked.
func (s *session) lastRoots(c *cli.Context, id roles.KeyID) (last []roles.LastRoot, void int, err error) {
	if name := c.String("last"); name != "" {
		b, err := snapshot.Find(c.Context, s.repo, name, "")
		if err != nil {
			return nil, 0, err
		}
		for _, e := range b.Nodes {
			root, err := s.repo.ReadRoot(c.Context, e.Root)
			if err != nil {
				return nil, 0, err
			}
			if root.Author == id {
				last = append(last, roles.LastRoot{Domain: e.Domain, Sequence: root.Sequence, Root: root.Hash})
			}
		}
		if len(last) == 0 {
			return nil, 0, usageError("backup %q is none of key %s", name, id)
		}
	} else if last, err = s.repo.Newest(c.Context, id); err != nil {
		return nil, 0, err
	}
	void, err = s.repo.CountVoid(c.Context, id, last)
	return last, void, err
}
