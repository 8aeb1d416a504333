package repo

import (
	"context"
	"crypto/rand"
	"sync"
	"time"

	"cbk/index"
	"cbk/pack"
)

const (
	// Two packs are open at a time and each blob goes to a random one, so that borders inside a pack do not tell the
	// sizes of consecutive chunks.
	openPacks = 2
	// A third buffer lets one pack travel while two fill: 192 MiB at the default pack size, the largest part of the
	// 300 MiB a backup may take.
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

	mu    sync.Mutex
	open  [openPacks]*pack.Builder
	made  int
	free  chan *pack.Builder
	full  chan *pack.Builder
	ended chan struct{}
	stop  sync.Once

	// The uploader's own.
	pending []pack.Info
	entries int
	last    time.Time
	seq     uint64
}

func newPacker(s *Session, sess pack.Session, newest uint64) *packer {
	p := &packer{s: s, session: sess, scope: pack.TailScope(s.repo.id, s.dom.Label), seq: newest, last: time.Now(),
		free: make(chan *pack.Builder, packBuffers), full: make(chan *pack.Builder, packBuffers), ended: make(chan struct{})}
	go p.upload()
	return p
}

// add places a sealed blob into one of the open packs. It blocks while all buffers are on their way to the store.
func (p *packer) add(t pack.Type, id pack.ID, sealed []byte, plain int) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var coin [1]byte
	rand.Read(coin[:])
	slot := &p.open[coin[0]%openPacks]
	if *slot != nil && !(*slot).Fits(len(sealed)) {
		p.full <- *slot
		*slot = nil
	}
	if *slot == nil {
		b, err := p.buffer()
		if err != nil {
			return err
		}
		*slot = b
	}
	(*slot).Add(t, id, sealed, plain, p.session)
	return nil
}

func (p *packer) buffer() (*pack.Builder, error) {
	if p.made < packBuffers {
		p.made++
		return pack.NewBuilder(p.s.repo.cfg.PackSize), nil
	}
	select {
	case b := <-p.free:
		return b, nil
	case <-p.s.ctx.Done():
		return nil, context.Cause(p.s.ctx)
	}
}

// upload writes full packs and the shards that name them, in this order, until full is closed.
func (p *packer) upload() {
	defer close(p.ended)
	for b := range p.full {
		if p.s.ctx.Err() == nil {
			if err := p.put(b); err != nil {
				p.s.cancel(err)
			}
		}
		b.Reset()
		p.free <- b
	}
	if p.s.ctx.Err() == nil {
		if err := p.writeShard(); err != nil {
			p.s.cancel(err)
		}
	}
}

func (p *packer) put(b *pack.Builder) error {
	data, info := b.Finish(p.s.dom.Index, p.scope)
	if err := p.s.repo.st.Create(p.s.ctx, PackName(info.Name), data); err != nil {
		return err
	}
	p.s.sent.Add(int64(len(data)))
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
	data := index.EncodeShard(p.s.dom.Index, p.s.repo.id, p.s.dom.Label, p.pending)
	p.seq++
	name := index.ShardName(p.s.dom.Label, p.seq, data)
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
				p.full <- o
			}
		}
		close(p.full)
	})
	<-p.ended
	return p.s.failure()
}

// close ends the uploader without writing what is open.
func (p *packer) close() {
	p.stop.Do(func() { close(p.full) })
	<-p.ended
}
