package cassandratest

import (
	"errors"
	"fmt"
	"os/exec"
)

// Artifacts returns a directory with the artifacts of Maven Central that the
// coordinates name (group:name:version), without what they depend on. They are
// kept like [Jars], under the name, which stands for these coordinates for good.
func Artifacts(name string, coordinates ...string) (dir string, err error) {
	dir, err = cached(name, func(dir string) error {
		mvn, err := exec.LookPath("mvn")
		if err != nil {
			return errors.New("mvn is not installed; Debian: apt-get install maven openjdk-17-jdk-headless")
		}
		for _, c := range coordinates {
			cmd := exec.Command(mvn, "-q", "-B", "dependency:copy", "-Dartifact="+c, "-DoutputDirectory="+dir)
			if out, err := cmd.CombinedOutput(); err != nil {
				return fmt.Errorf("mvn: %s: %w\n%s", c, err, lastLines(out, 20))
			}
		}
		return nil
	})
	if err != nil {
		return "", fmt.Errorf("fetch %s: %w", name, err)
	}
	return dir, nil
}
