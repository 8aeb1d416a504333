package repo

import (
	"crypto/rand"
	"fmt"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"cbk/index"
	"cbk/pack"
)

const (
	// Two packs are open at a time and each blob goes to a random one, so that borders inside a pack do not tell the
	// sizes of consecutive chunks.
	openPacks = 2
	// A third buffer lets one pack travel while two fill. Together they may hold two and a quarter packs, 144 MiB at the
	// default size: the largest part of the 300 MiB a backup may take.
	packBuffers = 3

	// A shard is due after 16 packs (1 GiB at the default size) or half a minute, whichever is first: what a killed
	// backup has uploaded beyond its last shard is uploaded again.
	shardPacks    = 16
	shardInterval = 30 * time.Second
)

// packer fills packs with the blobs of one session and uploads them.
type packer struct {
	s       *Session
	session pack.Session
	scope   pack.Scope

	mu      sync.Mutex
	changed sync.Cond // a pack has left its buffer, or the session has failed
	open    [openPacks]*pack.Builder
	free    []*pack.Builder
	memory  map[*pack.Builder][]byte
	held    int           // bytes of blobs in all buffers
	moving  int           // packs on their way
	waited  time.Duration // by all workers, for a pack to leave, since the level was last chosen
	full    chan *pack.Builder
	ended   chan struct{}
	stop    sync.Once

	// The uploader's own.
	pending []pack.Info
	entries int
	last    time.Time
	seq     uint64
	sent    int       // packs
	chosen  time.Time // when the level was
}

func newPacker(s *Session, newest uint64) *packer {
	p := &packer{s: s, session: s.sealed, scope: pack.TailScope(s.repo.id, s.dom.Label), seq: newest, last: time.Now(), chosen: time.Now(),
		memory: make(map[*pack.Builder][]byte), full: make(chan *pack.Builder, packBuffers), ended: make(chan struct{})}
	p.changed.L = &p.mu
	go p.upload()
	return p
}

// add places a sealed blob into one of the open packs. It waits while the buffers hold all they may and some of it is on
// its way to the store.
func (p *packer) add(t pack.Type, id pack.ID, sealed []byte, plain int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	budget := openPacks*p.s.repo.settings.PackSize + p.s.repo.settings.PackSize/4
	for p.held+len(sealed) > budget && p.moving > 0 {
		p.wait()
	}
	var coin [1]byte
	rand.Read(coin[:])
	slot := &p.open[coin[0]%openPacks]
	// The lock is let go while waiting for a buffer: another caller may fill the slot meanwhile.
	for *slot == nil || !(*slot).Fits(len(sealed)) {
		if *slot != nil {
			p.send(*slot)
			*slot = nil
		}
		b, err := p.buffer()
		if err != nil {
			return err
		}
		if *slot == nil {
			*slot = b
		} else {
			p.free = append(p.free, b)
		}
	}
	(*slot).Add(t, id, sealed, plain, p.session)
	p.held += len(sealed)
	return nil
}

// send hands a pack to the uploader. The channel has room for every buffer there is.
func (p *packer) send(b *pack.Builder) {
	p.moving++
	p.full <- b
}

// buffer returns an empty buffer and waits for one if all are in use.
func (p *packer) buffer() (*pack.Builder, error) {
	for {
		if err := p.s.failure(); err != nil {
			return nil, err
		}
		if n := len(p.free); n > 0 {
			b := p.free[n-1]
			p.free = p.free[:n-1]
			return b, nil
		}
		if len(p.memory) < packBuffers {
			return p.newBuffer()
		}
		p.wait()
	}
}

// wait lets go of the lock until a pack has left its buffer or the session has failed.
func (p *packer) wait() {
	start := time.Now()
	p.changed.Wait()
	p.waited += time.Since(start)
}

// newBuffer maps memory outside Go's heap: what is given back to the system there is gone at once. It is never unmapped
// but kept for the next session: a request that was given up may go on reading it, which must not end the process. What
// it then sends does not have the checksum that it announced.
func (p *packer) newBuffer() (*pack.Builder, error) {
	m, err := p.s.repo.spare.take(p.s.repo.settings.PackSize)
	if err != nil {
		return nil, fmt.Errorf("pack buffer: %w", err)
	}
	b := pack.NewBuilder(m)
	p.memory[b] = m
	return b, nil
}

