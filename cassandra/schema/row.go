package schema

// Row is one row of a table by column name. A column without a value is missing. Values have these types:
//
//	text, ascii, varchar   string        inet        net.IP
//	boolean                bool          timestamp   time.Time, UTC
//	tinyint .. int         int           blob        []byte
//	bigint, counter        int64         list, set   []T of the above, a set in Cassandra's order
//	float, double          float64       map<text,T> map[string]T of the above, or of map[string]string
//	uuid, timeuuid         [16]byte
type Row map[string]any

// System is what system_schema holds of a cluster: the rows of its tables, in any order.
type System struct {
	Keyspaces, Tables, Columns, DroppedColumns, Types, Functions, Aggregates, Views, Indexes, Triggers []Row
}

// Access is what system_auth holds of roles: the rows of its tables, in any order.
type Access struct {
	Roles, Members, Permissions []Row
}
