package main

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"medvault/api"
	"medvault/api/identity"
	"medvault/api/transport"
	"medvault/storage/s3"
	"medvault/vault"
	"medvault/vault/access"
	"medvault/vault/record"
)

// checks collects what is wrong with a configuration.
type checks struct{ problems []error }

func (c *checks) add(path, format string, args ...any) {
	c.problems = append(c.problems, fmt.Errorf("%s: %s", path, fmt.Sprintf(format, args...)))
}

func (c *checks) addIf(path string, err error) {
	if err != nil {
		c.add(path, "%v", err)
	}
}

func (c *checks) required(path, value string) bool {
	if value == "" {
		c.add(path, "missing; it is required")
	}
	return value != ""
}

func (c *checks) oneOf(path, found string, allowed ...string) bool {
	if !slices.Contains(allowed, found) {
		c.add(path, "found %q, want one of %s", found, strings.Join(allowed, ", "))
		return false
	}
	return true
}

func (c *checks) absolute(path, value string) {
	if c.required(path, value) && !filepath.IsAbs(value) {
		c.add(path, "found %q, want an absolute path", value)
	}
}

// secret does not quote what it found: it may be the secret itself.
func (c *checks) secret(path string, s Secret) {
	if !c.required(path, string(s)) {
		return
	}
	name, isEnv := strings.CutPrefix(string(s), "env:")
	if isEnv && name != "" || filepath.IsAbs(string(s)) {
		return
	}
	c.add(path, "want the absolute path of a file or env:NAME; the secret itself must not stand here")
}

var (
	countryCode = regexp.MustCompile(`^[A-Z]{2}$`)
	partName    = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)
)

func (c *checks) country(path, value string) {
	if !countryCode.MatchString(value) {
		c.add(path, "found %q, want an ISO 3166-1 code of two capital letters, such as CN", value)
	}
}

func (c *checks) name(path, value string, taken map[string]bool) {
	if !partName.MatchString(value) {
		c.add(path, "found %q, want lower-case letters, digits and hyphens", value)
	}
	if taken[value] {
		c.add(path, "%q is used twice", value)
	}
	taken[value] = true
}

// check returns every rule the configuration breaks.
func (c *Config) check() []error {
	var found checks
	c.checkListener(&found)
	found.country("home", c.Home)
	found.addIf("catalog.dsn", checkDSN(c.Catalog.DSN))
	if c.Catalog.PasswordFile != "" {
		found.secret("catalog.passwordFile", c.Catalog.PasswordFile)
		if strings.HasPrefix(c.Catalog.DSN, "sqlite:") {
			found.add("catalog.passwordFile", "SQLite has no password; remove it")
		}
	}
	services := c.checkKeys(&found)
	c.checkRegions(&found, services)
	c.checkIdentity(&found)
	c.checkCertificates(&found)
	c.checkHL7(&found)
	c.Care.FromDICOM.check(&found)
	c.Console.check(&found, c.Identity)
	c.Limits.check(&found)
	c.Security.check(&found)
	c.checkAlarms(&found)
	c.checkRetention(&found)
	c.Deidentification.check(&found)
	c.Documents.check(&found)
	c.Transfers.check(&found)
	if c.ContentOnly && (len(c.Verify) > 0 || c.Drill.Every > 0) {
		found.add("contentOnly", "such a gateway cannot verify or drill: remove verify and drill")
	}
	if _, err := c.engine(); err != nil {
		found.add("policies", "%v", err)
	}
	c.Drill.check(&found, c.Home, c.Regions)
	for i, line := range c.Verify {
		_, err := line.line()
		found.addIf(fmt.Sprintf("verify[%d]", i), err)
		if line.Region != "" && !slices.ContainsFunc(c.Regions, func(r RegionConfig) bool { return r.Name == line.Region }) {
			found.add(fmt.Sprintf("verify[%d].region", i), "found %q, want the name of a region", line.Region)
		}
	}
	c.Audit.Repository.check(&found)
	if c.Workers.Count < 1 || c.Workers.Count > 256 {
		found.add("workers.count", "found %d, want 1 to 256", c.Workers.Count)
	}
	if c.Workers.Log < 0 {
		found.add("workers.log", "found %s, want more than 0s", c.Workers.Log)
	}
	if c.Workers.Poll < 0 {
		found.add("workers.poll", "found %s, want more than 0s", c.Workers.Poll)
	}
	if c.ShutdownGrace < 0 {
		found.add("shutdownGrace", "found %s, want more than 0s", c.ShutdownGrace)
	}
	found.absolute("spool", c.Spool)
	return found.problems
}