// release takes a buffer back whose pack is stored, or lost with the session. An empty buffer costs no memory.
func (p *packer) release(b *pack.Builder, held int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	b.Reset()
	_ = unix.Madvise(p.memory[b], unix.MADV_DONTNEED) // a hint: where it fails, the memory stays
	p.moving--
	p.held -= held
	p.free = append(p.free, b)
	p.changed.Broadcast()
}

// upload writes full packs and the shards that name them, in this order, until full is closed.
func (p *packer) upload() {
	defer close(p.ended)
	for b := range p.full {
		held := b.Len()
		if p.s.ctx.Err() == nil {
			if err := p.put(b); err != nil {
				p.s.cancel(err)
			}
		}
		p.release(b, held)
		if p.sent++; p.sent%openPacks == 0 {
			p.chooseLevel()
		}
	}
	if p.s.ctx.Err() == nil {
		if err := p.writeShard(); err != nil {
			p.s.cancel(err)
		}
	}
}

// chooseLevel lets workers compress harder while they would only wait for the store. Open packs fill evenly and leave
// one after another, so it looks at as many packs at a time.
func (p *packer) chooseLevel() {
	p.mu.Lock()
	waited := p.waited
	p.waited = 0
	p.mu.Unlock()
	elapsed := time.Since(p.chosen)
	p.chosen = time.Now()
	codec := p.s.seal.Codec
	if err := codec.SetLevel(codec.Level().Next(float64(waited) / float64(elapsed) / float64(p.s.width))); err != nil {
		p.s.cancel(err)
	}
}

func (p *packer) put(b *pack.Builder) error {
	data, info := b.Finish(p.s.dom.Index, p.scope)
	if err := p.s.repo.st.Create(p.s.ctx, PackName(info.Name), data); err != nil {
		return err
	}
	p.s.sent.Add(int64(len(data)))
	p.s.rely(info.Name)
	p.pending = append(p.pending, info)
	p.entries += len(info.Entries)
	if len(p.pending) < shardPacks && p.entries < index.MaxShardEntries-pack.MaxEntries && time.Since(p.last) < shardInterval {
		return nil
	}
	return p.writeShard()
}

func (p *packer) writeShard() error {
	if len(p.pending) == 0 {
		return nil
	}
	p.seq++
	name, data := p.s.repo.sealShard(p.s.dom, p.seq, p.pending)
	if err := p.s.repo.st.Create(p.s.ctx, name, data); err != nil {
		return err
	}
	p.s.sent.Add(int64(len(data)))
	if err := p.s.sharded(name, p.pending); err != nil {
		return err
	}
	p.pending, p.entries, p.last = nil, 0, time.Now()
	return nil
}

// sharded moves blobs from the session's memory to the cache once a shard in the store names them.
func (s *Session) sharded(name string, packs []pack.Info) error {
	if err := s.cache.Add(name[len(indexPrefix)+len(s.dom.Label)+1:], packs); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range packs {
		for _, e := range p.Entries {
			delete(s.claimed, e.ID)
		}
	}
	return nil
}

// finish uploads what is open, merged into one pack where it fits, and waits for the last shard.
func (p *packer) finish() error {
	p.stop.Do(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		a, b := p.open[0], p.open[1]
		if a != nil && b != nil && a.Absorb(b) {
			b = nil
		}
		for _, o := range []*pack.Builder{a, b} {
			if o != nil && !o.Empty() {
				p.send(o)
			}
		}
		close(p.full)
	})
	<-p.ended
	return p.s.failure()
}

// close ends the uploader without writing what is open, and gives up the buffers.
func (p *packer) close() {
	p.stop.Do(func() { close(p.full) })
	<-p.ended
	for _, m := range p.memory {
		_ = unix.Madvise(m, unix.MADV_DONTNEED)
		p.s.repo.spare.put(m)
	}
	p.memory, p.free, p.open = nil, nil, [openPacks]*pack.Builder{}
}

// mappings are pack buffers that no session uses.
type mappings struct {
	mu   sync.Mutex
	free [][]byte
}

func (m *mappings) take(size int) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n := len(m.free); n > 0 {
		b := m.free[n-1]
		m.free = m.free[:n-1]
		return b, nil
	}
	return unix.Mmap(-1, 0, size, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
}

func (m *mappings) put(b []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.free = append(m.free, b)
}
