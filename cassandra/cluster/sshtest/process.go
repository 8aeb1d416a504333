package sshtest

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// family returns a process of sshd with those of its descendants that are sshd too.
func family(pid int) []int {
	all := []int{pid}
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// PID (NAME) STATE PARENT ...; a name may have anything in it.
		name, rest, _ := strings.Cut(string(b), "(")
		end := strings.LastIndex(rest, ")")
		fields := strings.Fields(rest[end+1:])
		if !strings.HasPrefix(rest, "sshd") || len(fields) < 2 || fields[1] != strconv.Itoa(pid) {
			continue
		}
		if child, err := strconv.Atoi(strings.TrimSpace(name)); err == nil {
			all = append(all, family(child)...)
		}
	}
	return all
}

// Alive tells whether a process runs, stopped or not.
func Alive(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, state, _ := strings.Cut(string(b[strings.LastIndexByte(string(b), ')'):]), " ")
	return !strings.HasPrefix(state, "Z")
}
