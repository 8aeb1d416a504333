package ring

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// Replication strategies, by the short names of their classes.
const (
	SimpleStrategy          = "SimpleStrategy"
	NetworkTopologyStrategy = "NetworkTopologyStrategy"
	LocalStrategy           = "LocalStrategy"
	EverywhereStrategy      = "EverywhereStrategy" // DataStax Enterprise's: every node holds everything
)

// replicationFactor is the option that says how many replicas a range has. With
// NetworkTopologyStrategy it is short for every data centre without a factor of
// its own; Cassandra takes it in CREATE KEYSPACE and stores the long form.
const replicationFactor = "replication_factor"

// Replication is how the rows of a keyspace are spread over the ring.
type Replication struct {
	Strategy string         // one of the strategies above
	Factor   int            // of SimpleStrategy, or of the data centres that are not in DCs
	DCs      map[string]int // factor of a data centre; NetworkTopologyStrategy only
}

// ReplicationError says that the places of a keyspace's rows cannot be told.
type ReplicationError struct {
	Keyspace string
	Strategy string // class, as the schema has it
	Err      error
}

// Error implements error.
func (e *ReplicationError) Error() string {
	return fmt.Sprintf("replication of keyspace %s by %q: %v", e.Keyspace, e.Strategy, e.Err)
}

// Unwrap is the reason.
func (e *ReplicationError) Unwrap() error { return e.Err }

// ParseReplication reads the options of a keyspace's replication as
// system_schema.keyspaces holds them. Its error is a *ReplicationError: the
// strategy is not known, a factor is missing or none, or replicas are transient.
func ParseReplication(keyspace string, options map[string]string) (Replication, error) {
	r, err := parseReplication(options)
	if err != nil {
		return Replication{}, &ReplicationError{keyspace, options["class"], err}
	}
	return r, nil
}

func parseReplication(options map[string]string) (Replication, error) {
	r := Replication{Strategy: shortClass(options["class"])}
	switch r.Strategy {
	case LocalStrategy, EverywhereStrategy:
		return r, nil
	case SimpleStrategy:
		factor, err := parseFactor(options[replicationFactor])
		r.Factor = factor
		return r, err
	case NetworkTopologyStrategy:
		return r, r.parseDCs(options)
	}
	return r, errors.New("the strategy is not known")
}

func (r *Replication) parseDCs(options map[string]string) error {
	r.DCs = make(map[string]int)
	for _, name := range slices.Sorted(maps.Keys(options)) {
		if name == "class" {
			continue
		}
		factor, err := parseFactor(options[name])
		if err != nil {
			return fmt.Errorf("data centre %q: %w", name, err)
		}
		if name == replicationFactor {
			r.Factor = factor
		} else {
			r.DCs[name] = factor
		}
	}
	return nil
}

// parseFactor reads a number of replicas that fits Java's int.
func parseFactor(text string) (int, error) {
	if strings.Contains(text, "/") {
		return 0, fmt.Errorf("factor %.20q: transient replication is not supported", text)
	}
	v, err := strconv.ParseInt(text, 10, 32)
	if err != nil || v < 0 {
		return 0, fmt.Errorf("factor %.20q is no number of replicas", text)
	}
	return int(v), nil
}

// key is the same for the same replication.
func (r Replication) key() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s %d", r.Strategy, r.Factor)
	for _, dc := range slices.Sorted(maps.Keys(r.DCs)) {
		fmt.Fprintf(&b, " %q:%d", dc, r.DCs[dc])
	}
	return b.String()
}

// in is the factor of a data centre.
func (r Replication) in(dc string) int {
	if f, ok := r.DCs[dc]; ok {
		return f
	}
	return r.Factor
}
