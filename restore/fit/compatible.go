package fit

import "slices"

// What follows are the rules of AbstractType.isCompatibleWith and isValueCompatibleWith, alike in 3.11 to 5.0, as pairs
// {the schema's type, the SSTable's}. Types that are equal are not named.
var (
	// sorts: values keep their order as well.
	sorts = map[[2]string]bool{
		{"text", "ascii"}: true, {"blob", "ascii"}: true, {"blob", "text"}: true,
		{"timestamp", oldDate}: true, {oldDate, "timestamp"}: true,
	}
	// values: each value can be read as the other type, and order does not matter.
	values = map[[2]string]bool{
		{"varint", "int"}: true, {"varint", "bigint"}: true, {"varint", "timestamp"}: true, {"varint", oldDate}: true,
		{"bigint", "timestamp"}: true, {"bigint", oldDate}: true, {"timestamp", "bigint"}: true,
		{oldDate, "bigint"}: true,
		{"time", "bigint"}:  true, {"date", "int"}: true, {"uuid", "timeuuid"}: true,
	}
)

// unsized are the types whose values have their length before them in a cell, though some of them never vary
// (valueLengthIfFixed); others have a fixed one.
var unsized = []string{"ascii", "blob", "counter", "date", "decimal", "duration", "inet", "smallint", "text", "time", "tinyint", "varint"}

// ValueCompatible tells whether a cell of the type was can be read where the schema says is.
func ValueCompatible(is, was Type) bool {
	if is.Multi != was.Multi {
		return false // the cells themselves are laid out in another way
	}
	is.Reversed, was.Reversed = false, false
	switch {
	case is.equal(was):
		return true
	case is.Multi:
		return is.sortsAs(was)
	case is.Name == "counter" || was.Name == "counter":
		return false
	case is.Name == "blob":
		return true
	case is.Name == "tuple" && was.Name == "udt":
		return extends(is, was, ValueCompatible) // the same bytes; the other way round the fields would have no names
	case is.Name != was.Name:
		pair := [2]string{is.Name, was.Name}
		return values[pair] || sorts[pair]
	}
	switch is.Name {
	case "tuple":
		return extends(is, was, ValueCompatible)
	case "udt":
		return extends(is, was, OrderCompatible)
	case "list":
		return ValueCompatible(is.Args[0], was.Args[0])
	case "map":
		return OrderCompatible(is.Args[0], was.Args[0]) && ValueCompatible(is.Args[1], was.Args[1])
	case "set":
		return OrderCompatible(is.Args[0], was.Args[0])
	}
	return false
}

// OrderCompatible tells whether values of the type was sort under is as they did: what clustering columns need.
func OrderCompatible(is, was Type) bool {
	return is.Multi == was.Multi && is.Reversed == was.Reversed && (is.equal(was) || is.sortsAs(was))
}

func (t Type) sortsAs(was Type) bool {
	if t.Name != was.Name && !(t.isTuple() && was.isTuple()) {
		return sorts[[2]string{t.Name, was.Name}]
	}
	switch t.Name {
	case "tuple", "udt":
		return extends(t, was, OrderCompatible)
	case "set":
		return OrderCompatible(t.Args[0], was.Args[0])
	case "list":
		if t.Multi {
			return sameCells(t.Args[0], was.Args[0])
		}
		return OrderCompatible(t.Args[0], was.Args[0])
	case "map":
		if t.Multi {
			return OrderCompatible(t.Args[0], was.Args[0]) && sameCells(t.Args[1], was.Args[1])
		}
		return OrderCompatible(t.Args[0], was.Args[0]) && OrderCompatible(t.Args[1], was.Args[1])
	}
	return false
}

func (t Type) isTuple() bool { return t.Name == "tuple" || t.Name == "udt" }

// sameCells holds where values are compatible and written alike (isSerializationCompatibleWith).
func sameCells(is, was Type) bool {
	if !ValueCompatible(is, was) || is.sized() != was.sized() {
		return false
	}
	switch {
	case is.Name != was.Name:
		return true
	case is.Name == "list":
		return sameCells(is.Args[0], was.Args[0])
	case is.Name == "map":
		return sameCells(is.Args[1], was.Args[1])
	}
	return true
}

func (t Type) sized() bool {
	if t.Name == "vector" {
		return t.Args[0].sized()
	}
	return len(t.Args) == 0 && t.Name != "udt" && !slices.Contains(unsized, t.Name)
}

// extends: fields may have been added at the end, none taken away.
func extends(is, was Type, alike func(is, was Type) bool) bool {
	if len(is.Args) < len(was.Args) {
		return false
	}
	for i := range was.Args {
		if !alike(is.Args[i], was.Args[i]) {
			return false
		}
	}
	return true
}

// equal holds for types of the same bytes; the names of fields are none of them.
func (t Type) equal(o Type) bool {
	if t.Name != o.Name || t.Size != o.Size || t.Multi != o.Multi || t.Reversed != o.Reversed || len(t.Args) != len(o.Args) {
		return false
	}
	for i := range t.Args {
		if !t.Args[i].equal(o.Args[i]) {
			return false
		}
	}
	return true
}
