package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"database/sql"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"math/big"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/go-jose/go-jose/v4"
	"github.com/go-jose/go-jose/v4/jwt"
	"github.com/hashicorp/vault/api"
	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/minio/minio-go/v7"
	"github.com/minio/minio-go/v7/pkg/credentials"
	"go.yaml.in/yaml/v3"

	"medvault/api/client"
	"medvault/api/transport"
	"medvault/keys/transit"
	regional "medvault/storage/minio"
	"medvault/storage/storetest"
	"medvault/vault"
	"medvault/vault/record"
)

// deployment is what gateways in production stand on: PostgreSQL, key services,
// regions and an issuer of tokens, all spoken to by TLS, and a configuration that
// names them.
type deployment struct {
	enlisted bool // staff are on the register

	t       *testing.T
	dir     string
	ca      *authority
	issuer  *tokenIssuer
	db      string // name of the database
	admin   *sql.DB
	links   map[string]*link // by name: where gateways connect to, but for PostgreSQL
	regions []*testRegion
	cfg     Config
}

// testRegion is one region and what its service really is.
type testRegion struct {
	name         string
	server       storetest.Server
	bucket, keys string
}

// newDeployment needs the servers that scripts/test starts. With raft, all regions
// share the key service that is set up as in production; else each has its own
// transit engine.
func newDeployment(t *testing.T, profile transport.Profile, raft bool) *deployment {
	t.Helper()
	servers := storetest.Servers(t)
	d := &deployment{t: t, dir: t.TempDir(), ca: newAuthority(t), links: make(map[string]*link)}
	d.openDatabase()
	d.cfg.TLS.Profile = string(profile)
	d.cfg.TLS.Cert, d.cfg.TLS.Key = d.ca.files(t, d.dir, "gateway")
	d.cfg.Home = "CN"
	d.cfg.Workers.Poll = 50 * time.Millisecond
	d.cfg.ShutdownGrace = 20 * time.Second
	d.cfg.DPO = DPOConfig{Email: "dpo@hospital.example", Phone: "+86 10 0000 0000", Address: "1 Example Road, Beijing"}
	d.cfg.Staff.FirstAdmin = person(record.RoleAdmin)

	d.issuer = newTokenIssuer(t, d)
	caFile := filepath.Join(d.dir, "ca.pem")
	d.cfg.Identity = IdentityConfig{Issuer: d.links["issuer"].url(), Audience: "medvault", CAFile: caFile,
		PatientIssuer: "hospital-a", Institution: "hospital-a", Country: "CN"}

	d.cfg.Keys.Shards = 8
	for i, name := range []string{"cn-north", "cn-east", "cn-south", "sg-1"} {
		r := &testRegion{name: name, server: servers[i%len(servers)], bucket: storetest.BucketName(), keys: storetest.BucketName()}
		d.regions = append(d.regions, r)
		r.makeBuckets(t)
		d.link(name, r.server.Endpoint)
		c := RegionConfig{Name: name, Jurisdiction: strings.ToUpper(name[:2]), Driver: "minio", Endpoint: d.links[name].url(), CAFile: caFile,
			Bucket: r.bucket, KeysBucket: r.keys, Region: "us-east-1", PathStyle: true, Keys: name,
			AccessKeyFile: d.secret(name+".access", r.server.Access), SecretKeyFile: d.secret(name+".secret", r.server.Secret)}
		if name == "cn-south" {
			c.Driver = "aws"
		}
		if raft {
			c.Keys = "transit"
		} else {
			d.cfg.Keys.Services = append(d.cfg.Keys.Services, d.engine(name))
		}
		d.cfg.Regions = append(d.cfg.Regions, c)
	}
	if raft {
		d.cfg.Keys.Services = []KeyServiceConfig{productionKeys(t)}
	}
	return d
}

