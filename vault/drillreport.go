package vault

import "time"

// A drill's report is signed as a verification's is, over three lines:
//
//	medvault drill report
//	REGION, and when it began
//	SHA-256 of the compact JSON without the field signed, in hex
const drillTitle = "medvault drill report"

func (v *Vault) signDrill(d *Drilled) error {
	digest, err := d.digest()
	if err != nil {
		return err
	}
	d.Signed, err = v.signDigest(drillTitle, d.id(), digest)
	return err
}

func (d Drilled) id() string {
	return d.Rebuild.Region + " " + d.Rebuild.Started.UTC().Format(time.RFC3339Nano)
}

func (d Drilled) digest() (string, error) {
	d.Signed = ""
	return digestOf(d)
}

// File is the report as it is kept, and as CheckDrill reads it: indented JSON.
func (d Drilled) File() ([]byte, error) { return reportFile(d) }

// CheckDrill says whether a file is a report of a drill that the vault with this verifier
// key (NAME+HASH+KEY) signed, byte for byte, and returns it. Nothing else is asked.
func CheckDrill(file []byte, vkey string) (Drilled, error) {
	var d Drilled
	if err := readReport(file, &d); err != nil {
		return Drilled{}, err
	}
	digest, err := d.digest()
	if err != nil {
		return Drilled{}, err
	}
	return d, checkDigest(d.Signed, vkey, drillTitle, d.id(), digest)
}
