package identity

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"medvault/vault/record"
)

// Where a certificate names its subject.
const (
	SubjectURI = "uri" // the one URI among its subject alternative names, as urn:ward-3:ct-1
	SubjectDNS = "dns" // the one DNS name among them
	SubjectCN  = "cn"  // the common name
)

// CertificatesConfig says whom client certificates prove. Which authorities are
// believed the TLS listener knows: it verifies chain, use and times.
type CertificatesConfig struct {
	Subject string                  // required: SubjectURI, SubjectDNS or SubjectCN
	People  map[string]record.Actor // required: by the name in the certificate; the Actor's ID is that name unless it is set
	Now     func() time.Time        // default time.Now
}

// Certificates knows modalities and services by the certificates they show. A nil
// *Certificates believes none, and requests are as without.
type Certificates struct{ cfg CertificatesConfig }

// NewCertificates checks cfg.
func NewCertificates(cfg CertificatesConfig) (*Certificates, error) {
	if !slices.Contains([]string{SubjectURI, SubjectDNS, SubjectCN}, cfg.Subject) {
		return nil, fmt.Errorf("certificates: subject is %q; it can be %s, %s or %s", cfg.Subject, SubjectURI, SubjectDNS, SubjectCN)
	}
	if len(cfg.People) == 0 {
		return nil, errors.New("certificates: nobody is named; list whom certificates prove")
	}
	people := make(map[string]record.Actor)
	for name, a := range cfg.People {
		if name == "" {
			return nil, errors.New("certificates: a name is empty")
		}
		if a.ID == "" {
			a.ID = name
		}
		people[name] = a
	}
	cfg.People = people
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	return &Certificates{cfg}, nil
}

const (
	x509Credential   = "x509:"
	serialCredential = "serial:"
)

// shown is the verified certificate of the connection, nil when there is none or nobody
// is believed by one. A connection may outlive its certificate: that is looked at again
// for each request.
func (c *Certificates) shown(r *http.Request) (*x509.Certificate, error) {
	if c == nil || r.TLS == nil || len(r.TLS.VerifiedChains) == 0 || len(r.TLS.VerifiedChains[0]) == 0 {
		return nil, nil
	}
	shown := r.TLS.VerifiedChains[0][0]
	if now := c.cfg.Now(); now.After(shown.NotAfter) || now.Before(shown.NotBefore) {
		return nil, errToken("certificate-expired", "the certificate of this connection has expired; connect with a new one")
	}
	return shown, nil
}

// Connection is whom a TLS connection proves by its certificate, where what it carries is
// no HTTP. It is asked again for each message.
func (c *Certificates) Connection(s *tls.ConnectionState) (record.Actor, error) {
	shown, err := c.shown(&http.Request{TLS: s})
	switch {
	case err != nil:
		return record.Actor{}, err
	case shown == nil:
		return record.Actor{}, errToken("no-certificate", "connect with a certificate")
	}
	return c.actor(shown)
}

func credentialsOf(shown *x509.Certificate) string {
	sum := sha256.Sum256(shown.Raw)
	return x509Credential + hex.EncodeToString(sum[:]) + " " + serialCredential + shown.SerialNumber.Text(16)
}

// actor is whom a certificate proves.
func (c *Certificates) actor(shown *x509.Certificate) (record.Actor, error) {
	var names []string
	switch c.cfg.Subject {
	case SubjectURI:
		for _, u := range shown.URIs {
			names = append(names, u.String())
		}
	case SubjectDNS:
		names = shown.DNSNames
	case SubjectCN:
		names = []string{shown.Subject.CommonName}
	}
	if len(names) != 1 || names[0] == "" {
		return record.Actor{}, errToken("certificate-nameless", "the certificate must hold exactly one name of the kind that this vault reads")
	}
	a, known := c.cfg.People[names[0]]
	if !known {
		return record.Actor{}, errToken("certificate-unknown", "nobody here is known by this certificate")
	}
	a.Credentials, a.Issued = credentialsOf(shown), shown.NotBefore.Unix()
	return a, nil
}

// bound holds a token that is bound to a certificate (RFC 8705) to the one that the
// connection shows, and names that one, so that revoking it ends what it proves.
func bound(a record.Actor, shown *x509.Certificate) (record.Actor, error) {
	var ids []string
	certificate := ""
	for id := range strings.FieldsSeq(a.Credentials) {
		if strings.HasPrefix(id, x509Credential) {
			certificate = id
		} else {
			ids = append(ids, id)
		}
	}
	has := ""
	if shown != nil {
		has = credentialsOf(shown)
		ids = append(ids, has)
	}
	if certificate != "" && !strings.HasPrefix(has, certificate+" ") {
		return record.Actor{}, errToken("token-bound", "this token is bound to a certificate; connect with that certificate")
	}
	a.Credentials = strings.Join(ids, " ")
	return a, nil
}