// secret writes a file that a configuration may name.
func (d *deployment) secret(name, value string) Secret {
	path := filepath.Join(d.dir, name)
	if err := os.WriteFile(path, []byte(value+"\n"), 0o600); err != nil {
		d.t.Fatal(err)
	}
	return Secret(path)
}

// openDatabase makes a database of this test's own and names it by TLS.
func (d *deployment) openDatabase() {
	d.t.Helper()
	server, ca := os.Getenv("MEDVAULT_TEST_POSTGRES"), os.Getenv("MEDVAULT_TEST_POSTGRES_CA")
	if server == "" || ca == "" {
		d.t.Skip("set MEDVAULT_TEST_POSTGRES and MEDVAULT_TEST_POSTGRES_CA (scripts/test starts a server)")
	}
	var err error
	if d.admin, err = sql.Open("pgx", server); err != nil {
		d.t.Fatal(err)
	}
	d.db = "serve_" + string(record.NewObjectID())
	if _, err := d.admin.Exec("CREATE DATABASE " + d.db); err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		if _, err := d.admin.Exec("DROP DATABASE " + d.db + " WITH (FORCE)"); err != nil {
			d.t.Error(err)
		}
		d.admin.Close()
	})
	u, err := url.Parse(server)
	if err != nil {
		d.t.Fatal(err)
	}
	password, _ := u.User.Password()
	d.cfg.Catalog.PasswordFile = d.secret("postgres.password", password)
	d.cfg.Catalog.DSN = fmt.Sprintf("postgres://%s@%s/%s?sslmode=verify-full&sslrootcert=%s", u.User.Username(), u.Host, d.db, url.QueryEscape(ca))
}

// leaves counts the log's leaves that hold a text.
func (d *deployment) leaves(text string) (n int) {
	d.t.Helper()
	password, err := d.cfg.Catalog.PasswordFile.Read()
	if err != nil {
		d.t.Fatal(err)
	}
	u, err := url.Parse(d.cfg.Catalog.DSN)
	if err != nil {
		d.t.Fatal(err)
	}
	u.User = url.UserPassword(u.User.Username(), password)
	db, err := sql.Open("pgx", u.String())
	if err != nil {
		d.t.Fatal(err)
	}
	defer db.Close()
	err = db.QueryRow(`SELECT count(*) FROM audit_leaves WHERE position($1 in convert_from(data, 'UTF8')) > 0`, text).Scan(&n)
	if err != nil {
		d.t.Fatal(err)
	}
	return n
}

// databaseTLS asks PostgreSQL how its clients on the test's database speak to it.
func (d *deployment) databaseTLS() []string {
	d.t.Helper()
	rows, err := d.admin.Query(`SELECT DISTINCT coalesce(s.version, 'clear') || ' ' || coalesce(s.cipher, '')
		FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid) WHERE a.datname = $1`, d.db)
	if err != nil {
		d.t.Fatal(err)
	}
	defer rows.Close()
	var found []string
	for rows.Next() {
		var s string
		if err := rows.Scan(&s); err != nil {
			d.t.Fatal(err)
		}
		found = append(found, s)
	}
	if err := rows.Err(); err != nil {
		d.t.Fatal(err)
	}
	return found
}

