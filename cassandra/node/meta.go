package node

// Roles are the roles and what they may do, as CQL that makes them again.
type Roles struct {
	CQL    string
	Absent string // why they could not be read; empty where they could
}

// ConfigFile is a file of the node's configuration whose secrets are masked.
type ConfigFile struct {
	Name   string // base name
	Text   []byte
	Masked int // values that were masked
}
