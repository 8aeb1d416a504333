package gcmodel

// kind is what an actor is.
type kind string

const (
	writer   kind = "writer"
	keeper   kind = "keeper"   // K0 to K3
	sweeper  kind = "sweeper"  // K2 and K3 of epochs that others made
	remover  kind = "remover"  // removes epochs
	adopter  kind = "adopter"  // names packs that no shard names
	janitor  kind = "janitor"  // aborts sessions and removes pendings
	operator kind = "operator" // deletes a backup
)

// run is one backup of a writer: a snapshot id and the blobs it needs.
type run struct {
	root  int
	needs set
}

// role is one part in a scenario.
type role struct {
	kind    kind
	class   int // actors of one class, not 0, differ in their names alone
	runs    []run
	crashes bool  // the writer may die anywhere and begin its next run
	warm    bool  // the writer starts with a cache of every shard listed at the start
	target  int   // the root an operator deletes; not that of a writer with a class
	mind    actor // where the actor starts, if it has done something before
}

// Scenario is a store at the start and the actors that meet in it. Every actor may stop for ever at every step, for each
// prefix of each interleaving is visited. What bounds it is its cast: a keeper makes one epoch at most, a sweeper sweeps
// once, a writer has as many runs as its role lists.
type Scenario struct {
	Name    string
	cast    []role
	planAny bool // a keeper may condemn any packs, live or not
	store   func(*state)
}

// entry is the first step of each kind of actor.
var entry = map[kind]pc{
	writer: wEpochs, keeper: kPlan, remover: eList, adopter: aEpochs, janitor: jList, operator: oRecord,
}

func (w *world) start() state {
	var s state
	w.sc.store(&s)
	for i, r := range w.sc.cast {
		a := &s.actors[i]
		*a = r.mind
		switch {
		case a.at != idle:
		case r.kind == sweeper && w.rules.BareK3:
			a.at = kUnsurveyed
		case r.kind == sweeper:
			a.at = w.surveys[0]
		case r.kind == adopter && w.rules.LateAdoption:
			a.at = aPacks
		default:
			a.at = entry[r.kind]
		}
		if r.warm {
			a.warm(&s)
		}
	}
	return s
}

// warm fills a cache with every shard in the store, as the writer's last backup left it.
func (a *actor) warm(s *state) {
	for i := range s.shards {
		if s.shards[i].listed {
			a.cached |= bit(i)
			a.cache[i] = s.shards[i].packs
		}
	}
}
