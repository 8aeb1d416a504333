package docs

import (
	"bytes"
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/hpke"
	"encoding/base64"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"strings"

	"golang.org/x/crypto/argon2"
)

// The sections on the trust log and on key objects: who is who, and the secrets.

// Trust log

type statement struct {
	N        int
	Previous string
	Kind     string
	Body     struct {
		ID, Domain, Role                    string
		Domains                             []string
		Repository, Owner, Signing, Sealing []byte
		Number                              int
		Last                                []struct{ Domain, Root string }
	}
}

func (s *second) readTrustLog() {
	previous := make([]byte, 32)
	for object := s.objects["trust/1"]; object != nil; object = s.objects[fmt.Sprint("trust/", len(s.statements)+1)] {
		c := cursor{s.byOwner("trust", object)}
		c.magic("cbkT\x00")
		var st statement
		demand(int(binary.BigEndian.Uint32(c.take(4))) == len(c.left), "length of a statement")
		decodeJSON(c.left, &st)
		demand(st.N == len(s.statements)+1, "statement %d out of its order", st.N)
		demand(bytes.Equal(fromHex(st.Previous, 32), previous), "chain of the trust log at %d", st.N)
		s.believe(&st)
		previous = sum(object)
		s.statements = append(s.statements, hash(previous))
	}
	for name := range s.objects {
		var n int
		if _, err := fmt.Sscanf(name, "trust/%d", &n); err == nil {
			demand(n <= len(s.statements), "a gap in the trust log before %d", n)
		}
	}
}

func (s *second) believe(st *statement) {
	body := &st.Body
	demand((st.Kind == "genesis") == (st.N == 1), "genesis at %d", st.N)
	switch st.Kind {
	case "genesis":
		demand(bytes.Equal(body.Repository, s.repository) && bytes.Equal(body.Owner, s.owner), "genesis of another repository")
	case "principal":
		id := shortID("cbk principal", body.Signing, body.Sealing)
		demand(hex.EncodeToString(id[:]) == body.ID, "id of a principal")
		s.principals[id] = principal{body.Role, body.Domains, body.Signing}
	case "revoke":
		last := make(map[string]hash)
		for _, l := range body.Last {
			last[l.Domain] = hash(fromHex(l.Root, 32))
		}
		s.ended[keyID(fromHex(body.ID, 8))] = last
	case "generation":
		demand(body.Number == max(1, s.generations[body.Domain])+1, "generations of %s", body.Domain)
		s.generations[body.Domain] = body.Number
	}
}

// Key objects

// keyObjects calls fn with what follows magic, version and suite of every slot ("cbkS") or grant ("cbkG").
func (s *second) keyObjects(magic string, fn func(object []byte, c cursor)) {
	for name, object := range s.objects {
		rest, ok := strings.CutPrefix(name, "keys/")
		demand(!ok || hex.EncodeToString(sum(object)) == rest, "%s has another hash", name)
		if ok && bytes.HasPrefix(object, []byte(magic+"\x00\x01")) {
			fn(object, cursor{object[6:]})
		}
	}
}

// openSlot returns the principal whose slot the passphrase opens.
func (s *second) openSlot(passphrase string) (mine keyID, key hpke.PrivateKey) {
	s.keyObjects("cbkS", func(object []byte, c cursor) {
		s.byOwner("slot", object)
		kind, id, params, commitment, sealed := c.byte(), c.keyID(), c.bytes(16<<10), c.take(32), c.bytes(16<<10)
		if kind != 1 {
			return
		}
		p := cursor{params}
		cost, memory, threads := p.number(16), p.number(128<<10), p.number(16)
		demand(cost > 0 && threads > 0 && memory >= 8*threads && cost*memory <= 1<<20, "cost of a slot")
		secret := argon2.IDKey([]byte(passphrase), p.take(16), uint32(cost), uint32(memory), uint8(threads), 64)
		p.end()
		if !hmac.Equal(secret[32:], commitment) {
			return
		}
		name := string(join(label("slot"), s.owner, []byte{kind}, id[:], str(string(params))))
		private := s.open(sealed, classSlot, "", name, func(keyID) []byte { return secret[:32] })
		mine, key = id, hybridKey(private[32:])
		signing := ed25519.NewKeyFromSeed(private[:32]).Public().(ed25519.PublicKey)
		demand(shortID("cbk principal", signing, key.PublicKey().Bytes()) == id, "key id of a slot")
	})
	demand(key != nil, "the passphrase opens no slot")
	return mine, key
}

