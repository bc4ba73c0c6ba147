package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const examplePath = "../../scripts/deploy/config.example.yaml"

func TestExampleConfigLoads(t *testing.T) {
	cfg, err := loadConfig(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	if got := len(cfg.Regions); got != 4 {
		t.Errorf("regions = %d; want 4", got)
	}
	if got := cfg.Keys.Services[1].Mount; got != "transit" {
		t.Errorf("default mount = %q; want transit", got)
	}
	if got := cfg.Identity.PatientIssuer; got != "FPH" {
		t.Errorf("patientIssuer = %q; want FPH", got)
	}
}

// Every rule refuses with the key, and never with a secret.
func TestConfigProblemsNameTheirKey(t *testing.T) {
	example, err := os.ReadFile(examplePath)
	if err != nil {
		t.Fatal(err)
	}
	broken := filepath.Join(t.TempDir(), "pixels.rules")
	if err := os.WriteFile(broken, []byte("# ours\nmask 0,0,1,1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct{ name, old, new, want string }{
		{"unknown key", "listen: 0.0.0.0:8443", "lissten: 0.0.0.0:8443", `line 9: lissten: unknown key; allowed here: alarms, audit, care, catalog, console, contentOnly,`},
		{"unknown nested key", "quorum: majority", "quorums: majority", "write.quorums: unknown key; allowed here: quorum"},
		{"unknown key in a list", "    jurisdiction: SG", "    juristiction: SG", "regions[3].juristiction: unknown key"},
		{"key twice", "home: CN", "home: CN\nhome: SG", "line 29: home: given twice"},
		{"number", "shards: 256", "shards: many", `keys.shards: found "many", want a whole number`},
		{"content keys alone cannot verify", "home: CN", "home: CN\ncontentOnly: true", "contentOnly: such a gateway cannot verify"},
		{"policies that are not there", "home: CN", "home: CN\npolicies: /nowhere/policies", "policies: /nowhere/policies: read policies"},
		{"range", "shards: 256", "shards: 257", "keys.shards: found 257, want 1 to 256"},
		{"duration", "poll: 1s", "poll: often", `workers.poll: found "often", want a duration`},
		{"bool", "insecurePlaintext: false", "insecurePlaintext: maybe", `regions[0].insecurePlaintext: found "maybe", want true or false`},
		{"list", "regions:\n  - name: cn-north", "regions:\n    name: cn-north", "did not find expected"},
		{"choice", "profile: aes256", "profile: aes128", `tls.profile: TLS profile is "aes128"; it can be "aes256" or "modern"`},
		{"required", "home: CN", "home: ", "home: found \"\", want an ISO 3166-1 code"},
		{"plain listener", "  cert: /etc/medvault/tls.crt\n  key: /etc/medvault/tls.key\n", "", "tls.cert: listen on 0.0.0.0:8443 without TLS"},
		{"half a certificate", "  key: /etc/medvault/tls.key\n", "", "tls.key: missing"},
		{"plain http to transit", "address: https://transit.east", "address: http://transit.east", "keys.services[1].address: plain http to transit.east"},
		{"plain http to s3", "endpoint: https://s3.east", "endpoint: http://s3.east", "regions[1].endpoint: endpoint: plain http"},
		{"plain http issuer", "issuer: https://login", "issuer: http://login", "identity.issuer: plain http to login"},
		{"plain http public", "publicURL: https:", "publicURL: http:", "publicURL: plain http to vault"},
		{"sslmode disable", "sslmode=verify-full\n", "sslmode=disable\n", "catalog.dsn: found sslmode=disable, want sslmode=verify-full"},
		{"sslmode require verifies nothing", "sslmode=verify-full\n", "sslmode=require\n", "catalog.dsn: found sslmode=require"},
		{"sslmode absent", "?sslmode=verify-full\n", "\n", "catalog.dsn: found sslmode=, want"},
		{"password in the DSN", "postgres://medvault@", "postgres://medvault:hunter2@", "catalog.dsn: holds a password"},
		{"host in the query", "sslmode=verify-full\n", "sslmode=disable&host=10.0.0.1\n", "catalog.dsn: names a host in its query"},
		{"secret inline", "secretKeyFile: env:CN_EAST_SECRET_KEY", "secretKeyFile: hunter2", "regions[1].secretKeyFile: want the absolute path"},
		{"secret missing", "        secretIDFile: env:TRANSIT_EAST_SECRET_ID\n", "", "keys.services[1].approle.secretIDFile: missing"},
		{"half a rotation", "        secretIDFile: /etc/medvault/rotation/transit-north.secret-id\n", "", "keys.services[0].rotation.secretIDFile: missing"},
		{"relative authority", "caFile: /etc/medvault/s3-ca.pem", "caFile: s3-ca.pem", `regions[0].caFile: found "s3-ca.pem", want an absolute path`},
		{"no such key service", "keys: transit-singapore", "keys: transit-sydney", `regions[3].keys: found "transit-sydney", want one of transit-east, transit-north, transit-singapore`},
		{"one bucket for both", "hospital-medvault-sg-keys", "hospital-medvault-sg", "regions[3].keysBucket: is the same as bucket"},
		{"one region twice", "s3.east.hospital", "s3.north.hospital", "regions[1].bucket: names the same place as regions[0].bucket"},
		{"region name twice", "name: cn-east", "name: cn-north", `regions[1].name: "cn-north" is used twice`},
		{"too few at home", "home: CN", "home: SG", "regions: found 1 in SG (home), want at least 2"},
		{"quorum", "quorum: majority", "quorum: 4", "write.quorum: found 4, want majority, all, or 2 to 2"},
		{"quorum of one", "quorum: majority", "quorum: 1", "write.quorum: found 1"},
		{"quorum word", "quorum: majority", "quorum: most", `write.quorum: found "most"`},
		{"insecure keys in the open", "driver: transit # or", "driver: insecure # or", "keys.services[0].driver: insecure keeps the keys in a plain file"},
		{"key of another driver", "path: /srv/medvault/cn-archive", "path: /srv/a\n    bucket: b", "regions[2].bucket: only minio and aws reads this"},
		{"relative spool", "spool: /var/lib", "spool: var/lib", `spool: found "var/lib/medvault/spool", want an absolute path`},
		{"country", "  country: CN", "  country: China", `identity.country: found "China", want an ISO 3166-1 code`},
		{"console without a client", "  clientID: medvault-console\n", "", "console.clientID: missing"},
		{"console's secret inline", "clientSecretFile: /etc/medvault/console.secret", "clientSecretFile: hunter2", "console.clientSecretFile: want the absolute path"},
		{"idle for ever", "idle: 15m", "idle: 9h", "console: sessions: idle is 9h0m0s and absolute 8h0m0s"},
		{"console's client refused", "  # clients: [viewer, pacs]", "  clients: [viewer, pacs]", `console.clientID: "medvault-console" is not among identity.clients`},
		{"senders without certificates", "clientCAs: /etc/medvault/devices-ca.pem # default: tls", "# clientCAs: # default: tls", "hl7.clientCAs: missing"},
		{"senders' zone", "zone: Asia/Shanghai", "zone: China Time", `hl7.zone: found "China Time"`},
		{"a sender that is nobody", "      actor: service:his", "      actor: \"\"", "hl7.senders[0].actor: missing"},
		{"a physician that is none", "[PerformingPhysicianName", "[OperatorsName", `care.fromDICOM.attributes: found "OperatorsName"`},
		{"a grace of less than nothing", "grace: 72h", "grace: -1h", "hl7.grace: found -1h0m0s"},
		{"clock skew", "clockSkew: 30s", "clockSkew: 1h", "identity.clockSkew: found 1h0m0s, want up to 5m"},
		{"profile", "profile: clinical-trial", "profile: clinical", `deidentification.profile: found "clinical", want one of archive, clinical-trial, default, quality, teaching`},
		{"profile's option", "[retain_safe_private, ", "[retain_everything, ", `deidentification.profiles.archive: option "retain_everything" is not one of retain_safe_private`},
		{"colliding options", "retain_longitudinal_full_dates]", "retain_longitudinal_full_dates, retain_longitudinal_modified_dates]", "deidentification.profiles.archive: options retain_longitudinal_full_dates and retain_longitudinal_modified_dates exclude each other"},
		{"built-in profile", "    archive: [", "    quality: [", "deidentification.profiles.quality: is built in"},
		{"profile's name", "    archive: [", "    The Archive: [", "deidentification.profiles.The Archive: found"},
		{"relative pixel rules", "profile: clinical-trial", "pixelRulesFile: pixels.rules", `deidentification.pixelRulesFile: found "pixels.rules", want an absolute path`},
		{"no pixel rules", "profile: clinical-trial", "pixelRulesFile: /nowhere/pixels.rules", "deidentification.pixelRulesFile: open /nowhere/pixels.rules"},
		{"broken pixel rules", "profile: clinical-trial", "pixelRulesFile: " + broken, "deidentification.pixelRulesFile: read pixel rules: line 2: no conditions"},
		{"relative reader", "profile: clinical-trial", "ocr: {program: tesseract}", `deidentification.ocr.program: found "tesseract", want an absolute path`},
		{"languages of no reader", "profile: clinical-trial", "ocr: {languages: eng}", "deidentification.ocr.program: missing"},
		{"region's role", "role: archive", "role: mirror", `regions[2].role: found "mirror", want one of primary, replica, archive`},
		{"lock mode", "mode: governance, days: 30", "mode: legal, days: 30", `regions[0].lock.mode: found "legal", want one of none, governance, compliance`},
		{"lock without end", "mode: governance, days: 30", "mode: governance", "regions[0].lock.days: found 0, want 1 to 3653"},
		{"lock too long", "mode: governance, days: 30", "mode: governance, days: 3654", "regions[0].lock.days: found 3654, want 1 to 3653"},
		{"days of no lock", "mode: governance, days: 30", "mode: none, days: 30", "regions[0].lock.days: found 30 without a mode"},
		{"lock in a directory", "    role: archive", "    lock: {mode: governance, days: 1}", "regions[2].lock.mode: found governance, want none: a directory has no object lock"},
		{"compliance abroad", "    region: ap-southeast-1", "    region: ap-southeast-1\n    lock: {mode: compliance, days: 1}", "regions[3].lock.mode: found compliance in SG, want it in CN (home) only"},
		{"snapshots of less than nothing", "keySnapshotDays: 14", "keySnapshotDays: -1", "regions[0].keySnapshotDays: found -1, want 1 to 36525"},
		{"kept for too short", "  years: 30", "  years: 29", "retention: retention in CN: below the floor: 29 years, at least 30"},
		{"a category kept for too short", "{ imaging: 40 }", "{ imaging: 15 }", "retention: retention in CN: below the floor: imaging: 15 years, at least 30"},
		{"certificate without its sum", "sha256: 2f77", "sha256: zz77", "regions[0].certification.sha256: found"},
		{"certificate's end", "expires: 2027-03-31", "expires: next year", `regions[0].certification.expires: found "next year", want the last day`},
		{"certificate without a document", "      document: https://intranet.hospital.example.cn/certificates/cn-north-mlps3.pdf", "      document: \"\"", "regions[0].certification.document: missing"},
		{"certificates of nobody", "requireScopes: false", "certificates: {subject: uri, people: {a: {role: radiology}}}", "identity.certificates: needs tls.clientCAs"},
		{"a certificate's name", "requireScopes: false", "certificates: {subject: mail, people: {a: {role: radiology}}}", `identity.certificates.subject: found "mail", want one of uri, dns, cn`},
		{"a certificate's role", "requireScopes: false", "certificates: {subject: cn, people: {a: {role: king}}}", `identity.certificates.people.a.role: found "king"`},
		{"a certificate's scope", "requireScopes: false", "certificates: {subject: cn, people: {a: {role: radiology, scopes: [everything]}}}", "identity.certificates.people.a.scopes: a scope must be"},
		{"certificates without authorities", "requireClientCerts: false", "requireClientCerts: true", "tls.requireClientCerts: needs tls.clientCAs"},
		{"relative authorities", "  profile: aes256", "  clientCAs: ca.pem", `tls.clientCAs: found "ca.pem", want an absolute path`},
		{"no failures", "failures: 30", "failures: -1", "limits.failures: found -1"},
		{"no lock-out", "lockout: 1m", "lockout: 1ms", "limits.lockout: found 1ms, want 1s to 24h"},
		{"a proxy", "denials: 120", "proxies: [10.0.0.1]", `limits.proxies: found "10.0.0.1", want a network`},
		{"role", "physician: clinician", "physician: doctor", `identity.roles.physician: found "doctor", want one of radiology, clinician`},
	} {
		t.Run(test.name, func(t *testing.T) {
			text := strings.Replace(string(example), test.old, test.new, 1)
			if text == string(example) {
				t.Fatalf("the example holds no %q", test.old)
			}
			path := filepath.Join(t.TempDir(), "config.yaml")
			if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
				t.Fatal(err)
			}
			_, err := loadConfig(path)
			if err == nil {
				t.Fatal("loadConfig accepted it")
			}
			if !strings.Contains(err.Error(), test.want) {
				t.Errorf("loadConfig = %v; want it to say %q", err, test.want)
			}
			if strings.Contains(err.Error(), "hunter2") {
				t.Errorf("loadConfig quotes a secret: %v", err)
			}
		})
	}
}

func TestConfigReportsEveryProblem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "config.yaml")
	if err := os.WriteFile(path, []byte("listen: 127.0.0.1:8443\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := loadConfig(path)
	if err == nil {
		t.Fatal("loadConfig accepted it")
	}
	for _, want := range []string{"publicURL:", "home:", "catalog.dsn:", "keys.services:", "regions:", "identity.issuer:", "identity.audience:", "dpo.email:", "dpo.phone:", "dpo.address:", "spool:"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("loadConfig = %v; want it to name %s", err, want)
		}
	}
}

