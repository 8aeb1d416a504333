package node

// SetPageRows makes the pages of queries small enough for a test to need several.
func (n *Node) SetPageRows(rows int) { n.pageRows = rows }
