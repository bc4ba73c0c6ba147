package imagingtest

import "fmt"

// SamplePatient is the patient of the sample study and report. It has no issuer
// of its own, so the vault's default applies.
func SamplePatient() Patient {
	p := NewPatient(2026)
	p.Issuer = ""
	p.Name = "Wang^XiaoDong=王^小東"
	return p
}

// SampleStudy is a small CT study of the sample patient: n slices of 256x256
// through a head phantom, with nothing planted beyond the usual attributes.
func SampleStudy(n int) [][]byte {
	p := SamplePatient()
	slices := make([][]byte, n)
	for i := range slices {
		slices[i] = CT(p, Options{
			Study: 1, Series: 1, Instance: i + 1, Rows: 256, Columns: 256, Plain: true,
			Extra: []Element{
				{0x00081030, "LO", "CT head (synthetic)"},
				{0x0008103E, "LO", "Axial 5 mm"},
				{0x00201041, "DS", fmt.Sprint(5 * (i + 1))},
			},
		})
	}
	return slices
}

// SampleReport is the PDF report of the sample study.
func SampleReport() []byte { return Report(SamplePatient()) }
