package docs

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hkdf"
	"crypto/hpke"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"golang.org/x/crypto/chacha20poly1305"
)

// This is a reader of version 0 written from format.md alone, in its order: here from the notation to config, then
// second_keys_test.go, second_content_test.go, second_files_test.go and second_lz4_test.go. It knows nothing of cbk's packages. It takes the
// objects of a repository that fits in memory and ends with the files of its backups, or in a refusal.

type (
	hash  [32]byte
	keyID [8]byte
)

// second is an open repository.
type second struct {
	all         map[string][]byte // what is stored, by name
	objects     map[string][]byte // of it, those outside of full copies
	repository  []byte
	owner       ed25519.PublicKey
	statements  []hash // of the trust log, from 1
	principals  map[keyID]principal
	ended       map[keyID]map[string]hash // revoked keys: by domain their last root that counts
	generations map[string]int            // by domain, where it is not 1
	idSecret    []byte
	indexSecret []byte
	seals       map[keyID]hpke.PrivateKey
	roots       map[string]*root // by name
	met         map[string]int   // how often: recipes, and what is special in them
	before      map[hash]hash    // of a root, or of one that was deleted: the root before
}

type principal struct {
	role    string
	domains []string
	signing ed25519.PublicKey
}

// refusal is what the reader ends with where something is not as the format says.
type refusal string

func demand(ok bool, format string, args ...any) {
	if !ok {
		panic(refusal(fmt.Sprintf(format, args...)))
	}
}

func openSecond(objects map[string][]byte, passphrase string) *second {
	s := &second{all: objects, objects: below(objects, ""),
		principals: make(map[keyID]principal), ended: make(map[keyID]map[string]hash),
		generations: make(map[string]int), seals: make(map[keyID]hpke.PrivateKey), before: make(map[hash]hash),
		roots: make(map[string]*root), met: make(map[string]int)}
	s.readConfig()
	s.readTrustLog()
	s.readGrant(s.openSlot(passphrase))
	s.readChains()
	return s
}

// Notation

// mostNumber bounds numbers that have no limit of their own.
const mostNumber = 1<<63 - 1

type cursor struct{ left []byte }

func (c *cursor) take(n int) []byte {
	demand(n <= len(c.left), "%d bytes wanted, %d left", n, len(c.left))
	taken := c.left[:n]
	c.left = c.left[n:]
	return taken
}

func (c *cursor) number(most uint64) uint64 {
	n, size := binary.Uvarint(c.left)
	demand(size > 0 && n <= most && (size == 1 || c.left[size-1] != 0), "number %d", n)
	c.take(size)
	return n
}

func (c *cursor) each(most uint64, item func()) {
	for range c.number(most) {
		item()
	}
}

func (c *cursor) bytes(most uint64) []byte { return c.take(int(c.number(most))) }
func (c *cursor) byte() byte               { return c.take(1)[0] }
func (c *cursor) hash() hash               { return hash(c.take(32)) }
func (c *cursor) keyID() keyID             { return keyID(c.take(8)) }
func (c *cursor) end()                     { demand(len(c.left) == 0, "%d bytes left over", len(c.left)) }

func (c *cursor) magic(want string) {
	demand(string(c.take(len(want))) == want, "it does not begin with %q", want)
}

func str(s string) []byte                 { return append(binary.AppendUvarint(nil, uint64(len(s))), s...) }
func join(parts ...[]byte) []byte         { return bytes.Join(parts, nil) }
func label(s string) []byte               { return append([]byte(s), 0) }
func shortID(s string, b ...[]byte) keyID { return keyID(sum(label(s), join(b...))[:8]) }
func sum(parts ...[]byte) []byte          { h := sha256.Sum256(join(parts...)); return h[:] }

func decodeJSON(b []byte, into any) {
	err := json.Unmarshal(b, into)
	demand(err == nil, "JSON: %v", err)
}

// Objects

const grammar = `^(config|trust/[1-9][0-9]*|keys/H|packs/[0-9a-f]{2}/H|index/D/[0-9]{10}-[0-9a-f]{16}|` +
	`(snapshots|pending|deleted)/D/H|(holds|checks)/H|audit/[0-9a-f]{16}/[1-9][0-9]*|gc/D/[1-9][0-9]*|sessions/[0-9a-f]{32}/[0-9a-f]{16})$`

var known = regexp.MustCompile(strings.NewReplacer("H", "[0-9a-f]{64}", "D", "[a-z0-9][a-z0-9.-]{0,63}").Replace(grammar))

// below returns the objects whose names begin with a prefix, by the rest of their names. Strangers are left out.
func below(objects map[string][]byte, prefix string) map[string][]byte {
	out := make(map[string][]byte)
	for name, b := range objects {
		if rest, ok := strings.CutPrefix(name, prefix); ok && known.MatchString(rest) && !strings.Contains(rest, "..") {
			out[rest] = b
		}
	}
	return out
}

// Keys

func (s *second) derive(secret []byte, purpose, domain string, generation int) []byte {
	info := fmt.Sprintf("cbk/0\x00%s\x00%s\x00%d", purpose, domain, generation)
	key, err := hkdf.Key(sha256.New, secret, s.repository, info, 32)
	demand(err == nil, "HKDF: %v", err)
	return key
}

