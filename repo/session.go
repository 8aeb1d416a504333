package repo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"runtime"
	"sync"
	"sync/atomic"

	"cbk/index"
	"cbk/pack"
	"cbk/repo/roles"
)

// Ref points at one blob and says how many plain bytes it holds.
type Ref struct {
	ID    pack.ID
	Plain uint32
}

// Added counts what storing something cost: Plain bytes of blobs that were not known, and their Stored (sealed) bytes.
type Added struct{ Plain, Stored int64 }

// Plus returns the sum of two costs.
func (a Added) Plus(b Added) Added { return Added{a.Plain + b.Plain, a.Stored + b.Stored} }

// Session is one run of a writer in one domain: content goes in through Put and Stream, and Commit makes it a backup.
// Blobs the domain knows are not stored again. Safe for concurrent use until Commit, Finish or Close.
//
// Stages run side by side: callers read and cut, workers hash, compress, seal and verify, one uploader writes packs and
// shards. Memory is bounded by the buffers: about two chunks a worker and three packs.
type Session struct {
	repo   *Repo
	dom    *roles.Domain
	cache  *index.Cache
	key    *pack.Key    // of this session's blobs
	sealed pack.Session // the same as readers find it
	seal   pack.Sealer

	ctx     context.Context
	cancel  context.CancelCauseFunc
	buffers chan []byte
	jobs    chan *job
	width   int // workers
	workers sync.WaitGroup
	packs   *packer

	view    *epochs                 // tombstones as read at W1
	wanted  *wants                  // what checks could not read, as read at W1
	lost    map[pack.SessionID]bool // earlier sessions that no seal key in use opens
	checked Free                    // what is known of the backup's name

	mu      sync.Mutex
	claimed map[pack.ID]struct{} // blobs of this session that no shard in the store names yet
	relied  map[pack.ID]struct{} // packs that hold what was called known, and those put by this session
	putBack int                  // blobs stored again because a check could not read their holder

	copied Copied // into a self-contained copy

	stop sync.Once
	shut sync.Once
	sent atomic.Int64
}

// job is one blob on its way through the workers.
type job struct {
	typ   pack.Type
	plain []byte
	lent  bool // plain is one of the session's buffers
	ref   Ref
	added Added
	done  *sync.WaitGroup
}

// NewSession opens a domain for writing and loads its index. Close must be called in any case. The error matches
// index.ErrLocked while another backup uses the same local state, roles.ErrRole for a key that may not write the domain.
func (r *Repo) NewSession(ctx context.Context, domain string) (*Session, error) {
	// W1: the trust log, and what tombstones condemn, which counts as unknown. They are read before the shards (W2), so
	// that nothing condemned between the two is relied on without being noticed at W5.
	if err := r.refreshOnce(ctx); err != nil {
		return nil, err
	}
	key, sealed, err := r.Key().NewSession(domain)
	if err != nil {
		return nil, err
	}
	d, err := r.domain(domain)
	if err != nil {
		return nil, err
	}
	view, err := r.readEpochs(ctx, domain)
	if err != nil {
		return nil, err
	}
	// Before the shards too: whatever was put back since has a shard that the record was before.
	wanted, err := r.wanted(ctx, domain)
	if err != nil {
		return nil, err
	}
	cache, err := r.openCache(d, true)
	if err != nil {
		return nil, err
	}
	codec, err := pack.NewCodec() // its level follows this session's store
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	s := &Session{repo: r, dom: d, cache: cache, key: key, sealed: sealed, view: view, wanted: wanted, claimed: make(map[pack.ID]struct{}),
		relied: make(map[pack.ID]struct{}), width: runtime.GOMAXPROCS(0),
		seal: pack.Sealer{Codec: codec, Repository: r.id, Domain: domain, Hasher: d.Hasher}}
	newest, err := s.source().sync(ctx, cache)
	if err == nil {
		s.lost, err = r.lostSessions(ctx, domain, cache)
	}
	if err != nil {
		return nil, errors.Join(err, cache.Close())
	}
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	s.packs = newPacker(s, newest)
	s.startWorkers(s.width)
	return s, nil
}