// engine makes a transit engine for one region and reaches it by TLS.
func (d *deployment) engine(region string) KeyServiceConfig {
	d.t.Helper()
	address, token := os.Getenv("MEDVAULT_TEST_TRANSIT"), os.Getenv("MEDVAULT_TEST_TRANSIT_TOKEN")
	if address == "" || token == "" {
		d.t.Skip("set MEDVAULT_TEST_TRANSIT and MEDVAULT_TEST_TRANSIT_TOKEN (scripts/test starts a server)")
	}
	name := "transit-" + region
	d.link(name, address)
	mount := strings.TrimPrefix(storetest.BucketName(), "test-") + "-" + region
	c := transit.Config{Name: region, Address: address, Mount: mount, Shards: d.cfg.Keys.Shards, Auth: transit.Auth{Token: transit.Fixed(token)}}
	roles, err := transit.Provision(d.t.Context(), c, transit.Provisioning{Role: mount})
	if err != nil {
		d.t.Fatal(err)
	}
	d.t.Cleanup(func() {
		a, err := api.NewClient(&api.Config{Address: address})
		if err != nil {
			d.t.Fatal(err)
		}
		a.SetToken(token)
		for _, role := range []string{mount, mount + "-rotation"} {
			if _, err := a.Logical().Delete("auth/approle/role/" + role); err != nil {
				d.t.Error(err)
			}
			if err := a.Sys().DeletePolicy(role); err != nil {
				d.t.Error(err)
			}
		}
		if err := a.Sys().Unmount(mount); err != nil {
			d.t.Error(err)
		}
	})
	files := func(what string, l transit.Login) AppRoleConfig {
		secret, err := l.SecretID()
		if err != nil {
			d.t.Fatal(err)
		}
		return AppRoleConfig{RoleIDFile: d.secret(name+what+".role-id", l.RoleID), SecretIDFile: d.secret(name+what+".secret-id", secret)}
	}
	return KeyServiceConfig{Name: region, Driver: "transit", Address: d.links[name].url(), Mount: mount, CAFile: filepath.Join(d.dir, "ca.pem"),
		AppRole: files("", roles.Application), Rotation: files("-rotation", roles.Rotation)}
}

// productionKeys is the server that scripts/backends/vault-raft sets up by
// scripts/deploy/transit-setup: raft, TLS, AppRole, policies, audit.
func productionKeys(t *testing.T) KeyServiceConfig {
	t.Helper()
	address := os.Getenv("MEDVAULT_TEST_TRANSIT_TLS")
	if address == "" {
		t.Skip("set MEDVAULT_TEST_TRANSIT_TLS and what belongs to it (scripts/test starts a server)")
	}
	file := func(name string) Secret { return Secret(os.Getenv("MEDVAULT_TEST_TRANSIT_" + name)) }
	return KeyServiceConfig{Name: "transit", Driver: "transit", Address: address, CAFile: string(file("CA")),
		AppRole:  AppRoleConfig{RoleIDFile: file("ROLE_ID_FILE"), SecretIDFile: file("SECRET_ID_FILE")},
		Rotation: AppRoleConfig{RoleIDFile: file("ROTATION_ROLE_ID_FILE"), SecretIDFile: file("ROTATION_SECRET_ID_FILE")}}
}

// s3 speaks to a region's service without the vault.
func (r *testRegion) s3(t *testing.T) *minio.Client {
	t.Helper()
	c, err := minio.New(strings.TrimPrefix(r.server.Endpoint, "http://"), &minio.Options{
		Creds: credentials.NewStaticV4(r.server.Access, r.server.Secret, ""), Region: "us-east-1", BucketLookup: minio.BucketLookupPath})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (r *testRegion) makeBuckets(t *testing.T) {
	t.Helper()
	for bucket, versions := range map[string]bool{r.bucket: true, r.keys: false} { // wraps must be able to die
		_, err := regional.New(t.Context(), regional.Config{Endpoint: r.server.Endpoint, AccessKey: r.server.Access, SecretKey: r.server.Secret,
			Region: "us-east-1", Bucket: bucket, Insecure: true, PathStyle: true, CreateBucket: true, Versioning: versions})
		if err != nil {
			t.Fatal(err)
		}
	}
}

// holds lists every version of everything that lies in a bucket: name, version and
// when it was written.
func (r *testRegion) holds(t *testing.T, bucket string) []string {
	t.Helper()
	var all []string
	for o := range r.s3(t).ListObjects(t.Context(), bucket, minio.ListObjectsOptions{Recursive: true, WithVersions: bucket == r.bucket}) {
		if o.Err != nil {
			t.Fatal(o.Err)
		}
		all = append(all, fmt.Sprintf("%s %s %s %s", o.Key, o.VersionID, o.ETag, o.LastModified.Format(time.RFC3339Nano)))
	}
	slices.Sort(all)
	return all
}

// authority is a certificate authority of a test.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test authority"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{cert, key}
}