func (c *Config) checkListener(found *checks) {
	if _, port, err := net.SplitHostPort(c.Listen); err != nil || !isPort(port) {
		found.add("listen", "found %q, want HOST:PORT", c.Listen)
	}
	if found.required("publicURL", c.PublicURL) {
		found.addIf("publicURL", transport.CheckURL(c.PublicURL))
	}
	_, err := transport.ParseProfile(c.TLS.Profile)
	found.addIf("tls.profile", err)
	if c.TLS.Cert == "" && c.TLS.Key == "" {
		onlyFor(found, "tls", "a listener with tls.cert", map[string]string{"clientCAs": c.TLS.ClientCAs})
		found.addIf("tls.cert", transport.CheckListen(c.Listen, false))
		return
	}
	found.absolute("tls.cert", c.TLS.Cert)
	found.absolute("tls.key", c.TLS.Key)
	if c.TLS.ClientCAs != "" {
		found.absolute("tls.clientCAs", c.TLS.ClientCAs)
	} else if c.TLS.RequireClientCerts {
		found.add("tls.requireClientCerts", "needs tls.clientCAs: whose certificates?")
	}
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}

func (c *Config) checkKeys(found *checks) map[string]bool {
	if c.Keys.Shards < 1 || c.Keys.Shards > 256 {
		found.add("keys.shards", "found %d, want 1 to 256", c.Keys.Shards)
	}
	if len(c.Keys.Services) == 0 {
		found.add("keys.services", "missing; at least one key service is required")
	}
	names := make(map[string]bool)
	for i, s := range c.Keys.Services {
		at := fmt.Sprintf("keys.services[%d]", i)
		found.name(at+".name", s.Name, names)
		if !found.oneOf(at+".driver", s.Driver, "transit", "insecure") {
			continue
		}
		if s.Driver == "insecure" {
			found.absolute(at+".file", s.File)
			if host, _, err := net.SplitHostPort(c.Listen); err == nil && !transport.Loopback(host) {
				found.add(at+".driver", "insecure keeps the keys in a plain file: allowed only when listen is a loopback address")
			}
			onlyFor(found, at, "transit", map[string]string{
				"address": s.Address, "mount": s.Mount, "caFile": s.CAFile,
				"approle.roleIDFile": string(s.AppRole.RoleIDFile), "approle.secretIDFile": string(s.AppRole.SecretIDFile),
				"rotation.roleIDFile": string(s.Rotation.RoleIDFile), "rotation.secretIDFile": string(s.Rotation.SecretIDFile)})
			continue
		}
		if found.required(at+".address", s.Address) {
			found.addIf(at+".address", transport.CheckURL(s.Address))
		}
		found.secret(at+".approle.roleIDFile", s.AppRole.RoleIDFile)
		found.secret(at+".approle.secretIDFile", s.AppRole.SecretIDFile)
		if s.Rotation != (AppRoleConfig{}) {
			found.secret(at+".rotation.roleIDFile", s.Rotation.RoleIDFile)
			found.secret(at+".rotation.secretIDFile", s.Rotation.SecretIDFile)
		}
		if s.CAFile != "" {
			found.absolute(at+".caFile", s.CAFile)
		}
		onlyFor(found, at, "insecure", map[string]string{"file": s.File})
	}
	return names
}

