package dicomweb

import (
	"encoding/json"

	"medvault/api/answer"
)

// attribute is one attribute of the DICOM JSON model (PS3.18 F.2).
type attribute struct {
	VR    string `json:"vr"`
	Value []any  `json:"Value,omitempty"`
}

type dataset map[string]attribute

func (d dataset) set(tag, vr string, values ...any) { d[tag] = attribute{vr, values} }

// setText is set for a value that may be unknown: then the attribute is empty.
func (d dataset) setText(tag, vr, value string) {
	if value == "" {
		d.set(tag, vr)
		return
	}
	d.set(tag, vr, value)
}

// Attributes of the Store Instances Response Module (PS3.18 table I.1-1), and our own
// beside them.
const (
	tagSOPClass      = "00081150" // Referenced SOP Class UID
	tagSOPInstance   = "00081155" // Referenced SOP Instance UID
	tagRetrieveURL   = "00081190"
	tagFailureReason = "00081197"
	tagFailed        = "00081198" // Failed SOP Sequence
	tagReferenced    = "00081199" // Referenced SOP Sequence
	tagOtherFailures = "0008119A" // Other Failures Sequence

	tagCreator = "00090010" // "MEDVAULT"
	tagPart    = "00091001" // IS, which part of the request, from 1
	tagPatient = "00091002" // LO, patient token
	tagObject  = "00091003" // LO, object id
	tagPresent = "00091004" // CS, YES when the same bytes were here already
	tagCode    = "00091005" // LO, machine-readable reason
	tagAdvice  = "00091006" // UT, what to do
)

// response is the Store Instances Response: one JSON object, in which a sequence
// that would be empty is left out.
func (o *storing) response() []byte {
	d := dataset{}
	d.setText(tagRetrieveURL, "UR", o.retrieveURL())

	var referenced, refused, other []any
	for _, s := range o.stored {
		r := s.receipt
		item := dataset{}
		item.setText(tagSOPClass, "UI", r.SOPClass)
		item.setText(tagSOPInstance, "UI", r.SOPInstance)
		item.setText(tagRetrieveURL, "UR", "")
		if r.Study != "" && r.Series != "" && r.SOPInstance != "" {
			item.set(tagRetrieveURL, "UR", o.url(r.Study, r.Series, r.SOPInstance))
		}
		item.set(tagCreator, "LO", "MEDVAULT")
		item.set(tagPart, "IS", s.part)
		item.setText(tagPatient, "LO", string(r.Patient))
		item.setText(tagObject, "LO", string(r.ID))
		item.set(tagPresent, "CS", yesNo(r.Present))
		referenced = append(referenced, item)
	}
	for _, f := range o.failed {
		item := f.item()
		if f.receipt.SOPInstance == "" {
			other = append(other, item)
			continue
		}
		item.setText(tagSOPClass, "UI", f.receipt.SOPClass)
		item.set(tagSOPInstance, "UI", f.receipt.SOPInstance)
		refused = append(refused, item)
	}
	if o.broken != nil && len(o.failed) == 0 {
		// The body broke between two parts: that is the failure to name.
		why := cut(o.broken)
		other = append(other, failed{part: o.parts + 1, err: why, reason: failureReason(why)}.item())
	}
	for tag, items := range map[string][]any{tagReferenced: referenced, tagFailed: refused, tagOtherFailures: other} {
		if len(items) > 0 {
			d.set(tag, "SQ", items...)
		}
	}
	body, err := json.Marshal(d)
	if err != nil {
		panic(err) // strings and small integers always marshal
	}
	return body
}

// item is what can be said of a failure without its UIDs.
func (f failed) item() dataset {
	item := dataset{}
	item.set(tagFailureReason, "US", f.reason)
	item.set(tagCreator, "LO", "MEDVAULT")
	item.set(tagPart, "IS", f.part)
	item.set(tagCode, "LO", answer.Code(f.err))
	item.set(tagAdvice, "UT", answer.Message(f.err))
	return item
}

// retrieveURL is the address of the study, when it is one study.
func (o *storing) retrieveURL() string {
	study := o.study
	for _, s := range o.stored {
		if study == "" {
			study = s.receipt.Study
		}
		if s.receipt.Study != study {
			return ""
		}
	}
	if study == "" || len(o.stored) == 0 {
		return ""
	}
	return o.url(study, "", "")
}

func yesNo(b bool) string {
	if b {
		return "YES"
	}
	return "NO"
}