// issue makes a certificate of this machine.
func (a *authority) issue(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(time.Now().UnixNano()),
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}}, a.cert, &key.PublicKey, a.key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func (a *authority) roots() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(a.cert)
	return pool
}

// files writes ca.pem, and a certificate with its key, into dir.
func (a *authority) files(t *testing.T, dir, name string) (cert, key string) {
	t.Helper()
	c := a.issue(t)
	der, err := x509.MarshalPKCS8PrivateKey(c.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	cert, key = filepath.Join(dir, name+".pem"), filepath.Join(dir, name+".key")
	for path, block := range map[string]*pem.Block{
		filepath.Join(dir, "ca.pem"): {Type: "CERTIFICATE", Bytes: a.cert.Raw},
		cert:                         {Type: "CERTIFICATE", Bytes: c.Certificate[0]},
		key:                          {Type: "PRIVATE KEY", Bytes: der},
	} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return cert, key
}

// link is a TLS proxy in front of a server: it remembers how it was spoken to, and
// can be cut.
type link struct {
	t       *testing.T
	address string
	tls     *tls.Config
	handler http.Handler

	mu     sync.Mutex
	server *http.Server  // nil while cut
	mute   chan struct{} // not nil: requests are taken, and answered once it is closed
	spoken map[string]bool
}

// link puts a proxy in front of target, an http:// address.
func (d *deployment) link(name, target string) {
	d.t.Helper()
	u, err := url.Parse(target)
	if err != nil {
		d.t.Fatal(err)
	}
	proxy := &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.SetURL(u)
			r.Out.Host = r.In.Host // S3 signatures cover it
		},
		ErrorLog: log.New(io.Discard, "", 0),
	}
	d.serveLink(name, proxy)
}

func (d *deployment) serveLink(name string, handler http.Handler) {
	d.t.Helper()
	l := &link{t: d.t, address: "127.0.0.1:0", handler: handler, spoken: make(map[string]bool),
		tls: &tls.Config{Certificates: []tls.Certificate{d.ca.issue(d.t)}}} // takes all that Go takes: the client must choose
	l.mend()
	d.t.Cleanup(l.cut)
	d.links[name] = l
}

func (l *link) url() string { return "https://" + l.address }

// mend starts the proxy, at the address it had before.
func (l *link) mend() {
	l.t.Helper()
	listener, err := net.Listen("tcp", l.address)
	if err != nil {
		l.t.Fatal(err)
	}
	l.address = listener.Addr().String()
	l.server = &http.Server{TLSConfig: l.tls.Clone(), ErrorLog: log.New(io.Discard, "", 0),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			l.mu.Lock()
			l.spoken[tls.VersionName(r.TLS.Version)+" "+tls.CipherSuiteName(r.TLS.CipherSuite)] = true
			mute := l.mute
			l.mu.Unlock()
			if mute != nil {
				select {
				case <-mute:
				case <-r.Context().Done():
					return
				}
			}
			l.handler.ServeHTTP(w, r)
		})}
	go l.server.ServeTLS(listener, "", "")
}

// cut closes the port and every connection.
func (l *link) cut() {
	if l.server != nil {
		l.server.Close()
		l.server = nil
	}
}

// hang makes the server behind answer nothing until the returned func is called.
func (l *link) hang() (resume func()) {
	mute := make(chan struct{})
	set := func(c chan struct{}) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.mute = c
	}
	set(mute)
	return sync.OnceFunc(func() { set(nil); close(mute) })
}

func (l *link) heard() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	var all []string
	for s := range l.spoken {
		all = append(all, s)
	}
	slices.Sort(all)
	return all
}

// tokenIssuer is an OpenID issuer with one key.
type tokenIssuer struct {
	url string
	key *ecdsa.PrivateKey
}

