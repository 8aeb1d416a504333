package snapshot

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// ParseSpan reads a duration as people say it of backups: 30d, 2w, or one of Go's, 36h.
func ParseSpan(s string) (time.Duration, error) {
	for suffix, unit := range map[string]time.Duration{"d": day, "w": week} {
		number, ok := strings.CutSuffix(s, suffix)
		if !ok {
			continue
		}
		n, err := strconv.ParseUint(number, 10, 31)
		if err != nil || n > uint64(math.MaxInt64/unit) {
			return 0, fmt.Errorf("duration %q: give days as 30d, weeks as 2w or hours as 36h", s)
		}
		return time.Duration(n) * unit, nil
	}
	d, err := time.ParseDuration(s)
	if err != nil || d < 0 {
		return 0, fmt.Errorf("duration %q: give days as 30d, weeks as 2w or hours as 36h", s)
	}
	return d, nil
}

// Span writes a duration as ParseSpan reads it, in days where it is some.
func Span(d time.Duration) string {
	if d > 0 && d%day == 0 {
		return fmt.Sprintf("%dd", d/day)
	}
	if d > 0 && d%time.Hour == 0 {
		return fmt.Sprintf("%dh", d/time.Hour)
	}
	return d.String()
}