// source gives the shards that count for the session.
func (s *Session) source() source {
	return source{Repo: s.repo, dom: s.dom, writing: true, wanted: s.wanted}
}

func (s *Session) startWorkers(n int) {
	// One buffer in each worker's hands and one for a stream that reads ahead. They have their full size from the start,
	// untouched and so without cost: growing would end with more than a chunk can be.
	s.buffers = make(chan []byte, n+1)
	for range cap(s.buffers) {
		s.buffers <- make([]byte, 0, pack.MaxBlob+pack.Overhead)
	}
	s.jobs = make(chan *job)
	for range n {
		s.workers.Go(s.work)
	}
}

func (s *Session) work() {
	var w pack.Scratch
	var sealed []byte
	for j := range s.jobs {
		if s.ctx.Err() == nil {
			var err error
			if sealed, err = s.store(&w, sealed[:0], j); err != nil {
				s.cancel(err)
			}
		}
		if j.lent {
			s.buffers <- j.plain
			j.plain = nil
		}
		j.done.Done()
	}
}

// store names a blob and, unless it is known, seals it into a pack.
func (s *Session) store(w *pack.Scratch, sealed []byte, j *job) ([]byte, error) {
	id := s.dom.Hasher.ID(j.typ, j.plain)
	j.ref = Ref{ID: id, Plain: uint32(len(j.plain))}
	mine, err := s.claim(id)
	if err != nil || !mine {
		return sealed, err
	}
	if j.lent {
		w.Lend(j.plain)
	}
	out, err := s.seal.Seal(sealed, w, s.keyFor(j.typ), j.typ, id, j.plain)
	if err != nil {
		return sealed, err
	}
	j.added = Added{Plain: int64(j.ref.Plain), Stored: int64(len(out))}
	return out, s.packs.add(j.typ, id, out, int(j.ref.Plain))
}

// keyFor returns the key that a type of blob is sealed under: what keepers must read, under the index key.
func (s *Session) keyFor(t pack.Type) *pack.Key {
	if indexed(t) {
		return s.dom.Index
	}
	return s.key
}

// indexed tells the types of blobs that are sealed under the index key.
func indexed(t pack.Type) bool { return t == pack.Refs || t == pack.Ring }

// claim returns true for exactly one of the callers that meet an unknown blob.
func (s *Session) claim(id pack.ID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.claimed[id]; ok {
		return false, nil
	}
	known, err := s.held(id)
	if err != nil || known {
		return false, err
	}
	s.claimed[id] = struct{}{}
	holder, ok, err := s.cache.Holder(id)
	if s.wanted.dropped[id] || ok && s.wanted.names(holder, id) {
		s.putBack++
	}
	return err == nil, err
}

// PutBack counts the blobs that were stored again because a check could not read their holder.
func (s *Session) PutBack() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.putBack
}

// DataSizes are the chunk sizes for Data.db, as the repository was made with them.
func (s *Session) DataSizes() pack.Sizes { return s.repo.settings.DataChunks }

// OtherSizes are the chunk sizes of everything but Data.db.
func (s *Session) OtherSizes() pack.Sizes { return s.repo.settings.MetaChunks }

// Known reports whether a blob is in the store and named by a shard, or on its way there in this session.
func (s *Session) Known(id pack.ID) (bool, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.claimed[id]; ok {
		return true, nil
	}
	return s.held(id)
}

// held reports whether a pack that no tombstone condemns and no check complains of holds a blob, and remembers that the session relies on it.
func (s *Session) held(id pack.ID) (bool, error) {
	holder, ok, err := s.cache.Holder(id)
	if err != nil || !ok || s.view.condemned[holder] || s.wanted.names(holder, id) {
		return false, err
	}
	if len(s.lost) > 0 {
		if loc, _, err := s.cache.Lookup(id); err != nil || s.lost[loc.Session.ID] {
			return false, err
		}
	}
	s.relied[holder] = struct{}{}
	return true, nil
}