// generation finds the index key that a key id names.
func (s *second) generation(domain string, id keyID) (index []byte, generation int) {
	for g := 1; g <= max(1, s.generations[domain]); g++ {
		if index = s.derive(s.indexSecret, "index", domain, g); shortID("cbk key id", index) == id {
			return index, g
		}
	}
	demand(false, "no generation of %s has the key %x", domain, id)
	return nil, 0
}

func openHPKE(key hpke.PrivateKey, info, sealed []byte) []byte {
	plain, err := hpke.Open(key, hpke.HKDFSHA256(), hpke.ChaCha20Poly1305(), info, sealed)
	demand(err == nil, "HPKE: %v", err)
	return plain
}

// sessionKey opens the data key of a session: as its packs and shards have it, or as it was sealed anew.
func (s *second) sessionKey(objects map[string][]byte, domain string, session, sealed []byte) []byte {
	candidates := [][]byte{sealed}
	for seal := range s.seals {
		if anew := objects[fmt.Sprintf("sessions/%x/%x", session, seal)]; anew != nil {
			candidates = append(candidates, anew)
		}
	}
	for _, sealed := range candidates {
		c := cursor{sealed}
		seal := c.keyID()
		if key := s.seals[seal]; key != nil {
			info := join([]byte("cbk/1"), []byte{1}, s.repository, []byte(domain), session, seal[:])
			return openHPKE(key, info, c.left)
		}
	}
	demand(false, "no seal key opens the session %x", session)
	return nil
}

func hybridKey(b []byte) hpke.PrivateKey {
	key, err := hpke.MLKEM768X25519().NewPrivateKey(b)
	demand(err == nil, "HPKE key: %v", err)
	return key
}

// Envelope

const (
	classBlob = 1 + iota
	classTail
	classShard
	classHead
	classSlot
	classBody
	classAbort
	classRecord
	classTombstone
)

// open opens an envelope under the key that keyFor has for its key id.
func (s *second) open(sealed []byte, class byte, domain, name string, keyFor func(keyID) []byte) []byte {
	c := cursor{sealed}
	c.magic("cbk\x01\x00\x01" + string(class))
	key, nonce := keyFor(c.keyID()), c.take(24)
	aead, err := chacha20poly1305.NewX(key)
	demand(err == nil, "key: %v", err)
	plain, err := aead.Open(nil, nonce, c.left, join(sealed[:39], s.repository, str(domain), str(name)))
	demand(err == nil, "envelope of class %d, %s: %v", class, name, err)
	return plain
}

// openIndexed opens an envelope under an index key of the domain and returns the generation of that key.
func (s *second) openIndexed(sealed []byte, class byte, domain, name string) (plain []byte, generation int) {
	plain = s.open(sealed, class, domain, name, func(id keyID) (key []byte) {
		key, generation = s.generation(domain, id)
		return key
	})
	return plain, generation
}

// Signed objects

func (s *second) openSigned(sealed []byte, class byte, domain, name string) (body []byte, author keyID, generation int) {
	plain, generation := s.openIndexed(sealed, class, domain, name)
	c := cursor{plain}
	type signature struct {
		by  keyID
		sig []byte
	}
	var all []signature
	c.each(8, func() { all = append(all, signature{c.keyID(), c.take(64)}) })
	body = c.bytes(32 << 20)
	c.end()
	demand(len(all) > 0, "%s is not signed", name)
	signed := join(label("cbk sign"), s.repository, str(fmt.Sprintf("%d %s", class, name)), body)
	for _, one := range all {
		p, ok := s.principals[one.by]
		demand(ok && p.maySign(one.by, class, domain, name), "%s may not be signed by %x", name, one.by)
		demand(ed25519.Verify(p.signing, signed, one.sig), "signature of %s", name)
	}
	return body, all[0].by, generation
}

func (p principal) maySign(id keyID, class byte, domain, name string) bool {
	if strings.HasPrefix(name, "audit/") {
		return strings.HasPrefix(name, fmt.Sprintf("audit/%x/", id))
	}
	switch p.role {
	case "owner":
		return true
	case "keeper":
		return class != classHead
	case "reader":
		return name == "holds" || name == "checks"
	case "writer":
		return class != classRecord && class != classTombstone && slices.Contains(p.domains, domain)
	}
	return false
}

// byOwner takes the owner's signature, the last 64 bytes of an object, off and checks it.
func (s *second) byOwner(what string, object []byte) []byte {
	n := len(object) - ed25519.SignatureSize
	demand(n > 0, "%s is too short", what)
	demand(ed25519.Verify(s.owner, join(label("cbk "+what), s.repository, object[:n]), object[n:]), "signature of %s", what)
	return object[:n]
}

// config

func (s *second) readConfig() {
	object := s.objects["config"]
	demand(len(object) <= 64<<10, "size of config")
	c := cursor{object}
	c.magic("cbkC\x00\x00")
	demand(binary.BigEndian.Uint16(c.take(2)) == 0, "a newer program is needed")
	var identity struct {
		Repository, Owner string
		Suite             int
		Requires          []string
	}
	decodeJSON(c.take(int(binary.BigEndian.Uint32(c.take(4)))), &identity)
	demand(len(c.left) == ed25519.SignatureSize && identity.Suite == 1 && len(identity.Requires) == 0, "config")
	s.repository, s.owner = fromHex(identity.Repository, 16), fromHex(identity.Owner, 32)
	s.byOwner("config", object)
}

func fromHex(text string, size int) []byte {
	b, err := hex.DecodeString(text)
	demand(err == nil && len(b) == size, "hex %q", text)
	return b
}
