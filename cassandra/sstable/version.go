package sstable

import (
	"errors"
	"fmt"
)

// ErrUnsupportedVersion says that a component's layout in a version of the
// SSTable format is not known here.
var ErrUnsupportedVersion = errors.New("unsupported SSTable version")

// Of the versions Cassandra has released these are the ones whose components are
// read. Each holds to the layout of the big version beside it: bti is another
// index, and shares the rest with the big version of its release.
var layouts = map[string]string{
	"ka": "ka", "la": "la", "lb": "lb",
	"ma": "ma", "mb": "mb", "mc": "mc", "md": "md", "me": "me",
	"na": "na", "nb": "nb",
	"oa": "oa", "da": "oa",
	"pa": "pa", "ea": "pa",
}

// layoutOf returns the big version a version shares its layout with. Big
// versions compare as text: what "mc" brought is in every layout >= "mc".
func layoutOf(version string) (string, error) {
	l, ok := layouts[version]
	if !ok {
		return "", fmt.Errorf("%w %q", ErrUnsupportedVersion, version)
	}
	return l, nil
}
