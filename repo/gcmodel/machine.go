package gcmodel

// pc says which operation an actor does next.
type pc uint8

const (
	idle pc = iota
	wClose
	wEpochs
	wShards
	wPack
	wShard
	wPending
	wRecheck
	wCommit
	wMerge
	wRetire
	kPlan
	kCreate
	kUnsurveyed
	kEpochs
	kPending
	kRoots
	kDeleted
	kCopyList
	kCopy
	kCopyShard
	kUncondemn
	kCrowded
	kSweepList
	kSweepShard
	kRetire
	kRelist
	kDelete
	kDrop
	eList
	eRemove
	aEpochs
	aPacks
	aShards
	aWrite
	jList
	jAbort
	jRemove
	oRecord
	oRemove
)

// world is a scenario under some rules.
type world struct {
	sc      *Scenario
	rules   Rules
	surveys []pc // the order of K2's lists
	turn    turn
}

func newWorld(sc *Scenario, rules Rules) *world {
	w := &world{sc: sc, rules: rules, surveys: []pc{kEpochs, kPending, kRoots, kDeleted, kCopyList}}
	switch {
	case rules.RootsFirst:
		w.surveys = []pc{kEpochs, kRoots, kPending, kDeleted, kCopyList}
	case rules.LateEpochs:
		w.surveys = []pc{kPending, kRoots, kDeleted, kEpochs, kCopyList}
	}
	return w
}

// turn is one actor about to act in one state.
type turn struct {
	*world
	from *state
	i    int
	out  func(next *state, what string) // next is lent until out returns
	next state
}

func (t *turn) role() *role { return &t.sc.cast[t.i] }

// to reports the state that one operation leads to.
func (t *turn) to(what string, change func(*state, *actor)) {
	t.next = *t.from
	change(&t.next, &t.next.actors[t.i])
	t.out(&t.next, what)
}

// successors reports, in a fixed order, every state that the next operation of actor i can lead to.
func (w *world) successors(s *state, i int, out func(*state, string)) {
	t := &w.turn
	t.world, t.from, t.i, t.out = w, s, i, out
	a := &s.actors[i]
	if r := t.role(); r.kind == writer && int(a.run)+1 < len(r.runs) {
		if a.at == idle {
			t.nextRun()
		} else if r.crashes {
			t.crash()
		}
	}
	if op := operations[a.at]; op != nil {
		op(t)
	}
}

// operations has the code of every step; an idle actor has none.
var operations = [...]func(*turn){
	idle:        nil,
	wClose:      (*turn).closeAttempt,
	wEpochs:     (*turn).writerEpochs,
	wShards:     (*turn).writerShards,
	wPack:       (*turn).writerPack,
	wShard:      (*turn).writerShard,
	wPending:    (*turn).writerPending,
	wRecheck:    (*turn).writerRecheck,
	wCommit:     (*turn).writerCommit,
	wMerge:      (*turn).writerMerge,
	wRetire:     (*turn).writerRetire,
	kPlan:       (*turn).plan,
	kCreate:     (*turn).create,
	kUnsurveyed: (*turn).unsurveyed,
	kEpochs:     (*turn).surveyEpochs,
	kPending:    (*turn).surveyPending,
	kRoots:      (*turn).surveyRoots,
	kDeleted:    (*turn).surveyDeleted,
	kCopyList:   (*turn).copyList,
	kCopy:       (*turn).copyBlobs,
	kCopyShard:  (*turn).copyShard,
	kUncondemn:  (*turn).uncondemn,
	kCrowded:    (*turn).crowded,
	kSweepList:  (*turn).sweepList,
	kSweepShard: (*turn).sweepShard,
	kRetire:     (*turn).retire,
	kRelist:     (*turn).relist,
	kDelete:     (*turn).deletePack,
	kDrop:       (*turn).dropAtOnce,
	eList:       (*turn).removable,
	eRemove:     (*turn).removeEpoch,
	aEpochs:     (*turn).adoptEpochs,
	aPacks:      (*turn).adoptPacks,
	aShards:     (*turn).adoptShards,
	aWrite:      (*turn).adoptWrite,
	jList:       (*turn).abortList,
	jAbort:      (*turn).abortCreate,
	jRemove:     (*turn).removePending,
	oRecord:     (*turn).deleteRecord,
	oRemove:     (*turn).deleteRoot,
}