// Facts is the part of the local cache where a backup remembers files.
func (s *Session) Facts() *index.Cache { return s.cache }

// Put stores one blob of at most pack.MaxBlob bytes. plain must not change until Put returns.
func (s *Session) Put(t pack.Type, plain []byte) (Ref, Added, error) {
	if len(plain) > pack.MaxBlob {
		return Ref{}, Added{}, fmt.Errorf("blob of %d bytes over the limit of %d", len(plain), pack.MaxBlob)
	}
	var wait sync.WaitGroup
	j := &job{typ: t, plain: plain, done: &wait}
	if err := s.submit(j); err != nil {
		return Ref{}, Added{}, err
	}
	wait.Wait()
	return j.ref, j.added, s.failure()
}

func (s *Session) submit(j *job) error {
	j.done.Add(1)
	select {
	case s.jobs <- j:
		return nil
	case <-s.ctx.Done():
		j.done.Done()
		return s.failure()
	}
}

func (s *Session) failure() error {
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return nil
}

// Window is how many chunks a stream hands over at a time: it bounds the list held for a file of any size.
const Window = 4096

// Stream cuts r into data blobs and stores them. emit receives their refs in order, at most Window at a time; the slice
// is reused. Errors of r are returned as they are, wrapped once.
func (s *Session) Stream(r io.Reader, sizes pack.Sizes, emit func([]Ref) error) (Added, error) {
	c := pack.NewChunker(r, s.dom.Polynomial, sizes)
	var total Added
	refs := make([]Ref, 0, 16)
	for {
		jobs, end := s.window(c)
		refs = refs[:0]
		for _, j := range jobs {
			refs = append(refs, j.ref)
			total = total.Plus(j.added)
		}
		if end != nil && !errors.Is(end, io.EOF) {
			return total, end
		}
		if err := s.failure(); err != nil {
			return total, err
		}
		if err := emit(refs); err != nil {
			return total, err
		}
		if end != nil {
			return total, nil
		}
	}
}

// window submits up to Window chunks and waits for them. The error is io.EOF at the end of the stream.
func (s *Session) window(c *pack.Chunker) (jobs []*job, end error) {
	var wait sync.WaitGroup
	defer wait.Wait()
	for len(jobs) < Window {
		var buf []byte
		select {
		case buf = <-s.buffers:
		case <-s.ctx.Done():
			return jobs, s.failure()
		}
		chunk, err := c.Next(buf)
		if err != nil {
			s.buffers <- buf
			return jobs, err
		}
		j := &job{typ: pack.Data, plain: chunk, lent: true, done: &wait}
		if err := s.submit(j); err != nil {
			s.buffers <- chunk
			return jobs, err
		}
		jobs = append(jobs, j)
	}
	return jobs, nil
}

// Finish stores everything handed over and the shards that name it, without a root: an interrupted backup keeps what it
// uploaded. No Put or Stream may run or follow.
func (s *Session) Finish() error {
	s.stopWorkers()
	if err := s.failure(); err != nil {
		return err
	}
	return s.packs.finish()
}

// Stored returns the bytes of packs and shards put so far.
func (s *Session) Stored() int64 { return s.sent.Load() }

func (s *Session) stopWorkers() {
	s.stop.Do(func() {
		close(s.jobs)
		s.workers.Wait()
	})
}

// Close ends the session; closing it again does nothing. What was not committed is garbage in the store, never a backup.
func (s *Session) Close() (err error) {
	s.shut.Do(func() {
		s.cancel(errors.New("session closed"))
		s.stopWorkers()
		s.packs.close()
		err = s.cache.Close()
	})
	return err
}
