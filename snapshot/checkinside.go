package snapshot

// Inside is what came of looking into SSTables.
type Inside struct {
	News      int
	Unchecked []Unchecked
}

// Unchecked is a reason why SSTables were not looked into.
type Unchecked struct {
	What     string
	SSTables int
}

type insides struct{}

func (i *insides) tell() Inside { return Inside{} }