func TestSecretsComeFromFileOrEnvironment(t *testing.T) {
	path := filepath.Join(t.TempDir(), "secret")
	if err := os.WriteFile(path, []byte("  from a file\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("MEDVAULT_TEST_SECRET", "from the environment")
	for ref, want := range map[Secret]string{Secret(path): "from a file", "env:MEDVAULT_TEST_SECRET": "from the environment"} {
		if got, err := ref.Read(); err != nil || got != want {
			t.Errorf("Secret(%s).Read() = %q, %v; want %q", ref, got, err, want)
		}
	}
	for _, ref := range []Secret{"env:MEDVAULT_TEST_NO_SUCH_SECRET", Secret(path + ".absent")} {
		if got, err := ref.Read(); err == nil {
			t.Errorf("Secret(%s).Read() = %q; want an error", ref, got)
		}
	}
}

func TestCatalogPasswordIsReadFromItsFile(t *testing.T) {
	t.Setenv("MEDVAULT_TEST_SECRET", "p@ss/word")
	c := CatalogConfig{DSN: "postgres://medvault@127.0.0.1:5432/medvault", PasswordFile: "env:MEDVAULT_TEST_SECRET"}
	const want = "postgres://medvault:p%40ss%2Fword@127.0.0.1:5432/medvault"
	if got, err := c.Resolve(); err != nil || got != want {
		t.Errorf("Resolve() = %q, %v; want %q", got, err, want)
	}
}

func TestQuorum(t *testing.T) {
	for _, test := range []struct {
		quorum  Quorum
		n, want int
	}{
		{"majority", 3, 2}, {"majority", 4, 3}, {"majority", 2, 2}, {"majority", 1, 1},
		{"all", 3, 3}, {"2", 3, 2}, {"3", 2, 2},
	} {
		if got := test.quorum.Of(test.n); got != test.want {
			t.Errorf("Quorum(%s).Of(%d) = %d; want %d", test.quorum, test.n, got, test.want)
		}
	}
}