func newTokenIssuer(t *testing.T, d *deployment) *tokenIssuer {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	i := &tokenIssuer{key: key}
	mux := http.NewServeMux()
	mux.HandleFunc("/.well-known/openid-configuration", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(map[string]any{"issuer": i.url, "jwks_uri": i.url + "/keys", "authorization_endpoint": i.url + "/auth",
			"token_endpoint": i.url + "/token", "id_token_signing_alg_values_supported": []string{"ES256"}})
	})
	mux.HandleFunc("/keys", func(w http.ResponseWriter, _ *http.Request) {
		json.NewEncoder(w).Encode(jose.JSONWebKeySet{Keys: []jose.JSONWebKey{{Key: &key.PublicKey, KeyID: "k1", Algorithm: "ES256", Use: "sig"}}})
	})
	d.serveLink("issuer", mux)
	i.url = d.links["issuer"].url()
	return i
}

// token is of a person for some time from now.
func (i *tokenIssuer) token(t *testing.T, person string, role record.Role, life time.Duration) string {
	t.Helper()
	signer, err := jose.NewSigner(jose.SigningKey{Algorithm: jose.ES256, Key: jose.JSONWebKey{Key: i.key, KeyID: "k1"}}, nil)
	if err != nil {
		t.Fatal(err)
	}
	token, err := jwt.Signed(signer).Claims(map[string]any{"iss": i.url, "aud": "medvault", "sub": person, "role": role,
		"iat": time.Now().Add(-time.Hour).Unix(), "exp": time.Now().Add(life).Unix()}).Serialize()
	if err != nil {
		t.Fatal(err)
	}
	return token
}

// write writes the deployment's configuration for one gateway, changed by change.
func (d *deployment) write(name string, change func(*Config)) (path string, cfg Config) {
	d.t.Helper()
	cfg = d.cfg
	cfg.Keys.Services = slices.Clone(d.cfg.Keys.Services)
	cfg.Regions = slices.Clone(d.cfg.Regions)
	var err error
	if cfg.Listen, err = freePort("127.0.0.1"); err != nil {
		d.t.Fatal(err)
	}
	cfg.PublicURL = "https://" + cfg.Listen
	cfg.Spool = filepath.Join(d.dir, "spool-"+name)
	if change != nil {
		change(&cfg)
	}
	text, err := yaml.Marshal(cfg)
	if err != nil {
		d.t.Fatal(err)
	}
	path = filepath.Join(d.dir, name+".yaml")
	if err := os.WriteFile(path, text, 0o600); err != nil {
		d.t.Fatal(err)
	}
	return path, cfg
}

// gatewayProcess is one running `medvault serve`.
type gatewayProcess struct {
	d    *deployment
	url  string
	over *seenClient
	log  *lockedBuffer
	end  context.CancelFunc
	stop func() int // ends it and returns its exit code
}

// serve runs `medvault serve` and waits until it answers.
func (d *deployment) serve(name string) *gatewayProcess {
	d.t.Helper()
	path, cfg := d.write(name, nil)
	profile, err := transport.ParseProfile(cfg.TLS.Profile)
	if err != nil {
		d.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	g := &gatewayProcess{d: d, url: cfg.PublicURL, log: new(lockedBuffer), end: cancel, over: &seenClient{next: profile.HTTPClient(d.ca.roots()).Transport}}
	code := make(chan int, 1)
	go func() { code <- run(ctx, []string{"serve", "--config", path}, g.log, g.log) }()
	g.stop = sync.OnceValue(func() int { cancel(); return <-code })
	d.t.Cleanup(func() {
		if got := g.stop(); got != exitClean {
			d.t.Errorf("gateway %s ended with %d: %s", name, got, g.log)
		}
	})
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		if resp, err := (&http.Client{Transport: g.over}).Get(g.url + "/healthz"); err == nil {
			resp.Body.Close()
			d.enlist(g)
			return g
		}
		select {
		case c := <-code:
			code <- c
			d.t.Fatalf("gateway %s ended with %d: %s", name, c, g.log)
		default:
		}
		if time.Since(began) > 90*time.Second {
			d.t.Fatalf("gateway %s does not answer: %s", name, g.log)
		}
	}
}

