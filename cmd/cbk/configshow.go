package main

import (
	"encoding/json"
	"fmt"
	"iter"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"go.yaml.in/yaml/v3"

	"cbk/cassandra/node"
)

func configCommand() *cli.Command {
	return &cli.Command{
		Name: "config", Usage: "what is configured, and where",
		Subcommands: []*cli.Command{configShowCommand()},
		Action: func(c *cli.Context) error {
			if c.NArg() > 0 {
				return usageError("no command config %q", c.Args().First())
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func configShowCommand() *cli.Command {
	return &cli.Command{
		Name: "show", Usage: "print every setting in force, secrets masked",
		Flags: commonFlags(&cli.BoolFlag{Name: "origin", Usage: "say where each comes from"}),
		Action: func(c *cli.Context) error {
			if err := none(c); err != nil {
				return err
			}
			cfg, err := settings(c)
			if err != nil {
				return err
			}
			doc := configDocument(cfg)
			if c.Bool("json") {
				return printJSON(c.App.Writer, doc)
			}
			return printConfig(c, &doc)
		},
	}
}

// keys are the settings that the configuration file may have, with their values: those of the struct's own tags, so
// that none can be forgotten.
func (c *config) keys() iter.Seq2[string, reflect.Value] {
	return func(yield func(string, reflect.Value) bool) { leaves("", reflect.ValueOf(c).Elem(), yield) }
}

func leaves(prefix string, v reflect.Value, yield func(string, reflect.Value) bool) bool {
	for i := range v.NumField() {
		name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
		if name == "" || name == "-" {
			continue
		}
		if field := v.Field(i); field.Kind() == reflect.Struct {
			if !leaves(prefix+name+".", field, yield) {
				return false
			}
		} else if !yield(prefix+name, field) {
			return false
		}
	}
	return true
}

// set gives a setting, named by its field, a value and notes where that comes from.
func (c *config) set(field *string, value, origin string) {
	*field = value
	for key, v := range c.keys() {
		if v.Addr().Interface() == any(field) {
			c.origins[key] = origin
		}
	}
}

// flagOrigin tells whether a flag has its value from the command line or from its variable. Where both say the same,
// it is the variable.
func flagOrigin(c *cli.Context, flag string) string {
	for _, f := range c.Command.Flags {
		d, ok := f.(cli.DocGenerationFlag)
		if !ok || !slices.Contains(f.Names(), flag) {
			continue
		}
		for _, name := range d.GetEnvVars() {
			if os.Getenv(name) == c.String(flag) {
				return "environment " + name
			}
		}
	}
	return "flag --" + flag
}

// originsOf notes the line of each setting of the file. A value that is an anchor's comes from where it is used.
func (c *config) originsOf(n *yaml.Node, key string) {
	switch n.Kind {
	case yaml.DocumentNode:
		for _, content := range n.Content {
			c.originsOf(content, key)
		}
	case yaml.MappingNode:
		for i := 0; i+1 < len(n.Content); i += 2 {
			name := n.Content[i].Value
			if key != "" {
				name = key + "." + name
			}
			c.origins[name] = fmt.Sprintf("file %s:%d", c.file, n.Content[i].Line)
			c.originsOf(n.Content[i+1], name)
		}
	}
}

// notSet is the origin of a setting that has no value and no default.
const notSet = "not set"

// configJSON is cbk.config/1.
type configJSON struct {
	Schema   string        `json:"schema"`
	File     string        `json:"file"`
	Settings []settingJSON `json:"settings"`
}

type settingJSON struct {
	Key    string `json:"key"`
	Value  any    `json:"value"`
	Origin string `json:"origin"`
}

func configDocument(c *config) configJSON {
	doc := configJSON{Schema: "cbk.config/1", File: c.file}
	for key, v := range c.keys() {
		s := settingJSON{Key: key, Value: v.Interface(), Origin: c.origins[key]}
		switch value := s.Value.(type) {
		case string:
			s.Value = node.Mask(key, value)
		case []string:
			s.Value = node.MaskCommand(value)
		case time.Duration:
			s.Value = value.String()
		}
		switch {
		case s.Origin != "":
		case v.IsZero():
			s.Origin = notSet
		default:
			s.Origin = "default"
		}
		doc.Settings = append(doc.Settings, s)
	}
	return doc
}

func printConfig(c *cli.Context, doc *configJSON) error {
	header := []any{"key", "value"}
	if c.Bool("origin") {
		header = append(header, "origin")
	}
	t := newTable(c.App.Writer, len(header)+1, header...)
	for _, s := range doc.Settings {
		value := fmt.Sprint(s.Value)
		if s.Origin == notSet {
			value = ""
		} else if reflect.TypeOf(s.Value).Kind() == reflect.Slice {
			b, err := json.Marshal(s.Value) // words with blanks stay words
			if err != nil {
				return err
			}
			value = string(b)
		}
		t.AppendRow([]any{s.Key, value, s.Origin}[:len(header)])
	}
	t.Render()
	return nil
}
