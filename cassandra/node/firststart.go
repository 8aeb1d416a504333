package node

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"go.yaml.in/yaml/v3"
)

// FirstStart is what makes a node without data of its own take over tokens: Cassandra heeds initial_token at no other
// start, and auto_bootstrap would have it stream what is there already.
type FirstStart struct {
	Restore string   `json:"restore"` // names who asks: letters, digits and dashes
	Tokens  []string `json:"tokens"`  // decimal
}

func (f *FirstStart) begin() string {
	return "# BEGIN cbk restore " + f.Restore + ": for the first start only"
}
func (f *FirstStart) end() string  { return "# END cbk restore " + f.Restore }
func (f *FirstStart) mark() string { return "#cbk " + f.Restore + "# " }
func (f *FirstStart) list() string { return strings.Join(f.Tokens, ",") }

var (
	restoreForm = regexp.MustCompile(`^[A-Za-z0-9-]{1,64}$`)
	tokenForm   = regexp.MustCompile(`^-?[0-9]{1,40}$`)
	// firstStartKeys are the settings of cassandra.yaml that give way, where they stand uncommented.
	firstStartKeys = regexp.MustCompile(`(?m)^(initial_token|num_tokens|auto_bootstrap)[ \t]*:`)
	anyMarker      = regexp.MustCompile(`(?m)^# BEGIN cbk restore .*$`)
)

func (f *FirstStart) check() error {
	if !restoreForm.MatchString(f.Restore) {
		return fmt.Errorf("restore %q is not 1 to 64 letters, digits and dashes", f.Restore)
	}
	if len(f.Tokens) == 0 {
		return errors.New("no tokens to take over")
	}
	for _, t := range f.Tokens {
		if !tokenForm.MatchString(t) {
			return fmt.Errorf("token %q is no decimal number", t)
		}
	}
	return nil
}

// PrepareFirstStart sets what the first start needs: by the command cassandra.first_start where the configuration has one,
// which is given "set", the restore and the tokens joined by commas; else in cassandra.yaml, of which a copy goes to keep.
// Doing it twice is doing it once.
func (n *Node) PrepareFirstStart(ctx context.Context, f *FirstStart, keep string) error {
	if err := f.check(); err != nil {
		return err
	}
	if len(n.cfg.FirstStart) > 0 {
		_, err := n.run(ctx, firstStartKey, n.cfg.FirstStart, "set", f.Restore, f.list())
		return err
	}
	return n.editYAML(keep, f.set)
}

// EndFirstStart takes away what PrepareFirstStart has set, and nothing else: the command is given "clear" and the restore.
func (n *Node) EndFirstStart(ctx context.Context, f *FirstStart) error {
	if err := f.check(); err != nil {
		return err
	}
	if len(n.cfg.FirstStart) > 0 {
		_, err := n.run(ctx, firstStartKey, n.cfg.FirstStart, "clear", f.Restore)
		return err
	}
	return n.editYAML("", f.clear)
}

const firstStartKey = "cassandra.first_start"

// set adds the settings to the text of a cassandra.yaml and comments out those they replace.
func (f *FirstStart) set(text string) (string, error) {
	if found := anyMarker.FindString(text); found == f.begin() {
		return text, f.holds(text)
	} else if found != "" {
		return "", fmt.Errorf("there are settings of another restore: %q", found)
	}
	text = firstStartKeys.ReplaceAllString(text, f.mark()+"$0")
	text += "\n" + f.begin() + "\ninitial_token: " + strconv.Quote(f.list()) + "\nnum_tokens: " + strconv.Itoa(len(f.Tokens)) +
		"\nauto_bootstrap: false\n" + f.end() + "\n"
	return text, f.holds(text)
}

// holds demands that a text says what the first start needs, however it is laid out.
func (f *FirstStart) holds(text string) error {
	var y struct {
		InitialToken  string `yaml:"initial_token"`
		NumTokens     int    `yaml:"num_tokens"`
		AutoBootstrap *bool  `yaml:"auto_bootstrap"`
	}
	err := yaml.Unmarshal([]byte(text), &y)
	if err == nil && (y.InitialToken != f.list() || y.NumTokens != len(f.Tokens) || y.AutoBootstrap == nil || *y.AutoBootstrap) {
		err = errors.New("the settings do not come out as written")
	}
	if err != nil {
		return fmt.Errorf("its form cannot be edited here (%s); set cassandra.first_start in the config to a command that does it", oneLine(err.Error()))
	}
	return nil
}

// clear gives the text back as it was before set, with what others have changed meanwhile.
func (f *FirstStart) clear(text string) (string, error) {
	begin, end := strings.Index(text, "\n"+f.begin()+"\n"), strings.Index(text, f.end()+"\n")
	if begin < 0 && end < 0 {
		return text, nil
	}
	if begin < 0 || end < begin {
		return "", fmt.Errorf("one of the lines %q and %q is gone: remove the settings between them by hand", f.begin(), f.end())
	}
	text = text[:begin] + text[end+len(f.end())+1:]
	return regexp.MustCompile("(?m)^"+regexp.QuoteMeta(f.mark())).ReplaceAllString(text, ""), nil
}

// editYAML exchanges cassandra.yaml for an edited one with the same owner and mode. A copy of the original goes to keep,
// unless that is empty or there is one.
func (n *Node) editYAML(keep string, edit func(string) (string, error)) error {
	path, err := filepath.EvalSymlinks(n.cfg.YAML)
	if err != nil {
		return fmt.Errorf("edit cassandra.yaml: %w", err)
	}
	b, err := ReadBounded(path, maxYAML)
	if err != nil {
		return fmt.Errorf("edit cassandra.yaml: %w", err)
	}
	text, err := edit(string(b))
	if err != nil {
		return fmt.Errorf("edit %s: %w", path, err)
	}
	if text == string(b) {
		return nil
	}
	if keep != "" {
		if err := keepCopy(keep, b); err != nil {
			return fmt.Errorf("keep a copy of cassandra.yaml: %w", err)
		}
	}
	if err := replaceFile(path, []byte(text)); err != nil {
		return fmt.Errorf("edit cassandra.yaml: %w; where it is managed elsewhere, set cassandra.first_start in the config", err)
	}
	return nil
}

// keepCopy writes a file that only its owner reads, if there is none: cassandra.yaml may hold passwords.
func keepCopy(name string, b []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	return errors.Join(err, f.Sync(), f.Close())
}

// replaceFile puts a file in the place of another in one step, durably.
func replaceFile(path string, b []byte) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), ".cbk-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	st := info.Sys().(*syscall.Stat_t)
	_, err = f.Write(b)
	err = errors.Join(err, f.Chmod(info.Mode().Perm()), f.Chown(int(st.Uid), int(st.Gid)), f.Sync(), f.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(f.Name(), path); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(path))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