// seenClient remembers the last answer's headers and TLS.
type seenClient struct {
	next http.RoundTripper

	mu     sync.Mutex
	header http.Header
	tls    *tls.ConnectionState
}

func (s *seenClient) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := s.next.RoundTrip(r)
	if err == nil {
		s.mu.Lock()
		s.header, s.tls = resp.Header, resp.TLS
		s.mu.Unlock()
	}
	return resp, err
}

func (s *seenClient) last() (http.Header, *tls.ConnectionState) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.header, s.tls
}

// as is a client of the gateway with the token of a person of this role.
func (g *gatewayProcess) as(role record.Role) *client.Client {
	g.d.t.Helper()
	return g.with(g.d.issuer.token(g.d.t, person(role), role, time.Hour))
}

// staffRecords are the house records of enlist: the house, a person of every role of
// staff, and someone.
const staffRecords = 11

// enlist enters a person of every role into the register of a new vault.
func (d *deployment) enlist(g *gatewayProcess) {
	d.t.Helper()
	if d.enlisted {
		return
	}
	d.enlisted = true
	admin := g.as(record.RoleAdmin)
	until(d.t, "the first administrator is entered", func() bool {
		_, err := admin.StaffMe(d.t.Context())
		return err == nil
	})
	people := map[string]record.Role{"someone": record.RoleOperator}
	for _, role := range record.Roles() {
		if role != record.RoleAdmin && role != record.RolePatient && role != record.RoleGuardian {
			people[person(role)] = role
		}
	}
	trained := []vault.Training{{At: time.Now().Add(-time.Hour)}}
	for subject, role := range people {
		if _, err := admin.AddStaff(d.t.Context(), vault.StaffPerson{Subject: subject, Roles: []record.Role{role}, Institution: "house", Trainings: trained}); err != nil {
			d.t.Fatalf("enlist %s: %v", subject, err)
		}
	}
}

func person(role record.Role) string { return "person-" + string(role) }

func (g *gatewayProcess) with(token string) *client.Client {
	g.d.t.Helper()
	c, err := client.New(client.Config{URL: g.url, Token: token, HTTPClient: &http.Client{Transport: g.over}})
	if err != nil {
		g.d.t.Fatal(err)
	}
	return c
}

// ready asks /readyz.
func (g *gatewayProcess) ready() (status int, missing []string) {
	g.d.t.Helper()
	resp, err := (&http.Client{Transport: g.over}).Get(g.url + "/readyz")
	if err != nil {
		g.d.t.Fatal(err)
	}
	defer resp.Body.Close()
	var a struct{ Missing []string }
	if err := json.NewDecoder(resp.Body).Decode(&a); err != nil {
		g.d.t.Fatal(err)
	}
	return resp.StatusCode, a.Missing
}

// metrics asks /metrics.
func (g *gatewayProcess) metrics() string {
	g.d.t.Helper()
	resp, err := (&http.Client{Transport: g.over}).Get(g.url + "/metrics")
	if err != nil {
		g.d.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		g.d.t.Fatal(err)
	}
	return string(text)
}

// until waits for what must come to pass.
func until(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for began := time.Now(); !holds(); time.Sleep(50 * time.Millisecond) {
		if time.Since(began) > 30*time.Second {
			t.Fatalf("%s: not within 30 s", what)
		}
	}
}

// fails runs `medvault serve` with a configuration it must not start with.
func (d *deployment) fails(t *testing.T, name string, change func(*Config)) (code int, stderr string) {
	t.Helper()
	path, _ := d.write(name, change)
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	var out bytes.Buffer
	return run(ctx, []string{"serve", "--config", path}, io.Discard, &out), out.String()
}