func (c *Config) checkRegions(found *checks, services map[string]bool) {
	names := make(map[string]bool)
	places := make(map[string]string) // where objects lie: path of the key that said so
	home := 0
	for i, r := range c.Regions {
		at := fmt.Sprintf("regions[%d]", i)
		found.name(at+".name", r.Name, names)
		found.country(at+".jurisdiction", r.Jurisdiction)
		if r.Jurisdiction == c.Home && r.Role != string(vault.RoleArchive) {
			home++
		}
		r.checkTerms(found, at, c.Home)
		if found.required(at+".keys", r.Keys) && !services[r.Keys] {
			found.add(at+".keys", "found %q, want one of %s", r.Keys, strings.Join(slices.Sorted(maps.Keys(services)), ", "))
		}
		if found.oneOf(at+".driver", r.Driver, "minio", "aws", "dir") {
			r.check(found, at)
		}
		if r.Concurrency < 1 || r.Concurrency > 64 {
			found.add(at+".concurrency", "found %d, want 1 to 64", r.Concurrency)
		}
		if link, err := r.link(); err != nil || link.Bandwidth != 0 && link.Bandwidth < 1<<20 {
			found.add(at+".bandwidth", "found %q, want bytes a second from 1MiB on, as 50MiB", r.Bandwidth)
		}
		for key, place := range r.places() {
			if other, ok := places[place]; ok && !strings.HasPrefix(other, at+".") {
				found.add(at+"."+key, "names the same place as %s: every region needs its own", other)
			}
			places[place] = at + "." + key
		}
	}
	if home < 2 {
		found.add("regions", "found %d in %s (home), want at least 2, archives aside: one lost region must not be the last", home, c.Home)
	}
	if number, err := strconv.Atoi(string(c.Write.Quorum)); err == nil {
		if number < 2 || number > home {
			found.add("write.quorum", "found %d, want majority, all, or 2 to %d (regions in %s, archives aside)", number, home, c.Home)
		}
	} else {
		found.oneOf("write.quorum", string(c.Write.Quorum), "majority", "all")
	}
}

// places are the buckets or the directory of a region, each with its key.
func (r RegionConfig) places() map[string]string {
	if r.Driver == "dir" {
		return map[string]string{"path": filepath.Clean(r.Path)}
	}
	return map[string]string{"bucket": r.Endpoint + "|" + r.Bucket, "keysBucket": r.Endpoint + "|" + r.KeysBucket}
}

func (r RegionConfig) check(found *checks, at string) {
	inS3 := map[string]string{"endpoint": r.Endpoint, "bucket": r.Bucket, "keysBucket": r.KeysBucket,
		"region": r.Region, "accessKeyFile": string(r.AccessKeyFile), "secretKeyFile": string(r.SecretKeyFile), "caFile": r.CAFile}
	if r.Driver == "dir" {
		found.absolute(at+".path", r.Path)
		onlyFor(found, at, "minio and aws", inS3)
		return
	}
	onlyFor(found, at, "dir", map[string]string{"path": r.Path})
	found.required(at+".bucket", r.Bucket)
	found.required(at+".keysBucket", r.KeysBucket)
	if r.Bucket == r.KeysBucket && r.Bucket != "" {
		found.add(at+".keysBucket", "is the same as bucket; wraps must lie in a bucket that is never versioned or locked")
	}
	if r.Endpoint != "" {
		_, err := s3.ParseEndpoint(r.Endpoint, r.InsecurePlaintext)
		found.addIf(at+".endpoint", err)
	}
	if r.CAFile != "" {
		found.absolute(at+".caFile", r.CAFile)
	}
	switch r.Driver {
	case "minio":
		found.required(at+".endpoint", r.Endpoint)
		found.secret(at+".accessKeyFile", r.AccessKeyFile)
		found.secret(at+".secretKeyFile", r.SecretKeyFile)
	case "aws":
		found.required(at+".region", r.Region)
		// Neither: the machine's own role.
		if r.AccessKeyFile != "" || r.SecretKeyFile != "" {
			found.secret(at+".accessKeyFile", r.AccessKeyFile)
			found.secret(at+".secretKeyFile", r.SecretKeyFile)
		}
	}
}

