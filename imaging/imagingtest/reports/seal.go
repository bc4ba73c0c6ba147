package reports

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/sha256"
	"crypto/sha512"
	"fmt"
)

// sealing is the standard security handler, revision 6 (ISO 32000-2 7.6.4.4), with an
// empty user password: the file opens for everybody, and asks its reader to refuse
// some of what can be done with it.
type sealing struct {
	key []byte
	iv  func() []byte
}

// encrypt gives a string or stream as AES-256 in CBC mode, its vector before it.
func (s *sealing) encrypt(data []byte) []byte {
	iv := s.iv()
	n := 16 - len(data)%16
	padded := append([]byte(nil), data...)
	for range n {
		padded = append(padded, byte(n))
	}
	cbc(s.key, iv, padded)
	return append(iv, padded...)
}

func cbc(key, iv, data []byte) {
	block, err := aes.NewCipher(key)
	if err != nil {
		panic(err) // the keys of this file have the right size
	}
	cipher.NewCBCEncrypter(block, iv).CryptBlocks(data, data)
}

// seal encrypts what a document writes from here on.
func (w *writer) seal(d *document) {
	random := func(n int) []byte {
		b := make([]byte, n)
		for i := range b {
			b[i] = byte(w.r.Uint32())
		}
		return b
	}
	s := &sealing{key: random(32), iv: func() []byte { return random(16) }}
	zero := make([]byte, 16)
	salts := random(16)
	u := append(hash6(nil, salts[:8], nil), salts...)
	ue := append([]byte(nil), s.key...)
	cbc(hash6(nil, salts[8:], nil), zero, ue)

	owner := []byte("owner of the form")
	salts = random(16)
	o := append(hash6(owner, salts[:8], u), salts...)
	oe := append([]byte(nil), s.key...)
	cbc(hash6(owner, salts[8:], u), zero, oe)

	perms := append([]byte{0xC0, 0xF0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 'T', 'a', 'd', 'b'}, random(4)...)
	block, err := aes.NewCipher(s.key)
	if err != nil {
		panic(err) // 32 bytes
	}
	block.Encrypt(perms, perms)
	n := d.f.add(fmt.Sprintf("<< /Filter /Standard /V 5 /R 6 /Length 256 /P -3904 /U <%X> /UE <%X> /O <%X> /OE <%X> /Perms <%X> /CF << /StdCF << /CFM /AESV3 /AuthEvent /DocOpen /Length 32 >> >> /StmF /StdCF /StrF /StdCF >>",
		u, ue, o, oe, perms))
	id := random(16)
	d.trailer = fmt.Sprintf("/Encrypt %d 0 R /ID [<%X> <%X>]", n, id, id)
	d.f.seal = s
}

// hash6 is algorithm 2.B.
func hash6(password, salt, user []byte) []byte {
	sum := sha256.Sum256(append(append(append([]byte(nil), password...), salt...), user...))
	k := sum[:]
	for round := 0; ; round++ {
		one := append(append(append([]byte(nil), password...), k...), user...)
		var all []byte
		for range 64 {
			all = append(all, one...)
		}
		cbc(k[:16], k[16:32], all)
		rest := 0
		for _, b := range all[:16] {
			rest += int(b)
		}
		switch rest % 3 {
		case 0:
			sum := sha256.Sum256(all)
			k = sum[:]
		case 1:
			sum := sha512.Sum384(all)
			k = sum[:]
		case 2:
			sum := sha512.Sum512(all)
			k = sum[:]
		}
		if done := round + 1; done >= 64 && int(all[len(all)-1]) <= done-32 {
			return k[:32]
		}
	}
}
