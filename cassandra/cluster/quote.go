package cluster

import (
	"errors"
	"fmt"
	"strings"
)

// maxCommandLine bounds a command line on a node: the shell gets it as one
// argument, and Linux takes none of 128 KiB.
const maxCommandLine = 96 << 10

// commandLine makes of a command's words one line that a POSIX shell takes apart
// into just these words.
func commandLine(words ...string) (string, error) {
	quoted := make([]string, len(words))
	for i, word := range words {
		if strings.ContainsRune(word, 0) {
			return "", errors.New("an argument has a NUL byte, which no command can be given")
		}
		quoted[i] = quote(word)
	}
	// exec leaves no shell between sshd and the command, to which signals would go.
	line := "exec " + strings.Join(quoted, " ")
	if len(line) > maxCommandLine {
		return "", fmt.Errorf("command line of %d bytes is longer than %d", len(line), maxCommandLine)
	}
	return line, nil
}

// quote makes one word of a shell's: nothing has a meaning between single quotes
// but their end.
func quote(word string) string {
	return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
}
