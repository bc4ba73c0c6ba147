package imaging

import (
	"io"
	"time"
)

// Correction is what a patient's record says instead of what their documents say, from
// one moment on.
type Correction struct {
	At     time.Time         `json:"at"`
	System string            `json:"system"` // whose record it is: Modifying System (0400,0563)
	Values map[string]string `json:"values"` // by DICOM keyword, see Correctable; "" says that nothing is known
}

// Correctable are the keywords of what can be corrected (PS3.3 C.7.1.1 and C.2.3), in the
// order of their tags.
func Correctable() []string {
	return []string{"PatientName", "PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "PatientAddress"}
}

// Corrector is a Scrubber of documents that can say what they were corrected to.
type Corrector interface {
	// Correct copies an original and writes the corrected values in place of its own, with
	// what stood there before in Original Attributes Sequence (0400,0561), one item for
	// each correction, in their order. Pixels stay bit for bit.
	Correct(w io.Writer, original io.Reader, corrections []Correction) error

	// CorrectedSyntax is the transfer syntax that Correct writes an original of another in.
	CorrectedSyntax(original string) string
}