// readGrant takes the secrets of the owner out of its grant.
func (s *second) readGrant(mine keyID, key hpke.PrivateKey) {
	c := s.newestGrant(mine, key)
	demand(c.byte() == 1, "a grant of another role")
	c.take(32) // the owner's seed, to write with
	s.idSecret, s.indexSecret = c.take(32), c.take(32)
	c.each(1<<16, func() {
		seal, private := c.keyID(), hybridKey(c.take(32))
		demand(shortID("cbk seal key", private.PublicKey().Bytes()) == seal, "id of a seal key")
		s.seals[seal] = private
	})
	c.end()
}

// newestGrant returns the content of the newest grant of a principal.
func (s *second) newestGrant(mine keyID, key hpke.PrivateKey) (content cursor) {
	var newest uint64
	s.keyObjects("cbkG", func(object []byte, c cursor) {
		id, number := c.keyID(), c.take(8)
		n, after := binary.BigEndian.Uint64(number), c.hash()
		if id != mine || n <= newest || n > uint64(len(s.statements)) || s.statements[n-1] != after {
			return
		}
		newest = n
		sealed := s.byOwner("grant", object)[54:]
		info := join(label("cbk grant"), []byte{1}, s.repository, id[:], number)
		content.left = openHPKE(key, info, sealed)
	})
	demand(newest > 0, "no grant")
	return content
}

// domainKeys are the keys of one generation that a writer is told.
type domainKeys struct{ id, chunker, index, names []byte }

// writerKeys returns what the grant of a writer holds, by domain, for the generations from 1.
func (s *second) writerKeys(mine keyID, key hpke.PrivateKey) map[string][]domainKeys {
	all := make(map[string][]domainKeys)
	c := s.newestGrant(mine, key)
	demand(c.byte() == 2, "a grant of another role")
	c.each(1<<16, func() {
		domain := string(c.bytes(64))
		c.each(1<<16, func() {
			all[domain] = append(all[domain], domainKeys{c.take(32), c.take(32), c.take(32), c.take(32)})
		})
	})
	c.end()
	return all
}

// keyFile is a key file of this repository: whose it is.
type keyFile struct {
	role    byte
	domains []string
	id      keyID
	key     hpke.PrivateKey
}

func (s *second) readKeyFile(text string) (f keyFile) {
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	demand(len(lines) > 2 && lines[0] == "cbk key 0", "no key file")
	b, err := base64.StdEncoding.DecodeString(strings.Join(lines[1:len(lines)-1], ""))
	demand(err == nil && lines[len(lines)-1] == fmt.Sprintf("sha256 %x", sum(b)), "a key file that was cut or changed: %v", err)
	c := cursor{b}
	demand(bytes.Equal(c.take(16), s.repository), "a key file of another repository")
	f.role = c.byte()
	c.each(1<<16, func() { f.domains = append(f.domains, string(c.bytes(64))) })
	f.id = c.keyID()
	demand(bytes.Equal(c.take(32), s.owner), "a key file of another owner")
	f.key = hybridKey(c.bytes(64)[32:])
	n, newest := c.number(uint64(len(s.statements))), c.hash()
	demand(n > 0 && s.statements[n-1] == newest, "the trust log is not the one of the export")
	c.end()
	return f
}