func (c *Config) checkIdentity(found *checks) {
	if found.required("identity.issuer", c.Identity.Issuer) {
		found.addIf("identity.issuer", transport.CheckURL(c.Identity.Issuer))
	}
	found.required("identity.audience", c.Identity.Audience)
	if c.Identity.CAFile != "" {
		found.absolute("identity.caFile", c.Identity.CAFile)
	}
	for _, value := range slices.Sorted(maps.Keys(c.Identity.Roles)) {
		var roles []string
		for _, role := range record.Roles() {
			roles = append(roles, string(role))
		}
		found.oneOf("identity.roles."+value, c.Identity.Roles[value], roles...)
	}
	if c.Identity.Country != "" {
		found.country("identity.country", c.Identity.Country)
	}
	if skew := c.Identity.ClockSkew; skew < 0 || skew > 5*time.Minute {
		found.add("identity.clockSkew", "found %s, want up to 5m", skew)
	}
}

func (c *Config) checkCertificates(found *checks) {
	certificates := c.Identity.Certificates
	if len(certificates.People) == 0 {
		onlyFor(found, "identity.certificates", "a list of people", map[string]string{"subject": certificates.Subject})
		return
	}
	if c.TLS.ClientCAs == "" {
		found.add("identity.certificates", "needs tls.clientCAs: whose certificates?")
	}
	found.oneOf("identity.certificates.subject", certificates.Subject, identity.SubjectURI, identity.SubjectDNS, identity.SubjectCN)
	var roles []string
	for _, role := range record.Roles() {
		roles = append(roles, string(role))
	}
	for _, name := range slices.Sorted(maps.Keys(certificates.People)) {
		who := certificates.People[name]
		at := "identity.certificates.people." + name
		found.oneOf(at+".role", who.Role, roles...)
		if who.Country != "" {
			found.country(at+".country", who.Country)
		}
		for _, s := range who.Scopes {
			_, err := access.ParseScope(s)
			found.addIf(at+".scopes", err)
		}
	}
}

func (l LimitsConfig) check(found *checks) {
	if l.Failures < 1 {
		found.add("limits.failures", "found %d, want 1 or more", l.Failures)
	}
	if l.Denials < 1 {
		found.add("limits.denials", "found %d, want 1 or more", l.Denials)
	}
	if l.Lockout < time.Second || l.Lockout > 24*time.Hour {
		found.add("limits.lockout", "found %s, want 1s to 24h", l.Lockout)
	}
	for _, p := range l.Proxies {
		if _, err := netip.ParsePrefix(p); err != nil {
			found.add("limits.proxies", "found %q, want a network as 10.0.0.0/24", p)
		}
	}
}

// limits are what the gateway holds its callers to.
func (l LimitsConfig) limits() api.Limits {
	limits := api.Limits{Failures: l.Failures, Denials: l.Denials, Lockout: l.Lockout}
	for _, p := range l.Proxies {
		if network, err := netip.ParsePrefix(p); err == nil { // checked before
			limits.Proxies = append(limits.Proxies, network.Masked())
		}
	}
	return limits
}

// onlyFor refuses keys that another driver would read: they would be ignored.
func onlyFor(found *checks, at, driver string, values map[string]string) {
	for _, key := range slices.Sorted(maps.Keys(values)) {
		if values[key] != "" {
			found.add(at+"."+key, "only %s reads this; remove it", driver)
		}
	}
}

// checkDSN refuses connections to PostgreSQL that do not verify the server, except
// to this machine, and passwords in the text. It does not quote the DSN.
func checkDSN(dsn string) error {
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		if !filepath.IsAbs(path) {
			return fmt.Errorf("found sqlite:%s, want sqlite: and an absolute path", path)
		}
		return nil
	}
	const want = "want sqlite:PATH or postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full"
	u, err := url.Parse(dsn)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Host == "" || u.User.Username() == "" {
		return errors.New(want)
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return errors.New(want)
	}
	if _, inline := u.User.Password(); inline || query.Has("password") {
		return errors.New("holds a password; put it into a file and name that in catalog.passwordFile")
	}
	if query.Has("host") || query.Has("hostaddr") {
		return errors.New("names a host in its query; " + want)
	}
	local := true
	for host := range strings.SplitSeq(u.Host, ",") {
		name := host
		if h, _, err := net.SplitHostPort(host); err == nil {
			name = h
		}
		local = local && transport.Loopback(name)
	}
	if mode := query.Get("sslmode"); !local && mode != "verify-full" {
		return fmt.Errorf("found sslmode=%s, want sslmode=verify-full: the server is not on this machine", mode)
	}
	return nil
}
